#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Kills the daemon at each of its crash points, under clients and guests that know what they must hear.

  points.py --build DIR [--seed N] [--only TEXT] [--long]

DIR was configured with -Dcrash_points=true. Each point is hit at its first, its second and a random passage, then once
more together with a point of the recovery that follows (--long: with each of those). One that is never reached fails."""
import argparse
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from lib import daemon, git, harness  # noqa: E402
from lib.crash_client import CrashClient, Wrong  # noqa: E402
from lib.crash_fleet import ROOM, Fleet, judge_history  # noqa: E402
from lib.crash_table import CrashTable  # noqa: E402
from lib.crash_work import Bulk, Tide, Toolstack  # noqa: E402
from lib.daemon import wait_for  # noqa: E402
from lib.guest import XenHost  # noqa: E402
from lib.harness import check, equal  # noqa: E402
from lib.mount import SmallDisk  # noqa: E402

SOCKETS, GUESTS = 4, 2
REPO_SIZE, SMALL_REPO_SIZE = 32_000_000, 8_000_000
PER_RIG = 15  # points; recovery takes longer the more there is to recover
PATIENCE = 60  # s until a point must have been reached
# What leads to a point that everyday work does not: some process is killed first, or a newcomer started.
KILL_SERVER, KILL_KEEPER, NEWCOMER = "the server is killed", "the keeper is killed", "a second daemon starts"
TRIGGERS = (("recover.", KILL_SERVER), ("keeper.becoming", KILL_KEEPER), ("keeper.begun", KILL_KEEPER),
            ("keeper.", KILL_SERVER), ("takeover.", NEWCOMER), ("handover.", NEWCOMER))
# Where the one process dies that holds the sockets: they may be closed, though a newcomer takes its place.
ALONE = ("keeper.becoming", "keeper.begun", "keeper.cleared", "keeper.reaped", "handover.")
HISTORY = ("checkpoint.", "journal.freed", "merge.", "epoch.", "drop.", "pack.unlinked", "file.")  # need a lot of it
REFS = ("drop.ref",)  # of somebody who has to be in the way
GAP = ("gap.", "whole.")  # there is no room for history


def trigger(point):
    return next((t for prefix, t in TRIGGERS if point.startswith(prefix)), None)


class Rig:
    """A host whose daemon dies where the table says, and everybody who talks to it."""

    def __init__(self, seed, disk):
        """`disk`, if any: on which there is no room now and then."""
        self.rng = random.Random(seed)
        self.host = XenHost()
        self.disk = disk
        self.table = CrashTable(os.path.join(self.host.dir, "crash-points"))
        self.count = 0
        self.daemons = [self.newcomer().start()]
        d = self.daemons[0]
        self.table.read()
        guests = {}
        with d.client() as c:
            for domid in range(1, GUESTS + 1):
                guests[SOCKETS + domid - 1] = self.host.create(domid).introduced_by(c)
        all_ = SOCKETS + GUESTS
        self.fleet = Fleet([CrashClient(i, all_, (lambda g=guests[i]: g) if i in guests else self.client, seed,
                                        guests[i].domid if i in guests else 0) for i in range(all_)], d)
        self.toolstack = Toolstack(self.host, self.client)
        self.bulk = Bulk(self.client)
        self.workers = [self.toolstack, self.bulk] + ([Tide(disk, os.path.join(d.repo, "xsgit"))] if disk else [])
        for w in self.workers:
            w.start()

    def newcomer(self):
        """Another daemon for the same repository, not yet started; its messages go to a file of its own."""
        d = self.host.daemon(["--repo-size", str(SMALL_REPO_SIZE if self.disk else REPO_SIZE), *ROOM])
        if self.disk:
            self.disk.adopt(d)
        d.env["XSGIT_CRASH_FILE"] = self.table.path
        self.count += 1
        d.log = os.path.join(self.host.dir, f"log.{self.count}")
        return d

    def client(self):
        return self.living().client()

    def living(self):
        """The one that serves; the last one started while none does."""
        return next((d for d in reversed(self.daemons) if d.server_pid()), self.daemons[-1])

    def logs(self):
        return "\n".join(d.log_tail() for d in self.daemons[-3:])

    def settle(self):
        """Waits until one daemon of all is left, whole; starts one if none is. Gives whether it had to."""
        began = [False]

        def one():
            left = [d for d in self.daemons if d.alive()]
            if not left:
                began[0] = True
                self.daemons.append(self.newcomer().launch(second=True))
                return None
            if len(left) > 1 or len(left[0].members()) != 2 or not left[0].server_pid():
                return None
            return left[0]
        last = wait_for(one, "one daemon with keeper and server", PATIENCE)
        self.daemons = [d for d in self.daemons if d is not last][-3:] + [last]
        return began[0]

    def work(self, point):
        """Everybody works, as it takes to come by the point."""
        self.fleet.resume()
        self.toolstack.go.set()
        if point.startswith(HISTORY + GAP):
            for w in self.workers:
                w.go.set()

    def rest(self):
        for w in self.workers:
            w.rest()
        if self.disk:
            self.disk.relieve()

    def lead_to(self, point):
        """What has to happen for it."""
        how, d = trigger(point), self.living()
        victim = {KILL_SERVER: d.server_pid, KILL_KEEPER: d.keeper_pid}.get(how, lambda: None)()
        if victim:
            d.signal(victim, signal.SIGKILL)
        if how == NEWCOMER:
            for _ in range(self.rng.choice((1, 1, 3))):  # several stand in each other's place
                self.daemons.append(self.newcomer().launch(second=True))
        if point in REFS:
            git.run(d.repo, "branch", "-f", f"mine-{self.rng.randrange(10 ** 9)}", "main", check=False)

    def hit(self, points, passage):
        """Lets a process die at each of the points: at the given passage of the first, the next one of the others, which
        are of the recovery. False: it was never passed."""
        for p in points[1:]:  # before the first: once that is struck, the recovery may be over in no time
            self.table.arm(p, 1)
        self.table.arm(points[0], passage)
        deadline = time.monotonic() + PATIENCE
        led, starts = 0.0, 0
        while not self.table.struck(points[0]):
            if time.monotonic() > deadline:
                self.table.disarm()
                return False
            # not while a start is under way: it would never come to its end
            done = self.table.passed("recover.done") > starts or time.monotonic() - led > 5
            if (trigger(points[0]) and done or points[0] in REFS) and self.living().server_pid():
                starts = self.table.passed("recover.done")
                self.lead_to(points[0])
                led = time.monotonic()
            time.sleep(0.3 if points[0] in REFS else 0.002)
        wait_for(lambda: all(self.table.struck(p) for p in points[1:]) or not self._someone(), "the second point", 30)
        self.table.disarm()
        return True

    def _someone(self):
        return any(d.alive() for d in self.daemons)

    def round(self, name, kills):
        """Some kills, [(points, passage)], under work; what everybody heard is judged after the last one, and whenever
        sockets were closed. Gives whether all was well."""
        before = harness.failed
        for n, (points, passage) in enumerate(kills, 1):
            self.work(points[0])
            if not self.hit(points, passage):
                return check(False, f"{name}: {points[0]} is reached", self.table.counts())
            both = self.settle()
            if any(p.startswith(ALONE) for p in points):
                time.sleep(0.2)
                both = both or any(c.closed for c in self.fleet.clients)
            if (both or n == len(kills)) and not self.judge(name, both):
                return False
        return harness.failed == before

    def judge(self, name, both):
        if both:
            wait_for(self.fleet.closed, "the clients to notice")
            time.sleep(0.05)
            self.fleet.quiet()
        self.rest()
        if not both and not self.fleet.hears_all(name):
            return False
        check(not self.fleet.wrongs(), f"{name}: what was heard is right", self.fleet.wrongs())
        check(not self.toolstack.wrong, f"{name}: domains come and go", self.toolstack.wrong)
        with self.client() as checker:
            self.fleet.judge(checker, name, both)
        bad = [line for d in self.daemons for line in d.complaints()]
        return check(not bad, f"{name}: nobody saw damage", bad)

    def end(self):
        self.fleet.end()
        for w in self.workers:
            w.end()


def quietly(f):
    """A round has many checks: one line for it, and for all that fails."""
    real = harness.ok
    count = [0]

    def ok(_):
        count[0] += 1
    harness.ok = ok
    try:
        return f()
    finally:
        harness.ok = real


def text_of(points, passage):
    return f"{points[0]} #{passage}" + "".join(f" then {p}" for p in points[1:])


def plan(rng, points, only, long_):
    """[(points, passage)] for each point, in the order in which they are hit."""
    recovery = [p for p in points if p.startswith("recover.")]
    for p in points:
        if only not in p:
            continue
        rare = bool(trigger(p)) or p.startswith(HISTORY + GAP)
        then = [r for r in (recovery if long_ else [rng.choice(recovery)]) if r != p]
        yield [([p], n) for n in (1, 2, rng.randrange(3, 6 if rare else 60))] + \
            [([p, r], rng.randrange(1, 4)) for r in then]


def compiled_in():
    """The names of all points: any start of the program enters them."""
    table = CrashTable(os.path.join(harness.temporary("points"), "table"))
    subprocess.run([daemon.Daemon.find(), "--help"], env=dict(os.environ, XSGIT_CRASH_FILE=table.path), check=True,
                   stdout=subprocess.DEVNULL)
    table.read()
    return sorted(table.names())


def session(seed, rounds, disk=None):
    """Some rounds with a host and a repository of their own. False: something failed."""
    rig = Rig(seed, disk)
    try:
        for kills in rounds:
            text = ", ".join(text_of(*k) for k in kills)
            try:
                good = quietly(lambda: rig.round(text, kills))
            except (RuntimeError, Wrong) as e:
                good = check(False, text, e)
            if not good:
                harness.note(str([(d.process.pid, d.members(), d.server_pid()) for d in rig.daemons]))
                harness.note(f"the logs end with: {rig.logs()}")
                return False
            harness.ok(f"killed at {text}")
        before = harness.failed
        last = rig.living()
        judge_history(last, "in the end")
        rig.rest()
        last.stop()
        equal(git.fsck(last.repo), "", "the repository is sound")
        harness.note(f"{sum(c.operations for c in rig.fleet.clients)} operations, {rig.toolstack.rounds} domains")
        return harness.failed == before
    finally:
        rig.end()
        harness.run_cleanups()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build-crash")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", default="", help="points whose name has this in it")
    p.add_argument("--long", action="store_true", help="each point with each point of the recovery")
    p.add_argument("--keep", action="store_true", help="leave the files")
    o = p.parse_args()
    harness.options.build, harness.options.seed, harness.options.keep = os.path.abspath(o.build), o.seed, o.keep
    harness.note(f"seed {o.seed}")
    points = compiled_in()
    check(len(points) > 80, f"{len(points)} crash points are compiled in")
    rounds = list(plan(random.Random(o.seed), points, o.only, o.long))
    begin = time.monotonic()
    full = [r for r in rounds if r[0][0][0].startswith(GAP)]
    rounds = [r for r in rounds if r not in full]
    good = not full or session(o.seed, full, SmallDisk("24m"))
    for at in range(0, len(rounds), PER_RIG):
        good = good and session(o.seed + at, rounds[at:at + PER_RIG])
    harness.note(f"{len(rounds) + len(full)} points in {time.monotonic() - begin:.0f} s")
    print(f"{harness.passed} passed, {harness.failed} failed")
    return 1 if harness.failed else 0


if __name__ == "__main__":
    sys.exit(main())
