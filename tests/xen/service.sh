# SPDX-License-Identifier: MIT
# A Debian host that gets our daemon as its operator would: installed, enabled, started by Xen's init script,
# updated under a live guest, disabled, removed. run.sh --host sysv: nobody but the init script; --host systemd: systemd
# starts that, and the daemon as a unit. Variables: see service-lib.sh.
. /rig/lib.sh
. /root/service-lib.sh
status_says() { service status | tee /tmp/status | grep -q "$1" || { cat /tmp/status; return 1; }; }
oom_scores() { cat "/proc/$(xs_pid)/oom_score_adj" "/proc/$(keeper)/oom_score_adj" | tr '\n' ' '; }
alias_is_there() { [ -L /etc/systemd/system/xenstored.service ]; }

say "a Debian host on which Xen has not been started"
mkdir -p /var/log/xen/console
if [ "$UNITS" ]; then
    check "units like Xen's own" xens_units
else
    echo 'XENCONSOLED_ARGS="--log=guest --log-dir=/var/log/xen/console"' >> /etc/default/xen
    cp -p /etc/default/xen /tmp/xen.before
fi
check "nothing of Xen is set up" [ ! -e /proc/xen/capabilities -a ! -e /dev/xen/privcmd -a ! -e /run/xenstored ]
check "status: Xen's own, and none runs" status_says "Xen's own"
check "enable" service enable
check "status: ours from the next boot on" status_says 'next boot:  xsgit$'

say "boot"
check "Xen is started" start_xen || { dmesg | tail -20; finish; }
check "our daemon runs, and no other" ours_alone
check "status names it" status_says "^running:    $(xs_pid) $DAEMON\$"
check "server and keeper are out of the OOM killer's reach" same "$(oom_scores)" "-1000 -1000 "
check "dom0 is in the store" xs_is /local/domain/0/name Domain-0
check "xenconsoled runs" same "$(count xenconsoled)" 1
if [ $systemd ]; then
    check "the unit is active" systemctl --quiet is-active xsgit-xenstored
    check "no new privileges, and a filter of system calls" \
        same "$(sed -n 's/^NoNewPrivs:[^0-9]*\|^Seccomp:[^0-9]*//p' /proc/$(xs_pid)/status | tr '\n' ' ')" "1 2 "
    # CAP_IPC_LOCK, CAP_SYS_RESOURCE
    check "two capabilities" same "$(sed -n 's/^CapBnd:[^0-9]*//p' /proc/$(xs_pid)/status)" 0000000001004000
    devices() { sh -c "echo \$\$ > /sys/fs/cgroup/system.slice/xsgit-xenstored.service/cgroup.procs && : < $1"; }
    check "in its control group, Xen's devices can be opened" devices /dev/xen/privcmd
    check "and no others" not devices /dev/loop0
    check "file system read-only" not nsenter -t $(xs_pid) -m touch /etc/x
fi

dd if=/dev/zero of=/root/disk bs=1M count=8 2>/dev/null
losetup /dev/loop0 /root/disk
check "a guest with disk and network" guest_create g1 \
    'disk=["phy:/dev/loop0,xvda,w,script=rig-hotplug"]' 'vif=["script=rig-hotplug"]' || finish
id=$(guest_id g1)
check "vbd connected" within 20 xs_is /local/domain/0/backend/vbd/$id/51712/state 4
check "vif connected" within 20 xs_is /local/domain/0/backend/vif/$id/0/state 4
check "guest fine" guest_fine one
check "beats" guest_beats $id
check "status names the guest" status_says "^guests:     $id\$"

if [ ! "$UNITS" ]; then
    say "the init script once more, as an upgrade of Xen's packages does"
    check "start" /etc/init.d/xen start
    check "our daemon, and no other" ours_alone
    check "guest fine" guest_fine two
fi
was=$(xs_pid); kill -KILL $was
check "server killed: another one is there" within 10 ours_alone $was
check "guest fine" guest_fine three

say "update"
cp -p "$DAEMON" "$DAEMON.new" && mv "$DAEMON.new" "$DAEMON" # as meson install does
echo 'XSGIT_ARGS="-w watch-event=25"' > /etc/default/xsgit
was=$(xs_pid)
check "xsgit-service update" service update
check "that is another server, alone" within 10 ours_alone $was
check "of the file that is there now" same "$(readlink /proc/$(xs_pid)/exe)" "$DAEMON"
check "with the options of now" grep -q watch-event=25 /proc/$(xs_pid)/cmdline
check "they keep the score" same "$(oom_scores)" "-1000 -1000 "
check "guest fine" guest_fine four
check "beats" guest_beats $id
if [ ! "$UNITS" ]; then
    check "another guest: xenconsoled has its connection still" guest_create g2
    check "is served" guest_ping $(guest_id g2) hello
    check "xl destroy" timeout 60 xl destroy g2
fi
echo 'XSGIT_ARGS="-Q nonsense=1"' > /etc/default/xsgit
was=$(xs_pid)
check "an update that cannot start is reported" not service update
check "the old one goes on" same "$(xs_pid)" $was
check "guest fine" guest_fine five
rm /etc/default/xsgit
[ ! $systemd ] || check "systemd had no reason to restart it" same "$(systemctl show -P NRestarts xsgit-xenstored)" 0

if [ $systemd ]; then # more of this in survive.sh
    say "systemctl"
    was=$(xs_pid)
    check "restart" timeout 100 systemctl restart xsgit-xenstored
    check "that is another server, alone" within 10 ours_alone $was
    check "guest fine" guest_fine six
    was=$(xs_pid)
    check "a stop is refused" not timeout 100 systemctl stop xsgit-xenstored
    check "and a restart" within 30 ours_alone $was
    check "guest fine" guest_fine seven
fi

say "disable"
check "is refused: a guest runs" not service disable
check "nothing has changed" status_says 'next boot:  xsgit$'
check "disable --at-boot" service --at-boot disable
if [ "$UNITS" ]; then
    check "the alias is gone" not alias_is_there
    systemctl daemon-reload
else
    check "/etc/default/xen is as it was" cmp /etc/default/xen /tmp/xen.before
fi
check "the running daemon is left alone" ours_alone
check "guest fine" guest_fine nine
check "status: Xen's own at the next boot" status_says "Xen's own"
check "xl shutdown -w" timeout 60 xl shutdown -w g1
check "its subtree removed" within 20 xs_gone /local/domain/$id

if [ ! $systemd ]; then
    # Not a boot: dom0's kernel has lost its watches, no guest could get a disk. But what starts is what would start.
    say "the daemon ends, its files are removed, Xen is started"
    check "/etc/init.d/xen stop" /etc/init.d/xen stop
    check "xenstored-git --stop" "$SBIN/xenstored-git" --stop
    check "none runs" same "$(count xenstored) $(count xenstored-keep)" "0 0"
    rm -r "${SBIN%/*}"
    check "/etc/init.d/xen start" timeout 100 /etc/init.d/xen start
    check "Debian's own daemon runs" same "$(readlink /proc/$(xs_pid)/exe)" "$(/usr/lib/xen-common/bin/xen-dir)/bin/oxenstored"
    check "and no other" same "$(count xenstored) $(count oxenstored)" "0 1"
    check "dom0 is in its store" xs_is /local/domain/0/name Domain-0
fi
finish
