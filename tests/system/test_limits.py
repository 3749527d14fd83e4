#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who runs into a limit finds it in the log, with its value and who it was: limits of domains, and those that hold for
everybody."""
import re
import time

from lib import harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.toolstack import World, refused
from lib.wire import ERROR, NAMES, pack


class Told:
    """What the log says between two looks."""

    def __init__(self, d):
        self.d = d
        self.seen = len(d.log_text())

    def new(self):
        text = self.d.log_text()
        said, self.seen = text[self.seen:], len(text)
        return said


def log_of_guests():
    with World() as w:
        g = w.guest(5)
        told = Told(w.d)
        for what, f, error, quota in (
                ("a watch on too long a path", lambda: g.watch("y" * 2049, "t"), "EINVAL", "path-max = 2048"),
                ("one that is taken away", lambda: g.unwatch("y" * 2049, "t"), "EINVAL", "path-max = 2048"),
                ("a node on it", lambda: g.write("y" * 2049, "t"), "EINVAL", "path-max = 2048"),
                ("too many permissions", lambda: g.set_perms("name", ["n5"] * 6), "ENOSPC", "node-permissions = 5"),
                ("far too many", lambda: g.set_perms("name", ["n5"] * 300), "ENOSPC", "node-permissions = 5"),
                ("too large a node", lambda: g.write("a", b"v" * 3000), "ENOSPC", "node-size = 2048")):
            equal(refused(f), error, f"{what}: refused")
            said = told.new()
            check(f"domain 5 has reached its quota {quota};" in said, f"{what}: the log says which limit it was", said)
        g.write("a", b"v" * 2000)
        equal(told.new(), "", "what is allowed is not in the log")


def log_of_sockets():
    with World() as w:
        c = w.d.client()
        told = Told(w.d)

        def until(f, most):
            """How often it is done before it is refused."""
            n = 0
            while n <= most and not (error := refused(f, n)):
                n += 1
            return n, error

        equal(until(lambda _: c.start(), 2000), (1024, "ENOSPC"), "transactions of a connection")
        check("wants more than 1024 open transactions; refused" in (said := told.new()), "the log names that limit", said)
        c.ok(NAMES["RESET_WATCHES"], b"\0")
        equal(refused(c.set_perms, "/tool", ["n0"] * 257), "ENOSPC", "permissions of a node")
        check("more than 256 entries in a permission list" in (said := told.new()), "the log names that limit", said)
        tx = c.start()
        n, error = until(lambda n: c.write("/t", b"v" * 4000, tx), 2000)
        equal(error, "ENOSPC", f"what a transaction remembers is limited; after {n} of 4000 bytes")
        check("bytes of requests in open transactions" in (said := told.new()), "the log names that limit", said)
        equal(refused(c.end, tx), "ENOMEM", "such a transaction cannot be committed")
        check(not c.exists("/t"), "and has done nothing")
        check(re.search(r"connection \d+ \(domain 0\)", said), "the log tells which connection it was", said)


def deep_watches():
    """A watch on a path of a thousand levels has an entry for each of them: that is what it is charged with."""
    with World() as w:
        g = w.guest(1)
        before = w.d.memory_kib()
        n, error = 0, None
        while n < 128 and not (error := refused(g.watch, f"{n:03}" + "/a" * 1020, "t")):
            n += 1
        grown = w.d.memory_kib() - before
        harness.note(f"{n} watches; the daemon grew by {grown} KiB")
        check(0 < n < 128 and error == "ENOMEM", "watches of a thousand levels fill a guest's memory quota, not its number of watches",
              (n, error, w.usage(1)))
        check(grown < 12 << 10, "and the daemon has not grown by much more than that", f"{grown} KiB")
        check("domain 1 has reached its quota memory = " in w.d.log_text(), "the log names that limit", w.d.log_tail())
        g.request(NAMES["RESET_WATCHES"], b"\0")
        n = 0
        while n < 128 and not (error := refused(g.watch, f"{n:03}/a/b", "t")):
            n += 1
        equal((n, error), (128, None), "after RESET_WATCHES 128 plain ones can be set")


def requests_in(g, tx, count, path=b"name"):
    """Reads in a transaction: the errors that there were, by the number of the request."""
    errors = {}
    for first in range(0, count, 20):
        block = range(first, min(first + 20, count))
        g.send_bytes(b"".join(pack(NAMES["READ"], path + b"\0", tx, 1) for _ in block))
        for i in block:
            m = g.reply()
            if m.type == ERROR:
                errors[i + 1] = m.payload
    return errors


def requests_of_a_transaction():
    """A guest's transactions are repeated when history goes: one may not make that take long."""
    with World() as w:
        g = w.guest(1)
        tx = g.start()
        equal(requests_in(g, tx, 4095), {}, "4095 reads in a guest's transaction")
        g.write("data/x", "1", tx)
        g.end(tx)
        equal(g.read("data/x"), b"1", "with a write as the 4096th request it commits")
        told = Told(w.d)
        tx = g.start()
        g.write("data/x", "2", tx)
        equal(requests_in(g, tx, 4097), {4096: b"ENOSPC\0", 4097: b"ENOSPC\0"}, "the 4097th is refused, and what comes after it")
        check("requests in one transaction" in (said := told.new()), "the log names that limit", said)
        check("domain 1" in said, "and the guest", said)
        equal(refused(g.end, tx), "ENOMEM", "such a transaction cannot be committed")
        equal(g.read("data/x"), b"1", "and has done nothing")
        tx = w.c.start()
        equal(requests_in(w.c, tx, 5000, b"/tool"), {}, "the control domain may have more of them")
        w.c.end(tx)


def outstanding():
    """Requests whose events somebody does not take: a guest is held up at twenty of them."""
    with World() as w:
        g, deaf = w.guest(1), w.d.client()
        deaf.watch("/local/domain/1/data", "t" * 3000)
        told = Told(w.d)
        sent, rest = 0, b""
        while not rest and sent < 700 and "outstanding = 20" not in w.d.log_text():
            rest = g.put(pack(NAMES["WRITE"], b"data/%d/%d\0x" % (sent // 90, sent), 0, 1))
            g.notify()
            sent += 1
            time.sleep(0.002)
            g.buffer += g.take()
        harness.note(f"{sent} requests were sent")
        wait_for(lambda: "outstanding = 20" in w.d.log_text(), "the log to name it", timeout=15)
        check("domain 1" in (said := told.new()), "the log names the quota and the guest", said)
        seen = re.search(r"^outstanding *: +(\d+)", w.c.control("quota", "max").decode(), re.M)
        check(seen and int(seen[1]) >= 20, "meanwhile `quota max` shows as many", seen)
        deaf.sync()
        g.send_bytes(rest)
        equal({g.reply().payload for _ in range(sent)}, {b"OK\0"}, "it goes on when the events have been taken")


harness.main(log_of_guests, log_of_sockets, deep_watches, requests_of_a_transaction, outstanding)
