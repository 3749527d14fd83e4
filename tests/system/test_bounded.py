#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A repository of 32 MiB under more traffic than fits: it stays within its size, and what is left is a sound, shallow
repository that can be cloned, with the store whole."""
import os
import subprocess
import threading
import time

from lib import daemon, git, harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.traffic import write_much
from lib.wire import XsError, walk

SIZE = 32 << 20


def used(repo):
    """Bytes that the repository takes on the file system; files may vanish meanwhile."""
    total = 0
    for where, _, files in os.walk(repo):
        for name in files:
            try:
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def held(d):
    """Bytes of deleted files that the daemon still holds: they take room, too."""
    living = set()  # a file that was made nameless and linked later is called deleted, too
    for where, _, files in os.walk(d.repo):
        for name in files:
            try:
                living.add(os.lstat(os.path.join(where, name)).st_ino)
            except FileNotFoundError:
                pass
    seen = {}
    pid = d.server_pid()
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
            for line in f:
                if line.rstrip().endswith("(deleted)") and d.repo in line:
                    begin, end = (int(x, 16) for x in line.split()[0].split("-"))
                    inode = int(line.split()[4])
                    seen[inode] = max(seen.get(inode, 0), end - begin)
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
            if path.endswith(" (deleted)") and d.repo in path:
                st = os.stat(f"/proc/{pid}/fd/{fd}")
                seen[st.st_ino] = max(seen.get(st.st_ino, 0), st.st_blocks * 512)
    except FileNotFoundError:
        pass
    return sum(size for inode, size in seen.items() if inode not in living)


class Measure(threading.Thread):
    def __init__(self, d):
        super().__init__(daemon=True)
        self.d = d
        self.most = self.most_held = self.samples = 0
        self.slots = 0
        self.quit = threading.Event()

    def run(self):
        while not self.quit.wait(0.05):
            slots = os.path.join(self.d.repo, "xsgit", "slots")
            self.slots = os.lstat(slots).st_blocks * 512 if os.path.exists(slots) else 0
            self.most = max(self.most, used(self.d.repo))
            self.most_held = max(self.most_held, held(self.d))
            self.samples += 1


class Sleepers:
    """A client that starts a transaction now and then and does not end it: each begins on another commit."""

    def __init__(self, d):
        self.client = d.client()
        self.client.mkdir("/sleepers")
        self.open = []

    def start(self):
        self.open.append(self.client.start())
        self.client.write(f"/sleepers/{self.open[-1]}", "x", self.open[-1])
        if len(self.open) > 40:
            self.client.end(self.open.pop(0), False)


def stays_within_its_size():
    d = daemon.Daemon(options=["--repo-size", str(SIZE)]).start()
    c = d.client()
    c.write("/old", "from the first epoch")
    old = c.start()  # a transaction that outlives the history it started in
    c.write("/old2", "x", old)
    reader = c.start()
    c.read("/bounded/round", reader) if c.exists("/bounded/round") else None
    git.settle(d)
    first = git.rev(d.repo)
    sleepers = Sleepers(d)
    measure = Measure(d)
    measure.start()
    begin = time.monotonic()
    operations = write_much(d, 60, 0, sleepers)
    alone = measure.most  # somebody's gc needs room of its own for a while
    gc = subprocess.Popen(["git", "-c", "safe.directory=*", "-C", d.repo, "gc", "--quiet"], env=git.ENV,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    operations += write_much(d, 20, 60, sleepers)
    gc.wait(600)
    operations += write_much(d, 40, 80, sleepers)
    seconds = time.monotonic() - begin
    git.settle(d)
    measure.quit.set()
    measure.join()
    harness.note(f"{operations} operations in {seconds:.1f} s; at most {alone >> 10} KiB, with gc {measure.most >> 10} KiB on the file system, of "
                 f"these slots {measure.slots >> 10} KiB, and {measure.most_held >> 10} KiB deleted but held "
                 f"({measure.samples} samples); {used(d.repo) >> 10} KiB at the end; memory {d.memory_kib()} KiB")
    # While a merge writes its result and packs go on coming, it may be over for a moment.
    check(alone <= SIZE * 5 // 4, f"the repository never took more than {SIZE >> 20} MiB and a quarter", f"{alone} bytes")
    wait_for(lambda: used(d.repo) <= SIZE, "the repository to be back within its size", timeout=60)
    harness.ok(f"at rest it is within {SIZE >> 20} MiB")
    check(measure.most <= 2 * SIZE, "nor twice as much while somebody's gc ran in it", f"{measure.most} bytes")
    check(measure.most_held <= SIZE // 2, "deleted packs are let go", f"{measure.most_held} bytes")
    equal(git.run(d.repo, "rev-parse", "--is-shallow-repository").strip(), "true", "old history is gone: it is shallow")
    status, _, _ = git.run(d.repo, "cat-file", "-e", first, check=False)
    check(status != 0, "the first commit is pruned")
    seqs = git.main_seqs(d.repo)
    equal(seqs, list(range(seqs[0], seqs[-1] + 1)), f"what is left ({len(seqs)} commits) has no gap")
    equal(git.fsck(d.repo), "", "fsck finds nothing")
    target = os.path.join(harness.temporary("clone"), "clone.git")
    git.run("/", "clone", "-q", "--bare", "--no-local", d.repo, target)
    equal(git.fsck(target), "", "a clone is sound")
    equal(git.rev(target, "main^{tree}"), git.rev(d.repo, "main^{tree}"), "and has the same tree")
    live = {p: v[0] for p, v in walk(c).items()}
    equal(git.tree(target), live, "which is the whole store")
    # transactions from before the pruning
    c.write("/old3", "y", old)
    c.end(old)
    equal(c.read("/old2"), b"x", "a transaction from before the pruning commits")
    c.end(reader, False)
    git.settle(d)
    equal(git.fsck(d.repo), "", "and fsck finds nothing afterwards")
    # and across a death: of the server, and then of both
    half = sleepers.open[::2]
    d.kill_server()
    for tx in half:
        sleepers.client.end(tx)
    with d.client() as c2:
        equal(len(c2.directory("/sleepers")), len(half), f"{len(half)} transactions that began long before commit after a death")
        for name in c2.directory("/sleepers"):
            c2.rm(b"/sleepers/" + name)
    git.settle(d)
    equal(git.fsck(d.repo), "", "and fsck finds nothing")
    d.kill()
    d.start()
    with d.client() as c:
        equal({p: v[0] for p, v in walk(c).items() if p not in (b"/old2", b"/old3", b"/settled")},
              {p: v for p, v in live.items() if p != b"/settled"}, "a restart recovers the store from what is left")
    write_much(d, 5, 120)
    git.settle(d)
    seqs = git.main_seqs(d.repo)
    equal(seqs, list(range(seqs[0], seqs[-1] + 1)), "history goes on without a gap")
    equal(git.fsck(d.repo), "", "fsck finds nothing")
    wait_for(lambda: used(d.repo) <= SIZE, "the repository to be back within its size", timeout=60)
    harness.ok("the size still holds")
    d.stop()


def killed_while_history_goes():
    """An open transaction, while epochs are dropped and the server killed just then: both checkpoints on disk must
    still find the commit it started from."""
    d = daemon.Daemon(options=["--repo-size", str(SIZE)]).start()
    with d.client() as c:
        c.write("/keep", "me")
    sleeper = d.client()
    opened = []
    shallow = os.path.join(d.repo, "shallow")
    stop = threading.Event()

    def load():
        round_ = 0
        while not stop.is_set():
            try:
                write_much(d, 1, round_)
            except XsError as e:  # the two of them conflict now and then
                if e.name != "EAGAIN":
                    raise
            round_ += 1
    threads = [threading.Thread(target=load, daemon=True) for _ in range(2)]
    for t in threads:
        t.start()
    kills, seen, end = 0, None, time.monotonic() + 25
    while time.monotonic() < end and kills < 12:
        opened.append(sleeper.start())
        sleeper.write(f"/sleepers/{opened[-1]}", "x", opened[-1])
        now = os.stat(shallow).st_ino if os.path.exists(shallow) else None
        if now != seen:
            seen = now
            time.sleep((0, 0.05, 0.1, 0.2)[kills % 4])
            d.kill_server()
            kills += 1
        time.sleep(0.01)
        while len(opened) > 60:
            sleeper.end(opened.pop(0), False)
    stop.set()
    for t in threads:
        t.join(120)
    check(kills >= 5, f"{kills} kills while epochs were dropped")
    check("DAMAGED" not in d.log_text(), "no store is set aside", d.log_tail())
    with d.client() as c:
        equal(c.read("/keep"), b"me", "nothing is lost")
    for tx in opened:
        sleeper.end(tx)
    equal(len(sleeper.directory_all("/sleepers")), len(opened), f"{len(opened)} transactions of all ages commit")
    git.settle(d)
    equal(git.fsck(d.repo), "", "fsck finds nothing")
    d.stop()


harness.main(stays_within_its_size, killed_while_history_goes)
