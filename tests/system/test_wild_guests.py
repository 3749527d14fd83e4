#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Guests that do whatever a guest can do, toolstacks that introduce, release and destroy them meanwhile; beside them
others, which must not notice: with one server that must not end, and with servers that are killed all the time."""
import random
import threading
import time

from lib import git, harness
from lib.daemon import wait_for
from lib.guest import CONNECTION, ERROR, EVTCHN_PORT, FEATURES, REQ_CONS, REQ_PROD, RING, RSP_CONS, RSP_PROD
from lib.harness import check, equal
from lib.toolstack import introduce, introduced, start
from lib.wire import HEADER, XsError, pack

SECONDS = 12
GOOD, BAD = (1, 2, 3), range(20, 26)
WORDS = (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD)
ALL_WORDS = WORDS + (FEATURES, CONNECTION, ERROR, EVTCHN_PORT)


class Wild:
    """One domid and what becomes of it."""

    def __init__(self, host, d, domid, seed):
        self.host, self.domid, self.rng = host, domid, random.Random(f"{seed} {domid}")
        self.c = d.client()
        self.done = {}
        self.g = introduce(host, self.c, domid)

    # -- what the guest does: nothing of this waits ------------------------------------------------
    def noise(self):
        self.g.put(self.rng.randbytes(self.rng.randrange(1, RING)))
        self.g.notify()

    def indexes(self):
        for offset in self.rng.sample(WORDS, self.rng.randrange(1, 5)):
            self.g.set_word(offset, self.rng.choice((0, 1, 1024, 1025, 0x7fffffff, 0xffffffff, self.rng.getrandbits(32))))
            self.g.notify()

    def zeros(self):
        for offset in self.rng.sample(WORDS, self.rng.randrange(1, 5)):
            self.g.set_word(offset, 0)

    def words(self):
        self.g.set_word(self.rng.choice(ALL_WORDS), self.rng.getrandbits(32))
        self.g.notify()

    def half(self):
        self.g.put(HEADER.pack(11, 1, 0, self.rng.choice((100, 4096))) + b"data/h\0" + b"x" * self.rng.randrange(80))
        self.g.notify()

    def long(self):
        self.g.put(HEADER.pack(self.rng.randrange(30), 1, 0, self.rng.choice((4097, 0x80000000, 0xffffffff))))
        self.g.notify()

    def watches(self):
        self.flood(lambda n: pack(4, b"data/w%d\0" % n + b"t%d\0" % n))

    def transactions(self):
        self.flood(lambda n: pack(6, b"\0"))

    def writes(self):
        self.flood(lambda n: pack(11, b"data/%d\0" % (n % 7) + b"v" * self.rng.randrange(900)))

    def flood(self, one):
        rest = b"".join(one(n) for n in range(40))
        for _ in range(self.rng.randrange(30)):
            rest = self.g.put(rest)
            self.g.notify()
            if self.rng.random() < 0.5:
                cons, prod = self.g.word(RSP_CONS), self.g.word(RSP_PROD)
                if (prod - cons) & 0xffffffff <= RING:
                    self.g.set_word(RSP_CONS, prod)
            time.sleep(0.0005)

    def rings(self):
        for _ in range(500):
            self.g.notify()

    def closes(self):
        self.g.close_port()

    # -- what the toolstack does ---------------------------------------------------------------------
    def introduces(self):
        for _ in range(self.rng.randrange(1, 20)):
            kind = self.rng.randrange(4)
            if kind == 0:
                self.g.port = self.host.lib.guest_port(self.host.handle, self.domid)
            port = self.g.port if kind < 3 else self.rng.choice((1, 100000, 0x7fffffff))
            self.ask(8, b"%d\0001\000%d\0" % (self.domid, port))

    def releases(self):
        self.ask(9, b"%d\0" % self.domid)

    def resumes(self):
        self.host.shutdown(self.domid)
        self.ask(10, b"%d\0" % self.domid)
        self.ask(18, b"%d\0" % self.domid)

    def targets(self):
        self.ask(19, b"%d\0%d\0" % (self.domid, self.rng.choice(BAD)))

    def renames(self):
        self.host.set_id(self.domid, self.rng.getrandbits(31) | 1)

    def dies(self):
        self.host.destroy(self.domid, tell=self.rng.random() < 0.8)
        if self.rng.random() < 0.5:
            time.sleep(0.01)
        self.host.create(self.domid)
        self.g = type(self.g)(self.host, self.domid)
        if self.rng.random() < 0.8:
            self.introduces()

    def ask(self, kind, payload):
        try:
            self.c.request(kind, payload)
        except XsError as e:
            if e.name not in ("EINVAL", "ENOENT", "EEXIST"):
                raise
        self.c.take_events()

    ACTIONS = (noise, indexes, zeros, words, half, long, watches, transactions, writes, writes, rings, closes, introduces,
               introduces, releases, resumes, targets, renames, dies, dies)

    def act(self):
        action = self.rng.choice(self.ACTIONS)
        action(self)
        self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
        if self.rng.random() < 0.3:
            time.sleep(0.002)


def work(g, stop, bad, times):
    """A guest that can tell whether a request was executed twice, or not at all."""
    n = 0
    try:
        g.watch("data/news", "w")
        while not stop.is_set():
            n += 1
            begin = time.monotonic()
            g.ok(12, b"data/tmp\0")
            g.write("data/news", str(n))
            value = g.read("data/news")
            g.rm("data/tmp")
            times.append(time.monotonic() - begin)
            if value != b"%d" % n or g.take_events().count((b"data/news", b"w")) < 1:
                bad.append((g.domid, n, value))
                return
    except Exception as e:
        bad.append((g.domid, n, repr(e)))


def play(seed, kills):
    rng = random.Random(f"{seed} kills")
    host, d = start(["-w", "watch-event=1", "-w", "ring-scan=0"])
    c = d.client()
    pid = d.server_pid()
    good = [introduce(host, c, n) for n in GOOD]
    stop, bad, times = threading.Event(), [], []
    wild = [Wild(host, d, n, seed) for n in BAD]

    def run(w):
        try:
            while not stop.is_set():
                w.act()
        except Exception as e:
            bad.append((w.domid, repr(e)))
    threads = [threading.Thread(target=work, args=(g, stop, bad, times)) for g in good]
    threads += [threading.Thread(target=run, args=(w,)) for w in wild]
    for t in threads:
        t.start()
    killed, last, deadline = 0, None, time.monotonic() + SECONDS
    while time.monotonic() < deadline and not bad:
        time.sleep(rng.choice((0.005, 0.02, 0.1, 0.4)) if kills else 0.1)
        if kills:
            try:
                if rng.random() < 0.1:  # the server takes its place; both at once would be the end
                    wait_for(lambda: d.server_pid() not in (None, last), "a server that was not killed")
                    before = d.server_pid()
                    d.kill_keeper()
                    wait_for(lambda: d.server_pid() not in (None, before), "a new server")
                else:
                    last = d.kill_server()
                killed += 1
            except ProcessLookupError:
                pass
    stop.set()
    for t in threads:
        t.join()
    what = f"beside {len(BAD)} wild guests, seed {seed}" + (f", {killed} kills" if kills else "")
    equal(bad, [], f"{what}: nobody else notices")
    times.sort()
    harness.note(f"{len(times)} rounds of four requests; the median {times[len(times) // 2] * 1000:.1f} ms, "
                 f"99% {times[len(times) * 99 // 100] * 1000:.1f} ms, the longest {times[-1] * 1000:.0f} ms")
    harness.note(str({k: sum(w.done.get(k, 0) for w in wild) for k in sorted({k for w in wild for k in w.done})}))
    check(len(times) > 20, "they were served all the time", len(times))
    if not kills:
        equal(d.server_pid(), pid, "by one process")
    for w in wild:
        host.destroy(w.domid)
    wait_for(lambda: not any(introduced(c, n) for n in BAD), "the end of the wild ones")
    wait_for(lambda: not any(host.ports_of(n) for n in BAD), "their event channels")
    equal([int(n) for n in c.directory("/local/domain")], list(GOOD), "they leave nothing")
    equal([host.ports_of(n) for n in GOOD], [1] * len(GOOD), "the others have their event channels")
    for domid in BAD[:2]:
        g = introduce(host, c, domid)
        equal(g.read("name"), b"guest-%d" % domid, f"a new domain {domid} is served")
    check("DAMAGED" not in d.log_text() and "assert" not in d.log_text().lower(), "the log is free of crashes", d.log_tail)
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def one_server():
    play(harness.options.seed, False)


def killed_servers():
    play(harness.options.seed, True)


harness.main(one_server, killed_servers)
