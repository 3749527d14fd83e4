# SPDX-License-Identifier: MIT
# The daemon is killed again and again, each time it serves, while a guest works and others come and go.
# Nobody may notice.
. /rig/lib.sh
check "start" dom0_start || finish
check "guest" guest_create g1 || finish
id=$(guest_id g1)
check "ping before" guest_ping $id before

touch /tmp/kill
: > /tmp/kills
(while [ -e /tmp/kill ]; do
    p=$(xs_pid) # the same as before: the next server is not up yet
    [ -n "$p" ] && [ "$p" != "$last" ] && kill -9 $p 2>/dev/null && echo $p >> /tmp/kills && last=$p
    sleep 0.7
done) &

say "a guest writes and reads, one after the other"
guest_sh $id 'bad=0; i=0; while [ $i -lt 60 ]; do i=$((i + 1)); xenstore-write data/count $i || bad=$((bad + 1)); [ "$(xenstore-read data/count)" = $i ] || bad=$((bad + 1)); done; echo did=$i bad=$bad' 200 > /tmp/t
cat /tmp/t
check "60 writes and reads in the guest, none failed" grep -q 'did=60 bad=0' /tmp/t
check "the last one is in the store" xs_is /local/domain/$id/data/count 60
check "another guest is created" guest_create g2
id2=$(guest_id g2)
check "and served" guest_ping $id2 hello
check "xl destroy" timeout 100 xl destroy g2
check "its subtree removed" within 20 xs_gone /local/domain/$id2
rm /tmp/kill
wait
check "the daemon was killed often ($(wc -l < /tmp/kills) times)" [ "$(wc -l < /tmp/kills)" -gt 20 ]
check "the guest's watches (ping)" guest_ping $id after
check "the guest beats" guest_beats $id
check "xl shutdown -w" timeout 60 xl shutdown -w g1
check "its subtree removed" within 20 xs_gone /local/domain/$id
echo "XENRIG-FACT kills $(wc -l < /tmp/kills)"
finish
