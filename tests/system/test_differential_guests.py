#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random requests of guests on rings and of a toolstack to our daemon and to Debian's C daemon, on two emulated hosts, with
every reply and event compared: permissions, targets, quotas, and the life of domains. What may differ is in
lib/guest_differences.py. --requests: how many (0: until it is stopped, or something is found)."""
import itertools
import random
import time

from lib import guest_coverage, harness
from lib.comparison import Mismatch
from lib.guest_differential import GuestDifferential
from lib.harness import check
from lib.injection import Once, says
from lib.wire import ERROR, EVENT, NAMES, Closed

ROUND = 2500  # requests to a pair of daemons, before the next pair
# Ours allows as much as it says; of these the C daemon allows one more. Every other pair of daemons has few of each.
# Few nodes are left to requests outside of transactions: C counts those that a transaction makes and removes only when it
# commits, and allows one less then.
FEW = ("-E", "12", "-W", "5", "-t", "2"), ("-E", "12", "-W", "4", "-t", "1")
MANY = (), ("-E", "1000", "-W", "127", "-t", "9")
BOTH = ("-S", "2048", "-A", "5", "-Q", "transaction-nodes=1024")


def round_(seed, number, seen, **kw):
    """Runs them against a fresh pair of daemons. Raises Mismatch."""
    ours, theirs = FEW if seed % 2 else MANY
    test = GuestDifferential(random.Random(seed), ours, (*BOTH, *theirs), seen, few_nodes=ours is FEW[0], **kw)
    try:
        test.run(number)
    except (Closed, OSError, RuntimeError) as e:
        test.fail(f"no answer from ours or theirs: {type(e).__name__}: {e}")
    finally:
        test.lock.stop()


def no_difference(seed, number, seen):
    try:
        round_(seed, number, seen)
        return True
    except Mismatch as e:
        harness.fail("the daemons answer alike", f"seed {seed}, request {seen.requests}: {e}")
        return False


def random_requests():
    total = harness.options.requests
    seen = guest_coverage.GuestCoverage()
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
    harness.note(f"{time.monotonic() - begin:.0f} s; {seen.to_guests} of the events to guests; {seen.stores} times all of the store")
    for line in seen.report():
        harness.note(line)
    harness.ok(f"{seen.requests} requests are answered alike by both daemons, but for what is meant to differ")
    check(3 * seen.inside > seen.requests, "a third of them in transactions", seen.inside)
    if seen.requests < guest_coverage.ENOUGH:
        harness.note(f"too few requests for all to occur: less than {guest_coverage.ENOUGH}")
        return
    for title, _, _ in seen.tables():
        check(title not in seen.missing(), f"each of these occurred: {title}", seen.missing().get(title))


def of(*names):
    return lambda m: m.type in [NAMES[n] for n in names]


def shorter(m):
    """A list with the last entry less."""
    return m._replace(payload=m.payload[:m.payload[:-1].rindex(b"\0") + 1])


def permitted(name):
    return lambda m: m._replace(type=NAMES[name], payload=b"OK\0")


def error(name):
    return lambda m: m._replace(type=ERROR, payload=name + b"\0")


INJECTED = {
    "a list with one entry less": (lambda m: of("GET_PERMS")(m) and m.payload.count(b"\0") > 1, shorter),
    "an entry with another right": (of("GET_PERMS"), lambda m: m._replace(payload=(b"w" if m.payload[:1] != b"w" else b"r") + m.payload[1:])),
    "an entry with another domain": (of("GET_PERMS"), lambda m: m._replace(payload=m.payload[:1] + b"6\0" + m.payload.split(b"\0", 1)[1])),
    "ENOENT instead of EACCES": (says(b"EACCES\0"), error(b"ENOENT")),
    "EACCES instead of EPERM": (says(b"EPERM\0"), error(b"EACCES")),
    "OK instead of EACCES": (says(b"EACCES\0"), permitted("WRITE")),
    "OK instead of ENOENT": (says(b"ENOENT\0"), permitted("MKDIR")),
    "a domain that is introduced, and said not to be": (says(b"T\0", "IS_DOMAIN_INTRODUCED"), lambda m: m._replace(payload=b"F\0")),
    "a value that may not be read": (says(b"EACCES\0"), lambda m: m._replace(type=NAMES["READ"], payload=b"1")),
    "an event less": (lambda m: m.type == EVENT and m.payload[:1] != b"@", lambda m: None),
    "an introduction that nobody is told of": (says(b"@introduceDomain\0witness\0"), lambda m: None),
}


def injected_differences():
    """The test itself: it finds what is wrong in a single message."""
    for what, (meant, instead) in INJECTED.items():
        def change(seen, what=what, meant=meant, instead=instead):
            # Inside a transaction others may have been at work, and our daemon may differ.
            once = Once(lambda m: not m.tx and meant(m), instead, seen)
            if any(word in what for word in ("introduc", "EPERM", "one entry")):
                once.left = 2  # these come seldom
            return once
        found(what, change, "change")
    found("an event that may not be read", Leak, "leak")


class Leak:
    """Lets through what was held back, once: the 20th time."""

    def __init__(self, seen):
        self.seen = seen
        self.left = 20
        self.when = 0

    def __call__(self, hidden):
        self.left -= 1
        if self.left:
            return []
        self.when = self.seen.requests
        return hidden[:1]


def found(what, make, kind):
    """`make(seen)` gives the fault. It may come, by chance, where our daemon may differ: then another round has to find it."""
    for again in range(3):
        seen = guest_coverage.GuestCoverage()
        fault = make(seen)
        try:
            round_(harness.options.seed + 2 * again, 20000, seen, **{kind: fault})
        except Mismatch as e:
            check(fault.when == seen.requests, f"{what} is found at once, in request {seen.requests}", f"it came in {fault.when}; {e}")
            return
        harness.note(f"{what} was not found in {seen.requests} requests, it came in number {fault.when}")
    harness.fail(f"{what} is found", "not in three rounds")


harness.options.requests = 40000
harness.main(random_requests, injected_differences)
