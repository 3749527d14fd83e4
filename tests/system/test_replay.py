#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""xs-replay from outside, with sessions written by an implementation of xsgit-session(5) of its own, played in process and to
the real daemon."""
import os
import random
import re
import socket
import subprocess
import threading

from lib import daemon, git, harness, script, toolstack
from lib import session as s
from lib.harness import check, equal
from lib.replaying import at, replay, writes
from lib.wire import EVENT, HANG, NAMES, Client, pack

READ, WRITE, WATCH, RM, DIRECTORY = (NAMES[n] for n in ("READ", "WRITE", "WATCH", "RM", "DIRECTORY"))
START, END, ERROR = NAMES["TRANSACTION_START"], NAMES["TRANSACTION_END"], NAMES["ERROR"]


class Recorder:
    """Clients of a daemon whose requests, replies and events are written into a session."""

    def __init__(self, path):
        self.path = path
        self.session = s.Writer(source="test")
        self.clients = {}

    def open(self, conn, **kw):
        self.clients[conn] = Client(self.path)
        self.session.open(conn, **kw)

    def close(self, conn):
        self.ask(conn, NAMES["GET_DOMAIN_PATH"], b"0\0")  # what was for it has come
        self.clients.pop(conn).close()
        self.session.close(conn)

    def ask(self, conn, kind, payload, tx=0):
        client = self.clients[conn]
        self.session.request(conn, kind, payload, tx, 7)
        client.send(kind, payload, tx, 7)
        while True:
            m = client.receive()
            if m.type == EVENT:
                self.session.event(conn, m.payload)
            else:
                self.session.reply(conn, m.type, m.payload, m.tx, m.req)
                return m.payload

    def finish(self):
        for conn in list(self.clients):
            self.close(conn)
        return self.session.end()


def life(path):
    """A recording of everything that a session can hold on the local socket."""
    r = Recorder(path)
    r.open(1, pid=11, comm="watcher")
    r.open(2, pid=12, comm="toolstack")
    r.ask(1, WATCH, b"/r\0token\0")
    for n in range(20):
        r.ask(2, WRITE, b"/r/%d\0value %d" % (n, n))
    r.ask(2, READ, b"/r/none\0")
    first = r.ask(2, START, b"\0")[:-1]
    second = r.ask(2, START, b"\0")[:-1]
    r.ask(2, WRITE, b"/r/1\0in a transaction", int(second))
    r.ask(2, READ, b"/r/1\0", int(first))
    r.ask(2, END, b"T\0", int(second))
    r.ask(2, READ, b"/r/1\0")
    r.ask(2, END, b"T\0", int(first))  # a conflict
    r.ask(2, NAMES["SET_PERMS"], b"/r/2\0n0\0r5\0")
    r.ask(2, NAMES["GET_PERMS"], b"/r/2\0")
    r.ask(2, DIRECTORY, b"/r\0")
    r.ask(2, NAMES["DIRECTORY_PART"], b"/r\0" b"0\0")
    r.ask(2, RM, b"/r/3\0")
    r.ask(2, 99, b"x")
    r.open(3)
    r.ask(3, WRITE, b"/other\0\xff\x00|")
    r.close(3)
    return r.finish()


def recorded_life():
    server = daemon.daemon()
    recording = life(server.socket)
    path = recording.save(at("life"))
    status, out, err = replay("--check", path)
    check(status == 0 and "no difference" in out, "what the daemon said is what the engine says", out + err)
    fresh = daemon.daemon()
    status, out, err = replay("--check", path, "--against", fresh.socket)
    check(status == 0 and "no difference" in out, "and what another daemon says", out + err)
    status, out, err = replay("--compare", "engine", path, "--against", daemon.daemon().socket)
    check(status == 0 and "no difference" in out, "daemon and engine agree step by step", out + err)
    with fresh.client() as c:
        equal(c.read("/r/1"), b"in a transaction", "the other daemon has the nodes now")
    peer = daemon.PeerC().start()
    status, out, err = replay("--check", "--lenient", path, "--against", peer.socket)
    check(status == 0 and "no difference" in out, "and Xen's C daemon, but for the order of children", out + err)
    status, out, err = replay("--check", path, "--against", peer.socket)
    check(status == 1 and "DIRECTORY /r|" in out, "in which it differs", out + err)
    status, out, err = replay("--show", path)
    check(re.search(r"^\d+\.\d{6} c2 request 7 WRITE /r/1\|value 1$", out, re.M),
          "--show has a line for the request", out + err)
    equal(out.count("\n"), len(s.read(recording.data)), "and one for each record")


def changed_reply():
    """--check names the one reply that is not as recorded."""
    w = s.Writer()
    w.open(4)
    w.ask(4, WRITE, b"/a\0one")
    w.ask(4, READ, b"/a\0", b"one")
    w.ask(4, READ, b"/a\0", b"two")
    w.ask(4, READ, b"/a\0", b"three")
    path = w.end().save(at("changed"))
    status, out, err = replay("--check", path)
    equal(status, 1, "a reply that differs: status 1")
    check("at record 7:" in out and "recorded: READ two  (record 8)" in out and "now: READ one" in out, "it is named", out + err)
    check("three" not in out, "only the first", out)


def missing_and_additional_events():
    def recording(*tokens):
        w = s.Writer()
        w.open(1)
        w.ask(1, WATCH, b"/a\0t\0")
        w.event(1, b"/a\0t\0")
        w.open(2)
        w.ask(2, WRITE, b"/a\0x")
        for path in tokens:
            w.event(1, path + b"\0t\0")
        return w.end().save(at("events"))
    equal(replay("--check", recording(b"/a"))[0], 0, "the event that is caused")
    status, out, _ = replay("--check", recording(b"/a", b"/a"))
    check(status == 1 and "recorded: event /a|t|" in out and "now: nothing" in out, "an event does not come", out)
    status, out, _ = replay("--check", recording())
    check(status == 1 and "recorded: nothing" in out and "now: event /a|t|" in out, "an event too many", out)
    status, out, _ = replay("--check", recording(b"/b"))
    check(status == 1 and "recorded: event /b|t|" in out, "another event", out)


def starting_state():
    w = s.Writer()
    w.add(0, s.START, 1, 3)
    w.add(0, s.NODE, "/", "n0", "")
    w.add(0, s.NODE, "/a", "n0,r5", "kept")
    w.add(0, s.NODE, "@releaseDomain", "n0", "")
    w.add(0, s.OPENED, 3, 1, 1, 0, None, None, "")
    w.add(0, s.WATCH, 3, None, "/a", "old")
    w.open(5)
    w.ask(5, READ, b"/a\0", b"kept")
    w.ask(5, NAMES["GET_PERMS"], b"/a\0", b"n0\0r5\0")
    w.ask(5, WRITE, b"/a\0new")
    w.event(3, b"/a\0old\0")
    path = w.end().save(at("start"))
    status, out, err = replay("--check", path)
    check(status == 0, "nodes and watches of the begin are there", out + err)
    status, out, err = replay("--dump", path)
    equal(out.split("\n\n")[0].splitlines(), ['/ = ""   (n0)', '/a = "new"   (n0,r5)', '@releaseDomain = ""   (n0)'],
          "--dump: the nodes at the end")
    status, out, err = replay("--dump", "--until", "2", path)
    check('/a = "kept"' in out, "--until: the nodes after two requests", out + err)
    for why, nodes in (("its parent is missing", [("/", "n0", ""), ("/x/y", "n0", "")]),
                       ("the root must come first", [("/x", "n0", "")]), ("no permissions", [("/", "zero", "")]),
                       ("no path", [("/", "n0", ""), ("/a b", "n0", "")])):
        w = s.Writer()
        w.add(0, s.START, 1, len(nodes))
        for node in nodes:
            w.add(0, s.NODE, *node)
        status, _, err = replay(w.end().save(at("bad-start")))
        check(status == 3 and why in err, f"a starting state is refused: {why}", err)


def guests():
    """A guest's ring, in process: its rights, its relative paths, its end."""
    w = s.Writer()
    w.open(1)
    w.request(1, NAMES["INTRODUCE"], b"5\0" b"1\0" b"3\0")
    w.reply(1, NAMES["INTRODUCE"], b"OK\0")
    w.open(2, domid=5, ring=True)
    w.ask(1, WRITE, b"/local/domain/5/name\0five")
    w.ask(1, NAMES["SET_PERMS"], b"/local/domain/5\0n5\0")
    w.request(2, WRITE, b"/local/domain/0/x\0y")
    w.reply(2, ERROR, b"EACCES\0")
    w.ask(2, WRITE, b"mine\0v")
    w.ask(1, READ, b"/local/domain/5/mine\0", b"v")
    w.add(w.later(), s.DOMAINS, "5 10005 dead")
    w.request(1, READ, b"/local/domain/5/mine\0")
    w.reply(1, ERROR, b"ENOENT\0")
    status, out, err = replay("--check", w.end().save(at("guests")))
    check(status == 0, "a guest is played in process", out + err)


def needle():
    """10,000 requests of 20 clients; three of two clients together do the harm."""
    rng = random.Random(harness.options.seed)
    culprits = {2500: (7, WRITE, b"/made/first\0x"), 5000: (3, NAMES["SET_PERMS"], b"/made\0n7\0"),
                7500: (7, WRITE, b"/made/last\0x")}
    w = s.Writer()
    for conn in range(1, 21):
        w.open(conn)
    for n in range(10000):
        conn, kind, payload = culprits.get(n) or (rng.randrange(1, 21), *rng.choice([
            (WRITE, b"/noise/%d\0%d" % (rng.randrange(200), n)), (READ, b"/noise/%d\0" % rng.randrange(200)),
            (DIRECTORY, b"/noise\0"), (RM, b"/noise/%d\0" % rng.randrange(200))]))
        w.request(conn, kind, payload, 0, n + 1)
    return w.end().save(at("needle"))


def minimize():
    path, small = needle(), at("needle-small")
    # The last node has inherited what the other connection did to its parent, which the first request had made.
    status, out, err = replay("--minimize", "--fails-if", 'grep -q "^/made/last .*(n7)" "$XS_STATE"', path, "-o", small)
    kept = [(r[2], r[7]) for r in s.read(open(small, "rb").read()) if r[1] == s.REQUEST]
    equal((status, kept), (0, [(7, b"/made/first\0x"), (3, b"/made\0n7\0"), (7, b"/made/last\0x")]),
          "of 10,000 requests those three stay that are needed")
    harness.note(out.splitlines()[0])
    status, out, err = replay("--minimize", "--path", "/made/last", "--is", "x", path, "-o", small, "--force")
    kept = [r[7] for r in s.read(open(small, "rb").read()) if r[1] == s.REQUEST]
    equal((status, kept), (0, [b"/made/last\0x"]), "--path: one request is enough")
    equal(replay("--path", "/made/last", "--is", "x", small)[0], 1, "the small session fails, too")
    equal(replay("--path", "/made/last", "--is", "y", small)[0], 0, "with another value it does not")
    status, out, err = replay("--minimize", "--path", "/none", "--exists", path)
    check(status == 1 and "nothing to make smaller" in out, "a session that does not fail", out + err)


def minimize_race():
    """Three requests of two connections: a lost update, seen only by comparing replies."""
    rng = random.Random(harness.options.seed)
    w = s.Writer()
    for conn in range(1, 11):
        w.open(conn)
    for n in range(10000):
        if n == 1000:
            w.ask(2, WRITE, b"/race\0first")
        elif n == 5000:
            w.ask(9, WRITE, b"/race\0second")
        elif n == 9000:
            w.ask(2, READ, b"/race\0", b"first")  # whoever recorded this lost an update
        else:
            w.ask(rng.randrange(1, 11), WRITE, b"/noise/%d\0%d" % (rng.randrange(200), n))
    path, small = w.end().save(at("race")), at("race-small")
    status, out, err = replay("--check", "--minimize", path, "-o", small)
    kept = [(r[2], r[7]) for r in s.read(open(small, "rb").read()) if r[1] == s.REQUEST]
    equal((status, kept), (0, [(9, b"/race\0second"), (2, b"/race\0")]), "--check --minimize: what makes the reply another one")


def seeds():
    """The order within a connection stays, and that of a process which waits for its replies."""
    w = s.Writer()
    for conn, pid in ((1, 100), (2, 100), (3, None), (4, None)):
        w.open(conn, pid=pid)
    for n in range(100):
        for conn in (1, 2):
            w.ask(conn, WRITE, b"/process\0%d" % (2 * n + conn))
        for conn in (3, 4):
            w.ask(conn, WRITE, b"/%d\0%d" % (conn, n))
    path = w.end().save(at("seeds"))
    orders = []
    for seed in ("1", "1", "2"):
        status, out, err = replay("--seed", seed, path, "-o", at("shuffled"), "--force")
        check(status == 0, "a session in another order", out + err)
        orders.append([(r[2], r[7]) for r in s.read(open(at("shuffled"), "rb").read()) if r[1] == s.REQUEST])
    check(orders[0] == orders[1] and orders[0] != orders[2], "the seed alone decides")
    for order in orders[1:]:
        for key in (b"/process", b"/3", b"/4"):
            numbers = [int(p.split(b"\0")[1]) for _, p in order if p.startswith(key + b"\0")]
            equal(numbers, sorted(numbers), f"the order of {key.decode()} is legal")
        others = [conn for conn, _ in order]
        check(others != sorted(others) and len(set(zip(others, others[1:]))) > 8, "connections are mixed")
    equal(replay("--seed", "1", "--check", path)[0], 2, "recorded replies are no measure of another order")


def tests_from_sessions():
    path = at("life")
    if not os.path.exists(path):
        life(daemon.daemon().socket).save(path)
    status, out, err = replay(path, "--emit-test", at("case.txt"))
    text = open(at("case.txt"), encoding="ascii").read()
    check(status == 0, "--emit-test writes a case", out + err)
    cases = script.parse(text, "emitted")
    equal(len(cases), 1, "it can be read")
    player = script.Player(daemon.daemon().socket)
    try:
        player.play(cases[0])
        harness.ok(f"the daemon passes it ({len(cases[0].steps)} steps)")
    except script.Mismatch as e:
        harness.fail("the daemon passes it", e)


def step_by_step():
    w = s.Writer()
    w.open(1)
    for n in range(3):
        w.ask(1, WRITE, b"/n\0%d" % n)
    path = w.end().save(at("steps"))
    status, out, err = replay("--step", path, stdin=b"\n\n")
    equal((status, out.count("WRITE /n|"), out.count("c1 WRITE OK|")), (0, 3, 3), "--step shows requests and replies")
    status, out, err = replay("--speed", "0.02s", path)
    check(status == 2 and "--speed" in err, "a speed that is none", err)


def shell():
    """Xenstore's own tools on the store as it was in the middle of a session."""
    w = s.Writer()
    w.open(1)
    for n in range(9):
        w.ask(1, WRITE, b"/n\0%d" % n)
    path = w.end().save(at("shell"))
    for until, value in (("5", "4"), ("100", "8")):
        status, out, err = replay(path, "--until", until, "--", "xenstore-read", "/n")
        equal((status, out), (0, value + "\n"), f"the value after {until} requests" + err)
    status, out, err = replay(path, "--shell", stdin=b"xenstore-write /n 9 2>/dev/null || xenstore-list /; exit 7\n",
                              env={"SHELL": "/bin/sh"})
    equal((status, sorted(out.split())), (7, ["n", "tool"]), "a shell sees it and cannot change it" + err)
    status, out, err = replay(path, "--minimize", "--path", "/n", "--exists", "--", "true")
    check(status == 2 and "--minimize" in err, "a command where there is no state to look at", err)


def history():
    """Commits of a repository, played from each of several to the end, give the same store."""
    server = daemon.daemon()
    with server.client() as a, server.client() as b:
        for n in range(30):
            (a if n % 3 else b).write("/h/%d" % (n % 7), "v%d \x00\xff" % n)
        a.mkdir("/h/dir/below")
        a.set_perms("/h/dir", ["n0", "r5", "w6"])
        tx, other = b.start(), a.start()
        b.write("/h/dir/in", "in a transaction", tx)
        a.write("/h/1", "meanwhile")
        b.rm("/h/dir/below", tx)
        b.set_perms("/h/dir/in", ["b7"], tx)
        b.end(tx)
        a.write("/h/none", "x", other)
        a.end(other, False)
        a.rm("/h/3")
        a.write("/h/0", "")
    for first in ("#1", "#10", "main~1"):
        status, out, err = replay("--repo", server.repo, "--from", first, "--check")
        check(status == 0 and "the store is that of the commit" in out, f"history from {first} to the end", out + err)
    status, out, err = replay("--repo", server.repo, "--from", "#1", "--to", "#20", "--check", "-o", at("history"))
    check(status == 0, "history up to a commit", out + err)
    status, before, _ = replay("--repo", server.repo, "--from", "#1", "--to", "#20", "--dump")
    status, out, err = replay(at("history"), "--dump")
    equal(out.split("\n\n")[0], before.split("\n\n")[0], "written down as a session it plays to the same store")
    fresh = daemon.daemon()
    status, out, err = replay("--repo", server.repo, "--from", "#1", "--against", fresh.socket)
    with fresh.client() as c:
        equal((status, c.read("/h/dir/in"), c.exists("/h/none")), (0, b"in a transaction", False), "history is played to another daemon")
    equal(replay("--repo", server.repo, "--from", "#10", "--to", "#5")[0], 4, "a --to before --from")
    equal(replay("--repo", server.repo, "--from", "#99999")[0], 4, "no such commit")
    equal(replay("--repo", server.repo, "--from", "#1", at("history"))[0], 2, "a session and commits")


def history_of_guests():
    """Domains that come, write with their own rights, and die."""
    host, server = toolstack.start()
    with server.client() as c:
        c.write("/before", "guests")
        five, six = toolstack.introduce(host, c, 5), toolstack.introduce(host, c, 6)
        five.write("data/mine", "5")
        six.write("data/x", "6")
        c.write("/shared", "s")
        c.set_perms("/shared", ["n5", "r6", "r9"])  # there is no domain 9
        five.write("/shared/below", "inherits")
        c.set_perms("/shared/below", ["n0", "r5"])
        host.destroy(5)
        daemon.wait_for(lambda: not toolstack.introduced(c, 5), "the end of domain 5")
        for path, value in (("/after", "first"), ("/shared", "changed"), ("/after", "all")):
            c.write(path, value)
    for first in ("#2", "#10", "main~2"):
        status, out, err = replay("--repo", server.repo, "--from", first, "--check")
        check(status == 0, f"guests in history from {first}", out + err)
    server.stop()
    # A commit that says what the last one does, and has another tree.
    message = git.run(server.repo, "log", "-1", "--format=%B", "main")
    forged = git.run(server.repo, "commit-tree", "main~2^{tree}", "-p", "main~1", "-F", "-", stdin=message.encode()).strip()
    status, out, err = replay("--repo", server.repo, "--from", "#2", "--to", forged, "--check")
    check(status == 1 and "not that of the commit" in out and 'now:        /shared = "changed"' in out,
          "a commit that is not what its history leads to: the first node that differs", out + err)
    status, _, err = replay("--repo", server.repo, "--from", "#2", "--check", "--until", "5")
    check(status == 2 and "--until" in err, "half of history is not compared with its end", err)


def commit_ids():
    """A session from the daemon's start, with the times of its commits, makes the same commits."""
    server = daemon.daemon()
    asked = []  # (connection, request, payload, transaction)
    with server.client() as a, server.client() as b:
        def ask(who, kind, payload, tx=0):
            asked.append((1 if who is a else 2, kind, payload, tx))
            return who.request(kind, payload, tx)
        for n in range(200):
            ask(a if n % 3 else b, WRITE, b"/c/%d\0%d" % (n % 50, n))
        ask(a, NAMES["SET_PERMS"], b"/c\0n0\0r5\0")
        tx = int(ask(b, START, b"\0")[:-1])
        ask(b, WRITE, b"/c/1\0tx", tx)
        ask(b, RM, b"/c/2\0", tx)
        ask(a, WRITE, b"/c/3\0between")
        ask(b, END, b"T\0", tx)
    log = []

    def whole():
        """When the last commit is published."""
        nonlocal log
        p = subprocess.run(["git", "--git-dir", server.repo, "log", "--reverse", "--first-parent",
                            "--format=%H%x00%s%x00%B%x01", "main"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        log = p.stdout.decode().split("\x01\n")[:-1]
        return log and "\0commit 2 operations\0" in log[-1]
    daemon.wait_for(whole, "the last commit")
    times = [int(re.search(r"^Time: (\d+)$", c, re.M)[1]) for c in log]
    conns = [re.search(r"^Conn: (\d+) \(pid (\d+) (.*)\)$", c, re.M) for c in log[1:]]
    numbers = sorted({int(c[1]) for c in conns})
    equal(len(numbers), 2, "two connections made all commits")
    w = s.Writer(start_us=times[0])
    for number in numbers:
        who = next(c for c in conns if int(c[1]) == number)
        w.add(0, s.OPENED, number, 0, 1, 0, int(who[2]), None, who[3])
    commit = 1
    for conn, kind, payload, tx in asked:
        makes_one = tx == 0 and kind != START or kind == END
        w.add(times[commit] - times[0] if makes_one else w.time, s.REQUEST, numbers[conn - 1], kind, 1, tx, 0, payload, b"")
        commit += makes_one
    equal(commit, len(log), "a time for each")
    path = w.end().save(at("commits"))
    equal(replay("--commit", path)[1], f"commit {log[-1][:40]}\n", "the same commit comes out")
    check(replay("--commit", "--until", "150", path)[1] == f"commit {log[150][:40]}\n", "and after 150 requests the one that was it then")
    server.stop()


def bad_files():
    good = bytes(s.Writer().end().data)
    w = s.Writer()
    w.open(1)
    for n in range(100):
        w.ask(1, WRITE, b"/n\0%d" % n)
    whole = bytes(w.end().data)

    def play(name, data, *options):
        with open(at(name), "wb") as f:
            f.write(data)
        return replay(at(name), *options)
    for name, data, why in (("empty", b"", "no session"), ("foreign", b"\x7fELF" + bytes(100), "no session"),
                            ("newer", good[:8] + b"\2" + good[9:], "version 2"), ("header", good[:12], "cut off"),
                            ("check", good[:13] + b"x" + good[14:], "damaged")):
        status, out, err = play(name, data)
        check(status == 3 and why in err and err.count("\n") == 1, f"{name}: refused in a line", err)
    status, out, err = replay(at("nothing"))
    check(status == 3 and "No such file" in err, "a missing file", err)
    status, out, err = play("cut", whole[:-40], "--dump")
    check(status == 3 and "cut off" in err and re.search(r"record \d+ at byte \d+", err), "cut off: says where", err)
    check('/n = "9' in out, "and plays what is before", out)
    for n in range(5):
        middle = len(whole) // 2 + n
        status, out, err = play("bit", whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1:], "--check")
        check(status == 3 and "damaged at record" in err and "no difference" in out, "a changed bit in the middle", out + err)
    hostile = s.Writer()
    hostile.frame(s.REQUEST, s.varint(0) + b"\xff" * 9)
    status, out, err = play("hostile", bytes(hostile.data))
    check(status == 3 and "damaged at record 2" in err, "a hostile record", err)
    hostile = s.Writer()
    hostile.add(0, s.START, 1, 2 ** 60)
    status, out, err = play("nodes", bytes(hostile.data))
    check(status == 3, "more nodes announced than there can be", out + err)
    unclosed = s.Writer()
    unclosed.open(1)
    unclosed.ask(1, WRITE, b"/n\0x")
    status, out, err = play("unclosed", bytes(unclosed.data), "--check")
    equal(status, 0, "a recorder that was killed leaves a session that can be checked")
    status, out, err = replay("-", stdin=whole)
    check(status == 0 and "100 requests" in out, "standard input", out + err)


def bad_sockets():
    w = s.Writer()
    w.open(1)
    w.ask(1, WRITE, b"/n\0x")
    path = w.end().save(at("plain"))
    status, _, err = replay(path, "--against", at("no-socket"))
    check(status == 3 and "cannot connect" in err, "no daemon there", err)
    status, _, err = replay(path, "--against", at("no-socket"), "--minimize", "--check")
    check(status == 2 and "--reset" in err, "--minimize against a daemon needs it fresh", err)


def two_daemons():
    """The first divergence of two daemons, and the smallest session that has one."""
    server = daemon.daemon()
    with server.client() as c:
        c.write("/only-here", "x")
    w = s.Writer()
    for conn in (1, 2, 3):
        w.open(conn)
    for n in range(30):
        w.ask(1 + n % 3, WRITE, b"/n/%d\0v" % n)
    w.request(2, READ, b"/only-here\0")
    w.ask(3, WRITE, b"/n/last\0v")
    path = w.end().save(at("two"))
    status, out, err = replay("--against", server.socket, "--compare", "engine", path)
    check(status == 1 and "request 1 READ /only-here|" in out and ": READ x" in out and "engine: ERROR ENOENT|" in out,
          "--compare names the first divergence", out + err)
    reset = f"XENSTORED_PATH={server.socket} xenstore-rm /n 2>/dev/null; true"
    status, out, err = replay("--against", server.socket, "--compare", "engine", "--minimize", "--reset", reset, path,
                              "-o", at("two-small"))
    kept = [r[7] for r in s.read(open(at("two-small"), "rb").read()) if r[1] == s.REQUEST]
    equal((status, kept), (0, [b"/only-here\0"]), "--minimize finds the one request")
    status, out, err = replay("--against", server.socket, "--path", "/n/4", "--exists", "--minimize", "--reset", reset, path)
    check(status == 0 and "1 of 32 requests fail, too" in out and "WRITE /n/4|v" in out, "with a node of the daemon", out + err)
    status, _, err = replay("--against", server.socket, "--reset", "exit 3", path)
    check(status == 3 and "status 3" in err, "a --reset that fails", err)
    server.stop()


def answer_once(listener, what):
    """A daemon that takes one request and does `what` with the connection."""
    def serve():
        c, _ = listener.accept()
        with c:
            c.recv(4096)
            what(c)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def daemons_that_misbehave():
    w = s.Writer()
    w.open(1)
    w.ask(1, WRITE, b"/n\0x")
    path = w.end().save(at("plain"))
    for name, what, status, why in (
            ("closes", lambda c: None, 1, "now: (the connection was closed)"),
            ("sends nonsense", lambda c: c.sendall(b"\xff" * 64), 3, "this is no xenstored"),
            ("answers otherwise", lambda c: (c.sendall(pack(ERROR, b"EIO\0", 0, 1)), c.recv(1)), 1, "now: ERROR EIO|"),
            ("is silent", lambda c: c.recv(1), 3, "no reply within 0.3 s")):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(at("fake-" + name[0] + name[-1]))
            listener.listen()
            thread = answer_once(listener, what)
            got, out, err = replay("--check", path, "--against", listener.getsockname(), "--timeout", "0.3" if status == 3 else str(HANG))
            thread.join(HANG)
        check(got == status and why in out + err, f"a daemon that {name}", (got, out, err))


def deadlines():
    path = writes(1, "deadline")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(at("full"))
        listener.listen(0)
        waiting = []
        while True:  # until its backlog is full
            c = socket.socket(socket.AF_UNIX)
            waiting.append(c)
            c.setblocking(False)
            try:
                c.connect(listener.getsockname())
            except BlockingIOError:
                break
        status, _, err = replay(path, "--against", listener.getsockname(), "--timeout", "0.3")
        check(status == 3 and "takes no connection within 0.3 s" in err, "a daemon that accepts nobody", err)
        for c in waiting:
            c.close()

    def talk(c):
        try:
            while True:
                c.sendall(pack(EVENT, b"/a\0t\0", 0, 0) * 100)
        except OSError:
            pass
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(at("talker"))
        listener.listen()
        thread = answer_once(listener, talk)
        status, _, err = replay(path, "--against", listener.getsockname(), "--timeout", "0.3")
        thread.join(HANG)
    check(status == 3 and "no reply within 0.3 s" in err, "a daemon that sends events and no reply", err)


def dollars_in_tests():
    """A value that looks like the notation's variables."""
    w = s.Writer()
    w.open(1)
    w.ask(1, WRITE, b"/t/dollar\0costs $5 {2*x} <g>")
    w.ask(1, READ, b"/t/dollar\0", b"costs $5 {2*x} <g>")
    path = w.end().save(at("dollars"))
    status, text, err = replay(path, "--emit-test", "-")
    check(status == 0 and "\\x245" in text, "--emit-test writes a dollar by number", text + err)
    host, server = toolstack.start()
    player = script.Player(server.socket, host=host)
    try:
        player.play(script.parse(text, "dollars")[0])
        harness.ok("on a host with domains it is played as it is")
    except (script.Mismatch, KeyError) as e:
        harness.fail("on a host with domains it is played as it is", repr(e))
    server.stop()


def many_connections_of_a_process():
    """Who waited for whom does not take memory that grows with the square of the connections."""
    w = s.Writer()
    n = 4000
    for conn in range(1, n + 1):
        w.open(conn, pid=7)
    for conn in range(1, n + 1):
        w.ask(conn, WRITE, b"/n\0a")
    for conn in range(1, n + 1):
        w.request(conn, WRITE, b"/n\0b")
    path = w.end().save(at("process"))
    tool = os.path.join(harness.options.build, "bisect", "xs-replay")
    p = subprocess.run(["/bin/sh", "-c", f"ulimit -v 131072; exec {tool} --seed 1 {path}"], capture_output=True, timeout=HANG)
    if b"AddressSanitizer" not in p.stderr:
        equal((p.returncode, p.stdout), (0, b"8000 requests\n"), "4,000 connections of a process fit into 128 MiB" + p.stderr.decode())


harness.main(recorded_life, changed_reply, missing_and_additional_events, starting_state, guests, minimize, minimize_race, seeds,
             tests_from_sessions, step_by_step, shell, history, history_of_guests, commit_ids, bad_files, bad_sockets, two_daemons,
             daemons_that_misbehave, deadlines, dollars_in_tests, many_connections_of_a_process)
