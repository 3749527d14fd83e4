#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Xen's security advisories about its store daemons, continued from test_xsa: creation, removal and transactions, and
too much of everything. Each function tells what went wrong there."""
import resource
import threading
import time

from lib import git, harness
from lib.guest import REQ_CONS, REQ_PROD
from lib.harness import check, equal
from lib.toolstack import World, refused, set_quota
from lib.wire import NAMES, PAYLOAD_MAX, XsError, name_of, pack, walk

KIB = 1024


# -- creation, removal, transactions -------------------------------------------------------------------


def xsa_206_starvation():
    """A guest that writes all the time made every transaction on those nodes fail, for ever."""
    with World() as w:
        g = w.guest(1)
        g.write("data/x", "0")
        stop, writes, errors = threading.Event(), [0], []

        def write_on():
            try:
                while not stop.is_set():
                    g.write("data/x", str(writes[0]))
                    writes[0] += 1
            except Exception as e:
                errors.append(repr(e))

        def tries_of(pause):
            attempt, end = 0, time.monotonic() + 2
            while attempt < 20 or time.monotonic() < end:
                attempt += 1
                tx = w.c.start()
                w.c.read("/local/domain/1/data/x", tx)
                # What a toolstack does in one: enough for the guest to get in between.
                for i in range(20):
                    w.c.write(f"/local/domain/1/dev/{i}", str(attempt), tx)
                time.sleep(pause)
                w.c.write("/local/domain/1/data/x", "toolstack", tx)
                if refused(w.c.end, tx) is None:
                    return attempt
            return None
        t = threading.Thread(target=write_on)
        t.start()
        try:
            # A slow one lets the guest earn the credit for some more writes each time.
            for pause, what in ((0, "quick ones"), (0.1, "slow ones")):
                tries = [tries_of(pause) for n in range(10)]
                harness.note(f"{what}: tries {tries}; the guest made {writes[0]} writes")
                check(None not in tries, f"XSA-206: a guest that writes without end does not starve others' transactions, {what}: "
                      "10 of 10 commit within 20 tries, or 2 s, each", tries)
        finally:
            stop.set()
            t.join()
        check(not errors and writes[0] >= 5, "XSA-206: and is answered itself", errors or writes)


def xsa_206_no_weapon():
    """Who may read what another guest writes cannot slow that one down by transactions that fail."""
    with World() as w:
        g, other = w.guest(1), w.guest(2)
        g.write("data/x", "0")
        w.c.set_perms("/local/domain/1/data/x", ["n1", "r2"])
        stop, failed = threading.Event(), [0]

        def provoke():
            while not stop.is_set():
                tx = other.start()
                other.read("/local/domain/1/data/x", tx)
                time.sleep(0.02)
                failed[0] += refused(other.end, tx) == "EAGAIN"
        t = threading.Thread(target=provoke)
        t.start()
        slowest = 0
        try:
            for i in range(100):
                begin = time.monotonic()
                g.write("data/x", str(i))
                slowest = max(slowest, time.monotonic() - begin)
                time.sleep(0.02)
        finally:
            stop.set()
            t.join()
        check(failed[0] > 20, "XSA-206: transactions of a guest that reads another one's nodes fail", failed)
        # The penalty would be 50 ms, 200 ms, 800 ms, then a second each.
        check("make transactions" not in w.d.log_text(), f"XSA-206: the other one is not held up for it (slowest {slowest:.2f} s)",
              w.d.log_tail())


def xsa_206_beside_a_monitor():
    """A guest that writes now and then what a monitor reads in slow transactions is not who makes them fail without end."""
    def lines(writes, pause):
        """How often the log says that it is slowed."""
        with World() as w:
            g, monitor = w.guest(1), w.d.client()
            g.write("data/meminfo", "0")
            stop, ends = threading.Event(), {}

            def watch_it():
                while not stop.is_set():
                    tx = monitor.start()
                    monitor.read("/local/domain/1/data/meminfo", tx)
                    time.sleep(0.3)
                    monitor.read("/local/domain/1/name", tx)
                    error = refused(monitor.end, tx)
                    ends[error] = ends.get(error, 0) + 1
            t = threading.Thread(target=watch_it)
            t.start()
            try:
                for n in range(writes):
                    g.write("data/meminfo", str(n))
                    time.sleep(pause)
            finally:
                stop.set()
                t.join()
            found = [line for line in w.d.log_text().splitlines() if "write rate limit: domain" in line]
            harness.note(f"{writes} writes: the monitor's transactions ended with {ends}; {len(found)} lines of the log")
            return ends, found
    ends, found = lines(10, 0.5)
    check(ends.get("EAGAIN", 0) > 1, "XSA-206: a monitor's transactions fail beside a guest that writes twice a second", ends)
    equal(found, [], "XSA-206: that one is not held up for it")
    _, found = lines(100, 0.05)
    check(found, "XSA-206: one that writes twenty times a second is")


def xsa_206_write_rate():
    """The same, for a guest that has used up what it may write at first without being slowed."""
    with World() as w:
        g, other = w.guest(1), w.guest(2)

        def flood(writes):
            """Seconds that it takes."""
            begin = time.monotonic()
            for first in range(0, writes, 20):
                g.put(b"".join(pack(NAMES["WRITE"], b"data\0%d" % n, 0, n) for n in range(first, first + 20)))
                g.notify()
                for _ in range(20):
                    g.reply()
            return time.monotonic() - begin
        tx = w.c.start()
        w.c.read("/local/domain/1/name", tx)
        took = flood(1400)
        check(took > 1, f"XSA-206: with a transaction open, 1400 writes of a guest take their time ({took:.1f} s)")
        other.write("data", "x")
        log = w.d.log_text()
        check("domain 1 is affected" in log and "domain 2 is affected" not in log,
              "XSA-206: the log names it, and another one is not slowed")
        w.c.end(tx, False)
        stop = threading.Event()

        def endless():
            n = 0
            while not stop.is_set():
                g.write("name", str(n))
                n += 1
        t = threading.Thread(target=endless, daemon=True)
        t.start()
        most = 0
        for _ in range(20):
            tries, done = 0, False
            while not done and tries < 100:
                tries += 1
                tx = w.c.start()
                name = w.c.read("/local/domain/1/name", tx)
                for n in range(20):
                    w.c.write(f"/copy/{n}", name, tx)
                done = refused(w.c.end, tx) is None
            most = max(most, tries)
        check(most <= 20, f"XSA-206: transactions that read what it writes all the time succeed, after {most} tries at most")
        stop.set()
        t.join()
        took = flood(2000)
        check(took < 5, f"XSA-206: without transactions it may write as it likes: 2000 times in {took:.1f} s")


def xsa_272_every_creation_counts():
    """oxenstored forgot to count nodes on some ways of making them."""
    with World() as w:
        set_quota(w.c, "nodes", 20)
        g = w.guest(1)

        def as_counted(what):
            equal(w.usage(1)["nodes"], len(w.owned(1)), f"XSA-272: {what}: nodes are counted as they are")

        def full(what):
            wrong = []
            for f in (lambda: g.write("full", "x"), lambda: g.mkdir("full"), lambda: g.write("data/full/x", "y"),
                      lambda: g.mkdir("a/b/c/d")):
                if refused(f) != "ENOSPC":
                    wrong.append("directly")
                tx = g.start()
                if (refused(lambda: g.mkdir("in-tx", tx)), refused(g.end, tx)) != ("ENOSPC", "ENOMEM"):
                    wrong.append("in a transaction")
            equal(wrong, [], f"XSA-272: {what}: and there is no way beyond the limit")
            as_counted(what)
        g.write("a", "1")
        g.mkdir("b")
        g.write("c/d/e/f", "2")
        g.mkdir("g/h/i")
        as_counted("WRITE, MKDIR, implicit parents")
        tx = g.start()
        g.write("t/u", "1", tx)
        g.mkdir("v", tx)
        g.rm("b", tx)
        as_counted("before a commit")
        g.end(tx)
        as_counted("a transaction")
        tx = g.start()
        g.write("w/x/y", "1", tx)
        g.end(tx, False)
        as_counted("an abort")
        w.c.write("/given", "x")
        w.c.set_perms("/given", ["n1"])
        w.c.write("/given/by-parent", "x")
        as_counted("nodes given by their creator")
        w.c.set_perms("/given", ["n0"])
        as_counted("a node taken away")
        g.rm("c")
        as_counted("a subtree removed")
        n = 0
        while refused(g.mkdir, f"n{n}") is None:
            n += 1
        equal(len(w.owned(1)), 20, "XSA-272: the quota can be used to the full")
        full("one after the other")
        # Two transactions that fit, but not together.
        for k in range(3):
            g.rm(f"n{k}")
        one, two = g.start(), g.start()
        g.write("one/a", "1", one)
        g.write("two/a", "1", two)
        g.end(one)
        check(refused(g.end, two) in ("ENOSPC", "EAGAIN", "ENOMEM"), "XSA-272: two transactions do not exceed it together")
        as_counted("two transactions")


def xsa_323_relative_paths():
    """oxenstored measured a relative path before its prefix was put before it."""
    with World() as w:
        g = w.guest(1)
        set_quota(w.c, "nodes", 0, 1)
        set_quota(w.c, "node-size", 0, 1)
        home = "/local/domain/1/"
        longest = ("x" * 63 + "/") * 31 + "y" * 64
        equal(len(longest), 2048, "the length of the longest relative path")
        for prefix, what in (("", "relative"), (home, "absolute")):
            for kind, rest in (("WRITE", b"v"), ("MKDIR", b""), ("READ", b""), ("WATCH", b"t" + prefix[:1].encode() + b"\0"), ("RM", b"")):
                for more, error in (("", None), ("y", "EINVAL")):
                    got = refused(g.request, NAMES[kind], (prefix + longest + more).encode() + b"\0" + rest)
                    if kind == "WATCH" and prefix and error is None:
                        error = got if got == "EEXIST" else None
                    equal(got, error, f"XSA-323: {kind} of a path of {len(longest + more)} characters ({what})")
        g.sync()
        equal(refused(g.read, longest), "ENOENT", "XSA-323: both spellings mean one node, which is gone")


def xsa_324_long_events():
    """An event is as long as path and token together: more than a message holds, with a long token."""
    with World() as w:
        set_quota(w.c, "node-size", 0)
        g, local = w.guest(1), w.d.client()
        for c in (g, local):
            for size in (4096 - len("/local/domain/1/data") - 2, 3000):
                c.watch("/local/domain/1/data", b"t" * size)
        for c in (g, local):
            c.sync()
            c.take_events()
        long = "x" * 500
        for n in range(20):
            w.c.write(f"/local/domain/1/data/{long}/{'y' * 60 * n}", str(n)) if n else w.c.write("/local/domain/1/data", "0")
        w.c.rm("/local/domain/1/data")
        for c, who in ((g, "a guest"), (local, "a local client")):
            lengths = [len(p) + len(t) + 2 for p, t in c.sync()]
            check(len(lengths) > 5 and max(lengths) <= PAYLOAD_MAX, f"XSA-324: {who} gets the events that fit a message, no others", lengths)
            equal(c.read("/local/domain/1/name"), b"guest-1", f"XSA-324: {who}'s connection is in step")
        equal(refused(g.watch, "data", b"t" * 4090), None, "XSA-324: the longest token is taken")
        w.c.write("/local/domain/1/data/x", "1")
        check(all(len(p) + len(t) + 2 <= PAYLOAD_MAX for p, t in g.sync()), "XSA-324: though nothing but its first event fits")


def xsa_330_reset_watches():
    """RESET_WATCHES left entries in oxenstored's index of watches."""
    with World() as w:
        g = w.guest(1)
        before = w.usage(1)
        for _ in range(30):
            n = 0
            while refused(g.watch, ("data", "data/a", "/local/domain/1/data/b", "@releaseDomain")[n % 4], str(n)) is None:
                n += 1
            g.request(NAMES["RESET_WATCHES"], b"\0")
            g.sync()
            g.take_events()
            if n != 128 or w.usage(1) != before:
                check(False, "XSA-330: watches after RESET_WATCHES", (n, w.usage(1), before))
                return
        harness.ok("XSA-330: after RESET_WATCHES all 128 watches can be set again, thirty times; the counts are as before")
        g.write("data/a", "x")
        w.c.write("/local/domain/1/data/b", "x")
        w.guest(2)
        w.end(2)
        equal(g.sync(), [], "XSA-330: and nothing fires")


def xsa_414_failed_creation():
    """A creation that failed half way was not undone, or wrongly."""
    with World() as w:
        set_quota(w.c, "nodes", 10)
        g = w.guest(1)
        g.mkdir("data")
        w.c.watch("/local/domain/1", "all")
        w.c.sync()
        w.c.take_events()
        before, counted = walk(w.c), w.usage(1)
        for path, value, error in (("data/" + "/".join("abcdefghij"), "x", "ENOSPC"), ("data/a/b/c", "v" * 3000, "ENOSPC"),
                                   ("data/" + "n" * 2030, "x", "ENOSPC"), ("data/a/" + "n" * 2039, "x", "ENOSPC")):
            equal(refused(g.write, path, value), error, f"XSA-414: a creation with {path.count('/')} levels and {len(value)} bytes")
            tx = g.start()
            equal(refused(g.write, path, value, tx), error, "XSA-414: and in a transaction")
            equal(sorted(g.directory("data", tx)), [], "XSA-414: which sees nothing of it")
            equal(refused(g.end, tx), "ENOMEM", "XSA-414: and cannot commit")
        equal(walk(w.c) == before and w.usage(1) == counted, True, "XSA-414: nothing is left of any, and nothing is counted")
        equal(w.c.sync(), [], "XSA-414: and no event has come")
        g.write("data/a/b/c", "fits")
        equal(g.read("data/a/b/c"), b"fits", "XSA-414: one that fits can be made")


def xsa_415_failed_creation_in_transaction():
    """A creation that failed within a transaction left nodes without a parent, which nobody could remove."""
    with World() as w:
        set_quota(w.c, "nodes", 10)
        g = w.guest(1)
        before, counted = walk(w.c), w.usage(1)
        for n in range(20):
            tx = g.start()
            g.write("good", "x", tx)
            for _ in range(n % 4):
                refused(g.write, "/".join(["p"] * 12), "x", tx)
            equal(refused(g.write, "p/q/r/s/t/u/v/w/x/y", "x", tx), "ENOSPC", f"XSA-415: creation {n} fails")
            g.mkdir("good2", tx)
            equal(refused(g.end, tx, n % 2 == 0), "ENOMEM" if n % 2 == 0 else None, "XSA-415: the transaction is doomed, or aborted")
        check(walk(w.c) == before and w.usage(1) == counted, "XSA-415: nothing is left of any")
        equal(w.c.control("check"), b"OK\0", "XSA-415: the daemon's own check finds nothing")
        w.d.stop()
        equal(git.fsck(w.d.repo), "", "XSA-415: the repository is sound")
        w.d.start()
        w.pid = w.d.server_pid()
        check(walk(w.d.client()) == before, "XSA-415: and has just that")


def xsa_416_request_memory():
    """The memory of a request was kept until its reply had been read."""
    with World() as w:
        clients = [w.d.client() for _ in range(50)]
        request = pack(NAMES["WRITE"], b"/bad path\0" + b"v" * 4000, 0, 1)
        rounds, each = 40, 20
        before = w.d.memory_kib("RssAnon")
        for _ in range(rounds):
            for c in clients:
                c.send_bytes(request * each)
            w.c.sync()
        sent = len(clients) * rounds * each
        # They are executed in order: the last reply to come says that all requests were taken.
        grown = w.d.memory_kib("RssAnon") - before
        harness.note(f"{sent * len(request) >> 20} MiB of requests whose replies nobody reads: the daemon grew by {grown} KiB")
        check(grown * KIB < sent * len(request) // 4, "XSA-416: requests do not stay in memory until their replies are read", grown)
        got = 0
        for c in clients:
            for _ in range(rounds * each):
                got += name_of(c.receive()) == "EINVAL"
        equal(got, sent, "XSA-416: each has its reply")
        # A guest that takes no replies.
        g = w.guest(1)
        before = w.d.memory_kib("RssAnon")
        rest = request * 300
        for _ in range(200):
            rest = g.put(rest)
            g.notify()
            w.c.sync()
        grown = w.d.memory_kib("RssAnon") - before
        check(grown * KIB < 1 << 20, "XSA-416: nor do those of a guest", grown)


def xsa_418_deep_trees():
    """Deep trees were walked by recursion, until the stack was full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (512 * KIB, hard))  # which the daemon inherits
    try:
        w = World()
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
    with w:
        set_quota(w.c, "nodes", 0)
        set_quota(w.c, "transaction-nodes", 0)
        g = w.guest(1)
        deep = "/".join(["d"] * 1024)
        for _ in range(3):
            g.write(deep, "bottom")
            equal(g.read(deep), b"bottom", "XSA-418: a guest makes a thousand levels")
            g.rm("d")
        tx = g.start()
        g.write(deep, "x", tx)
        g.end(tx, False)
        tx = g.start()
        g.write(deep, "x", tx)
        g.rm("d", tx)
        g.write(deep, "x", tx)
        g.end(tx)
        harness.ok("XSA-418: in transactions too")
        g.watch(deep, "w")
        g.sync()
        w.end(1)
        equal(w.owned(1), [], "XSA-418: they end with the domain")
        w.c.write("/d" * 2047, "x")
        w.c.control("check")
        w.d.kill()
        w.d.start()
        w.pid = w.d.server_pid()
        w.c = w.d.client()
        equal(w.c.read("/d" * 2047), b"x", "XSA-418: the deepest path that a message holds survives a death")
        w.c.rm("/d")


def xsa_421_create_and_remove():
    """Nodes made and removed in one transaction made its commit fail half way: some of it was done, some not."""
    with World() as w:
        g = w.guest(1)
        g.write("data/old", "1")
        g.write("data/old2/below", "1")
        w.c.watch("/local/domain/1/data", "w")
        w.c.sync()
        w.c.take_events()
        tx = g.start()
        for n in range(20):
            g.write(f"data/new{n}/x", "1", tx)
            g.rm(f"data/new{n}", tx)
        g.rm("data/old", tx)
        g.write("data/old", "2", tx)
        g.rm("data/old2", tx)
        g.write("data/stays", "1", tx)
        g.write("data/goes", "1", tx)
        g.rm("data/goes", tx)
        g.end(tx)
        equal(sorted(g.directory("data")), [b"old", b"stays"], "XSA-421: a transaction that makes and removes nodes commits as a whole")
        equal((g.read("data/old"), refused(g.read, "data/old/x")), (b"2", "ENOENT"), "XSA-421: with what it wrote")
        equal(w.usage(1)["nodes"], len(w.owned(1)), "XSA-421: and is counted so")
        named = {p for p, _ in w.c.sync()}
        equal([p for p in named if b"new" in p or b"goes" in p], [], "XSA-421: what came and went is not told")
        # One that cannot commit: nothing of it is done.
        set_quota(w.c, "nodes", w.usage(1)["nodes"] + 3, 1)
        before, counted = walk(w.c), w.usage(1)
        tx = g.start()
        g.rm("data/stays", tx)
        for n in range(4):
            g.write(f"data/more{n}", "x", tx)
        g.mkdir("direct", 0)
        g.mkdir("direct2", 0)
        error = refused(g.end, tx)
        check(error in ("ENOSPC", "ENOMEM", "EAGAIN"), "XSA-421: a commit that would exceed the quota fails", error)
        g.rm("direct")
        g.rm("direct2")
        check(walk(w.c) == before and w.usage(1) == counted, "XSA-421: and does nothing by halves")


def xsa_484_reset_in_transaction():
    """RESET_WATCHES within a transaction ended that transaction under the daemon's hands: a failed assertion."""
    with World() as w:
        g = w.guest(1)
        for c, who in ((g, "a guest"), (w.d.client(), "a local client")):
            others = [c.start() for _ in range(3)]
            tx = c.start()
            c.watch("data", "w")
            c.write("/local/domain/1/data/x", "1", tx)
            c.ok(NAMES["RESET_WATCHES"], b"\0", tx)
            for gone in others + [tx]:
                equal((refused(c.read, "/local/domain/1/name", gone), refused(c.end, gone)), ("ENOENT", "ENOENT"),
                      f"XSA-484: after {who}'s RESET_WATCHES in a transaction, that one and others are gone")
            equal(refused(c.read, "/local/domain/1/data/x"), "ENOENT", "XSA-484: and have done nothing")
            tx = c.start()
            c.write("/local/domain/1/data/y", "1", tx)
            c.end(tx)
            c.rm("/local/domain/1/data")
        equal(w.usage(1)["transactions"], 0, "XSA-484: none is counted any more")


# -- too much of everything -----------------------------------------------------------------------------


def xsa_326_limits():
    """Nothing limited what a guest could make the daemon hold: replies, events, transactions, nodes, watches.
    (test_memory measures what all of it comes to.)"""
    with World() as w:
        g, other = w.guest(1), w.guest(2)

        def until(f, most=3000):
            for n in range(most):
                error = refused(f, n)
                if error:
                    return n, error
            return most, None
        equal(until(lambda n: g.watch("data", str(n))), (128, "ENOSPC"), "XSA-326: watches are limited")
        g.request(NAMES["RESET_WATCHES"], b"\0")
        equal(until(lambda n: g.start()), (10, "ENOSPC"), "XSA-326: transactions are limited")
        g.request(NAMES["RESET_WATCHES"], b"\0")
        for what, nodes in (("present", True), ("absent", False)):
            if nodes:
                set_quota(w.c, "nodes", 0, 1)
                for n in range(1100):
                    g.mkdir(f"tn/{n // 100}/{n}")
            tx = g.start()
            equal(until(lambda n: g.read(f"tn/{n // 100}/{n}", tx) if nodes else absent(g, f"none/{n}", tx)), (1024, "ENOSPC"),
                  f"XSA-326: nodes that one transaction looks at are limited, {what} ones")
            equal(refused(g.end, tx), "ENOMEM", f"XSA-326: which dooms it ({what})")
            g.request(NAMES["RESET_WATCHES"], b"\0")
        g.rm("tn")
        set_quota(w.c, "nodes", 1000, 1)
        count, error = until(lambda n: g.mkdir(f"q/{n // 100}/{n}"))
        equal((error, len(w.owned(1))), ("ENOSPC", 1000), "XSA-326: nodes are limited")
        g.rm("q")
        equal(refused(g.write, "big", b"v" * 2048), "ENOSPC", "XSA-326: a node's size is limited")
        equal(refused(g.set_perms, "name", ["n1"] + ["r2"] * 5), "ENOSPC", "XSA-326: and its permission list")
        set_quota(w.c, "nodes", 0, 1)
        count, error = until(lambda n: g.write(f"m/{n // 50}/{n}", b"v" * 2000))
        memory = w.usage(1)["memory"]
        check(error == "ENOMEM" and 2_600_000 < memory <= 2_621_440, "XSA-326: memory is limited", (count, error, memory))
        equal(refused(g.watch, "m", b"t" * 2000 + b"x" * 1000), None if memory + 3020 <= 2_621_440 else "ENOMEM", "XSA-326: watches count in it")
        g.rm("m")
        # A guest that takes no replies is not read.
        request = pack(2, b"name\0", 0, 1)
        rest = request * 400
        for _ in range(100):
            rest = g.put(rest)
            g.notify()
            other.read("name")
        taken = (400 * len(request) - len(rest) - ((g.word(REQ_PROD) - g.word(REQ_CONS)) & 0xffffffff)) // len(request)
        check(taken * (16 + 7) <= 1024 + 20 * 4112 + 8192, "XSA-326: a guest that takes no replies is not read for long", taken)
        check(rest, "XSA-326: its ring stays full")


def absent(g, path, tx):
    """A look at what is not there."""
    try:
        g.read(path, tx)
    except XsError as e:
        if e.name != "ENOENT":
            raise


def xsa_349_equal_events():
    """A flood of events for one node filled the memory of the guest's kernel (and, in the daemon, the queue)."""
    with World() as w:
        g = w.guest(1)
        token = b"t" * 900
        g.watch("data", token)
        g.sync()
        g.take_events()
        for n in range(3000):
            w.c.write("/local/domain/1/data", str(n))
        got = g.sync()
        check(0 < len(got) <= 24, "XSA-349: of 3000 equal events a guest that was not looking gets a few", len(got))
        # Never those that are counted on.
        g.watch("@releaseDomain", token)
        g.sync()
        g.take_events()
        for _ in range(40):
            w.guest(2)
            w.end(2)
        equal(len(g.sync()), 40, "XSA-349: but every @releaseDomain")


def socket_buffer():
    """Bytes that lie between two processes."""
    with open("/proc/sys/net/core/wmem_default", encoding="ascii") as f:
        return int(f.read())


def xsa_354_flood_for_an_agent():
    """A guest's writes flooded an agent of the control domain that watches them."""
    with World() as w:
        g, agent = w.guest(1), w.d.client()
        token = b"t" * 3000
        agent.watch("/local/domain/1/data", token)
        agent.sync()
        agent.take_events()
        set_quota(w.c, "node-size", 0, 1)
        for n in range(3000):
            g.write("data/attr", str(n))
        got = agent.sync()
        harness.note(f"3000 events of 3 KB came to {len(got)}")
        check(0 < len(got) < 1000, "XSA-354: equal events for who does not read are merged", len(got))
        for n in range(3000):
            g.write(f"data/attr{n % 900}", str(n))
        got = agent.sync()
        # what is queued, and what lay in its socket and in the buffer of its connection
        most = (1 << 20) + 2 * socket_buffer() + 16 * KIB
        check(sum(len(p) + len(t) + 18 for p, t in got) <= most, "XSA-354: of different ones it gets what is bounded", len(got))
        agent.sync()
        equal(agent.read("/local/domain/1/data/attr299"), b"2999", "XSA-354: the agent sees the last state")


def soft_limit_of_memory():
    """It refuses nothing; the log names the domain, the quota and its value, once."""
    with World(["-q", "memory=1000"]) as w:
        g, other = w.guest(1), w.guest(2)
        g.write("data/a", "x" * 800)
        check("soft-memory" not in w.d.log_text(), "nothing to tell below it")
        for n in range(20):
            g.write("data/b", "x" * 800 * (n % 2))
        other.write("data/a", "x")
        lines = [line for line in w.d.log_text().splitlines() if "soft-memory" in line]
        check(len(lines) == 1 and "domain 1 has " in lines[0] and "beyond its quota soft-memory = 1000" in lines[0],
              "one line of it", lines)
        w.c.control("quota-soft", "set", "memory", "50")
        third = w.guest(3)
        third.write("data/a", "x" * 100)
        check("beyond its quota soft-memory = 50;" in w.d.log_text(), "as set while it runs", w.d.log_tail())


harness.main(soft_limit_of_memory, xsa_206_starvation, xsa_206_no_weapon, xsa_206_beside_a_monitor, xsa_206_write_rate,
             xsa_272_every_creation_counts, xsa_323_relative_paths,
             xsa_324_long_events, xsa_326_limits, xsa_330_reset_watches, xsa_349_equal_events, xsa_354_flood_for_an_agent,
             xsa_414_failed_creation, xsa_415_failed_creation_in_transaction, xsa_416_request_memory,
             xsa_418_deep_trees, xsa_421_create_and_remove, xsa_484_reset_in_transaction)
