#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Epochs of history that were dropped do not come back, though files of theirs are left when the daemon is killed."""
import glob
import os
import shutil
import threading

from lib import daemon, git, harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.wire import NAMES, pack


def write_some(c, count=100):
    for i in range(count):
        c.send_bytes(pack(NAMES["WRITE"], b"/n/%d\0%s" % (i, os.urandom(400).hex().encode()), req=i + 1))
    for _ in range(count):
        c.reply()


def shallow(d):
    try:
        with open(os.path.join(d.repo, "shallow"), encoding="ascii") as f:
            return f.readline().strip()
    except FileNotFoundError:
        return ""


class Beginnings(threading.Thread):
    """All that `shallow` has begun with, in order."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.d, self.seen, self.end = d, [shallow(d)], threading.Event()
        self.start()

    def run(self):
        while not self.end.is_set():
            now = shallow(self.d)
            if now != self.seen[-1]:
                self.seen.append(now)


def files_of_oldest_epoch(d):
    epochs = {}
    for keep in glob.glob(os.path.join(d.repo, "objects/pack/*.keep")):
        with open(keep, encoding="ascii") as f:
            epochs.setdefault(int(f.read().split()[2]), []).append(keep[:-len(".keep")])
    return [base + suffix for base in epochs[min(epochs)] for suffix in (".pack", ".idx", ".keep")]


def left_overs():
    d = daemon.Daemon(options=("--repo-size", "8000000")).start()
    saved = harness.temporary("saved")
    c = d.client()
    wait_for(lambda: write_some(c) or shallow(d), "the first epoch to go", 60)
    for file in files_of_oldest_epoch(d):
        shutil.copy2(file, saved)
    beginnings = Beginnings(d)
    for _ in range(2):
        first = shallow(d)
        # In small steps: at the next beginning of an epoch, those before are forgotten anyhow.
        wait_for(lambda: write_some(c, 5) or shallow(d) != first, "another epoch to go", 60, 0)
    d.kill()
    for file in os.listdir(saved):  # as if it had not been unlinked yet, and those of the next epoch had been
        shutil.copy2(os.path.join(saved, file), os.path.join(d.repo, "objects/pack"))
    d.start()
    c = d.client()
    wait_for(lambda: write_some(c) or not any(os.path.exists(os.path.join(d.repo, "objects/pack", f)) for f in os.listdir(saved)),
             "what is left of it to go", 90)
    beginnings.end.set()
    beginnings.join()
    seen = beginnings.seen
    check(len(seen) > 2 and len(set(seen)) == len(seen), "the beginning of history only moves on", seen)
    git.settle(d)
    equal(git.fsck(d.repo), "", "fsck is content")
    d.stop()


if __name__ == "__main__":
    harness.main(left_overs)
