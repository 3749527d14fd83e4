# SPDX-License-Identifier: MIT
# For the checks of scripts/test (". tests/checks/lib.sh", in bash): verdicts and builds.
# They run in the top folder of the tree, without standard input.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
python=/usr/bin/python3 # Debian's: the one that python3-pyxs is installed for
failures=0

pass() { echo "PASS: $*"; }
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

# quietly CMD...: run it; show what it printed (the end) only if it fails.
quietly() {
    local log rc
    log=$(mktemp) || return 2
    "$@" >"$log" 2>&1 </dev/null
    rc=$?
    [ $rc = 0 ] || { echo "\$ $*"; tail -n 60 "$log"; }
    rm -f "$log"
    return $rc
}
# check TEXT CMD...: one verdict, by the exit status of CMD.
check() {
    local text=$1
    shift
    if quietly "$@"; then pass "$text"; else fail "$text"; return 1; fi
}
# finish: the end of a check.
finish() { [ $failures = 0 ]; exit; }

# build DIR [MESON-OPTION...]: configure (again, if the options are not those of last time)
# and build everything, or $BUILD_TARGETS. CXX chooses the compiler of a new folder.
build() {
    local dir=$1 want
    shift
    want="$* ${CXX:-g++}"
    mkdir -p "$dir" || return
    exec 8>"$dir/.xsgit-lock" # checks run beside each other
    flock 8
    if [ ! -f "$dir/build.ninja" ]; then
        quietly meson setup "$dir" "$@" || return
    elif [ "$(cat "$dir/.xsgit-options" 2>/dev/null)" != "$want" ]; then
        quietly meson setup --reconfigure "$dir" "$@" || return
    fi
    echo "$want" >"$dir/.xsgit-options"
    # shellcheck disable=SC2086 -- several
    quietly ninja -C "$dir" ${BUILD_TARGETS:-}
    local rc=$?
    exec 8>&-
    return $rc
}
# The builds, by name; every check uses the same options for the same folder.
build_gcc() { CXX=g++ build build -Dwerror=true; }
# Sanitizers with clang, which compiles this in a third of the time of g++ (CLI11 and nlohmann_json above all).
# With crash points, the fuzzers, and warnings as errors, so that none of these needs a build of its own.
build_asan() {
    CXX=clang++ build build-asan -Dwerror=true -Dcrash_points=true -Dfuzz=true -Db_sanitize=address,undefined \
        -Db_lundef=false -Doptimization=1 "-Dcpp_args=-D_GLIBCXX_ASSERTIONS -gline-tables-only"
}
build_tsan() {
    CXX=clang++ build build-tsan -Db_sanitize=thread -Db_lundef=false -Doptimization=1 -Dcpp_args=-gline-tables-only
}
