# SPDX-License-Identifier: MIT
"""Guests come, change and go: traffic as a real host makes it, until it is told to stop."""
import os
import threading

from .wire import NAMES, Closed, XsError, pack

BATCH = 200


def guest_nodes(domid, generation=0):
    """The nodes of a guest with one disk and one network card, as a toolstack lays them out."""
    d = f"/local/domain/{domid}"
    out = {f"{d}/name": f"vm{domid}-{generation}", f"{d}/domid": str(domid), f"{d}/vm": f"/vm/{domid}-{generation}",
           f"{d}/memory/target": "1048576", f"{d}/memory/static-max": "1048576", f"{d}/control/shutdown": "",
           f"{d}/store/port": "1", f"{d}/store/ring-ref": "1", f"{d}/console/port": "2", f"{d}/console/ring-ref": "2",
           f"/vm/{domid}-{generation}/name": f"vm{domid}"}
    for kind, number in (("vbd", "51712"), ("vif", "0")):
        front = f"{d}/device/{kind}/{number}"
        back = f"/local/domain/0/backend/{kind}/{domid}/{number}"
        out.update({f"{front}/backend": back, f"{front}/backend-id": "0", f"{front}/state": "1",
                    f"{front}/ring-ref": "8", f"{front}/event-channel": "9",
                    f"{back}/frontend": front, f"{back}/frontend-id": str(domid), f"{back}/state": "1",
                    f"{back}/online": "1"})
    return out


class Traffic:
    """Threads that create guests in transactions, change their states, and remove them again."""

    def __init__(self, daemon, threads=2, first=100, guests=20, pause=0.0):
        self.daemon = daemon
        self.pause = pause  # seconds, after each step in the life of a guest
        self.stopping = threading.Event()
        self.operations = [0] * threads  # acknowledged writes, removals and commits
        self.conflicts = [0] * threads
        self.problems = []
        self.threads = [threading.Thread(target=self.guard, args=(i, first + i * guests, guests), daemon=True)
                        for i in range(threads)]
        for t in self.threads:
            t.start()

    def guard(self, i, first, guests):
        try:
            self.work(i, first, guests)
        except (Closed, XsError, OSError, AssertionError) as e:
            if not self.stopping.is_set():
                self.problems.append(f"{type(e).__name__}: {e}")

    def work(self, i, first, guests):
        generation = 0
        with self.daemon.client() as c:
            while not self.stopping.is_set():
                generation += 1
                domid = first + generation % guests
                while not self.create(c, domid, generation):
                    self.conflicts[i] += 1
                self.operations[i] += 1
                for state in ("2", "3", "4"):
                    for path in (f"/local/domain/{domid}/device/vbd/51712/state",
                                 f"/local/domain/0/backend/vbd/{domid}/51712/state"):
                        c.write(path, state)
                        self.operations[i] += 1
                    self.stopping.wait(self.pause)
                if generation >= 5:
                    old = first + (generation - 4) % guests
                    for path in (f"/local/domain/{old}", f"/vm/{old}-{generation - 4}",
                                 f"/local/domain/0/backend/vbd/{old}", f"/local/domain/0/backend/vif/{old}"):
                        c.rm(path)
                        self.operations[i] += 1

    @staticmethod
    def create(c, domid, generation):
        tx = c.start()
        for path, value in guest_nodes(domid, generation).items():
            c.write(path, value, tx)
        try:
            c.end(tx)
        except XsError as e:
            if e.name != "EAGAIN":
                raise
            return False
        return True

    def stop(self, quietly=False):
        """Number of operations; raises if a thread met something unexpected, unless `quietly`."""
        self.stopping.set()
        for t in self.threads:
            t.join(120)
        if self.problems and not quietly:
            raise AssertionError("; ".join(self.problems))
        return sum(self.operations)


def write_much(d, rounds, start, sleepers=None):
    """Values that do not compress, pipelined; each round over the same 2000 nodes."""
    with d.client() as c:
        for round_ in range(start, start + rounds):
            for first in range(0, 2000, BATCH):
                c.send_bytes(b"".join(
                    pack(NAMES["WRITE"], b"/bounded/%d/%d\0" % (i % 50, i) + os.urandom(250), req=i + 1)
                    for i in range(first, first + BATCH)))
                for i in range(first, first + BATCH):
                    m = c.reply()
                    if m.payload != b"OK\0":
                        raise AssertionError(f"a write was answered {m}")
                if sleepers and first % (4 * BATCH) == 0:
                    sleepers.start()
            tx = c.start()
            c.write("/bounded/round", str(round_), tx)
            c.write(f"/bounded/tx{round_ % 10}", os.urandom(100), tx)
            c.end(tx)
    return rounds * 2001
