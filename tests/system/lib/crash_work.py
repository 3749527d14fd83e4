# SPDX-License-Identifier: MIT
"""Work beside CrashClients: a toolstack whose domains come and go, and somebody who makes a lot of history. Their
connections may be closed by a death of both processes; then they begin anew."""
import os
import random
import time

from .daemon import wait_for
from .toolstack import introduced
from .turns import Turns
from .wire import XsError


class Worker(Turns):
    """`client` gives a connection."""

    def __init__(self, client):
        super().__init__()
        self.client = client


class Toolstack(Worker):
    """Introduces a domain, which works, introduces it again, releases or destroys it; a connection for each."""
    FIRST, COUNT = 20, 3

    def __init__(self, host, client):
        super().__init__(client)
        self.host, self.rounds, self.rng = host, 0, random.Random(1)

    def turn(self):
        domid = self.FIRST + self.rounds % self.COUNT
        with self.client() as c:
            if domid in self.host.domains:  # left by a turn that was cut off
                self.remove(c, domid)
            g = self.host.create(domid)
            home = f"/local/domain/{domid}"
            c.mkdir(home)
            c.set_perms(home, [f"n{domid}"])
            g.introduced_by(c)
            g.write("data", "1")
            if g.read("data") != b"1" or c.get_perms(home + "/data") != [b"n%d" % domid]:
                raise AssertionError(f"domain {domid} is not served")
            if self.rng.random() < 0.5:
                g.introduced_by(c)  # as it is
            if self.rng.random() < 0.5:
                g.port = self.host.lib.guest_port(self.host.handle, domid)
                g.introduced_by(c)  # on another event channel
            try:
                c.ok(8, b"%d\0001\0999\0" % domid)  # to a port that it has not
            except XsError:
                pass
            if self.rng.random() < 0.3:
                c.ok(9, b"%d\0" % domid)
            self.remove(c, domid)
        self.rounds += 1

    def remove(self, c, domid):
        self.host.destroy(domid)
        wait_for(lambda: not introduced(c, domid) and not self.host.ports_of(domid), "the end of a domain")
        if c.exists(f"/local/domain/{domid}"):
            c.rm(f"/local/domain/{domid}")  # it was not introduced


class Bulk(Worker):
    """History that does not compress."""

    def __init__(self, client):
        super().__init__(client)
        self.c, self.n = None, 0

    def turn(self):
        if not self.c:
            self.c = self.client()
        sent = 0
        for _ in range(16):
            self.n += 1
            self.c.send(11, b"/bulk/%d\0" % (self.n % 50) + os.urandom(3000))
            sent += 1
        for _ in range(sent):
            self.c.reply()

    def lost(self):
        self.c = None


class Tide(Turns):
    """A file system that is full until history has a gap, and then has room until that is over."""
    PATIENCE = 10

    def __init__(self, disk, state_dir):
        """`state_dir`: <repository>/xsgit."""
        super().__init__()
        self.disk, self.state_dir = disk, state_dir

    def turn(self):
        time.sleep(1.2)  # a checkpoint, with which room is taken for the state
        self.disk.fill()
        self._wait(True)
        self.disk.relieve()
        self._wait(False)

    def _wait(self, gap):
        end = time.monotonic() + self.PATIENCE
        while time.monotonic() < end and self.go.is_set() and self._in_gap() != gap:
            time.sleep(0.05)

    def _in_gap(self):
        """Or shortly behind one: the state is kept without git."""
        for name in "whole.1", "whole.2":
            try:
                with open(os.path.join(self.state_dir, name), "rb") as f:
                    if f.read(16)[8:] not in (b"", bytes(8)):
                        return True
            except OSError:
                pass
        return False
