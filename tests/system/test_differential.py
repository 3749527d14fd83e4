#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random requests to our daemon and to Debian's C daemon, with every reply and event compared. What may differ is in
lib/differences.py. --requests: how many (0: until it is stopped, or something is found)."""
import itertools
import random
import time

from lib import coverage, daemon, harness
from lib.differential import Differential
from lib.comparison import Mismatch
from lib.harness import check
from lib.wire import Closed

ROUND = 100000  # requests to a pair of daemons, before the next pair


def round_(seed, number, seen, change=None):
    """Runs them against a fresh pair of daemons. Raises Mismatch."""
    ours, theirs = daemon.Daemon().start(), daemon.PeerC().start()
    try:
        test = Differential(random.Random(seed), ours.socket, theirs.socket, seen, change=change)
        try:
            test.run(number)
        except (Closed, OSError) as e:
            test.fail(f"no answer from ours or theirs: {e}")
    finally:
        theirs.stop()
        ours.stop()


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
            try:
                round_(seed, min(left, ROUND), seen)
            except Mismatch as e:
                harness.fail("the daemons answer alike", f"seed {seed}, request {seen.requests}: {e}")
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


harness.main(random_requests)
