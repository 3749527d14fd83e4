#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""xs-record tap: a daemon is recorded without its knowledge, from any moment on, and what was recorded can be played again to
the last message, whoever is killed meanwhile."""
import functools
import os
import random
import shutil
import signal
import subprocess
import threading
import time

from lib import daemon, git, guest, harness, recording
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.recording import Tap, records, text
from lib.wire import EVENT, HANG, NAMES, XsError

READ, WRITE, DIRECTORY = NAMES["READ"], NAMES["WRITE"], NAMES["DIRECTORY"]
JOURNAL = 1 << 20  # bytes, the smallest one
REQUESTS = 60  # of each client in the storm


@functools.cache
def server():
    return daemon.daemon()


def replay(*args):
    """(status, standard output, standard error) of xs-replay."""
    tool = os.path.join(harness.options.build, "bisect", "xs-replay")
    p = subprocess.run([tool, *args], capture_output=True, text=True, timeout=HANG, check=False)
    return p.returncode, p.stdout, p.stderr


def agrees(path, what):
    status, out, err = replay("--check", path)
    check(status == 0, f"{what}: played again, every message is as it was recorded", out + err)


def stop(tap, what):
    equal(tap.stop(), 0, f"{what}: SIGTERM ends the tap")
    check(" 0 events dropped, 0 events answered otherwise" in tap.said(), f"{what}: nothing was missed", tap.said())


def storm_client(d, number, log, kills=None):
    """Some of everything; what was sent and heard goes to log[number]."""
    lots = random.Random(number)
    sent, got = [], []
    with d.client() as c:
        def ask(kind, data, tx=0):
            sent.append((kind, c.send(kind, data, tx), tx, data))
            while True:
                m = c.receive()
                got.append(tuple(m))
                if m.type != EVENT:
                    return m
        ask(NAMES["WATCH"], b"/storm\0token%d\0" % number)
        tx = 0
        for n in range(REQUESTS):
            if kills and number == 0 and n % 20 == 10:
                kills()
            name = b"/storm/%d/%d" % (lots.randrange(2), lots.randrange(4))
            kind, data = lots.choice([(READ, name + b"\0"), (WRITE, name + b"\0" + lots.randbytes(lots.randrange(300))),
                                      (NAMES["RM"], name + b"\0"), (NAMES["MKDIR"], b"no/such path\0"), (99, b"what?"),
                                      (DIRECTORY, b"/storm\0"), (NAMES["SET_PERMS"], name + b"\0n0\0r5\0"),
                                      (NAMES["GET_PERMS"], name + b"\0")])
            if not tx and lots.random() < 0.2:
                tx = int(ask(NAMES["TRANSACTION_START"], b"\0").payload[:-1])
            ask(kind, data, tx)
            if tx and lots.random() < 0.3:
                ask(NAMES["TRANSACTION_END"], lots.choice([b"T\0", b"T\0", b"F\0"]), tx)
                tx = 0
        if tx:
            ask(NAMES["TRANSACTION_END"], b"T\0", tx)
    log[number] = sent, got


def storm(d, kills=None):
    log = {}
    threads = [threading.Thread(target=storm_client, args=(d, n, log, kills)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(HANG)
    equal(len(log), len(threads), "all clients of the storm end well")
    return log


def has_all(path, log, what):
    by_token = {c["request"][0][3]: c for c in recording.heard(path).values() if c["request"]}
    for number, (sent, got) in sorted(log.items()):
        c = by_token[b"/storm\0token%d\0" % number]
        events = [m for m in got if m[0] == EVENT]
        rest = iter(c["event"])  # of equal ones that waited for it, the client got one
        check(c["request"] == sent and c["reply"] == [m for m in got if m[0] != EVENT] and all(e in rest for e in events),
              f"{what}: client {number}, {len(sent)} requests and all that it heard")


def in_the_middle():
    """Connections, watches and a store are there already; a transaction is open when the tap is asked for."""
    d = server()
    old = d.client()
    old.write("/storm/0/0", "before")
    old.watch("/storm", "old")
    old.watch("@releaseDomain", "released")
    other = d.client()
    other.watch("/storm/0", "other")
    tx = other.start()
    other.write("/storm/1/1", "in a transaction", tx)
    end = threading.Timer(0.2, lambda: other.end(tx))
    end.start()
    tap = Tap(d.repo)
    end.join()
    log = storm(d)
    old.write("/storm/late", "x")
    old.unwatch("/storm", "old")
    other.close()
    old.sync()
    old.close()
    stop(tap, "begun in the middle")
    has_all(tap.file, log, "begun in the middle")
    lines = text(tap.file)
    check(any(" was-open socket d0 pid " in line for line in lines), "who was connected before is in it", lines[:20])
    agrees(tap.file, "begun in the middle")
    equal(os.stat(tap.file).st_mode & 0o777, 0o600, "nobody else may read the session")


def open_transaction():
    """One stays open while the tap begins: what had been done in it is missing, and nothing is said of what it then did."""
    d = server()
    c = d.client()
    tx = c.start()
    c.write("/storm/open", "early", tx)
    tap = Tap(d.repo)
    check("transactions are open all the time" in tap.said(), "the tap says that a transaction is open", tap.said())
    equal(c.read("/storm/open", tx), b"early", "its client notices nothing")
    c.write("/storm/more", "late", tx)
    for end in range(2):
        other = c.start()
        c.write("/storm/other", "%d" % end, other)
        c.end(other)
        try:
            c.end(tx, commit=end == 1)
        except XsError as e:
            equal(e.name, "ENOENT", "it had ended")
    stop(tap, "an open transaction")
    agrees(tap.file, "an open transaction")
    tx = c.start()
    c.write("/storm/open", "early", tx)
    tap = Tap(d.repo)
    c.end(tx)
    equal(c.read("/storm/open"), b"early", "it can be committed")
    c.close()
    stop(tap, "an open transaction, committed")
    agrees(tap.file, "an open transaction, committed")


def fresh():
    """From the begin of a store: the same history, commit by commit; server, keeper and all are killed meanwhile."""
    d = daemon.daemon()
    with d.client() as c:
        c.sync()  # from now on there is a store
    tap = Tap(d.repo)
    keeper = d.kill_keeper()
    wait_for(lambda: d.keeper_pid() not in (None, keeper), "another keeper")
    time.sleep(0.5)  # until it has everything: killed at the same moment, both lose the connections

    def kill():
        pid = d.kill_server()
        wait_for(lambda: d.server_pid() not in (None, pid), "another server")
    log = storm(d, kill)
    git.settle(d)
    stop(tap, "a fresh store")
    has_all(tap.file, log, "a fresh store, and kill -9 of server and keeper")
    check(sum("the daemon was started again" in line for line in text(tap.file)) >= 3, "it says when the daemon was started again")
    agrees(tap.file, "a fresh store")
    equal(replay("--commit", tap.file), (0, f"commit {git.rev(d.repo)}\n", ""), "played again it makes the same commits")


def tap_killed():
    """kill -9 of the tap: nobody notices, and what it has written can be played."""
    d = server()
    tap = Tap(d.repo)
    with d.client() as c:
        c.write("/killed", "1")
        wait_for(lambda: b"/killed|1" in recording.run("show", tap.file)[1], "the write in the file, soon")
        tap.kill()
        c.write("/killed", "2")
        equal(c.read("/killed"), b"2", "the daemon goes on")
    agrees(tap.file, "kill -9 of the tap")


def guests():
    """Domains come, talk through their rings, stop and die; one was there before."""
    host = guest.XenHost()
    d = host.daemon().start()
    tool = d.client()
    early = host.create(3).introduced_by(tool)
    tool.mkdir("/local/domain/3")
    tool.set_perms("/local/domain/3", ["n3"])
    early.watch("device", "mine")
    early.sync()
    tool.watch("@releaseDomain", "gone")
    tap = Tap(d.repo)
    early.write("device", "on")
    tool.watch("@introduceDomain", "new")
    late = host.create(5)
    late.introduced_by(tool)
    tool.mkdir("/local/domain/5")
    tool.set_perms("/local/domain/5", ["n5", "r3"])
    late.write("data", "x" * 2000)
    late.watch("data", "relative")
    equal(early.read("/local/domain/5"), b"", "a guest reads what another one lets it")
    try:
        early.write("/local/domain/5/data", "no")
        harness.fail("a guest may not write to another")
    except XsError:
        harness.ok("a guest may not write to another")
    late.introduced_by(tool)  # anew: the connection is another one
    late.write("data", "again")
    tool.take_events()
    host.shutdown(3)
    wait_for(lambda: tool.sync() or any(b"@releaseDomain" in e.payload for e in tool.take_events()), "news of the shutdown")
    host.destroy(3)
    wait_for(lambda: not tool.exists("/local/domain/3"), "the end of domain 3")
    tool.ok(NAMES["RELEASE"], b"5\0")
    tool.sync()
    stop(tap, "guests")
    lines = [line.split(" ", 1)[1] for line in text(tap.file)]
    check(any(line.endswith(" was-open ring d3") for line in lines), "the guest that was there is in it")
    equal(sum(line.endswith(" open ring d5") for line in lines), 2, "the one that came, both times")
    agrees(tap.file, "guests")


def redacted():
    """Values that nobody shall see are nowhere in the file, those of the store at the begin included."""
    d = server()
    with d.client() as c:
        c.write("/vm/1/password", "before-secret")
        tap = Tap(d.repo, "--redact", "*/password")
        c.write("/vm/1/password", "after-secret")
        equal(c.read("/vm/1/password"), b"after-secret", "the client sees it")
        c.write("/vm/1/name", "public")
    stop(tap, "redacted")
    with open(tap.file, "rb") as f:
        data = f.read()
    check(b"secret" not in data and b"public" in data, "hidden values are not in the file, others are")
    agrees(tap.file, "redacted")


def overtaken():
    """Stopped until the journal has been written over: it says exactly how many events it has missed, and goes on."""
    d = daemon.daemon(options=["--repo-size", str(JOURNAL * 8)])
    c = d.client()
    c.write("/a", "1")
    tap = Tap(d.repo)
    sent = 0

    def ask(times, path):
        nonlocal sent
        for done in range(0, times, 20):
            for _ in range(min(20, times - done)):
                c.send(READ, path + b"\0")
                sent += 1
            for _ in range(min(20, times - done)):
                c.reply()
    def recorded():
        return recording.run("show", tap.file)[1].count(b" request ")
    for times in (1, 2):
        ask(50, b"/a")
        wait_for(lambda: recorded() == 50 * (2 * times - 1), "requests in the file", step=0.05)
        os.kill(tap.process.pid, signal.SIGSTOP)
        ask(3 * JOURNAL // 3000, b"/" + b"x" * 2999)  # an error each time: no work for the history
        os.kill(tap.process.pid, signal.SIGCONT)
        wait_for(lambda: tap.said().count("events are missing") == times, "the tap's word that something is missing")
        ask(50, b"/a")
    equal(tap.stop(), 0, "overtaken: the tap goes on and ends well")
    lines = text(tap.file)
    dropped = [int(line.split()[2]) for line in lines if line.split()[1] == "dropped"]
    equal(recorded(), 200, "overtaken: what was said before and after is there")
    equal(recorded() + sum(dropped), sent, f"overtaken: {recorded()} requests recorded, {dropped} dropped, and the client sent as many")
    check(f" {sum(dropped)} events dropped" in tap.said(), "overtaken: the tap says so, too", tap.said())
    agrees(tap.file, "overtaken")
    c.close()


def rotated():
    """Each file of a row can be played by itself."""
    d = server()
    tap = Tap(d.repo, "--rotate-size", "30000")
    log = storm(d)
    stop(tap, "rotated")
    files = [f"{tap.file}.{n}" for n in range(1, 1000) if os.path.exists(f"{tap.file}.{n}")]
    check(len(files) > 1, f"there are {len(files)} files")
    bad = [(f, out) for f in files for status, out, _ in [replay("--check", f)] if status]
    check(not bad, "rotated: each of them, played again by itself, says what was recorded", bad)
    requests = sum(" request " in line for f in files for line in text(f))
    equal(requests, sum(len(sent) for sent, _ in log.values()), "rotated: together they have all requests")


def store_gone():
    """The store is removed: the tap says so and ends, and the file is whole."""
    d = daemon.daemon()
    with d.client() as c:
        c.write("/gone", "v")
        tap = Tap(d.repo)
        c.write("/gone", "w")
    d.kill()
    shutil.rmtree(d.repo)
    equal(tap.process.wait(HANG), 3, "without its store the tap ends")
    check("was set aside or removed" in tap.said(), "and says why", tap.said())
    check(any("WRITE /gone|w" in line for line in text(tap.file)), "what came before is in the file")
    agrees(tap.file, "the store was removed")


def refused():
    """What cannot be tapped is told in words that help."""
    empty = harness.temporary("none")
    for repo in (empty, os.path.join(empty, "none")):
        status, _, err = recording.run("tap", "--repo", repo, "-o", os.path.join(empty, "session"))
        check(status == 3 and b"--repo" in err, "no repository", (status, err))
    clone = os.path.join(empty, "clone")
    subprocess.run(["git", "clone", "-q", "--mirror", server().repo, clone], check=True, timeout=HANG)
    status, _, err = recording.run("tap", "--repo", clone, "-o", os.path.join(empty, "session"))
    check(status == 3 and b"a copy" in err, "a clone has no journal", (status, err))
    check(not os.path.exists(os.path.join(empty, "session")), "no file is made for them")


TESTS = [in_the_middle, open_transaction, fresh, tap_killed, guests, redacted, overtaken, rotated, store_gone, refused]
if __name__ == "__main__":
    harness.main(*TESTS)
