# SPDX-License-Identifier: MIT
# A Debian host that gets our daemon as its operator would: installed, enabled, started by Xen's init script,
# updated under a live guest, disabled, removed. run.sh --host sysv: nobody but the init script; --host systemd: systemd
# starts that, and the daemon as a unit. Variables (run.sh --env):
#   SBIN, DAEMON   what "meson install" has put where
#   UNITS=1        with systemd: units as Xen's own build installs them, instead of Debian's init script
. /rig/lib.sh
if [ "$UNITS" ]; then XS_PIDFILE=/run/xen/xenstored.pid; else XS_PIDFILE=/run/xenstore.pid; fi
unset XENSTORED              # the rig's; the init script has one of that name
[ "$RIG_INIT" = systemd ] && systemd=1 || systemd=''
service() { timeout 100 "$SBIN/xsgit-service" "$@"; }
status_says() { service status | tee /tmp/status | grep -q "$1" || { cat /tmp/status; return 1; }; }
start_xen() {
    if [ "$UNITS" ]; then timeout 100 systemctl start xen-init-dom0 xenconsoled
    elif [ $systemd ]; then timeout 100 systemctl start xen
    else timeout 100 /etc/init.d/xen start
    fi
}
count() { cat /proc/[0-9]*/stat 2>/dev/null | awk -v name="($1)" '$2 == name && $3 != "Z"' | wc -l; }
keeper() { sed -n 's/^PPid:[^0-9]*//p' "/proc/$(xs_pid)/status"; }
# The server that the pid file names is ours, is not $1, and is the only one of any kind.
ours_alone() {
    [ "$(xs_pid)" != "$1" ] && [ "$(readlink "/proc/$(xs_pid)/exe" | sed 's/ (deleted)$//')" = "$DAEMON" ] &&
        [ "$(count xenstored) $(count xenstored-keep) $(count oxenstored)" = "1 1 0" ]
}
oom_scores() { cat "/proc/$(xs_pid)/oom_score_adj" "/proc/$(keeper)/oom_score_adj" | tr '\n' ' '; }
guest_fine() { guest_ping "$id" "$1" && [ "$(guest_id g1)" = "$id" ]; }
not() { ! "$@"; }
same() { [ "$1" = "$2" ] || { echo "$1, not $2"; return 1; }; }

# Named and wired like Xen's own. Each starts what it needs: nobody else loads modules or mounts xenfs.
xens_units() {
    rm /etc/init.d/xen /etc/default/xen
    cd /usr/lib/systemd/system || return
    printf '[Unit]\nConditionPathExists=/proc/xen\n[Mount]\nWhat=xenfs\nWhere=/proc/xen\nType=xenfs\n' > proc-xen.mount
    unit() { # NAME TYPE EXEC
        printf '[Unit]\nRequires=proc-xen.mount%s\nAfter=proc-xen.mount%s\nConditionPathExists=/proc/xen/capabilities
[Service]\nType=%s\nRemainAfterExit=yes\nExecStart=%s\n[Install]\nWantedBy=multi-user.target\n' \
            "$4" "$4" "$2" "$3" > "$1.service"
    }
    unit xenstored forking /usr/lib/xen-bin/xenstored
    unit xen-init-dom0 oneshot /usr/lib/xen-bin/xen-init-dom0 ' xenstored.service'
    unit xenconsoled simple '/usr/lib/xen-bin/xenconsoled -i --log=guest --log-dir=/var/log/xen/console' ' xenstored.service'
    cd /root && systemctl daemon-reload
}
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

if [ $systemd ]; then
    # xenconsoled, QEMU and "xl create" have connections that they open only once.
    nobody_noticed() { # NAME
        check "guest fine" guest_fine "$1"
        check "beats" guest_beats $id
        check "another guest: xenconsoled has its connection still" guest_create g2
        check "is served" guest_ping $(guest_id g2) hello
        check "xl destroy" timeout 60 xl destroy g2
    }
    say "both processes killed at once"
    was=$(xs_pid); k=$(keeper)
    kill -STOP $k; kill -KILL $was $k
    check "systemd starts the unit again" within 30 ours_alone $was
    nobody_noticed six
    say "systemctl restart"
    was=$(xs_pid)
    check "restart" timeout 100 systemctl restart xsgit-xenstored
    check "that is another server, alone" within 10 ours_alone $was
    nobody_noticed seven
    was=$(xs_pid)
    check "a stop is refused" not timeout 100 systemctl stop xsgit-xenstored
    check "and a restart" within 30 ours_alone $was
    nobody_noticed eight
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
