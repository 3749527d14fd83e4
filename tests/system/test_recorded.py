#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Sessions recorded in real Xen (tests/sessions), played again: in process, where each reply and event must be the recorded one,
and to our daemon and Debian's C daemon with guests on rings, where both must say the same."""
import glob
import os
import subprocess

from lib import harness, session
from lib.comparison import Mismatch
from lib.harness import check
from lib.recorded import Recorded
from lib.wire import HANG, NAMES

SESSIONS = sorted(glob.glob(os.path.join(harness.root(), "tests", "sessions", "*.session")))


def name(path):
    return os.path.splitext(os.path.basename(path))[0]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def in_process():
    check(len(SESSIONS) >= 4, f"there are {len(SESSIONS)} recorded sessions")
    tool = os.path.join(harness.options.build, "bisect", "xs-replay")
    for path in SESSIONS:
        p = subprocess.run([tool, "--check", path], capture_output=True, timeout=HANG)
        check(p.returncode == 0 and b"no difference" in p.stdout, f"{name(path)}: each reply and event is the recorded one",
              (p.stdout + p.stderr).decode())


def two_daemons():
    for path in SESSIONS:
        recorded = Recorded(read(path))
        try:
            count = recorded.play()
        except Mismatch as e:
            check(False, f"{name(path)}: ours and Debian's C daemon say the same", e)
            continue
        check(count > 50, f"{name(path)}: ours and Debian's C daemon say the same, {count} requests")
        harness.note(", ".join(f"{n}: {c}" for n, c in sorted(recorded.seen.items())))


def small():
    """A session of everything, in brief."""
    w = session.Writer()
    w.open(1, pid=5)
    w.ask(1, NAMES["WATCH"], b"/local/domain\0w\0")
    w.ask(1, NAMES["WRITE"], b"/local/domain/3/name\0three")
    w.ask(1, NAMES["SET_PERMS"], b"/local/domain/3\0n3\0")
    w.ask(1, NAMES["INTRODUCE"], b"3\0" b"77\0" b"9\0")
    w.open(2, domid=3, ring=True)
    w.ask(2, NAMES["WATCH"], b"data\0d\0")
    w.ask(2, NAMES["TRANSACTION_START"], b"\0", b"12\0")
    w.ask(2, NAMES["WRITE"], b"data/x\0y", tx=12)
    w.ask(2, NAMES["TRANSACTION_END"], b"T\0", tx=12)
    w.ask(1, NAMES["READ"], b"/local/domain/3/data/x\0", b"y")
    w.ask(1, NAMES["DIRECTORY"], b"/local/domain/3\0", b"data\0name\0")
    w.add(w.later(), session.DOMAINS, "3 10003 dead")
    w.ask(1, NAMES["READ"], b"/local/domain/3/data/x\0", b"y")
    return bytes(w.end().data)


def the_test_itself():
    recorded = Recorded(small())
    check(recorded.play() == 11 and recorded.seen["events"] == 7, "a small session", recorded.seen)
    for what, change in (("a reply", lambda m: m._replace(payload=b"z") if m.payload == b"y" else m),
                         ("an event", lambda m: None if m.payload == b"/local/domain/3/name\0w\0" else m)):
        try:
            Recorded(small(), change).play()
            check(False, f"{what} that differs is seen")
        except Mismatch:
            harness.ok(f"{what} that differs is seen")


harness.main(in_process, two_daemons, the_test_itself)
