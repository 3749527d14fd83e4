#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Clients that misbehave: they may be closed or made to wait; nobody else is, and memory stays bounded."""
import functools
import os
import random
import resource
import select
import socket
import struct
import time

from lib import daemon, harness
from lib.harness import check, equal
from lib.wire import ERROR, EVENT, NAMES, Closed, XsError, pack

# What a few misbehaving clients may cost together: buffers of a few MiB each in two threads, and the
# journal and the history of what they do.
MEMORY_KIB = 192 * 1024


@functools.cache
def server():
    # Thousands of connections need descriptors: here, and in the daemon, which inherits the limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return daemon.Daemon().start()


def others_are_served(what, number=300):
    """A well-behaved client gets every answer. Time is only a guard against hanging."""
    with server().client(timeout=60) as c:
        try:
            for i in range(number):
                c.write("/others", str(i))
                if c.read("/others") != str(i).encode():
                    raise AssertionError("a wrong value")
            harness.ok(f"others are served {what}: {2 * number} answers")
        except (OSError, Closed, XsError, AssertionError) as e:
            harness.fail(f"others are served {what}", f"{type(e).__name__}: {e}")


def closed_by_daemon(c, timeout=30):
    """Does the daemon close this connection?"""
    c.sock.settimeout(timeout)
    try:
        while True:
            c.receive()
    except (Closed, BrokenPipeError):
        return True
    except TimeoutError:
        return False


def parts_of_messages():
    d = server()
    half = [d.client() for _ in range(4)]
    whole = pack(NAMES["WRITE"], b"/half/a\0value", req=1)
    half[0].send_bytes(whole[:1])
    half[1].send_bytes(whole[:8])
    half[2].send_bytes(whole[:16])
    half[3].send_bytes(whole[:-1])
    others_are_served("while four clients are in the middle of a message")
    for c, at in zip(half, (1, 8, 16, len(whole) - 1)):
        c.send_bytes(whole[at:])
        equal(c.reply().payload, b"OK\0", f"a message cut after {at} bytes is answered when it is complete")
    c = half[0]
    for byte in pack(NAMES["READ"], b"/half/a\0", req=2):
        c.send_bytes(bytes([byte]))
    equal(c.reply().payload, b"value", "a message sent byte by byte is answered")
    many = b"".join(pack(NAMES["READ"], b"/half/a\0", req=i) for i in range(3, 1003))
    c.send_bytes(many)
    equal([c.reply().req for _ in range(1000)], list(range(3, 1003)), "a thousand messages at once are answered in order")
    c.send_bytes(whole[:20])
    c.close()
    others_are_served("after one closed in the middle of a message", 50)
    for c in half[1:]:
        c.close()
    with d.client() as c:
        c.send(NAMES["READ"], b"/half/a\0", req=9)
        c.sock.shutdown(socket.SHUT_WR)
        equal(c.reply().payload, b"value", "a client that has finished writing still gets its reply")


def lengths():
    d = server()
    with d.client() as c:
        c.write("/length", "x")
        path = b"/length/" + b"n" * 80
        c.send(NAMES["WRITE"], path + b"\0" + b"v" * (4096 - len(path) - 1))
        equal(c.reply().payload, b"OK\0", "4096 bytes are taken")
    for length in (4097, 65536, 0x7fffffff, 0x80000000, 0xffffffff):
        c = d.client()
        c.send_bytes(struct.pack("=IIII", NAMES["READ"], 1, 0, length) + b"/length\0")
        check(closed_by_daemon(c), f"a length of {length} closes the connection")
        c.close()
    others_are_served("after impossible lengths", 50)


def garbage():
    d = server()
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    with d.client() as c:
        c.write("/garbage", "kept")
    for kind in range(64):
        c = d.client()
        try:
            if kind % 2:
                data = rng.randbytes(20000)  # noise: mostly impossible lengths
            else:
                data = b"".join(  # well-formed headers, random types and contents
                    pack(rng.choice((rng.randrange(40), rng.getrandbits(32))),
                         bytes(rng.choice(b"/ab\0T1@ .") for _ in range(rng.randrange(40))), rng.choice((0, 0, 1, 7)), i)
                    for i in range(200))
            c.send_bytes(data)
            if kind % 2 == 0:
                answers = 0
                while answers < 200:
                    answers += c.receive().type != EVENT
        except (Closed, OSError):
            pass
        c.close()
    others_are_served("after garbage", 50)
    with d.client() as c:
        for kind in range(200):
            for payload in (b"", b"\0", b"/", b"/\0", b"\0\0\0\0", b"/garbage2", b"1\0" * 5, b"\xff" * 100):
                if kind in (0, 9, 6, 8, 18, 19):
                    continue  # with such arguments these may do what they are for
                try:
                    c.request(kind, payload)
                except XsError:
                    pass
        c.sync()
        equal(c.read("/garbage"), b"kept", "every type with odd arguments gets exactly one answer")


def push(sock, data, seconds=3.0):
    """Sends as much as the daemon takes; returns how much that was."""
    sock.setblocking(False)
    sent, deadline = 0, time.monotonic() + seconds
    while sent < len(data) and time.monotonic() < deadline:
        if not select.select([], [sock], [], 0.2)[1]:
            if time.monotonic() > deadline - seconds + 1:
                break
            continue
        try:
            sent += sock.send(data[sent:sent + 65536])
        except BlockingIOError:
            continue
    return sent


def never_reads_replies():
    d = server()
    with d.client() as c:
        c.write("/big", b"v" * 4000)
    before = d.memory_kib()
    deaf = d.client()
    one = pack(NAMES["READ"], b"/big\0", req=1)
    sent = push(deaf.sock, one * 200000)
    others_are_served("while one asks and never reads the answers")
    grown = d.memory_kib() - before
    harness.note(f"it sent {sent // len(one)} requests of 4000 bytes each; the daemon grew by {grown} KiB")
    check(grown < MEMORY_KIB, "what it does not read costs bounded memory", f"{grown} KiB")
    # when it reads at last, it gets exactly what it asked for
    deaf.sock.settimeout(60)
    answers = sent // len(one)
    got = 0
    for _ in range(answers):
        m = deaf.receive()
        got += m.type == NAMES["READ"] and len(m.payload) == 4000
    equal(got, answers, "when it reads at last, every answer is there")
    deaf.close()


def never_reads_events():
    d = server()
    deaf = [d.client() for _ in range(4)]
    for n, c in enumerate(deaf):
        c.watch("/", f"deaf{n}" + "t" * 200)
    before = d.memory_kib()
    with d.client() as writer:
        for batch in range(100):
            writer.send_bytes(b"".join(pack(NAMES["WRITE"], b"/flood/%d-%d\0x" % (batch, i), req=i + 1) for i in range(500)))
            for i in range(500):
                writer.reply()
            writer.send_bytes(pack(NAMES["RM"], b"/flood\0", req=1))
            writer.reply()
    harness.ok("50,000 writes are answered while four watchers of everything never read")
    others_are_served("after that")
    grown = d.memory_kib() - before
    harness.note(f"the daemon grew by {grown} KiB")
    check(grown < MEMORY_KIB, "events that nobody reads cost bounded memory", f"{grown} KiB")
    c = deaf[0]
    c.send(NAMES["GET_DOMAIN_PATH"], b"5\0", req=4711)
    events, last = 0, None
    while True:
        m = c.receive()
        if m.type != EVENT:
            break
        events += 1
        path, token, rest = m.payload.split(b"\0")
        if token != b"deaf0" + b"t" * 200 or rest:
            harness.fail("events that were kept are whole", m)
            return
    harness.note(f"the first of them got {events} events")
    check(m.req == 4711 and m.payload == b"/local/domain/5\0", "when it reads at last, events are whole and replies come", m)
    for c in deaf:
        c.close()


def idle_connections():
    d = server()
    idle = [d.client() for _ in range(2000)]
    others_are_served("beside 2000 idle connections")
    for n, c in enumerate(idle):
        c.send(NAMES["WRITE"], b"/idle/%d\0x" % n)
    answered = sum(c.reply().payload == b"OK\0" for c in idle)
    equal(answered, 2000, "each of the 2000 is served when it asks")
    for c in idle:
        c.close()
    with d.client() as c:
        equal(len(c.directory_all("/idle")), 2000, "and what they wrote is there")


def sockets():
    """Open sockets of the daemon. (It opens packs as it needs them: those do not count.)"""
    count = 0
    directory = f"/proc/{server().server_pid()}/fd"
    for fd in os.listdir(directory):
        try:
            count += os.readlink(f"{directory}/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass
    return count


def connection_flood():
    d = server()
    others_are_served("before a flood", 10)
    before = sockets()
    for round_ in range(3000):
        c = d.client()
        kind = round_ % 4
        if kind == 1:
            c.send(NAMES["WRITE"], b"/flood2\0x")  # and does not wait
        elif kind == 2:
            c.send(NAMES["WATCH"], b"/\0x\0")
            c.send(NAMES["TRANSACTION_START"], b"\0")
        elif kind == 3:
            c.send_bytes(b"\x02\0\0")
        c.close()
    others_are_served("after 3000 short connections")
    daemon.wait_for(lambda: sockets() <= before, "the daemon to close what clients closed", timeout=60)
    harness.ok("no socket is left over")


def limits_of_one_client():
    """Watches and transactions beyond all reason: refused with ENOSPC, at the limit, not before."""
    d = server()
    before = d.memory_kib()
    with d.client() as c:
        refused = None
        for n in range(1200):
            try:
                c.start()
            except XsError as e:
                refused = (n, e.name)
                break
        harness.note(f"transactions: {refused}")
        check(refused == (1024, "ENOSPC"), "the 1025th open transaction is refused", refused)
    with d.client() as c:
        refused = None
        n = 0
        while n < 70000 and not refused:
            c.send_bytes(b"".join(pack(NAMES["WATCH"], b"/limit/w\0%d\0" % i, req=1) for i in range(n, n + 500)))
            for i in range(n, n + 500):
                m = c.reply()
                if m.type == ERROR and not refused:
                    refused = (i, m.payload)
            c.events.clear()
            n += 500
        check(refused == (65536, b"ENOSPC\0"), "the 65537th watch is refused", refused)
        others_are_served("beside a client with 65536 watches", 50)
    with d.client() as c:
        tx = c.start()
        refused = None
        n = 0
        while n < 70000 and not refused:
            c.send_bytes(b"".join(pack(NAMES["READ"], b"/\0", tx, 1) for _ in range(500)))
            for i in range(n, n + 500):
                m = c.reply()
                if m.type == ERROR and not refused:
                    refused = (i, m.payload)
            n += 500
        check(refused and 10000 < refused[0] <= 65536 and refused[1] == b"ENOSPC\0",
              "a transaction whose log grows beyond its limit is refused more", refused)
        try:
            c.end(tx)
            harness.fail("such a transaction is doomed")
        except XsError as e:
            equal(e.name, "ENOMEM", "such a transaction is doomed")
    others_are_served("after that", 50)
    harness.note(f"memory: {before} KiB before, {d.memory_kib()} KiB after")


def wide_and_deep():
    d = server()
    with d.client() as c:
        for start in range(0, 10000, 500):
            c.send_bytes(b"".join(pack(NAMES["WRITE"], b"/wide/n%d\0x" % i, req=1) for i in range(start, start + 500)))
            for _ in range(500):
                c.reply()
        equal(len(c.directory_all("/wide")), 10000, "ten thousand siblings")
        c.rm("/wide")
        path = "/d" * 1000
        for _ in range(20):
            c.write(path, "x")
            c.rm("/d")
        harness.ok("a thousand levels, twenty times")
    others_are_served("after that", 50)


def still_the_same_process():
    d = server()
    equal(d.server_pid(), FIRST, "all of this was one process: nothing crashed it")
    log = d.log_text()
    check("assert" not in log.lower() and "recover" not in log.lower(), "its log is free of crashes", log[-800:])


def remember():
    global FIRST
    FIRST = server().server_pid()


# Not for another daemon: the C one waits for the rest of a message, and for who does not read.
harness.main(remember, parts_of_messages, lengths, garbage, never_reads_replies, never_reads_events, idle_connections,
             connection_flood, limits_of_one_client, wide_and_deep, still_the_same_process)
