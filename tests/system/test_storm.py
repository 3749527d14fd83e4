#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random kills while something is wrong with the store's files, under clients that know what they must hear."""
import os
import random
import resource
import time

from lib import git, harness
from lib.crash_client import CrashClient
from lib.crash_fleet import Fleet, judge_history, wait_for_keeper
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.mount import SmallDisk

CLIENTS = 8
ROUNDS = 24


class Faults:
    """Each method does harm; what it gives, if anything, ends it."""

    def __init__(self, d, disk, rng):
        self.d, self.disk, self.rng = d, disk, rng

    def path(self, *name):
        return os.path.join(self.d.repo, *name)

    def full(self):
        """Not a byte of room."""
        self.disk.fill()
        return self.disk.relieve

    def main_moved(self):
        git.run(self.d.repo, "update-ref", "refs/heads/main", "main~3", check=False)

    def refs_removed(self):
        for ref in self.rng.sample(["heads/main", "heads/conflicts", "xsgit/head"], 2):
            try:
                os.unlink(self.path("refs", ref))
            except FileNotFoundError:
                pass

    def ref_is_garbage(self):
        with open(self.path("refs", self.rng.choice(["heads/main", "xsgit/head"])), "wb") as f:
            f.write(os.urandom(30))

    def stale_lock(self):
        open(self.path("refs/heads/main.lock"), "w").close()

    def odd_config(self):
        with open(self.path("config"), "a", encoding="ascii") as f:
            f.write("[[oops\n")

    def head_removed(self):
        os.unlink(self.path("HEAD"))

    def checkpoint_flipped(self):
        """The newer one; and it may be replaced meanwhile."""
        with open(self.path("xsgit/checkpoint"), "r+b") as f:
            at = self.rng.randrange(os.fstat(f.fileno()).st_size)
            byte = os.pread(f.fileno(), 1, at)[0]
            os.pwrite(f.fileno(), bytes([byte ^ 0x55]), at)

    def checkpoint_removed(self):
        os.unlink(self.path("xsgit/checkpoint"))

    def left_overs(self):
        """Of starts that died; and somebody's."""
        for name in ("xsgit/checkpoint.new", "xsgit/checkpoint.link", "objects/pack/tmp_pack_x", "objects/pack/pack-0.idx"):
            with open(self.path(name), "wb") as f:
                f.write(b"left over")
        os.makedirs(self.path("xsgit/new.git"), exist_ok=True)

    def few_descriptors(self):
        """None more than there are."""
        pid = wait_for(self.d.server_pid, "a server")
        try:
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
        except ProcessLookupError:
            return None

        def end():
            try:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            except ProcessLookupError:
                pass
        return end


FOR_A_START = ("odd_config", "head_removed")  # puts right what git cannot do without
NAMES = [n for n in vars(Faults) if not n.startswith("_") and n != "path"]


def kill(d, mode):
    {"server": d.kill_server, "keeper": d.kill_keeper, "both": d.kill, "nobody": lambda: None}[mode]()


def one_round(d, rng, fleet, faults, number, fault, mode):
    name = f"{number}: {fault}, killed: {mode}"
    fleet.resume()
    time.sleep(0.05 + rng.random() * 0.2)
    end = getattr(faults, fault)()
    time.sleep(rng.choice((0, 0, 0.05, 0.4)))
    kill(d, mode)
    if mode == "both":
        wait_for(fleet.closed, "the clients to notice")
        check(not fleet.wrongs(), f"{name}: what the clients heard was right", fleet.wrongs())
        d.start()
    time.sleep(rng.choice((0, 0.1, 0.5)))
    if end:
        end()
    if mode != "both" and not fleet.hears_all(name):
        return
    with d.client() as checker:
        fleet.judge(checker, name, mode == "both")
    judge_history(d, name)
    if mode == "keeper":
        wait_for_keeper(d, name)


def storm():
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    disk = SmallDisk("64m")
    d = disk.daemon().start()
    fleet = Fleet([CrashClient(i, CLIENTS, d.client, harness.options.seed) for i in range(CLIENTS)], d)
    faults = Faults(d, disk, rng)
    plan = [NAMES[i % len(NAMES)] for i in range(max(ROUNDS, len(NAMES)))]
    rng.shuffle(plan)
    failed_before = harness.failed
    try:
        for number, fault in enumerate(plan, 1):
            modes = ("server", "server", "keeper", "both") + (("nobody",) if fault not in FOR_A_START else ())
            one_round(d, rng, fleet, faults, number, fault, rng.choice(modes))
            check(not d.complaints(), f"{number}: {fault}: nobody saw damage that costs anything", d.complaints())
            if harness.failed > failed_before:
                harness.note(f"the daemon's log ends with: {d.log_tail()}")
                break
    finally:
        fleet.end()
    harness.note(f"{sum(c.operations for c in fleet.clients)} operations")
    d.stop()
    equal(git.fsck(d.repo), "", "fsck finds nothing in the end")


harness.main(storm)
