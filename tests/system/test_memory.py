#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One guest and one local process do their worst for a while: they take no replies and no events, hoard watches,
transactions, values and paths. What the daemon and its repository take stays below what the limits allow in all, and
everybody else is answered. Bytes are counted, not time."""
import os
import threading
import time

from lib import git, harness
from lib.daemon import wait_for
from lib.guest import ERROR as ERROR_FIELD
from lib.harness import check, equal
from lib.toolstack import World, refused
from lib.wire import HEADER, NAMES, Closed, XsError, pack

MIB = 1 << 20
SECONDS = 18  # of attack
STALL = 5  # seconds, on any machine
REPOSITORY = 32 * MIB

# The limits, as xsgit/base/limits.hpp and the quotas say.
GUEST_MEMORY = 2_621_440  # quota `memory`
LOG = 4 * MIB             # all transactions of a connection
OUTPUT = MIB + MIB // 4   # unread events and replies of a connection
WATCHES = 65536           # of a local connection
WATCH_COST = 512          # bytes that a short one takes
CONNECTIONS = 6           # that the attackers have


def state_bound():
    return GUEST_MEMORY + CONNECTIONS * LOG + WATCHES * WATCH_COST // 3


def bound():
    """What may be added to what the daemon takes at rest. State is held twice: the server's and that of the thread
    that writes history. What the limits count takes up to three times as much in memory, as objects."""
    counted = state_bound()
    # The repository, with a quarter beyond its size at times, is mapped too. Transactions hold old versions of values
    # that the history of the last two epochs has, too: within its size, if they do not compress.
    return 2 * (REPOSITORY * 5 // 4) + 2 * REPOSITORY + 2 * 3 * counted + CONNECTIONS * OUTPUT


def size_of(directory):
    """Bytes on the file system without checkpoints, and of these; files may vanish meanwhile."""
    total = checkpoints = 0
    for where, _, files in os.walk(directory):
        for name in files:
            try:
                size = os.lstat(os.path.join(where, name)).st_blocks * 512
                if name.startswith("checkpoint"):
                    checkpoints += size
                else:
                    total += size
            except FileNotFoundError:
                pass
    return total, checkpoints


class Workers:
    """Functions that are called again and again, each in a thread of its own, until stop()."""

    def __init__(self):
        self.quit = threading.Event()
        self.calls, self.times, self.broken, self.threads = {}, {}, [], []

    def run(self, name, f, *args):
        self.calls[name], self.times[name] = 0, []

        def loop():
            try:
                while not self.quit.is_set():
                    begin = time.monotonic()
                    f(*args, self.calls[name])
                    self.times[name].append(time.monotonic() - begin)
                    self.calls[name] += 1
            except Exception as e:
                self.broken.append(f"{name}: {type(e).__name__}: {e}")
        self.threads.append(threading.Thread(target=loop, daemon=True))
        self.threads[-1].start()

    def stop(self):
        self.quit.set()
        for t in self.threads:
            t.join(180)
        return [t for t in self.threads if t.is_alive()]


def tolerant(f, *args):
    """Refusals by limits are what is to be expected."""
    error = refused(f, *args)
    if error not in (None, "ENOSPC", "ENOMEM", "EAGAIN", "EEXIST", "ENOENT", "EINVAL"):
        raise AssertionError(f"refused with {error}")
    return error


# -- the guest ------------------------------------------------------------------------------------------


def bad_guest(g, round_):
    """Each round it fills every quota that it has, then ends everything and begins anew."""
    for n in range(128):
        tolerant(g.watch, "data", b"%d" % n + b"t" * 900)
    transactions = []
    for n in range(10):
        try:
            transactions.append(g.start())
        except XsError:
            break
    for tx in transactions:
        for n in range(40):
            if tolerant(g.write, f"data/{'p' * 1500}/{round_}/{tx}/{n}", os.urandom(1500), tx):
                break
        for n in range(60):
            tolerant(g.read, f"none/{'q' * 1800}{n}", tx)
    for n in range(1500):
        if tolerant(g.write, f"fill/{n // 60}/{n}", os.urandom(1900)):
            break
    # and for a while it takes nothing
    rest = pack(NAMES["READ"], b"fill/0/0\0", 0, 1) * 2000
    for _ in range(100):
        rest = g.put(rest)
        g.notify()
        time.sleep(0.002)
    while g.word(2048) != g.word(2052):  # its requests are read when it goes on
        g.take()
        time.sleep(0.0005)
    resynchronise(g)
    for tx in transactions:
        tolerant(g.end, tx, bool(tx % 2))
    g.request(NAMES["RESET_WATCHES"], b"\0")
    tolerant(g.rm, "fill")
    tolerant(g.rm, "data")


def resynchronise(g):
    """What was not taken was thrown away, in the middle of a message as may be: its kernel introduces itself anew."""
    g.buffer.clear()
    g.events.clear()
    with g.daemon.client() as c:
        g.introduced_by(c)


# -- the local process ----------------------------------------------------------------------------------


def deaf_asker(state, d, _):
    """Asks and never reads."""
    if "c" not in state:
        state["c"] = d.client()
        state["c"].write("/bad/big", b"v" * 4000)
        state["c"].sock.setblocking(False)
    try:
        state["c"].sock.send(pack(NAMES["READ"], b"/bad/big\0", 0, 1) * 200)
    except BlockingIOError:
        time.sleep(0.01)


def deaf_watcher(state, d, n):
    """Watches all there is, and never reads."""
    if "c" not in state:
        state["c"] = d.client()
        state["c"].watch("/", b"t" * 3000)
    time.sleep(0.05)


def watch_hoarder(state, d, n):
    if "c" not in state:
        state["c"] = d.client()
    c = state["c"]
    first = n * 500
    c.send_bytes(b"".join(pack(NAMES["WATCH"], b"/bad/w%d\0%d\0" % (i % 100, i), req=1) for i in range(first, first + 500)))
    for _ in range(500):
        c.reply()
    c.events.clear()


def transaction_hoarder(state, d, n):
    """Many open transactions, each of which holds another version of values that it rewrites all the time."""
    if "c" not in state:
        state["c"], state["open"] = d.client(), []
    c = state["c"]
    for _ in range(30):
        if len(state["open"]) >= 1000:
            tolerant(c.end, state["open"].pop(0), n % 2 == 0)
        state["open"].append(c.start())
        tolerant(c.write, f"/bad/held/{'h' * 2000}", os.urandom(1800), state["open"][-1])
    for i in range(20):
        c.write(f"/bad/churn/{(n * 20 + i) % 400}", os.urandom(2000))


def liar(state, d, n):
    """Halves of messages, and lengths that cannot be."""
    c = d.client()
    try:
        if n % 2:
            c.send_bytes(HEADER.pack(NAMES["WRITE"], 1, 0, (4097, 0x7fffffff, 0xffffffff)[n % 3]))
            c.sock.settimeout(30)
            c.receive()
        else:
            c.send_bytes(HEADER.pack(NAMES["WRITE"], 1, 0, 4096) + b"x" * 4000)
            time.sleep(0.01)
    except (Closed, OSError):
        pass
    c.close()


def event_maker(state, d, n):
    """Writes where the guest watches, always something new."""
    if "c" not in state:
        state["c"] = d.client()
    c = state["c"]
    c.send_bytes(b"".join(pack(NAMES["WRITE"], b"/local/domain/1/data/e%d-%d\0x" % (n, i), req=1) for i in range(100)))
    for _ in range(100):
        c.reply()
    tolerant(c.rm, "/local/domain/1/data")


# -- everybody else -------------------------------------------------------------------------------------


def well_behaved(c, path, n):
    c.write(path, str(n))
    if c.read(path) != str(n).encode():
        raise AssertionError(f"{path} has another value")


def worst():
    with World(["--repo-size", str(REPOSITORY)]) as w:
        g, other = w.guest(1), w.guest(2)
        g.daemon = w.d
        w.c.control("sync")
        at_rest = w.d.memory_kib() * 1024 + sum(size_of(w.d.repo))
        most = {"all": 0, "memory": 0, "repository": 0, "checkpoints": 0}
        attack, others = Workers(), Workers()
        others.run("another guest", well_behaved, other, "data/x")
        others.run("another local client", well_behaved, w.d.client(), "/others")
        attack.run("guest", bad_guest, g)
        for f in (deaf_asker, deaf_watcher, watch_hoarder, transaction_hoarder, liar, event_maker):
            attack.run(f.__name__, f, {}, w.d)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            memory, (repository, checkpoints) = w.d.memory_kib() * 1024, size_of(w.d.repo)
            for name, n in (("memory", memory), ("repository", repository), ("checkpoints", checkpoints),
                            ("all", memory + repository + checkpoints)):
                most[name] = max(most[name], n)
            time.sleep(0.1)
        stuck = attack.stop()
        answered = dict(others.calls)
        stuck += others.stop()
        limit = at_rest + bound()
        harness.note(f"at rest {at_rest >> 20} MiB; at most {most['all'] >> 20} MiB: {most['memory'] >> 20} of memory, "
                     f"{most['repository'] >> 20} of repository, {most['checkpoints'] >> 20} of checkpoints; bound {limit >> 20} MiB")
        harness.note(f"rounds {attack.calls}; others {answered}")
        slowest = 0
        for name, times in others.times.items():
            times.sort()
            slowest = max(slowest, times[-1])
            harness.note(f"{name}, a write and a read: p50 {1e3 * times[len(times) // 2]:.1f} ms, "
                         f"p99 {1e3 * times[len(times) * 99 // 100]:.1f}, most {1e3 * times[-1]:.0f}")
        check(slowest < STALL, f"nobody else is stalled: {slowest:.2f} s at most")
        check(most["all"] < limit, "what a guest and a local process can make the daemon hold is bounded", most)
        # Two checkpoints and the next one hold all state. History makes room for them, but keeps a quarter of its own.
        check(most["repository"] <= REPOSITORY * 5 // 4, "so is the repository", most)
        check(most["checkpoints"] <= 3 * state_bound(), "so are the checkpoints", most)
        equal(attack.broken, [], "all that was refused was refused by limits")
        equal((others.broken, stuck), ([], []), "others got every answer")
        check(min(answered.values()) > 100, "and not a few", answered)
        check(min(attack.calls.values()) > 0, "every attack was carried out", attack.calls)
        # at last the guest sends a length that cannot be
        g.put(HEADER.pack(NAMES["WRITE"], 0, 0, 0xffffffff))
        g.notify()
        wait_for(lambda: g.word(ERROR_FIELD) == 3, "the guest to be ignored")
        well_behaved(other, "data/x", 1)
        w.end(1)
        equal(w.owned(1), [], "when it ends, nothing is left of it")
        w.d.stop()
        equal(git.fsck(w.d.repo), "", "the repository is sound")
        w.d.start()
        w.pid = w.d.server_pid()


harness.main(worst)
