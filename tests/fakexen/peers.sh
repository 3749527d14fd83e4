#!/bin/bash
# SPDX-License-Identifier: MIT
# Run a xenstored on this machine, without Xen, on an emulated host (fakexen.hpp).
#
#   peers.sh fetch                 unpack Debian's Xen tools into $PEERS (no install, no service)
#   peers.sh start C|ox DIR [ARGS] start Debian's C xenstored or oxenstored; prints "PID SOCKET"
#   peers.sh ours BINARY DIR ARGS  start a daemon of ours (ARGS name its socket); prints "PID"
#
# DIR (on tmpfs) is the emulated host: domains, rings, event channels. PID leads a session and
# a process group of its own: stop it with kill -- -PID.
# Quotas are raised for load tests; append e.g. "-E 1000 -t 10" for the defaults.
# PEERS defaults to /var/tmp/xenstore-peers; test-xenstore is there too, in root/usr/lib/xen-*/bin.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
PEERS=${PEERS:-/var/tmp/xenstore-peers}
usage() { sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" >&2; exit 2; }

# Builds the preloaded library and fakexenctl into $PEERS, prints the library's path.
shim() {
    mkdir -p "$PEERS"
    local lib=$PEERS/libfakexen.so f
    for f in "$here"/*.[ch]pp; do
        [ "$lib" -nt "$f" ] && continue
        # renamed into place: a daemon may have the old one mapped, another script may build too
        g++ -O2 -std=gnu++20 -I"$top" -fPIC -shared -fvisibility=hidden -o "$lib.$$" "$here/fakexen.cpp" -ldl -pthread
        g++ -O2 -std=gnu++20 -I"$top" -o "$PEERS/fakexenctl.$$" "$here/fakexenctl.cpp"
        mv -f "$PEERS/fakexenctl.$$" "$PEERS/fakexenctl"
        mv -f "$lib.$$" "$lib"
        break
    done
    echo "$lib"
}

wait_socket() { # PID SOCKET LOG
    local _
    for _ in $(seq 2000); do
        [ -S "$2" ] && { echo "$1 $2"; return; }
        kill -0 "$1" 2>/dev/null || { tail -3 "$3" >&2; exit 1; }
        sleep 0.005
    done
    echo "peers.sh: no socket after 10 s: $2" >&2
    exit 1
}

# The folder of Xen's own programs.
xenbin() {
    set -- "$PEERS"/root/usr/lib/xen-*/bin
    [ -d "$1" ] || { echo "peers.sh: nothing in $PEERS: run '$0 fetch' first" >&2; exit 1; }
    echo "$1"
}

case ${1:-} in
fetch)
    "$top/scripts/debs" --know xen-system-amd64
    version=$(apt-cache depends --important xen-system-amd64 | sed -n 's/.*Depends: xen-utils-\([0-9]\)/\1/p')
    rm -rf "$PEERS/debs" "$PEERS/root.new"
    "$top/scripts/debs" "$PEERS/debs" "xen-utils-$version" "libxenmisc$version" libxenhypfs1 libxenevtchn1 \
        libxengnttab1 libxencall1 libxentoollog1 libxentoolcore1 libxenforeignmemory1 libxendevicemodel1 \
        libxenstore4
    for d in "$PEERS"/debs/*.deb; do dpkg -x "$d" "$PEERS/root.new"; done
    rm -rf "$PEERS/root"
    mv "$PEERS/root.new" "$PEERS/root" ;;
start)
    [ $# -ge 3 ] || usage
    kind=$2 dir=$3
    shift 3
    bin=$(xenbin)
    preload=$(shim)
    export FAKEXEN_DIR=$dir LD_LIBRARY_PATH=$PEERS/root/usr/lib/x86_64-linux-gnu
    mkdir -p "$dir"
    ulimit -n "$(ulimit -Hn)"
    case $kind in
    C)  mkdir -p "$dir/xs"
        XENSTORED_RUNDIR=$dir/xs XENSTORED_ROOTDIR=$dir/xs LD_PRELOAD=$preload setsid "$bin/xenstored" -N \
            -E 100000000 -S 4096 -W 1000000 -t 10000 -Q transaction-nodes=100000000 "$@" </dev/null >"$dir/log" 2>&1 &
        wait_socket $! "$dir/xs/socket" "$dir/log" ;;
    ox) mkdir -p "$dir/var/run/xenstored" "$dir/var/run/xen"
        cat >"$dir/oxenstored.conf" <<CONF
pid-file = /var/run/xen/xenstored.pid
merge-activate = true
perms-activate = true
perms-watch-activate = true
quota-activate = true
quota-maxentity = 100000000
quota-maxsize = 4096
quota-maxwatch = 1000000
quota-transaction = 10000
quota-maxrequests = 100000000
quota-path-max = 2048
quota-maxoutstanding = 1000000
quota-maxwatchevents = 1000000
persistent = false
xenstored-kva = /proc/xen/xsd_kva
xenstored-port = /proc/xen/xsd_port
CONF
        LD_PRELOAD=$preload setsid "$bin/oxenstored" --no-fork --config-file "$dir/oxenstored.conf" "$@" \
            </dev/null >"$dir/log" 2>&1 &
        wait_socket $! "$dir/var/run/xenstored/socket" "$dir/log" ;;
    *)  usage ;;
    esac ;;
ours)
    [ $# -ge 3 ] || usage
    binary=$2 dir=$3
    shift 3
    preload=$(shim)
    export FAKEXEN_DIR=$dir
    mkdir -p "$dir"
    ulimit -n "$(ulimit -Hn)"
    LD_PRELOAD=$preload setsid "$binary" "$@" </dev/null >"$dir/log" 2>&1 &
    pid=$!
    sleep 0.1
    kill -0 "$pid" 2>/dev/null || { tail -3 "$dir/log" >&2; exit 1; }
    echo "$pid" ;;
*)  usage ;;
esac
