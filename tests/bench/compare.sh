#!/bin/bash
# SPDX-License-Identifier: MIT
# Our daemon beside Debian's C xenstored, in one run: the same load on both, turn by turn, and the ratios of the medians.
#
#   compare.sh [--build DIR] [--rounds N] [--seconds S] [--guests D] [--json FILE] [WORKLOAD:CONNECTIONS:DEPTH …]
#
# Ours runs on the emulated host, too (LD_PRELOAD), so that both pay for the same things.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build rounds=3 seconds=2 guests=50 json= cases=()
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --guests) guests=$2; shift 2 ;;
    --json) json=$2; shift 2 ;;
    -*) sed -n '3,8p' "$0"; exit 2 ;;
    *) cases+=("$1"); shift ;;
    esac
done
[ ${#cases[@]} -gt 0 ] || cases=(read:1:1 read:16:1 read:16:16 write:1:1 write:16:1 write:16:16 mixed:16:1 mixed:200:1
    mixed:16:16 transaction:1:1 transaction:16:1 watch:2:1 watch:32:1)
peers=$root/tests/fakexen/peers.sh
[ -d "${PEERS:-/var/tmp/xenstore-peers}/root" ] || "$peers" fetch

dir=$(mktemp -d /dev/shm/xsgit-compare-XXXXXX)
cpid= opid=
finish() {
    [ -z "$cpid" ] || kill -- "-$cpid" 2>/dev/null || true
    [ -z "$opid" ] || kill "$opid" 2>/dev/null || true
    sleep 0.3
    rm -rf "$dir"
}
trap finish EXIT
read -r cpid csocket < <("$peers" start C "$dir/c")
osocket=$dir/ours.socket
opid=$("$peers" ours "$build/server/xenstored" "$dir/o" --standalone -N --repo "$dir/store.git" --socket "$osocket")
for _ in $(seq 500); do [ -S "$osocket" ] && break; sleep 0.01; done

results=$dir/results
for c in "${cases[@]}"; do
    IFS=: read -r workload connections depth <<<"$c"
    for _ in $(seq "$rounds"); do
        for who in C ours; do
            socket=$csocket; [ $who = C ] || socket=$osocket
            "$build/tests/bench/load" --socket "$socket" --workload "$workload" --connections "$connections" \
                --depth "$depth" --guests "$guests" --seconds "$seconds" --json | sed "s/^{/{\"who\":\"$who\",/" >>"$results"
        done
    done
done
[ -z "$json" ] || cp "$results" "$json"
/usr/bin/python3 - "$results" <<'PY'
import json, statistics, sys
runs = {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    runs.setdefault((r["workload"], r["connections"], r["depth"]), {}).setdefault(r["who"], []).append(r)
print(f"{'workload':<12}{'conns':>6}{'depth':>6} | {'C /s':>10}{'ours /s':>10}{'ratio':>7} |"
      f"{'C p50 us':>10}{'ours':>8} |{'C p99 us':>10}{'ours':>8} | conflicts C, ours")
for (workload, connections, depth), by in runs.items():
    def middle(who, what):
        return statistics.median(r[what] for r in by[who])
    def total(who, what):
        return sum(r[what] for r in by[who])
    c, o = middle("C", "per_second"), middle("ours", "per_second")
    errors = total("C", "errors") + total("ours", "errors")
    print(f"{workload:<12}{connections:>6}{depth:>6} | {c:>10.0f}{o:>10.0f}{o / c:>7.2f} |"
          f"{middle('C', 'p50_us'):>10.1f}{middle('ours', 'p50_us'):>8.1f} |{middle('C', 'p99_us'):>10.1f}"
          f"{middle('ours', 'p99_us'):>8.1f} | {total('C', 'conflicts')}, {total('ours', 'conflicts')}"
          + (f"  ERRORS: {errors}" if errors else ""))
PY
