#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a full file system may not cost: history that was published, writers who are slow, room that was taken for the
worst; and what somebody removes to make room."""
import glob
import os
import time

from lib import git, harness
from lib.daemon import wait_for
from lib.gap import fact, small, wait_for_end, write_until_gap
from lib.harness import check, equal

CHECKPOINT = 2.5  # s after which there is one that has all, and another one before it


def restart_full(d, disk):
    """A death, and no room when the next server starts."""
    disk.fill()
    before = d.server_pid()
    d.kill_server()
    wait_for(lambda: d.server_pid() not in (None, before), "another server")
    disk.fill()


def published_stays():
    """Git has seen more than the last checkpoint holds when a gap begins."""
    disk, d = small()
    with d.client() as c:
        for i in range(20):
            c.write(f"/a/{i}", "x")
        time.sleep(CHECKPOINT)
        for i in range(30):
            c.write(f"/b/{i}", "published")
        git.settle(d)
    tip = git.rev(d.repo)
    restart_full(d, disk)
    write_until_gap(d, disk)
    disk.relieve()
    wait_for_end(d)
    status, _, _ = git.run(d.repo, "merge-base", "--is-ancestor", tip, "main", check=False)
    check(status == 0, "what was published stays in history", [c["subject"][:50] for c in git.commits(d.repo, "main", "-5")])
    equal(git.fsck(d.repo), "", "fsck is content")
    d.stop()


def slow_writers():
    """A journal that is far from full: who writes seldom goes on, and history catches up without being written many times."""
    disk, d = small("96m")
    with d.client() as c:
        for i in range(300):
            c.write(f"/big/{i}", os.urandom(1500).hex())
        git.settle(d)
        epoch = int(fact(d, "epoch"))
        slowest = 0
        for i in range(40):
            disk.fill()
            begin = time.monotonic()
            c.write("/slow", str(i))
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.1)
        check(int(fact(d, "lag-ms")) > 2000, "history is stuck for seconds")
        check(slowest < 1.5, f"slow writers go on meanwhile (slowest {1000 * slowest:.0f} ms)")
        equal(fact(d, "gap"), "none", "without a gap")
        disk.relieve()
        git.settle(d)
        check(int(fact(d, "epoch")) <= epoch + 2, "and few epochs", fact(d, "epoch"))
        equal(git.seq_breaks(git.commits(d.repo)), [], "all of it is in history in the end")
    d.stop()


def rooms(d):
    return [os.stat(p).st_blocks * 512 for p in sorted(glob.glob(os.path.join(d.repo, "xsgit", "whole.*")))]


def room_is_kept():
    """A large tree and old transactions on it: the room for them outlasts restarts, and suffices."""
    disk, d = small("64m")
    c = d.client()
    for i in range(300):
        c.write(f"/big/{i}", os.urandom(1000).hex())
    git.settle(d)
    open_ = []
    for n in range(3):
        open_.append(c.start())
        for i in range(300):
            c.write(f"/big/{i}", f"{n}" + os.urandom(1000).hex())
    time.sleep(CHECKPOINT)
    c.write("/x", "1")
    git.settle(d)
    wait_for(lambda: min(rooms(d)) > 2_000_000, "room for the transactions' trees, too", 20, 0.1)
    before = rooms(d)
    restart_full(d, disk)
    fact(d, "gap")
    check(rooms(d) >= before, "a restart gives none of the room away", (before, rooms(d)))
    write_until_gap(d, disk)
    harness.ok("a gap can begin")
    restart_full(d, disk)
    check(fact(d, "gap") != "none", "and goes on after another restart")
    for tx in open_:
        c.end(tx, False)
    disk.relieve()
    wait_for_end(d)
    equal(git.fsck(d.repo), "", "fsck is content")
    d.stop()


def packs_gone():
    """Somebody makes room by removing history itself."""
    disk, d = small()
    with d.client() as c:
        for i in range(20):
            c.write(f"/a/{i}", "x")
    git.settle(d)
    write_until_gap(d, disk)
    for path in glob.glob(os.path.join(d.repo, "objects", "pack", "*")):
        os.unlink(path)
    d.kill_server()
    disk.relieve()
    wait_for_end(d)
    wait_for(lambda: git.fsck(d.repo) == "", "a sound repository", 20, 0.2)
    check(git.commits(d.repo)[0]["subject"].startswith("gap: "), "history begins with the gap's commit")
    shown = git.tree(d.repo)
    with d.client() as c:
        equal([p for p, v in shown.items() if c.read(p) != v], [], "and has the whole store")
    d.stop()


harness.main(published_stays, slow_writers, room_is_kept, packs_gone)
