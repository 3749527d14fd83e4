#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Server and keeper end both, and the service manager has copies of their sockets: no client notices."""
import os
import random
import socket
import threading
import time

from lib import daemon, git, harness
from lib.crash_client import CrashClient
from lib.crash_fleet import ROOM, Fleet, judge_history
from lib.daemon import wait_for
from lib.guest import XenHost
from lib.harness import check, equal
from lib.service_manager import Service, ServiceManager
from lib.wire import EVENT, NAMES, Closed

CLIENTS, GUESTS = 8, 4
ENDS = ["kill"] * 7 + ["SIGTERM"] * 6 + ["recovery"] * 4 + ["server"] * 2 + ["keeper"] * 2 + ["update"] * 2


def service(most=4096, **kw):
    m = ServiceManager(most)
    return m, Service(m, **kw).start()


def all_stored(m, count):
    wait_for(lambda: len(m.clients()) == count, f"{count} stored clients")


def again(d, how):
    """Ends both processes and starts them."""
    if how == "SIGTERM":
        first = d.process.poll() is None  # the process that was started; else it was killed, and another is the keeper
        status = d.stop()
        if first and status:
            raise RuntimeError(f"the stop gave {status}: {d.log_tail()}")
    else:
        d.kill()
    d.start()


def restart(how):
    """One client with all that it can have: it waits a little, that is all."""
    m, d = service()
    c = d.client()
    other = d.client()
    c.write("/r/a", "1")
    c.watch("/r", "token")
    c.sync()
    tx = c.start()
    c.write("/r/b", "2", tx)
    req = c.send(NAMES["WRITE"], b"/r/c\0" + b"x" * 100)  # answered, and the answer is not read
    other.write("/r/d", "unread event")
    c.send_bytes(b"\x02\0\0\0")  # half a request
    all_stored(m, 2)
    if how == "SIGTERM":
        equal(d.stop(), 0, f"{how}: an orderly end")
        check(os.path.exists(d.socket), f"{how}: the socket stays")
    else:
        d.kill()
    late = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    late.connect(d.socket)  # nobody is there
    other.send(NAMES["WRITE"], b"/r/e\0written meanwhile")
    d.start()
    got = [c.receive() for _ in range(3)]
    equal([(m_.type, m_.req, m_.payload) for m_ in got],
          [(EVENT, 0, b"/r/c\0token\0"), (NAMES["WRITE"], req, b"OK\0"), (EVENT, 0, b"/r/d\0token\0")],
          f"{how}: the event, the reply and the other's event come, each once")
    equal(other.reply().payload, b"OK\0", f"{how}: a request sent meanwhile is answered")
    c.send_bytes(b"\7\0\0\0\0\0\0\0" + b"\5\0\0\0/r/a\0")
    m1 = c.reply()
    equal((m1.req, m1.payload), (7, b"1"), f"{how}: the other half of a request")
    equal([(bytes(e.payload)) for e in c.events], [b"/r/e\0token\0"], f"{how}: the watch fires")
    c.events.clear()
    c.end(tx)
    equal(other.read("/r/b"), b"2", f"{how}: the transaction commits")
    late.sendall(b"\x02\0\0\0\1\0\0\0\0\0\0\0\5\0\0\0/r/b\0")
    late.settimeout(10)
    equal(late.recv(100)[16:], b"2", f"{how}: who connected meanwhile is served")
    check("go on" in d.log_text(), f"{how}: the log says so")
    return m, d, c, other, late


def one_restart():
    for how in ("SIGTERM", "kill"):
        m, d, c, other, late = restart(how)
        all_stored(m, 3)
        c.close()
        late.close()
        all_stored(m, 1)
        harness.ok(f"{how}: who has gone is stored no more")
        other.write("/last", "1")
        d.stop()
        m.drop_all()
        try:
            other.read("/last")
            check(False, f"{how}: a stop closes connections")
        except Closed:
            harness.ok(f"{how}: a stop closes connections")
        d.start()
        with d.client() as new:
            equal(new.read("/last"), b"1", f"{how}: and keeps the store")
        d.stop()


def storm():
    """Ends of all kinds at random moments under clients and guests that know what they must hear."""
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    m = ServiceManager()
    host = XenHost()
    d = Service.on(host, m, options=ROOM).start()
    guests = {}
    with d.client() as c:
        for domid in range(1, GUESTS + 1):
            guests[CLIENTS + domid - 1] = host.create(domid).introduced_by(c)
    everybody = CLIENTS + GUESTS
    fleet = Fleet([CrashClient(i, everybody, (lambda g=guests[i]: g) if i in guests else d.client, harness.options.seed,
                               guests[i].domid if i in guests else 0) for i in range(everybody)], d)
    ports = host.ports_of(0)
    ends = ENDS[:]
    rng.shuffle(ends)
    probe = d.client()
    all_stored(m, CLIENTS + 1)
    pauses = {}
    failed_before = harness.failed
    try:
        for number, how in enumerate(ends, 1):
            name = f"end {number} ({how})"
            fleet.resume()
            time.sleep(0.05 + rng.random() * 0.3)
            began = time.monotonic()
            if how in ("kill", "SIGTERM"):
                again(d, how)
            elif how == "recovery":
                d.kill()
                for _ in range(rng.choice((1, 1, 2))):
                    d.launch()
                    time.sleep(rng.random() * 0.15)
                    d.kill()
                d.start()
            elif how == "server":
                d.kill_server()
            elif how == "keeper":
                d.kill_keeper()
            else:
                d.launch(second=True)
            probe.read("/crash/shared/counter")
            pauses.setdefault(how, []).append(time.monotonic() - began)
            if not fleet.hears_all(name):
                break
            with d.client() as checker:
                fleet.judge(checker, name, False)
            if number % 5 == 0:
                judge_history(d, name)
            wait_for(d.keeper_pid, "a keeper")
            if harness.failed > failed_before:
                break
    finally:
        fleet.end()
        if harness.failed > failed_before:
            harness.note(f"the daemon's log ends with: {d.log_tail()}")
    for how, times in sorted(pauses.items()):
        harness.note(f"{how} to next reply, ms: " + " ".join(f"{1000 * t:.0f}" for t in sorted(times)))
    harness.note(f"{sum(c.operations for c in fleet.clients)} operations, {m.messages} descriptors sent")
    equal(m.refused, 0, "none was one too many")
    equal(m.names().count("events"), 1, "the event channels are stored")
    d.stop()
    equal(host.ports_of(0), ports, "and bound while nobody serves")
    equal(git.fsck(d.repo), "", "fsck finds nothing after the orderly end")


def come_and_go():
    """Clients connect and leave all the time, whatever happens to the daemon: each gets its answers, or was so young that
    the manager had not got it."""
    rng = random.Random(harness.options.seed)
    m, d = service()
    stop = threading.Event()
    wrong, lost_old, lost_young, turns = [], [0], [0], [0]

    def visitor(number):
        local = random.Random(number)
        while not stop.is_set():
            try:
                c = d.client()
            except OSError as e:
                wrong.append(f"cannot connect: {e}")
                return
            stay = local.choice((0, 0, 0.005, 0.05, 0.4))
            n, stored, began = 0, False, None  # by the clock of the first answer: accepted it may be late
            try:
                while True:
                    c.write(f"/visit/{number}", str(n))
                    if c.read(f"/visit/{number}") != str(n).encode():
                        wrong.append("reads what was not written")
                    n += 1
                    began = began or time.monotonic()
                    if time.monotonic() - began >= stay:
                        break
                    stored = time.monotonic() - began > 0.2
                    time.sleep(local.random() * 0.01)
            except Closed:
                (lost_old if stored else lost_young)[0] += 1
            c.close()
            turns[0] += 1

    visitors = [threading.Thread(target=visitor, args=(i,), daemon=True) for i in range(8)]
    for v in visitors:
        v.start()
    sigterms = 0
    for number in range(16):
        time.sleep(rng.random() * 0.3)
        how = "SIGTERM" if number % 2 else "kill"
        young = lost_young[0]
        again(d, how)
        if how == "SIGTERM":
            time.sleep(0.1)
            sigterms += lost_young[0] - young
    stop.set()
    for v in visitors:
        v.join(60)
    equal(wrong, [], f"{turns[0]} visits during 16 restarts: answers are right")
    equal(lost_old[0], 0, "nobody is lost who was there for a while")
    equal(sigterms, 0, "nobody at all at a SIGTERM")
    harness.note(f"{lost_young[0]} lost in their first moments, at kills")
    wait_for(lambda: not m.clients(), "the store to be without clients")
    harness.ok("nobody who has gone is stored")
    d.stop()


def closed_by_us():
    """A connection that the daemon ends is closed for its client, though it is stored."""
    m, d = service()
    good, bad = d.client(), d.client()
    bad.sync()
    all_stored(m, 2)
    bad.send_bytes(b"\x0b\0\0\0\1\0\0\0\0\0\0\0\xff\xff\xff\xff")  # longer than any message may be
    try:
        while True:
            bad.receive()
    except Closed:
        harness.ok("who breaks the rules hears the end")
    all_stored(m, 1)
    again(d, "kill")
    equal(good.read("/"), b"", "the other one goes on")
    d.stop()


def sockets(d):
    """How many the server has."""
    folder, count = f"/proc/{d.server_pid()}/fd", 0
    for n in os.listdir(folder):
        try:
            count += os.readlink(os.path.join(folder, n)).startswith("socket:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return count


def strange_descriptors():
    """What comes back and belongs to nobody is closed, and let go; the rest goes on."""
    m, d = service()
    c = d.client()
    tx = c.start()
    c.write("/x", "1", tx)
    all_stored(m, 1)
    name = m.clients()[0]
    d.stop()
    pairs = [socket.socketpair() for _ in range(4)]
    ends = [os.dup(p[0].fileno()) for p in pairs]
    for p in pairs:
        p[0].close()
        p[1].settimeout(10)
    with m.lock:
        m.put("client-999999", ends[0], True)      # a name like ours, and nobody's
        m.put("client-" + "9" * 240, ends[1], True)
        m.put("stored", ends[2], True)
        m.put("listen", ends[3], True)             # not the socket that listens
        m.put("", os.open("/dev/null", os.O_RDONLY), False)
        m.put("events-not", os.pipe()[0], False)
        m.stored.insert(0, ["client-0", os.dup(next(s[1] for s in m.stored if s[0] == name)), False])  # the same once more
    d.start()
    equal(c.read("/x", tx), b"1", "a client goes on between strange descriptors")
    for number, (_, end) in enumerate(pairs):
        equal(end.recv(1), b"", f"a stranger's connection is closed ({number})")
    wait_for(lambda: not [n for n in m.names() if n not in (name, "client-0", "listen")], "the rest to be let go")
    harness.ok("the store is without them")
    equal(m.names().count("listen"), 1, "it has the socket that listens")
    before = sockets(d)
    c.end(tx)
    again(d, "kill")
    equal(c.read("/x"), b"1", "and goes on once more")
    wait_for(lambda: sockets(d) <= before, "as few sockets as before")
    harness.ok("no descriptor is left open")
    d.stop()
    for variables in ({"LISTEN_FDS": "3"}, {"LISTEN_FDS": "99999999", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x", "LISTEN_PID": ""}):
        m.drop_all()
        e = Service(m, directory=d.dir, repo=d.repo)
        e.env.update(variables)
        e.start()
        with e.client() as new:
            equal(new.read("/x"), b"1", f"{variables}: not for this process, and it starts")
        e.stop()


def other_store():
    """The repository is another one, or gone: connections of the old one are ended, new ones served."""
    m, d = service()
    c = d.client()
    c.write("/x", "1")
    all_stored(m, 1)
    d.kill()
    os.rename(d.repo, d.repo + ".gone")
    d.start()
    try:
        c.read("/x")
        check(False, "a client of a store that is gone hears the end")
    except Closed:
        harness.ok("a client of a store that is gone hears the end")
    with d.client() as new:
        equal(new.exists("/x"), False, "an empty store is served")
    wait_for(lambda: not m.clients(), "the store to be without it")
    d.stop()


def overtaken():
    """What is stored comes to a start that finds another daemon serving."""
    m, d = service()
    c = d.client()
    c.write("/x", "1")
    all_stored(m, 1)
    d.kill()
    e = daemon.Daemon(directory=d.dir, repo=d.repo)  # by hand, and elsewhere: it knows nothing of the manager
    e.env.pop("NOTIFY_SOCKET", None)
    e.socket = os.path.join(d.dir, "by-hand")
    e.start()
    other = e.client()
    tx = other.start()
    d.socket = e.socket
    e.pid_file += "-by-hand"
    d.start()
    wait_for(lambda: not e.members(), "the end of the daemon that was started by hand")
    equal(other.read("/x", tx), b"1", "its connections go on")
    c.timeout = 10
    c.sock.settimeout(10)
    try:
        c.read("/x")
        check(False, "one that it did not know of is closed")
    except Closed:
        harness.ok("one that it did not know of is closed")
    all_stored(m, 1)
    wait_for(lambda: m.names().count("listen") == 1, "one socket that listens")
    again(d, "kill")
    other.end(tx)
    harness.ok("and the others are stored")
    d.stop()


def failed_start():
    """A start that fails, and one that crashes, leave what is stored to the next one."""
    m, d = service()
    c = d.client()
    c.write("/x", "1")
    tx = c.start()
    all_stored(m, 1)
    d.kill()
    bad = Service(m, directory=d.dir, repo=d.repo, options=["-Q", "nonsense=1"])
    bad.launch()
    wait_for(lambda: not bad.members(), "the end of a start with a wrong option")
    writer = os.path.join(d.repo, "xsgit", "writer")
    os.unlink(writer)
    os.mkdir(writer)  # so that the server, not the keeper, fails
    d.launch()
    wait_for(lambda: not d.members(), "the end of a start that fails later")
    os.rmdir(writer)
    check(os.path.exists(d.socket), "the socket stays")
    d.start()
    equal(c.read("/x", tx), b"1", "a client goes on after two starts that failed")
    d.stop()


def full_and_deaf():
    """A store that has no room, and a manager that does not read: the daemon goes on."""
    m, d = service(most=4)
    clients = [d.client() for _ in range(8)]
    for c in clients:
        c.sync()
    wait_for(lambda: m.refused >= 5, "refusals")
    for c in clients:
        equal(c.read("/"), b"", "a full store: clients are served")
    d.kill()
    d.start()
    alive = 0
    for c in clients:
        try:
            c.read("/")
            alive += 1
        except Closed:
            pass
    equal(alive, 3, "after the death of both those go on that had room")
    d.stop()

    m, d = service()
    m.deaf = True
    clients = [d.client() for _ in range(1200)]  # more than a socket's queue takes
    began = time.monotonic()
    for c in clients:
        c.write("/deaf", "1")
    took = time.monotonic() - began
    check(took < 5, "a manager that hangs: clients are served", took)
    harness.note(f"1200 writes in {1000 * took:.0f} ms")
    m.deaf = False
    all_stored(m, 1200)
    harness.ok("what it missed comes when it reads again")
    again(d, "kill")
    began = time.monotonic()
    for c in clients:
        equal_quietly(c.read("/deaf"), b"1")
    harness.ok("1200 connections go on")
    harness.note(f"1200 reads in {1000 * (time.monotonic() - began):.0f} ms after the start")
    m.deaf = True
    late = d.client()
    late.sync()
    began = time.monotonic()
    status = d.stop()
    check(status == 0 and time.monotonic() - began < 20, "it can be stopped while the manager hangs", status)
    m.deaf = False
    m.drop_all()
    d.start()
    d.stop()

    os.unlink(m.path)
    e = Service(m)
    e.start()
    with e.client() as c:
        c.write("/nobody", "1")
        time.sleep(0.1)
        equal(c.read("/nobody"), b"1", "no manager at its socket: clients are served")
    check("does not take" in e.log_text(), "and the log says what that means", e.log_tail())
    e.stop()


def equal_quietly(got, want):
    if got != want:
        raise AssertionError(f"{got} is not {want}")


def another_socket():
    """An update that listens elsewhere, then the loss of both: the store has the right socket."""
    m, d = service()
    c = d.client()
    c.write("/x", "1")
    all_stored(m, 1)
    old = d.socket
    d.socket = os.path.join(d.dir, "elsewhere")
    d.launch(second=True)
    d.client().close()
    wait_for(lambda: m.names().count("listen") == 1 and m.removed, "the other socket in the store")
    again(d, "kill")
    equal(c.read("/x"), b"1", "the connection goes on")
    with d.client() as new:
        equal(new.read("/x"), b"1", "new ones come to the new socket")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        s.connect(old)
        check(False, "nobody listens at the old one")
    except (ConnectionRefusedError, FileNotFoundError):
        harness.ok("nobody listens at the old one")
    d.stop()


def without_manager():
    """SIGTERM where no service manager keeps anything: connections are closed, socket and pid file removed."""
    d = daemon.Daemon(env={"NOTIFY_SOCKET": ""}).start()
    c = d.client()
    c.write("/x", "1")
    equal(d.stop(), 0, "an orderly end")
    try:
        c.read("/x")
        check(False, "the connection is closed")
    except Closed:
        harness.ok("the connection is closed")
    check(not os.path.exists(d.socket) and not os.path.exists(d.pid_file), "socket and pid file are removed")
    d.start()
    with d.client() as c:
        equal(c.read("/x"), b"1", "the store is there")
    d.stop()


harness.main(one_restart, closed_by_us, strange_descriptors, other_store, another_socket, overtaken, failed_start, without_manager, full_and_deaf,
             come_and_go, storm)
