# SPDX-License-Identifier: MIT
# Our daemon in real Xen's dom0, on its socket only (no rings, no guests): Xen's own tools,
# SIGKILL under load, and the repository sent out for checks/20-standalone to look at.
# Facts for that check are printed as "XENRIG-FACT NAME VALUE".
. /rig/lib.sh
REPO=/run/xsgit/store.git
SOCKET=/run/xenstored/socket
# other arguments: to try this script on another daemon (it will lose its store)
: "${STANDALONE_ARGS:=--standalone -N --socket $SOCKET --repo $REPO}"

fact() { echo "XENRIG-FACT $*"; }
running() { kill -0 "$(xs_pid)" 2>/dev/null; }
start() {
    $XENSTORED --pid-file $XS_PIDFILE $STANDALONE_ARGS >> /var/log/xenstored.log 2>&1 &
    within 30 timeout 5 xenstore-exists / && within 5 running
}
# The keeper starts another server by itself.
serves() { within 30 timeout 5 xenstore-exists / && within 5 running; }
snapshot() { timeout 20 xenstore-ls -fp / | grep -v '^/load'; }

# writer N: write /load/N/1, 2, ... until told to stop; acknowledged ones are noted. A
# write that was cut off is tried again: its first try may or may not have happened.
writer() {
    local i=0
    while [ ! -e /tmp/enough ]; do
        i=$((i + 1))
        until timeout 5 xenstore-write /load/$1/$i "value $i" 2>/dev/null; do
            [ -e /tmp/enough ] && return
            echo $i >> /tmp/cut-off.$1
            sleep 0.1
        done
        echo $i > /tmp/acknowledged.$1
        [ $i -lt 100 ] || return
    done
}

say "start: $XENSTORED $STANDALONE_ARGS"
mkdir -p /run/xsgit
check "serves its socket" start || { cat /var/log/xenstored.log; finish; }
check "this is a Xen host" grep -q control_d /proc/xen/capabilities

say "Xen's own tools"
check "write" xenstore-write /tool/test/a one
check "read" xs_is /tool/test/a one
check "write again" xenstore-write /tool/test/a two
check "several in one transaction" xenstore-write /tool/test/b 1 /tool/test/c 2
check "list" [ "$(xenstore-list /tool/test | tr '\n' ' ')" = "a b c " ]
check "chmod" xenstore-chmod /tool/test/a n0 r5
check "ls -p shows it" sh -c 'xenstore-ls -p /tool/test | grep -q "^a = .*(n0,r5)"'
check "rm" xenstore-rm /tool/test/b
check "exists" [ "$(xenstore-exists /tool/test/b; echo $?)" = 1 ]
timeout 20 xenstore-watch -n 2 /tool/watched > /tmp/watch.log &
watcher=$!
within 10 grep -q /tool/watched /tmp/watch.log
check "write to a watched node" xenstore-write /tool/watched/x 1
check "watch fires" wait $watcher
check "with the path" grep -qx /tool/watched/x /tmp/watch.log
i=0
while [ $i -lt 20 ]; do i=$((i + 1)); xenstore-write /tool/count $i || bad "write $i"; done
check "test-xenstore" timeout 100 test-xenstore

say "SIGKILL at rest"
snapshot > /tmp/before
old=$(xs_pid)
check "kill -9" kill -9 $old
within 5 sh -c "! kill -0 $old"
check "serves again" serves || { cat /var/log/xenstored.log; finish; }
snapshot > /tmp/after
check "store unchanged ($(wc -l < /tmp/before) nodes)" cmp /tmp/before /tmp/after
diff /tmp/before /tmp/after | head
check "takes writes" xenstore-write /tool/count 21

say "SIGKILL under load"
for n in 1 2; do writer $n & eval writer$n=\$!; done
for kill in 1 2 3; do
    sleep 1
    old=$(xs_pid)
    kill -9 $old && within 5 sh -c "! kill -0 $old"
    check "serves again after kill $kill" start || { cat /var/log/xenstored.log; finish; }
done
sleep 1
: > /tmp/enough
wait $writer1 $writer2
for n in 1 2; do
    last=$(cat /tmp/acknowledged.$n) i=0 lost=
    while [ $i -lt ${last:-0} ]; do
        i=$((i + 1))
        xs_is /load/$n/$i "value $i" || lost="$lost $i"
    done
    check "writer $n: $last acknowledged, cut off: $(cat /tmp/cut-off.$n 2>/dev/null | tr '\n' ' ')" [ "${last:-0}" -gt 0 ]
    check "writer $n: none lost$lost" [ -z "$lost" ]
    fact acknowledged.$n ${last:-0}
done
fact nodes $(timeout 20 xenstore-ls -f / | wc -l)

say "orderly stop"
old=$(xs_pid)
check "SIGTERM ends it" sh -c "kill -TERM $old; . /rig/lib.sh; within 20 sh -c '! kill -0 $old'"
check "no process stays" within 10 sh -c "! pidof ${XENSTORED##*/}"
tail -n 20 /var/log/xenstored.log
# The daemon's own files in it are of no use outside, and large.
if [ -d $REPO ]; then
    check "repository sent out" send_out $(cd / && ls -d ${REPO#/}/* | grep -v /xsgit$)
fi
finish
