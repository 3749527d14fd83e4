# SPDX-License-Identifier: MIT
# For the checks in real Xen: boots the rig and passes its verdicts on.
. "$(dirname "${BASH_SOURCE[0]}")/../../checks/lib.sh"

# in_xen NAME RUN-ARGS...: run.sh with these arguments; its verdicts get NAME in front. The
# console stays in $console. False if the script in dom0 did not pass.
console=$(mktemp) || exit 2
out=$(mktemp -d) || exit 2
trap 'rm -rf "$out" "$console"' EXIT
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
fact() { tr -d "\r" <"$console" | sed -n "s/.*XENRIG-FACT $1 \(.*\)/\1/p" | tail -1; }

# sound_repository NAME: $out/store.tar.gz, which dom0 has sent out, holds a whole repository ($repo; g: git in it) with
# one commit for each change. Stock git, on this machine; the rig has compared size and checksum.
repo=$out/run/xsgit/store.git
g() { git --git-dir="$repo" "$@"; }
nothing_wrong() {
    g fsck --full --strict >"$out/fsck" 2>&1
    local rc=$?
    cat "$out/fsck"
    [ $rc = 0 ] && ! grep -E '^(error|missing|broken|warning)' "$out/fsck"
}
# numbers COUNT: the Seq of main's commits, from the first on, are 1, 2, … COUNT.
numbers() {
    cmp <(g log --first-parent --reverse --format='%(trailers:key=Seq,valueonly,separator=%x2C)' main) <(seq "$1")
}
sound_repository() {
    local commits seq
    rm -rf "$out/run"
    check "$1: unpacks" tar -xzf "$out/store.tar.gz" -C "$out" || return
    check "$1: git fsck --full --strict finds nothing wrong" nothing_wrong
    commits=$(g rev-list --first-parent --count main)
    seq=$(g log -1 --format='%(trailers:key=Seq,valueonly)' main | tr -d '\n')
    check "$1: main has as many commits ($commits) as its last Seq says ($seq)" [ "$commits" = "$seq" ]
    check "$1: no number is missing or there twice" numbers "$commits"
    check "$1: nothing of ours was taken for somebody else's" [ -z "$(g for-each-ref refs/heads/rescued)" ]
}

# states PATH: the values that a device's state node went through, as xs-log tells them.
states() { build/inspect/xs-log --repo "$repo" "/$1" | sed -n 's/.* = "\([0-9]\)" *\(ok\)\{0,1\}$/\1/p' | tr -d "\n"; }
matches() { [[ $2 =~ $1 ]]; }
# handshake NAME DOMID DEVICE [END]: Initialising, (Initialised,) Connected on both sides, and what the back end's has to end in.
handshake() {
    local front back
    front=$(states "local/domain/$2/device/$3/state")
    back=$(states "local/domain/0/backend/${3%/*}/$2/${3#*/}/state")
    check "$1: xs-log tells the handshake of domain $2, $3: guest $front" matches '^13?4' "$front"
    check "$1: xs-log tells the handshake of domain $2, $3: back end $back" matches "^12?4${4:-}" "$back"
}
