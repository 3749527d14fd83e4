# SPDX-License-Identifier: MIT
"""What a toolstack does to an emulated host and its guests, for tests that need some."""
import re

from . import guest
from .daemon import wait_for
from .wire import XsError, walk


def start(options=()):
    """A host whose daemon serves."""
    host = guest.XenHost()
    d = host.daemon(options).start()
    with d.client() as c:
        c.sync()
    return host, d


def introduce(host, c, domid):
    """A guest as a toolstack makes it."""
    g = host.create(domid)
    home = f"/local/domain/{domid}"
    c.mkdir(home)
    c.set_perms(home, [f"n{domid}"])
    c.write(home + "/name", f"guest-{domid}")
    c.set_perms(home + "/name", [f"n{domid}"])
    return g.introduced_by(c)


def introduced(c, domid):
    return c.request(17, b"%d\0" % domid) == b"T\0"


def refused(f, *args):
    """The name of the error, None if there was none."""
    try:
        f(*args)
    except XsError as e:
        return e.name
    return None


def usage(c, domid):
    """What a domain has in the state: {"nodes": 3, "memory": …}."""
    text = c.control("quota", str(domid)).decode()
    return {name: int(n) for name, n in re.findall(r"^(nodes|watches|memory|transactions) *: +(\d+) \(", text, re.M)}


def set_quota(c, name, value, domid=None):
    c.ok(26, (b"" if domid is None else b"%d\0" % domid) + f"{name}\0{value}\0".encode())


class World:
    """A host with a daemon that must be the same process at the end as at the start: nothing a guest does may
    end it. `c` is a toolstack's connection, which hears of the end of domains."""

    def __init__(self, options=()):
        self.host, self.d = start(options)
        self.pid = self.d.server_pid()
        self.c = self.d.client()
        self.c.watch("@releaseDomain", "out")
        self.c.sync()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self.d.server_pid() != self.pid:
            raise AssertionError(f"the server has died: {self.d.log_tail()}")
        self.d.cleanup()

    def guest(self, domid):
        return introduce(self.host, self.c, domid)

    def end(self, domid):
        """The domain dies, and the daemon has noticed."""
        was = introduced(self.c, domid)
        self.c.take_events()
        self.host.destroy(domid)
        if was:
            wait_for(lambda: (b"@releaseDomain", b"out") in self.c.sync(), f"the end of domain {domid}")
        else:  # nobody is told of it: the end of another one comes after it
            self.guest(899)
            self.end(899)

    def usage(self, domid):
        return usage(self.c, domid)

    def owned(self, domid):
        """Nodes of a domain, found by looking at every node there is."""
        return sorted(p for p, (_, perms) in walk(self.c).items() if perms[0][1:] == b"%d" % domid)
