# SPDX-License-Identifier: MIT
# Ten deaths of the service in a row - its server, its keeper, both, systemctl restart - while a guest with disk and
# network writes, reads and has transactions, and dom0's programs keep their connections. Nobody may notice. Variables: see
# service-lib.sh (UNITS=1 is meant).
. /rig/lib.sh
. /root/service-lib.sh
snapshot() { timeout 100 xenstore-ls -fp / | grep -v -e /data/beat -e /data/work; }
consoled() { systemctl show -P MainPID xenconsoled; }
clients() { for p in $watcher $(consoled); do kill -0 "$p" || return 1; done; }
# another PIDS: server and keeper run, and not both are those of before.
another() { ours_alone && [ "$(xs_pid) $(keeper)" != "$1" ]; }
few_packs() { [ "$(ls /run/xsgit/store.git/objects/pack/*.pack | wc -l)" -lt 40 ]; }
seen() { grep -c /pong /tmp/watch.log; }
watch_fired() { [ "$(seen)" -gt "$1" ]; }

mkdir -p /var/log/xen/console
check "units like Xen's own" xens_units
check "enable" service enable
check "Xen is started" start_xen || { dmesg | tail -20; finish; }
for n in 0 1; do
    dd if=/dev/zero of=/root/disk$n bs=1M count=8 2>/dev/null; losetup /dev/loop$n /root/disk$n
done
check "a guest with disk and network" guest_create g1 \
    'disk=["phy:/dev/loop0,xvda,w,script=rig-hotplug"]' 'vif=["script=rig-hotplug"]' || finish
id=$(guest_id g1) back=/local/domain/0/backend
check "vbd connected" within 20 xs_is $back/vbd/$id/51712/state 4
check "vif connected" within 20 xs_is $back/vif/$id/0/state 4
check "guest fine" guest_fine before
xenstore-watch /local/domain/$id/data/pong > /tmp/watch.log 2>&1 & watcher=$!

say "work in the guest: both nodes are written in one transaction, and read in one"
# In one line: xenstore-read, which the guest gets it from, does not give newlines as they are.
w='xenstore-write data/work/a $i data/work/b $i || bad=$((bad + 1))'
r='[ "$(echo $(xenstore-read data/work/a data/work/b))" = "$i $i" ] || bad=$((bad + 1))'
d='dd if=/dev/zero of=/dev/xvda bs=4k count=16 2>/dev/null || bad=$((bad + 1))'
loop="while [ -e /tmp/go ]; do i=\$((i + 1)); $w; $r; $d; echo did=\$i bad=\$bad > /tmp/did; sleep 0.2; done"
guest_sh $id "touch /tmp/go; bad=0; i=0; ($loop) > /dev/null 2>&1 & echo begun"
check "it has begun" within 60 xs_read /local/domain/$id/data/work/b

round=0
for how in server keeper both restart server both keeper restart both server; do
    round=$((round + 1)) s=$(xs_pid) k=$(keeper) events=$(seen)
    snapshot > /tmp/before
    say "$round: $how ($s, $k)"
    case $how in
    server) kill -KILL $s ;;
    keeper) kill -KILL $k ;;
    both) kill -STOP $k; kill -KILL $s $k ;;
    restart) timeout 100 systemctl restart xsgit-xenstored ;;
    esac
    check "$round, $how: others are there" within 100 another "$s $k" || finish
    snapshot > /tmp/after
    check "$round, $how: the store is the same" cmp /tmp/before /tmp/after || diff /tmp/before /tmp/after | head
    check "$round, $how: the guest's watch" guest_ping $id $round
    check "$round, $how: dom0's watch" within 60 watch_fired $events
    check "$round, $how: dom0's clients live" clients
done

say "afterwards"
guest_sh $id 'rm /tmp/go; sleep 2; cat /tmp/did' > /tmp/t; cat /tmp/t
check "the guest's work: nothing failed" grep -q ' bad=0$' /tmp/t
check "and it was much" [ "$(sed 's/did=\([0-9]*\).*/\1/' /tmp/t)" -gt 20 ]
check "beats" guest_beats $id
check "block-attach" timeout 60 xl block-attach g1 phy:/dev/loop1,xvdb,w,script=rig-hotplug
check "connected" within 20 xs_is $back/vbd/$id/51728/state 4
check "network-attach" timeout 60 xl network-attach g1 script=rig-hotplug
check "connected" within 20 xs_is $back/vif/$id/1/state 4
check "another guest: xenconsoled has its connection still" guest_create g2
check "is served" guest_ping $(guest_id g2) hello
check "xl destroy" timeout 60 xl destroy g2
check "xl shutdown -w" timeout 60 xl shutdown -w g1
check "its subtree removed" within 20 xs_gone /local/domain/$id
kill $watcher
check "packs that were merged go" within 100 few_packs # and are not sent out
send_repository
finish
