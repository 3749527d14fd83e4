#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Transactions of guests, while the history that they began in is dropped."""
import re

from lib import harness
from lib.harness import check, equal
from lib.toolstack import World, refused
from lib.traffic import write_much
from lib.wire import NAMES, pack

SIZE = 32 << 20


def epoch(c):
    return int(re.search(r"^epoch *: (\d+)", c.control("status").decode(), re.M)[1])


def reads(c, tx, count, path):
    for first in range(0, count, 20):
        block = range(min(20, count - first))
        c.send_bytes(b"".join(pack(NAMES["READ"], path + b"\0", tx, 1) for _ in block))
        for _ in block:
            m = c.reply()
            if m.type != NAMES["READ"]:
                raise AssertionError(f"a read was answered {m}")


def transactions_of_guests():
    """Those that are open when history goes are repeated on what is left. Guests shall not be able to make that take
    long: whose transactions have had many requests begins anew."""
    with World(["--repo-size", str(SIZE)]) as w:
        few, many, twice, local = w.guest(1), w.guest(2), w.guest(3), w.d.client()
        for g in (few, many, twice):
            g.mkdir("data")
        opened = {}
        for c, name, path, counts in ((few, "200 requests", b"name", (200,)), (many, "300 requests", b"name", (300,)),
                                      (twice, "200 requests, twice,", b"name", (200, 200)),
                                      (local, "300 requests of the control domain", b"/tool", (300,))):
            opened[name] = c, [c.start() for _ in counts]
            for tx, count in zip(opened[name][1], counts):
                c.write("/local/domain/0/mine" if c is local else f"data/{tx}", "1", tx)
                reads(c, tx, count, path)
        first = epoch(w.c)
        round_ = 0
        while epoch(w.c) < first + 3 and round_ < 200:  # the last epoch is kept when one begins
            write_much(w.d, 1, round_)
            round_ += 1
        check(epoch(w.c) >= first + 3, f"history goes, after {round_} rounds")
        for name, (c, txs) in opened.items():
            begins_anew = c in (many, twice)
            answers = [refused(c.end, tx) for tx in txs]
            check(("EAGAIN" in answers if begins_anew else answers == [None]) and set(answers) <= {None, "EAGAIN"},
                  f"who has lived through it with a transaction of {name} {'begins anew' if begins_anew else 'commits'}", answers)
        for g in (many, twice):
            tx = g.start()
            g.write("data/again", "2", tx)
            g.end(tx)
            equal(g.read("data/again"), b"2", "which it can")


harness.main(transactions_of_guests)
