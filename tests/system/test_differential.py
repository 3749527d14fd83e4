#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random requests to our daemon and to Debian's C daemon, with every reply and event compared. What may differ is in
lib/differences.py. --requests: how many (0: until it is stopped, or something is found)."""
import itertools
import os
import random
import shutil
import time

from lib import coverage, daemon, harness
from lib.differential import Differential
from lib.comparison import Mismatch
from lib.harness import check
from lib.injection import Once, says
from lib.wire import EVENT, NAMES, Closed

ROUND = 100000  # requests to a pair of daemons, before the next pair
KILLED = 10000  # requests, of the test with kills


def last_words(d):
    with open(os.path.join(d.dir, "log"), encoding="utf-8", errors="replace") as f:
        return f"{'lives' if d.server_pid() and daemon.stat_of(d.server_pid()) else 'is dead'}, its log ends with {f.read()[-300:]!r}"


def round_(seed, number, seen, change=None, kills=None):
    """Runs them against a fresh pair of daemons. Raises Mismatch. `kills`: a list; ours is killed again and again, and each
    pid goes there."""
    ours, theirs = daemon.Daemon().start(), daemon.PeerC().start()
    try:
        test = Differential(random.Random(seed), ours.socket, theirs.socket, seen, change=change,
                            disturb=None if kills is None else lambda: kills.append(ours.kill_server()))
        try:
            test.run(number)
        except (Closed, OSError) as e:
            test.fail(f"no answer from ours or theirs: {e}; " + "; ".join(f"{d.__class__.__name__}: {last_words(d)}" for d in (ours, theirs)))
    finally:
        theirs.stop()
        ours.stop()
        if not harness.options.keep:  # now: there may be many more rounds
            shutil.rmtree(ours.dir)
            shutil.rmtree(theirs.dir)


def no_difference(seed, number, seen, **kw):
    """Whether there is none; else it says what it is."""
    try:
        round_(seed, number, seen, **kw)
        return True
    except Mismatch as e:
        harness.fail("the daemons answer alike", f"seed {seed}, request {seen.requests}: {e}")
        return False


def random_requests():
    total = harness.options.requests
    seen = coverage.Coverage()
    begin = time.monotonic()
    try:
        for seed in itertools.count(harness.options.seed):
            left = total - seen.requests if total else ROUND
            if left <= 0:
                break
            harness.note(f"seed {seed}")
            if not no_difference(seed, min(left, ROUND), seen):
                return
    except KeyboardInterrupt:
        harness.note("stopped")
    harness.note(f"{time.monotonic() - begin:.0f} s")
    for line in seen.report():
        harness.note(line)
    harness.ok(f"{seen.requests} requests are answered alike by both daemons, but for what is meant to differ")
    check(3 * seen.inside > seen.requests, "a third of them in transactions", seen.inside)
    if seen.requests < coverage.ENOUGH:
        harness.note(f"too few requests for all to occur: less than {coverage.ENOUGH}")
        return
    for title, _, _ in seen.tables():
        check(title not in seen.missing(), f"each of these occurred: {title}", seen.missing().get(title))


def killed_meanwhile():
    """The same, and nobody can tell that our daemon was killed: nodes, watches and open transactions are as before."""
    seen, kills = coverage.Coverage(), []
    if no_difference(harness.options.seed, KILLED, seen, kills=kills):
        check(len(kills) > KILLED // 500, f"{seen.requests} requests are answered alike, though ours was killed {len(kills)} times")


INJECTED = {
    "a value with one byte changed": (lambda m: m.type == NAMES["READ"] and m.payload,
                                      lambda m: m._replace(payload=m.payload[:-1] + b"?")),
    "a list with one name less": (lambda m: m.type == NAMES["DIRECTORY"] and m.payload.count(b"\0") > 1,
                                  lambda m: m._replace(payload=m.payload.split(b"\0", 1)[1])),
    "another error": (says(b"ENOENT\0"), lambda m: m._replace(payload=b"EINVAL\0")),
    "an error instead of OK": (says(b"OK\0", "RM"), lambda m: m._replace(type=NAMES["ERROR"], payload=b"ENOENT\0")),
    "OK instead of EAGAIN": (says(b"EAGAIN\0"), lambda m: m._replace(type=NAMES["TRANSACTION_END"], payload=b"OK\0")),
    "EAGAIN instead of OK": (says(b"OK\0", "TRANSACTION_END"), lambda m: m._replace(type=NAMES["ERROR"], payload=b"EAGAIN\0")),
    "another transaction's id in a reply": (lambda m: m.tx, lambda m: m._replace(tx=m.tx + 1)),
    "an event less": (lambda m: m.type == EVENT, lambda m: None),
    "an event with another token": (lambda m: m.type == EVENT, lambda m: m._replace(payload=m.payload[:-1] + b"?\0")),
}


def injected_differences():
    """The test itself: it finds what is wrong in a single message."""
    for what, (meant, instead) in INJECTED.items():
        seen = coverage.Coverage()
        change = Once(meant, instead, seen)
        try:
            round_(harness.options.seed, 30000, seen, change)
            harness.fail(f"{what} is found", f"not in {seen.requests} requests, it came in number {change.when}")
        except Mismatch as e:
            check(change.when == seen.requests, f"{what} is found at once, in request {seen.requests}", f"it came in {change.when}; {e}")


harness.main(random_requests, killed_meanwhile, injected_differences)
