# SPDX-License-Identifier: MIT
# A Xen host to look at a start-up with: systemd as process 1, or nobody, in namespaces of its own, over a throw-away
# copy of this machine's root. There is no Xen: the hypervisor is a folder of files, and the daemon runs with
# --standalone. Needs root (". tests/service/host.sh"; host_dir is an empty folder to work in).

# As procfs takes no folders, xenfs is found here: the path in the unit and in Xen's init script is changed. It has to be
# in /proc, of which the unit's settings make systemd mount another instance for the daemon.
xenfs=/proc/tty

# host_files: $root is a copy of this machine's root, to put files into; host_boot comes next. The changes outlive the
# end of the host, as a disk would.
host_files() {
    root=$host_dir/root
    mkdir -p "$host_dir/disk" "$root" &&
        mount -t tmpfs none "$host_dir/disk" && mkdir "$host_dir/disk/upper" "$host_dir/disk/work" &&
        mount -t overlay none -o "lowerdir=/,upperdir=$host_dir/disk/upper,workdir=$host_dir/disk/work" "$root"
}
host_forget() {
    umount "$root"
    umount "$host_dir/disk"
}
# A control group for the host's processes: $group
make_group() {
    mkdir -p "$host_dir/cgroup"
    mountpoint -q "$host_dir/cgroup" || mount -t cgroup2 none "$host_dir/cgroup" || return
    group=$host_dir/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/xsgit-host-$$
    mkdir -p "$group"
}
# oom_score: what can be given to processes here. Less than zero needs a right that containers do not have.
oom_score() { if choom -n -1000 true 2>/dev/null; then echo -1000; else echo 500; fi; }
# Our files, with the changes that a host without Xen needs.
host_install() {
    install_into "$root" && sed -i "s,/proc/xen,$xenfs,g;s,OOMScoreAdjust=.*,OOMScoreAdjust=$(oom_score)," "$root$unit" \
        "$root${unit%/*}/xsgit-xenstored-up.service" &&
        echo 'XSGIT_ARGS="--standalone"' >"$root/etc/default/xsgit"
}
# The hypervisor's and the kernel's files, and the mounts that any boot makes. Runs in the host's namespaces.
host_mounts() {
    cd "$root" && mount -t proc proc proc && mount -t tmpfs none sys && mount -t tmpfs none run &&
        mount -t tmpfs none tmp && mount -t tmpfs none dev && mount -t tmpfs none ".$xenfs" || return
    mkdir -p sys/hypervisor/version sys/fs/cgroup dev/shm dev/pts
    echo xen >sys/hypervisor/type
    echo 4 >sys/hypervisor/version/major
    echo 17 >sys/hypervisor/version/minor
    echo control_d >".$xenfs/capabilities"
    for node in null zero full random urandom tty; do
        touch dev/$node && mount --bind /dev/$node dev/$node || return
    done
    mount -t cgroup2 none sys/fs/cgroup
}
# host_boot [systemd]: start the host; its process 1 is $host_pid
host_boot() {
    local group i command='exec sleep infinity'
    if [ "${1:-}" = systemd ]; then
        command='exec /lib/systemd/systemd --system --unit=basic.target --show-status=0 --log-target=null'
    fi
    make_group || return
    export root xenfs
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec setsid unshare -m -p -C -i -u -f --kill-child bash -c "
            $(declare -f host_mounts)
            host_mounts || exit
            pivot_root . mnt && umount -l mnt || exit
            exec chroot . /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c '$command'"
    ) </dev/null >"$host_dir/boot.log" 2>&1 &
    outer=$!
    for i in $(seq 100); do
        host_pid=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null | tr -d ' ')
        if [ -n "$host_pid" ] && [[ $(cat "/proc/$host_pid/comm" 2>/dev/null) = s[yl][se][te]* ]]; then break; fi
        sleep 0.1
    done
    [ "${1:-}" = systemd ] || return 0
    for i in $(seq 200); do
        case $(host systemctl is-system-running 2>/dev/null) in running | degraded) return 0 ;; esac
        sleep 0.1
    done
    cat "$host_dir/boot.log"
    return 1
}
# host CMD...: on the host
host() { nsenter -t "$host_pid" -m -p -C -i -u -r -w env -u XENSTORED_PATH -u XENSTORED_RUNDIR "$@"; }
# host_power_off: process 1 is killed, and with it all others
host_power_off() {
    kill -KILL "$host_pid" && wait "$outer" 2>/dev/null
    host_is_off
}
# host_shut_down: in order
host_shut_down() {
    local i
    host systemctl --no-block poweroff
    for i in $(seq 300); do
        kill -0 "$outer" 2>/dev/null || { host_is_off; return 0; }
        sleep 0.1
    done
    echo "it does not end"
    return 1
}
host_is_off() {
    host_pid=
    find "$host_dir/cgroup/" -depth -type d -path "*/xsgit-host-$$*" -exec rmdir {} +
    umount "$host_dir/cgroup"
}
