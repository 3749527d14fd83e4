# SPDX-License-Identifier: MIT
# The files of a Xen host, and ours among them, for the checks of the service (". tests/service/files.sh").

# read_paths: where meson installs to: sbin, libexec (with xsgit/), unit
read_paths() {
    local paths
    paths=$(meson introspect --buildoptions build | $python -c '
import json, os.path, sys
o = {o["name"]: o["value"] for o in json.load(sys.stdin)}
for name in "sbindir", "libexecdir", "systemd_unit_dir":
    print(os.path.join(o["prefix"], o[name]))') && { read -r sbin; read -r libexec; read -r unit; } <<<"$paths" || return
    libexec=$libexec/xsgit unit=$unit/xsgit-xenstored.service
}
install_into() { DESTDIR=$1 meson install -C build --no-rebuild --quiet --strip; } # DIR

# picture DIR: all there is, with contents, modes, owners and links
picture() {
    (cd "$1" && find . -printf '%p %y %m %u:%g %l\n' | sort && find . -type f -print0 | sort -z | xargs -0r sha256sum)
}

debian_xen() { scripts/debs "$1" xen-utils-common xen-utils-4.17; } # DIR
# unpack_debian DEBS DIR: what these packages put there, and their configuration
unpack_debian() {
    local deb
    mkdir -p "$2"
    for deb in "$1"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$2"; done
    # The package's script puts it there.
    cp "$2/usr/share/xen-utils-common/default.xen" "$2/etc/default/xen"
    chmod 644 "$2/etc/default/xen"
}
# xen_units DIR: units named and wired like those that Xen's own build installs. The daemon is only a name.
xen_units() {
    local dir=$1/usr/lib/systemd/system
    mkdir -p "$dir" "$1/etc/systemd/system/multi-user.target.wants"
    cat >"$dir/xenstored.service" <<END
[Unit]
Description=Xen's own xenstored
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/bin/sh -c 'sleep infinity & echo \$! >/run/old-xenstored.pid'
[Install]
WantedBy=multi-user.target
END
    cat >"$dir/xen-init-dom0.service" <<END
[Unit]
Requires=xenstored.service
After=xenstored.service
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/bin/touch /run/xen-init-dom0
[Install]
WantedBy=multi-user.target
END
    # At a shutdown guests are saved, which needs a store.
    cat >"$dir/xendomains.service" <<END
[Unit]
Requires=xenstored.service
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/bin/true
ExecStop=/bin/sh -c 'sleep 1; timeout 5 xenstore-read /kept >/saved'
END
    ln -s /usr/lib/systemd/system/xenstored.service /usr/lib/systemd/system/xen-init-dom0.service \
        "$1/etc/systemd/system/multi-user.target.wants/"
}
