#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Events that one guest causes and others have not taken: they hold that guest up, for a while, and cost nobody else
an event."""
import re
import threading
import time

from lib import harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.toolstack import World, introduced
from lib.wire import NAMES, Closed


class Writer(threading.Thread):
    """A guest that writes and removes a node with a long name, as fast as it may. The name is another one each time:
    equal events would be merged."""

    def __init__(self, g):
        super().__init__(daemon=True)
        self.g, self.rounds, self.stop, self.slowest = g, 0, False, 0.0

    def run(self):
        try:
            while not self.stop:
                begin = time.monotonic()
                name = "data/" + "x" * 180 + str(self.rounds)
                self.g.write(name, "1")
                self.g.rm(name)
                self.rounds += 1
                self.slowest = max(self.slowest, time.monotonic() - begin)
        except Closed:
            pass

    def stands_still(self):
        before = self.rounds
        time.sleep(1)
        return self.rounds == before

    def end(self):
        self.stop = True
        self.join(30)
        return not self.is_alive()


def flood():
    with World() as w:
        flooder, other = w.guest(5), w.guest(6)
        w.guest(7)
        with w.d.client() as b:
            b.watch("/local/domain", "tree")
            b.watch("@releaseDomain", "end")
            b.sync()
            b.take_events()
            writer = Writer(flooder)
            writer.start()
            wait_for(writer.stands_still, "the writer to be held up", 60)
            rounds = writer.rounds
            other.write("state", "4")
            w.end(7)
            check(writer.stands_still(), f"a guest whose events somebody does not take is held up, after {rounds} rounds")
            w.c.write("/fine", "1")
            harness.ok("others are served meanwhile")
            outstanding = re.search(r"^outstanding *: *(\d+)", w.c.control("quota", "5").decode(), re.M)
            check(outstanding and int(outstanding[1]) >= 20, "quota tells why", outstanding)
            events = b.sync()
            check((b"/local/domain/6/state", b"tree") in events, "who takes its events late has not missed another guest's",
                  lambda: len(events))
            check((b"@releaseDomain", b"end") in events, "nor the end of a domain", lambda: len(events))
            wait_for(lambda: b.sync() is not None and writer.rounds > rounds + 50, "the writer to go on", 60)
            harness.ok("and the guest goes on")
            writer.stop = True
            wait_for(lambda: b.sync() is not None and not writer.is_alive(), "the writer to end", 60)


def stopped_client():
    """Somebody has stopped a xenstore-watch: the guests do not stand still with it."""
    with World(["-w", "watch-event=4"]) as w:
        g = w.guest(5)
        with w.d.client() as b:
            b.watch("/local/domain", "tree")
            writer = Writer(g)
            writer.start()
            wait_for(writer.stands_still, "the writer to be held up", 60)
            rounds = writer.rounds
            wait_for(lambda: writer.rounds > rounds + 2000, "the writer to go on", 60)
            harness.ok("a client that takes nothing holds a guest up for as long as events may take, then no more")
            check("does not take its watch events" in w.d.log_text(), "the log names it", w.d.log_tail())
            check(writer.end(), "the guest is served to its end")


def guest_that_does_not_read():
    """A guest may read what another one writes: it shall not be able to stop it."""
    with World() as w:
        g, b = w.guest(5), w.guest(6)
        w.c.mkdir("/local/domain/5/data")
        w.c.set_perms("/local/domain/5/data", ["n5", "r6"])
        b.watch("/local/domain/5/data", "spy")
        writer = Writer(g)
        writer.start()
        time.sleep(2.5)
        rounds = writer.rounds
        time.sleep(3)
        harness.note(f"{rounds} rounds in the first 2.5 s, {writer.rounds - rounds} in 3 s more, slowest {writer.slowest:.2f} s")
        check(writer.rounds > rounds + 300, "a guest that does not read what another one does holds it up for a second, no more",
              (rounds, writer.rounds))
        check(writer.end(), "it is served to its end")
        w.c.write("/fine", "1")


def guest_that_pauses():
    """One that reads again just before it would be forgiven slows the other one down no longer than one that does not."""
    with World() as w:
        g, b = w.guest(5), w.guest(6)
        w.c.mkdir("/local/domain/5/data")
        w.c.set_perms("/local/domain/5/data", ["n5", "r6"])
        b.watch("/local/domain/5/data", "spy" * 150)
        stop = threading.Event()

        def read_at_times():
            while not stop.wait(0.7):
                b.sync()
        reader = threading.Thread(target=read_at_times)
        reader.start()
        writer = Writer(g)
        writer.start()
        time.sleep(4)
        rounds = writer.rounds
        time.sleep(4)
        stop.set()
        later = writer.rounds - rounds
        check(later > 300, f"a guest that pauses again and again does not slow another one down for long ({rounds}, then {later} rounds)")
        check(writer.end(), "it is served to its end")
        reader.join()


def transactions_of_others():
    """Large transactions fill the queue of somebody who does not read just now: another guest's event is not lost."""
    with World() as w:
        flooders, other = [w.guest(5), w.guest(7)], w.guest(6)
        with w.d.client() as b:
            b.watch("/local/domain", "tree")
            b.sync()
            for g in flooders:
                tx = g.start()
                deep = "/".join("x" * 200 for _ in range(9))
                for i in range(700):
                    g.write(f"{deep}/{i % 2}/{i}", "", tx)
                for i in range(100):  # to the last byte
                    g.write(f"s{i}", "", tx)
                g.end(tx)
            other.write("state", "4")
            events = b.sync()
            check((b"/local/domain/6/state", b"tree") in events, "others' large transactions cost a guest no event", len(events))


def special_events_unread():
    """Every @releaseDomain counts, and a guest may have many watches on it, with long tokens; what waits for one that
    does not read is bounded."""
    with World() as w:
        g = w.guest(1)
        for n in range(120):
            g.ok(NAMES["WATCH"], b"@releaseDomain\0" + b"%03d" % n + b"t" * 1900 + b"\0001\0")
        g.sync()
        g.take_events()
        for domid in range(10, 310):
            w.host.create(domid).introduced_by(w.c)
        w.c.sync()
        before = w.d.memory_kib()
        for domid in range(10, 310):
            w.host.destroy(domid)
            if domid % 10 == 0:  # so that the deaths are not told as one
                wait_for(lambda: not introduced(w.c, domid), f"the end of domain {domid}")
        wait_for(lambda: not introduced(w.c, 309), "the end of the last one")
        w.c.sync()
        grown = w.d.memory_kib() - before
        harness.note(f"300 deaths, 120 watches with tokens of 1903 bytes: the daemon grew by {grown} KiB")
        check(grown < 40 << 10, "what waits for a guest that does not read is bounded", f"{grown} KiB")
        check(g.sync(), "when it reads at last, it gets some of them")
        equal(g.read("name"), b"guest-1", "and is served")


harness.main(transactions_of_others, guest_that_pauses, flood, stopped_client, guest_that_does_not_read, special_events_unread)
