#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Guests that treat their rings in ways of their own: they ring rarely, or never, or set their indexes back."""
import random
import threading
import time

from lib import harness
from lib.guest import CONNECTION, ERROR, LAZY_SCAN, REQ_CONS, REQ_PROD, RING, RSP_CONS, RSP_PROD, Guest
from lib.harness import check, equal
from lib.toolstack import introduce, start
from lib.wire import EVENT, HEADER, pack


def lazy():
    """A guest that does not ring."""
    host, d = start()
    c = d.client()
    g = introduce(host, c, 4)
    g.read("name")
    time.sleep(0.1)
    g.lazy = True
    begin = time.monotonic()
    g.put(pack(2, b"name\0"))
    g.notify = lambda: None
    equal(g.reply().payload, b"guest-4", "a guest that does not ring is answered")
    took = time.monotonic() - begin
    check(took < LAZY_SCAN + 1, "within the slow scan", f"{took:.1f} s")
    d.stop()


def stream(style, options, rounds):
    """A long mixed stream: both rings full again and again, events while the guest's own ring is full, pauses on both sides."""
    rng = random.Random(f"{harness.options.seed} {style}")
    host, d = start(options)
    c = d.client()
    g = introduce(host, c, 1)
    g.style = style
    g.watch("data", "w")
    g.sync()
    g.write("data/big", "b" * 2000)
    g.take_events()
    out, expected, stop = b"", [], threading.Event()

    def events():
        with d.client() as mine:
            n = 0
            while not stop.is_set():
                mine.write(f"/local/domain/1/data/e{n % 50}", str(n))
                n += 1
                if rng.random() < 0.1:
                    time.sleep(0.005)
    for n in range(rounds):
        kind, body = rng.choice(((2, b"name\0"), (2, b"data/big\0"), (11, b"data/%d\0" % (n % 9) + b"v" * rng.choice((0, 10, 900))),
                                 (1, b"data\0")))
        out += pack(kind, body, 0, n)
        expected.append(n)
    got, seen, buffer = [], 0, b""
    t = threading.Thread(target=events)
    t.start()
    try:
        while len(got) < len(expected):
            before = len(out)
            out = g.put_and_ring(out)
            data = g.take(rng.choice((1, 16, 100, RING, RING, RING)))
            buffer += data
            while len(buffer) >= 16 and len(buffer) >= 16 + HEADER.unpack(buffer[:16])[3]:
                kind, req, _, length = HEADER.unpack(buffer[:16])
                if kind == EVENT:
                    seen += 1
                else:
                    got.append(req)
                buffer = buffer[16 + length:]
            if not data and len(out) == before:
                if len(got) == len(expected):
                    break
                g._await_ring("something to read, or room")
            elif rng.random() < 0.03:
                time.sleep(0.003)
    finally:
        stop.set()
        t.join()
    equal(got, expected, f"rings {style}: {rounds} requests are answered once, in order")
    check(seen > 20, "with events in between", seen)
    d.stop()


def styles():
    """Whenever a guest rings: who does as the protocol asks needs no look at all rings."""
    for style in (Guest.ALWAYS, Guest.NEEDED):
        stream(style, ["-w", "ring-scan=0"], 1500)
    stream(Guest.SILENT, [], 60)


def zeroed():
    """hvmloader's way: a ring is handed over with all indexes zero, and nobody is told."""
    host, d = start()
    c = d.client()
    g = introduce(host, c, 3)
    g.write("data/a", "1")
    g.watch("data", "w")
    g.sync()
    for i in range(2048):
        g.bytes[i] = 0xff
    for offset in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        g.set_word(offset, 0)
    equal(g.read("data/a"), b"1", "after the guest has zeroed its indexes")
    d.kill_server()
    equal(g.read("data/a"), b"1", "and the server has died")
    # Introduced again: everything of the old connection is gone.
    g.introduced_by(c)
    equal([g.word(o) for o in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD)], [0] * 4, "INTRODUCE resets the ring")
    c.write("/local/domain/3/data/a", "2")
    equal(g.read("data/a"), b"2", "an introduction anew")
    equal(list(g.events), [], "has no watches")
    check(host.ports_of(3) == 1, "and one event channel")
    old = g.port
    g.port = host.lib.guest_port(host.handle, 3)
    g.introduced_by(c)
    equal(g.read("data/a"), b"2", "with another event channel")
    check(host.ports_of(3) == 1 and g.connected() and not host.lib.guest_connected(host.handle, old),
          "the old one is given back")
    g.set_word(CONNECTION, 1)
    g.rung()
    g.introduced_by(c)
    check(g.word(CONNECTION) == 0 and g.rung(), "a wait for reconnection is ended, and told")
    g.introduced_by(c)
    check(not g.rung(), "who does not wait is not rung")
    d.stop()


def index_by_index():
    """A kernel that begins anew sets the indexes one by one. Who looks in between sees nonsense, which has to last before
    it counts."""
    host, d = start()
    c = d.client()
    g, other = introduce(host, c, 3), introduce(host, c, 4)
    words = (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD)
    g.watch("data", "w")
    for order in (words, words[::-1], (REQ_PROD, RSP_CONS, REQ_CONS, RSP_PROD), (RSP_PROD, REQ_CONS, RSP_CONS, REQ_PROD)):
        for n in range(4):
            g.write("data/x", "v" * 900)
            g.read("data/x")
        g.take_events()
        if min(g.word(o) for o in words) <= RING:
            check(False, "the indexes are high")
        for offset in order:
            g.set_word(offset, 0)
            g.notify()
            c.write("/local/domain/3/data/y", str(offset))  # and the daemon has something to send
            other.read("name")
        equal((g.read("data/x"), g.word(ERROR)), (b"v" * 900, 0), f"indexes zeroed in the order {order}")
        check((b"data/y", b"w") in g.take_events(), "its watch is still there")
    d.stop()


harness.main(lazy, styles, zeroed, index_by_index)
