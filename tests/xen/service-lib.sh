# SPDX-License-Identifier: MIT
# A host with our service, for scripts in dom0 (". /root/service-lib.sh", run.sh --add): it is started by Debian's init
# script, or by units as Xen's own build installs them. Variables (run.sh --env):
#   SBIN, DAEMON   what "meson install" has put where
#   UNITS=1        with systemd: those units
if [ "$UNITS" ]; then XS_PIDFILE=/run/xen/xenstored.pid; else XS_PIDFILE=/run/xenstore.pid; fi
unset XENSTORED              # the rig's; the init script has one of that name
[ "$RIG_INIT" = systemd ] && systemd=1 || systemd=''
service() { timeout 100 "$SBIN/xsgit-service" "$@"; }
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
