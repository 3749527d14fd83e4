#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Guests on their rings: the real daemon on an emulated Xen host."""
import os
import random
import signal
import subprocess
import threading
import time

from lib import git, harness
from lib.daemon import wait_for
from lib.guest import ERROR, FEATURES, LAZY_SCAN, REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD
from lib.harness import check, equal
from lib.toolstack import introduce, introduced, refused, start
from lib.wire import EVENT, HEADER, pack

KILLS = 40
STARTS = 25


def life():
    """A guest from its introduction to its death."""
    host, d = start()
    c = d.client()
    c.sync()
    check(host.ports_of(0) >= 1, "the control domain's ring is connected at start")
    equal(refused(lambda: c.ok(8, b"7\0001\0001\0")), "EINVAL", "INTRODUCE of a domain that does not exist")
    c.watch("@introduceDomain", "in")
    c.watch("@releaseDomain", "out")
    c.sync()
    g = introduce(host, c, 5)
    check((b"@introduceDomain", b"in") in c.sync(), "@introduceDomain")
    check(introduced(c, 5), "the daemon knows it")
    check(g.word(FEATURES) & 2, "its page tells features")
    equal(g.read("name"), b"guest-5", "it reads its own name, relative to its home")
    g.write("data/x", "1")
    equal(c.read("/local/domain/5/data/x"), b"1", "it writes")
    equal(c.get_perms("/local/domain/5/data/x"), [b"n5"], "what it makes is its own")
    g.watch("data", "token")
    c.write("/local/domain/5/data/x", "2")
    g.sync()
    c.write("/local/domain/5/data/x", "3")
    m = g.receive()
    equal((m.type, m.payload), (EVENT, b"data/x\0token\0"), "its watch fires, and it is rung for it")
    tx = g.start()
    g.write("data/y", "4", tx)
    g.end(tx)
    equal(g.read("data/y"), b"4", "transactions")
    equal(refused(g.write, "/local/domain/6/x", "1"), "EACCES", "not where it may not")
    equal(refused(g.read, "/tool/xenstored"), "EACCES", "nor read")
    c.sync()
    host.shutdown(5)
    wait_for(lambda: (b"@releaseDomain", b"out") in c.sync(), "@releaseDomain at the shutdown")
    check(introduced(c, 5), "a domain that has shut down stays introduced")
    host.destroy(5)
    wait_for(lambda: (b"@releaseDomain", b"out") in c.sync(), "@releaseDomain at the end")
    check(not introduced(c, 5), "the dead are not introduced")
    equal(c.directory("/local/domain"), [], "its nodes are gone")
    check(not g.connected(), "its event channel is given back")
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def pieces():
    """Requests in pieces of any size, and several at once; messages larger than the ring."""
    host, d = start()
    c = d.client()
    g = introduce(host, c, 1)
    request = pack(11, b"data/p\0" + bytes(range(256)) * 3, 0, 77)
    for size in (1, 3, 15, 16, 17, 500, 1023, 1024):
        for i in range(0, len(request), size):
            g.send_bytes(request[i:i + size])
        m = g.reply()
        if (m.type, m.req, m.payload) != (11, 77, b"OK\0"):
            check(False, f"pieces of {size}", m)
    equal(c.read("/local/domain/1/data/p"), bytes(range(256)) * 3, "requests in pieces of 1 to 1024 bytes")
    for n in range(30):
        g.write(f"data/{n}", str(n))
    many = b"".join(pack(2, b"data/%d\0" % n, 0, n) for n in range(30))
    g.send_bytes(many)
    equal([g.reply().payload for _ in range(30)], [b"%d" % n for n in range(30)], "30 requests at once")
    c.ok(26, b"1\0node-size\0" + b"8192\0")
    big = bytes(n % 251 for n in range(4096 - 9))
    g.write("data/big", big)
    equal(g.read("data/big"), big, "messages of 4 KiB through a ring of 1 KiB")
    # The indexes are free-running: beyond 2^32 too. The guest is quiescent here.
    for cons, prod in ((REQ_CONS, REQ_PROD), (RSP_CONS, RSP_PROD)):
        g.set_word(cons, 2 ** 32 - 300)
        g.set_word(prod, 2 ** 32 - 300)
    for n in range(20):
        g.write("data/wrap", str(n) * 50)
    equal(g.read("data/wrap"), b"19" * 50, "indexes that wrap around")
    d.stop()


def two_guests():
    """Two guests at a time: neither sees the other, each is answered for itself."""
    host, d = start()
    c = d.client()
    a, b = introduce(host, c, 1), introduce(host, c, 2)
    bad = []

    def work(g, name):
        try:
            for n in range(150):
                g.write(f"data/{n % 10}", f"{name}{n}")
                if g.read(f"data/{n % 10}") != f"{name}{n}".encode():
                    bad.append((name, n))
        except Exception as e:
            bad.append((name, repr(e)))
    threads = [threading.Thread(target=work, args=(g, name)) for g, name in ((a, "a"), (b, "b"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(bad, [], "two guests at once")
    equal(refused(a.read, "/local/domain/2/name"), "EACCES", "one does not read the other's")
    c.set_perms("/local/domain/2/name", ["n2", "r1"])
    equal(a.read("/local/domain/2/name"), b"guest-2", "unless it may")
    equal(refused(a.introduced_by, a), "EACCES", "a guest introduces nobody")
    host.destroy(2)
    wait_for(lambda: not introduced(c, 2), "the end of one")
    equal(a.read("name"), b"guest-1", "the other one lives on")
    equal(c.get_perms("/local/domain/1/name"), [b"n1"], "and has kept its permissions")
    d.stop()


def ignored(host, d, c, g, other, code, what):
    """`g` has just done something wrong."""
    wait_for(lambda: g.word(ERROR) == code, what + ": the error field", 10)
    check(True, f"{what}: the page says {code}")
    cons = g.word(REQ_CONS)
    other.write("data/fine", what)
    equal(other.read("data/fine"), what.encode(), "others are served")
    check(introduced(c, g.domid), "it stays introduced")
    equal(g.word(REQ_CONS), cons, "nothing more is read from it")
    prod = g.word(RSP_PROD)
    c.write(f"/local/domain/{g.domid}/data/watched", "x")
    time.sleep(0.05)
    equal(g.word(RSP_PROD), prod, "nor written to it")
    host.destroy(g.domid)
    wait_for(lambda: (b"@releaseDomain", b"out") in c.sync(), "@releaseDomain")
    check(not introduced(c, g.domid), "XSA-325: its end is told")


def bad_guests():
    host, d = start()
    c = d.client()
    c.watch("@releaseDomain", "out")
    other = introduce(host, c, 1)
    domid = 10

    def fresh():
        nonlocal domid
        domid += 1
        g = introduce(host, c, domid)
        g.watch("data", "w")
        g.sync()
        c.sync()
        return g

    g = fresh()
    g.set_word(REQ_PROD, g.word(REQ_CONS) + 1025)
    g.notify()
    ignored(host, d, c, g, other, 2, "XSA-38: a request index too far ahead")
    g = fresh()
    g.set_word(REQ_PROD, g.word(REQ_CONS) - 1)
    g.notify()
    ignored(host, d, c, g, other, 2, "a request index that runs backwards")
    g = fresh()
    g.set_word(RSP_CONS, g.word(RSP_PROD) + 5)
    g.put(pack(2, b"name\0"))
    g.notify()
    ignored(host, d, c, g, other, 2, "a response index ahead of ours")
    for length in (4097, 0x7fffffff, 0xffffffff):
        g = fresh()
        g.put(HEADER.pack(2, 0, 0, length) + b"x" * 100)
        g.notify()
        ignored(host, d, c, g, other, 3, f"XSA-420: a request of {length} bytes")
    g = fresh()
    g.put(HEADER.pack(2, 0, 0, 5000))
    g.notify()
    wait_for(lambda: g.word(ERROR) == 3, "the error field", 10)
    d.kill_server()
    other.write("data/after", "1")
    for offset in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        g.set_word(offset, 0)
    g.put(pack(2, b"name\0"))
    g.notify()
    other.read("data/after")
    time.sleep(LAZY_SCAN + 0.5)
    equal(g.word(REQ_CONS), 0, "a new server ignores it too, even if it resets its ring")
    g.introduced_by(c)
    g.notify()
    other.read("data/after")
    time.sleep(LAZY_SCAN + 0.5)
    equal(g.word(REQ_CONS), 0, "INTRODUCE does not end it")
    equal(host.ports_of(g.domid), 1, "nor takes a second event channel")
    check(introduced(c, g.domid), "the domain is introduced")
    c.ok(9, b"%d\0" % g.domid)
    for offset in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        g.set_word(offset, 0)
    g.port = host.lib.guest_port(host.handle, g.domid)
    g.introduced_by(c)
    g.put(pack(10, b"%d\0" % g.domid))
    g.notify()
    wait_for(lambda: g.word(RSP_PROD) != 0, "RELEASE and INTRODUCE do")
    check(True, "RELEASE and INTRODUCE do")
    d.stop()


def back_pressure():
    """A guest that does not take its answers is not read."""
    host, d = start()
    c = d.client()
    g, other = introduce(host, c, 1), introduce(host, c, 2)
    c.write("/local/domain/1/name", "n" * 400)
    requests = b"".join(pack(2, b"name\0", 0, n) for n in range(200))
    rest = g.put(requests)
    g.notify()
    for _ in range(50):
        rest = g.put(rest)
        g.notify()
        time.sleep(0.005)
    read = (len(requests) - len(rest)) // 21 - (g.word(REQ_PROD) - g.word(REQ_CONS)) // 21
    # 20 outstanding; two are in the ring; those that lie in the slot's buffer have been read and not executed
    check(20 <= read < 200, "a guest that takes no answers is not read for long", read)
    shown = [c.control("quota", str(n)).decode() for n in (1, 2)]
    equal([s.rsplit("outstanding", 1)[1].split()[1] for s in shown], ["20", "0"], "quota shows whose answers wait")
    d.client().write("/x", "1")
    other.write("data/x", "1")
    got = []
    while len(got) < 200:
        if rest:
            g.buffer += g.take()
            rest = g.put(rest)
            g.notify()
            time.sleep(0.001)
        else:
            got.append(g.reply().req)
    equal(got, list(range(200)), "when it takes them, all come, in order")
    d.stop()


def expired():
    """Events that a guest does not take are dropped after a while; answers never."""
    host, d = start(["-w", "watch-event=1"])
    c = d.client()
    g = introduce(host, c, 1)
    g.watch("data", "w")
    g.sync()
    payload = "p" * 200
    for n in range(200):
        c.write(f"/local/domain/1/data/{payload}{n}", "x")
    time.sleep(LAZY_SCAN * 2 + 1.2)
    g.send(2, b"name\0")
    g.reply()
    check(0 < len(g.events) < 200, "events of a guest that does not read are dropped", len(g.events))
    check("watch events are dropped" in d.log_text(), "which the log tells")
    g.events.clear()
    c.write("/local/domain/1/data/z", "x")
    g.sync()
    equal(g.read("name"), b"guest-1", "it is served again")
    d.stop()


def exactly_once():
    """The server is killed at any time, guests do not notice: each request is executed once, each answer and event
    comes once."""
    seed = harness.options.seed
    harness.note(f"seed {seed}")
    host, d = start(["-Q", "nodes=0", "-Q", "node-size=0", "-Q", "memory=0"])
    c = d.client()
    guests = [introduce(host, c, n) for n in (1, 2, 3)]
    watcher = introduce(host, c, 4)
    c.set_perms("/local/domain/1", ["n1", "r4"])
    c.mkdir("/local/domain/1/log")
    c.set_perms("/local/domain/1/log", ["n1", "r4"])
    watcher.watch("/local/domain/1/log", "w")
    watcher.sync()
    watcher.take_events()
    bad, done, counts = [], threading.Event(), {}

    def pipelined(g):
        """Appends by transactions would hide a repetition: MKDIR and RM of a node tell EEXIST and ENOENT apart."""
        rng = random.Random(seed + g.domid)
        n = 0
        try:
            while not done.is_set():
                batch, kinds = b"", []
                for _ in range(rng.randrange(1, 12)):
                    n += 1
                    value = bytes([97 + n % 26]) * rng.choice((0, 1, 30, 400, 1500))
                    kind = rng.choice((11, 11, 13, 2))
                    if kind == 11:
                        body = b"log/%d\0" % n + value
                    elif kind == 13:
                        # a second execution of this would be answered ENOENT
                        batch += pack(12, b"tmp\0", 0, n)
                        kinds.append((12, n, None))
                        n += 1
                        body = b"tmp\0"
                    else:
                        body = b"name\0"
                    batch += pack(kind, body, 0, n)
                    kinds.append((kind, n, value))
                at = 0
                while at < len(batch):
                    size = rng.randrange(1, 700)
                    g.send_bytes(batch[at:at + size])
                    at += size
                for kind, req, _ in kinds:
                    m = g.reply()
                    if m.type != kind or m.req != req or (kind != 2 and m.payload != b"OK\0"):
                        bad.append((g.domid, kind, req, m))
                        return
            counts[g.domid] = n
        except Exception as e:
            bad.append((g.domid, repr(e)))

    seen, enough = [], threading.Event()

    def watching():
        try:
            while not enough.is_set():
                if watcher.word(RSP_PROD) == watcher.word(RSP_CONS):
                    time.sleep(0.001)
                    continue
                m = watcher.receive()
                seen.append(m.payload)
        except Exception as e:
            bad.append(("watcher", repr(e)))
    threads = [threading.Thread(target=pipelined, args=(g,)) for g in guests]
    reader = threading.Thread(target=watching)
    for t in threads + [reader]:
        t.start()
    rng = random.Random(seed)
    kills = 0
    for _ in range(KILLS):
        time.sleep(rng.choice((0.001, 0.01, 0.03, 0.1)))
        d.kill_server()
        kills += 1
        if bad:
            break
    time.sleep(1)
    done.set()
    for t in threads:
        t.join()
    enough.set()
    reader.join()
    watcher.request(10, b"0\0")
    seen += [m.payload for m in watcher.events]
    equal(bad, [], f"{kills} kills: every answer came once, in order")
    harness.note(f"requests {counts}, events {len(seen)}")
    check(len(counts) == 3 and min(counts.values()) > 50, "there was some traffic", counts)
    # Events of one node may be merged while they wait, never repeated: each was written once.
    writes = [p for p in seen if p.startswith(b"/local/domain/1/log/")]
    equal(len(writes), len(set(writes)), "no event came twice")
    there = {b"/local/domain/1/log/" + n for n in c.directory_all("/local/domain/1/log")}
    equal(there - {p.split(b"\0")[0] for p in writes}, set(), "none was lost")
    for g in guests:
        equal(g.read("name"), b"guest-%d" % g.domid, f"guest {g.domid} is served")
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def after_death():
    """What happened while nobody served, or all processes had died."""
    host, d = start()
    c = d.client()
    a, b = introduce(host, c, 1), introduce(host, c, 2)
    a.watch("data", "w")
    a.sync()
    pid = d.kill_server()
    a.write("data/x", "1")
    check(d.server_pid() != pid, "a guest does not notice a killed server")
    equal(a.take_events(), [(b"data/x", b"w")], "its watch has survived")
    before = d.server_pid()
    d.kill_keeper()
    wait_for(lambda: d.server_pid() not in (None, before), "a new server, of the old one as keeper")
    a.write("data/y", "1")
    check(b"data/y" in [p for p, _ in a.take_events()], "nor a killed keeper")
    # Gone while nobody looked; the news is lost.
    keeper = wait_for(d.keeper_pid, "the keeper")
    os.kill(keeper, signal.SIGSTOP)
    d.kill_server()
    host.destroy(2, tell=False)
    os.kill(keeper, signal.SIGCONT)
    wait_for(lambda: d.server_pid() and not introduced(c, 2), "the end of a domain that died unseen")
    equal(c.directory("/local/domain"), [b"1"], "the end of a domain that died unseen")
    del b
    # Another domain of the same number.
    d.kill()
    host.destroy(1, tell=False)
    a2 = host.create(1)
    d.start()
    c = d.client()
    check(not introduced(c, 1) and c.directory("/local/domain") == [], "another domain of that number is not taken for it")
    a2 = introduce(host, c, 3)
    a2.write("data/x", "3")
    d.kill()
    d.start()
    equal(a2.read("data/x"), b"3", "all processes killed: the guest's event channel is bound anew")
    d.stop()


def memory():
    """XSA-326: what a guest that does not read can make the daemon hold is bounded."""
    host, d = start(["-w", "watch-event=0"])
    c = d.client()
    g = introduce(host, c, 1)
    g.watch("data", "w" * 1500)
    g.sync()
    before = d.memory_kib("RssAnon")
    # Each is another path, so that none is merged with another.
    for n in range(0, 9000, 300):
        for i in range(n, n + 300):
            c.send(11, b"/local/domain/1/data/%d-" % i + b"x" * 200 + b"\0")
        for _ in range(300):
            if c.reply().type != 11:
                check(False, "writes")
                return
        for i in range(n, n + 300):
            c.send(13, b"/local/domain/1/data/%d-" % i + b"x" * 200 + b"\0")
        for _ in range(300):
            c.reply()
    grown = d.memory_kib("RssAnon") - before
    harness.note(f"18,000 events of 1.8 KB: the daemon grew by {grown} KiB")
    check(grown < 40000, "XSA-326: events of a guest that does not read are bounded", grown)
    check("does not read" in d.log_text(), "which the log tells")
    g.send(2, b"name\0")
    equal(g.reply().payload, b"guest-1", "it can go on")
    d.stop()


def left_in_odd_places():
    """What a domain leaves may lie in what it leaves: its own nodes name a place that is searched first."""
    host, d = start()
    with d.client() as c:
        g, other = introduce(host, c, 7), introduce(host, c, 8)
        c.mkdir("/shared")
        c.set_perms("/shared", ["n0", "b7"])
        g.write("/shared/a/b", "x")
        g.write("vm", "/shared/a/b")
        c.write("/libxl/7/x", "1")
        c.set_perms("/libxl", ["n7"])
        c.set_perms("/libxl/7", ["n7"])
        pid = d.server_pid()
        host.destroy(7)
        wait_for(lambda: not c.exists("/local/domain/7"), "the end of a domain")
        equal((c.exists("/shared/a"), c.exists("/libxl"), c.exists("/shared")), (False, False, True), "all of it goes")
        equal(other.read("name"), b"guest-8", "others are served")
        equal(d.server_pid(), pid, "by the same process")
    d.stop()


def deep_transactions():
    """A thousand changes a thousand levels deep, in one transaction: history of it stays in its bounds."""
    host, d = start(["--repo-size", "48000000"])
    with d.client() as c:
        g = introduce(host, c, 1)
        deep = "data" + "/a" * 960
        g.mkdir(deep)
        for _ in range(2):
            tx = g.start()
            for n in range(1100):
                g.write(deep, str(n), tx)
            g.end(tx)
            c.write("/x", "1")
        c.control("sync")
        size = int(subprocess.run(["du", "-s", "-k", d.repo], capture_output=True, check=False).stdout.split()[0]) << 10
        check(size < 60_000_000, "it fits", size)
        equal(c.read(f"/local/domain/1/{deep}"), b"1099", "and is done")
    check("too large for a commit each" in git.run(d.repo, "log", "--format=%b", "main"), "a commit says what it holds")
    d.stop()
    equal(git.fsck(d.repo), "", "fsck is content")


def introductions():
    """The server is killed while guests are introduced, introduced anew, released and destroyed."""
    rng = random.Random(harness.options.seed + 1)
    host, d = start()
    c = d.client()
    stop = threading.Event()

    def killer():
        while not stop.wait(rng.choice((0.0, 0.001, 0.003, 0.01, 0.02, 0.02, 0.3))):
            try:
                d.kill_server()
            except ProcessLookupError:
                pass
    t = threading.Thread(target=killer)
    t.start()
    bad, rounds = [], 0
    try:
        begin = time.monotonic()
        while time.monotonic() - begin < 10 or (rounds < 12 and time.monotonic() - begin < 120):
            rounds += 1
            domid = 10 + rounds % 3
            g = introduce(host, c, domid)
            for again in range(rng.randrange(3)):
                g.write("data/x", str(again))
                if rng.random() < 0.5:
                    g.port = host.lib.guest_port(host.handle, domid)
                g.introduced_by(c)
            g.write("data/x", "last")
            if g.read("data/x") != b"last" or host.ports_of(domid) != 1:
                bad.append((rounds, host.ports_of(domid)))
            if rng.random() < 0.3:
                c.ok(9, b"%d\0" % domid)
            host.destroy(domid)
            wait_for(lambda: not introduced(c, domid) and not host.ports_of(domid), "the end of a domain")
    finally:
        stop.set()
        t.join()
    equal(bad, [], f"{rounds} guests came and went under kills")
    check(rounds > 10, "there were some", rounds)
    equal(c.directory("/local/domain"), [], "they have left nothing")
    g = introduce(host, c, 20)
    d.stop()
    g.send(2, b"name\0")
    d.start()
    equal(g.reply().payload, b"guest-20", "an orderly stop and a start: the guest goes on")
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def checkpoint(d):
    """Which file it is now."""
    try:
        return os.stat(os.path.join(d.repo, "xsgit", "checkpoint")).st_ino
    except FileNotFoundError:
        return None


def open_transactions():
    """What a guest has open when the server is killed is done again from the checkpoint; whatever it was, and
    whatever happened to the guest's rights since."""
    def too_long(host, c, g):
        equal(refused(g.write, "x" * 2100, "v", 1), "EINVAL", "a path too long, in a transaction")

    def target_dies(host, c, g):
        equal(g.read("/local/domain/6/name", 1), b"guest-6", "a stub domain looks at its target")
        host.destroy(6)
        wait_for(lambda: not introduced(c, 6), "the end of the target")

    def target_comes(host, c, g):
        equal(refused(g.read, "/local/domain/7/name", 1), "EACCES", "a stub domain without target")
        c.ok(19, b"5\0007\0")

    for what, before, then, result in (("a path too long", None, too_long, None), ("its target dies", b"6", target_dies, "EAGAIN"),
                                       ("it gets a target", None, target_comes, "EAGAIN")):
        host, d = start()
        c = d.client()
        g, _, _ = (introduce(host, c, n) for n in (5, 6, 7))
        if before:
            c.ok(19, b"5\0" + before + b"\0")
        g.start()
        g.write("data/x", "1", 1)
        then(host, c, g)
        for n in range(2):  # the second one is younger than all of this
            was = checkpoint(d)
            c.write("/tick", str(n))
            wait_for(lambda: checkpoint(d) not in (None, was), "a checkpoint")
        d.kill_server()
        equal((d.client().read("/tick"), g.read("name")), (b"1", b"guest-5"), f"a server killed with an open transaction ({what}): all is there")
        equal(refused(g.end, 1), result, f"it can be ended ({what})")
        check("DAMAGED" not in d.log_text(), "no store is set aside", d.log_tail())
        d.stop()
        equal(git.fsck(d.repo), "", "the repository is sound")


def taken_over():
    """A second start takes the rings over."""
    host, d = start()
    c = d.client()
    g = introduce(host, c, 1)
    g.write("data/a", "1")
    second = host.daemon()
    second.launch(second=True)
    wait_for(lambda: second.server_pid() and not d.members(), "the newcomer to take over")
    equal(g.read("data/a"), b"1", "a newcomer goes on with the guests")
    check(host.ports_of(1) == 1, "on the same event channel")
    host.destroy(1)
    wait_for(lambda: not introduced(c, 1), "the news of domains to reach the newcomer")
    second.stop()


def storm():
    """Daemons are started in each other's place, any of their processes is killed: guests do not notice."""
    rng = random.Random(harness.options.seed + 2)
    harness.note(f"seed {harness.options.seed}")
    host, first = start()
    with first.client() as c:
        g = introduce(host, c, 1)
    daemons, count = [first], 0
    for number in range(STARTS):
        for _ in range(5):
            g.send(11, b"data/%d\0x" % (count % 10))
            count += 1
        d = host.daemon()
        d.log = os.path.join(host.dir, f"log.{number}")
        daemons.append(d.launch(second=True))
        for _ in range(rng.choice((1, 1, 2))):
            time.sleep(rng.choice((0, 0.002, 0.005, 0.01, 0.03, 0.1)))
            living = [p for d in daemons for p in d.members()]
            if living:
                victim = rng.choice(living)
                d.signal(victim, signal.SIGKILL)
                wait_for(lambda: victim not in [p for d in daemons for p in d.members()], "a death")
        if not any(d.alive() for d in daemons):
            d = host.daemon()
            d.log = os.path.join(host.dir, f"log.{number}-again")
            daemons.append(d.launch(second=True))
        for _ in range(5):
            m = g.reply()
            if m.payload != b"OK\0":
                check(False, "answers", m)
    wait_for(lambda: sum(d.alive() for d in daemons) == 1, "one daemon to be left", 60)
    equal(g.read("name"), b"guest-1", f"{STARTS} starts, each with some process killed: the guest is served")
    check(g.next_req == count + 2 and not g.buffer, "each request was answered once")
    check(host.ports_of(1) == 1 and host.ports_of(0) == 2, "no event channel is left over",
          (host.ports_of(1), host.ports_of(0)))
    last = [d for d in daemons if d.alive()][0]
    last.stop()
    equal(git.fsck(last.repo), "", "the repository is sound")


harness.main(life, pieces, two_guests, bad_guests, back_pressure, expired, exactly_once, after_death, introductions, memory,
             left_in_odd_places, deep_transactions, open_transactions, taken_over, storm)
