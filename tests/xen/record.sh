# SPDX-License-Identifier: MIT
# The life of a guest, recorded with xs-record tap by all who take part in it: libxl, hotplug scripts, back ends in dom0's
# kernel, xenconsoled, the guest's kernel and programs. Sends out a session for each part. How the files in tests/sessions
# were made: see tests/xen/README.md.
. /rig/lib.sh
repo=/run/xsgit/store.git back=/local/domain/0/backend
tap() { # NAME CMD...
    local name=$1
    shift
    xs-record tap --repo $repo -o /root/$name.session &
    local tap=$!
    sleep 2
    "$@"
    sleep 1
    kill -INT $tap
    check "$name: recorded" wait $tap
    sessions="$sessions root/$name.session"
}
connected() { # ID
    check "vbd connected" within 30 xs_is $back/vbd/$1/51712/state 4
    check "vif connected" within 30 xs_is $back/vif/$1/0/state 4
}
create() {
    check "guest" guest_create g1 'disk=["phy:/dev/loop0,xvda,w,script=rig-hotplug"]' 'vif=["script=rig-hotplug"]'
    id=$(guest_id g1)
    connected $id
}
plug() {
    check "block-attach" timeout 60 xl block-attach g1 phy:/dev/loop1,xvdb,w,script=rig-hotplug
    check "connected" within 20 xs_is $back/vbd/$id/51728/state 4
    check "block-detach" timeout 60 xl block-detach g1 xvdb
    check "network-attach" timeout 60 xl network-attach g1 script=rig-hotplug
    check "connected" within 20 xs_is $back/vif/$id/1/state 4
    check "network-detach" timeout 60 xl network-detach g1 1
    check "gone" within 20 xs_gone $back/vif/$id/1
}
reboot() {
    check "xl reboot" timeout 20 xl reboot g1
    check "old domain gone" within 60 guest_gone $id
    within 60 guest_id g1
    id=$(guest_id g1)
    check "guest is back" within 60 guest_ping $id again
    connected $id
}
destroy() {
    check "xl destroy" timeout 60 xl destroy g1
    check "its subtree removed" within 20 xs_gone /local/domain/$id
}
check "start" dom0_start || finish
for n in 0 1; do
    dd if=/dev/zero of=/root/disk$n bs=1M count=8 2>/dev/null; losetup /dev/loop$n /root/disk$n
done
tap create create
tap hot-plug plug
tap reboot reboot
tap destroy destroy
check "sent out" send_out $sessions
finish
