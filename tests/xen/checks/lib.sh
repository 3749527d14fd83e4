# SPDX-License-Identifier: MIT
# For the checks in real Xen: boots the rig and passes its verdicts on.
. "$(dirname "${BASH_SOURCE[0]}")/../../checks/lib.sh"

# in_xen NAME RUN-ARGS...: run.sh with these arguments; its verdicts get NAME in front. The
# console stays in $console. False if the script in dom0 did not pass.
console=$(mktemp) || exit 2
trap 'rm -rf "$console"' EXIT
in_xen() {
    local name=$1 rc
    shift
    quietly tests/xen/build.sh || { fail "$name: build the rig"; return 1; }
    tests/xen/run.sh "$@" 2>&1 </dev/null | tee "$console" |
        sed -u "s/^\[ *[0-9.]*\] \(PASS\|FAIL\): /\1: $name: /"
    rc=${PIPESTATUS[0]}
    if [ "$rc" != 0 ]; then
        # a verdict of its own only if dom0 gave none
        if grep -q '^\[ *[0-9.]*\] FAIL: ' "$console"; then failures=$((failures + 1))
        else fail "$name: $(tail -n 1 "$console")"
        fi
    fi
    return "$rc"
}
# fact NAME: what the script in dom0 said with "XENRIG-FACT NAME VALUE".
fact() { sed -n "s/.*XENRIG-FACT $1 \(.*\)/\1/p" "$console" | tail -1; }
