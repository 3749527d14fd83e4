#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""xs-record: what went through the proxy is in the session, byte by byte, whoever misbehaves or dies meanwhile."""
import functools
import os
import random
import resource
import signal
import socket
import subprocess
import threading

from lib import daemon, harness, recording
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.recording import Proxy, payload, records, text
from lib.wire import EVENT, HANG, NAMES, Client, Closed, XsError, hung_daemon, pack

READ, WRITE = NAMES["READ"], NAMES["WRITE"]
REQUESTS = 150  # of each client in the storm


@functools.cache
def server():
    return daemon.daemon()


def tool(proxy, name, *args):
    p = subprocess.run(["xenstore-" + name, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=HANG,
                       env=dict(os.environ, XENSTORED_PATH=proxy.socket), check=False)
    return p.returncode, p.stdout.decode("latin-1")


def tools():
    """The real tools, through the proxy: they notice nothing, and the session has it all."""
    p = Proxy(server().socket)
    equal(tool(p, "write", "/tools/a", "v|w"), (0, ""), "xenstore-write through the proxy")
    equal(tool(p, "read", "/tools/a"), (0, "v|w\n"), "xenstore-read through the proxy")
    check(tool(p, "read", "/tools/none")[0] != 0, "an error comes through")
    w = subprocess.Popen(["xenstore-watch", "-n", "2", "/tools"], stdout=subprocess.PIPE,
                         env=dict(os.environ, XENSTORED_PATH=p.socket))
    equal(w.stdout.readline(), b"/tools\n", "xenstore-watch through the proxy")
    tool(p, "write", "/tools/b", "1")
    equal((w.stdout.readline(), w.wait(HANG)), (b"/tools/b\n", 0), "an event comes through")
    w.stdout.close()
    wait_for(lambda: recording.run("show", p.file)[1].count(b" close\n") == 5, "the end of all connections")
    equal(p.stop(), 0, "SIGTERM ends the proxy")
    check(not os.path.exists(p.socket), "its socket is gone")
    lines = [line.split(" ", 1)[1] for line in text(p.file)]
    equal(lines[-1], "end stopped", "the session has its end mark")
    check(any(line.startswith("c1 open socket pid ") and line.endswith(f" uid {os.getuid()} xenstore-write") for line in lines),
          "it says which process is the client", lines[:3])
    for line in (r"c2 request 0 READ /tools/a|", r"c2 reply 0 READ v\x7cw", "c3 reply 0 ERROR ENOENT|",
                 "c4 request 0 WATCH /tools|/tools|", "c4 reply 0 WATCH OK|", "c4 event /tools|/tools|", "c4 event /tools/b|/tools|"):
        check(line in lines, f"the session has: {line}", lines)
    with open(p.file, "rb") as f:
        status, out, err = recording.run("show", "-", stdin=f)
    equal((status, out.decode().splitlines(), err), (0, text(p.file), b""), "show reads standard input")
    equal(os.stat(p.file).st_mode & 0o777, 0o600, "nobody else may read the session")


def storm_client(path, number, log):
    """Requests in flights of random size; what was sent and heard goes to log[number]."""
    lots = random.Random(number)
    sent, got = [], []
    with Client(path) as c:
        c.send(NAMES["WATCH"], b"/storm\0token%d\0" % number)
        sent.append((NAMES["WATCH"], 1, 0, b"/storm\0token%d\0" % number))
        left, unanswered = REQUESTS, 1
        while left or unanswered:
            for _ in range(min(left, lots.randrange(8))):
                name = b"/storm/%d/%d" % (number, lots.randrange(3))
                kind, data = lots.choice([(READ, name + b"\0"), (WRITE, name + b"\0" + lots.randbytes(lots.randrange(3000))),
                                          (NAMES["RM"], name + b"\0"), (NAMES["MKDIR"], b"no/such path\0")])
                sent.append((kind, c.send(kind, data), 0, data))
                left, unanswered = left - 1, unanswered + 1
            while unanswered > 4 or (unanswered and not left):
                m = c.receive()
                got.append(tuple(m))
                unanswered -= m.type != EVENT
    log[number] = sent, got


def storm():
    p = Proxy(server().socket)
    log = {}
    threads = [threading.Thread(target=storm_client, args=(p.socket, n, log)) for n in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(HANG)
    wait_for(lambda: recording.run("show", p.file)[1].count(b" close\n") == len(threads), "the end of all connections")
    equal(p.stop(signal.SIGINT), 0, "SIGINT ends the proxy")
    session = recording.heard(p.file)
    equal(len(session), len(threads), "each client has its connection in the session")
    by_token = {c["request"][0][3]: c for c in session.values()}
    for number, (sent, got) in sorted(log.items()):
        c = by_token[b"/storm\0token%d\0" % number]
        events = [m for m in got if m[0] == EVENT]
        check(c["request"] == sent and c["reply"] == [m for m in got if m[0] != EVENT] and c["event"][:len(events)] == events,
              f"client {number}: {len(sent)} requests, their replies and {len(events)} events are recorded as they were")


def killed():
    """kill -9: whatever a client has heard is in the file."""
    p = Proxy(server().socket)
    with p_client(p) as c:
        for n in range(300):
            c.write("/killed/a", "%d" % n)
        p.kill()
        try:
            c.read("/killed/a")
            harness.fail("the connection ends with the proxy")
        except Closed:
            harness.ok("the connection ends with the proxy")
    found = records(p.file, whole=False)
    equal(sum(r["kind"] == "reply" for r in found), 300, "after kill -9 of the proxy all 300 replies can be read")
    status, _, err = recording.run("show", p.file)
    check(status == 0 and b"there is no end mark: its recorder was killed" in err, "show says that the end mark is missing", err)


def p_client(proxy):
    return Client(proxy.socket)


def damaged():
    """A file cut anywhere, or with a byte changed: all before it is shown."""
    p = Proxy(server().socket)
    with p_client(p) as c:
        c.write("/damaged", "v")
    wait_for(lambda: b" close\n" in recording.run("show", p.file)[1], "the end of the connection")
    p.stop()
    whole = text(p.file)
    with open(p.file, "rb") as f:
        data = f.read()
    bad = os.path.join(p.dir, "bad")
    for what, content in (("cut", data[:-3]), ("changed", data[:-8] + b"?" + data[-7:])):
        with open(bad, "wb") as f:
            f.write(content)
        status, out, err = recording.run("show", bad)
        equal((status, out.decode().splitlines()), (1, whole[:-1]), f"{what}: what is before the damage is shown")
        check(b"all before it is good" in err, f"{what}: show says where the damage is", err)
    with open(bad, "wb") as f:
        f.write(b"no session at all")
    status, out, err = recording.run("show", bad)
    check(status == 3 and not out and b"this is no session" in err, "what is no session is refused", err)
    equal(recording.run("show", os.path.join(p.dir, "none"))[0], 3, "a file that is not there is refused")


def rotation():
    p = Proxy(server().socket, "--rotate-size", "8192", "--keep", "3")
    with p_client(p) as c:
        for _ in range(200):
            c.write("/rotation", "x" * 500)
    p.stop()
    names = sorted((n for n in os.listdir(p.dir) if n.startswith("session")), key=lambda n: int(n.split(".")[1]))
    equal(len(names), 3, "three files are kept")
    found = [text(os.path.join(p.dir, n)) for n in names]
    for i, lines in enumerate(found[:-1]):
        check(lines[-1].endswith(f"end continued in {names[i + 1]}"), f"{names[i]} names the next one", lines[-1])
        check(found[i + 1][1].endswith(f"note goes on from {names[i]}"), f"{names[i + 1]} names the one before", found[i + 1][:3])
        check(any(" c1 was-open socket pid " in line for line in found[i + 1][:4]), "it knows who is connected", found[i + 1][:4])
    check(max(os.path.getsize(os.path.join(p.dir, n)) for n in names) < 8192 + 1500, "files are of the size asked for")
    status, _, err = recording.run("proxy", "--listen", p.socket, "--to", server().socket, "-o", "-", "--rotate-size", "8192")
    check(status == 2 and b"cannot be rotated" in err, "standard output cannot be rotated", err)
    status, _, err = recording.run("proxy", "--listen", p.socket, "--to", server().socket, "-o", os.path.join(p.dir, "x"), "--keep", "3")
    check(status == 2 and b"give --rotate-size" in err, "--keep alone is refused", err)


def outputs():
    """Where there is more than ours, or nobody who reads; and a place whose owner hangs."""
    d = harness.temporary("output")
    place, kept, fifo = (os.path.join(d, name) for name in ("socket", "kept", "fifo"))
    command = ["proxy", "--listen", place, "--to", server().socket, "-o"]
    with open(kept, "wb") as f:
        f.write(b"keep me\n" * 100)
    with open(kept, "ab") as f:
        p = subprocess.run([recording.program(), *command, "-"], stdout=f, stderr=subprocess.PIPE, timeout=HANG, check=False,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (820, 820)))
    check(p.returncode == 3 and b"cannot write -: File too large" in p.stderr, "a limit of standard output is an error", p.stderr)
    with open(kept, "rb") as f:
        check(f.read().startswith(b"keep me\n" * 100), "what was in it before is kept")
    os.mkfifo(fifo)
    status, _, err = recording.run(*command, fifo, "--force")
    check(status == 3 and b"nobody reads " in err, "a FIFO without a reader is an error", (status, err))
    with hung_daemon(place):
        status, _, err = recording.run(*command, os.path.join(d, "session"))
        check(status == 3 and b"another daemon is there" in err, "a daemon that hangs is not waited for", (status, err))
    check(not os.path.exists(os.path.join(d, "session")), "no file is made then")


def redaction():
    p = Proxy(server().socket, "--redact", "/redact/*/secret", "--redact", "/local/domain/0/token")
    with p_client(p) as c:
        c.write("/redact/vm/secret", "s3cret")
        c.write("/redact/vm/name", "visible")
        c.write("token", "t0ken")
        tx = c.start()
        equal((c.read("/redact/vm/secret", tx), c.read("/redact/vm/name", tx), c.read("token")), (b"s3cret", b"visible", b"t0ken"),
              "the client itself reads what it wrote")
        for path in ("/redact/vm/secret", "/redact/vm/name", "/redact/vm/secret"):  # without waiting for the replies
            c.send(READ, path.encode() + b"\0")
        equal([c.reply().payload for _ in range(3)], [b"s3cret", b"visible", b"s3cret"], "in flight, too")
    wait_for(lambda: b" close\n" in recording.run("show", p.file)[1], "the end of the connection")
    p.stop()
    with open(p.file, "rb") as f:
        data = f.read()
    check(b"s3cret" not in data and b"t0ken" not in data, "no secret is in the file")
    lines = text(p.file)
    equal(sum("(redacted) ******" in line for line in lines), 3, "values read are hidden, with their length")
    check(any(line.endswith(" WRITE (redacted) /redact/vm/secret|******") for line in lines), "values written, too", lines)
    equal(sum(line.endswith("READ visible") for line in lines), 2, "others are not")


def garbage():
    """A client that sends what is no message: it is passed on, told in the session, and others go on."""
    p = Proxy(server().socket)
    with p_client(p) as good, p_client(p) as bad, p_client(p) as half:
        good.write("/garbage", "1")
        bad.send_bytes(pack(READ, b"/garbage\0") + b"\xff" * 40)
        equal(bad.receive().payload, b"1", "what is a message before the garbage is answered")
        try:
            bad.receive()
            harness.fail("the daemon closes the connection, as it does without a proxy")
        except Closed:
            harness.ok("the daemon closes the connection, as it does without a proxy")
        half.send_bytes(pack(READ, b"/garbage\0")[:20])
        half.sock.shutdown(socket.SHUT_WR)
        try:
            half.receive()
            harness.fail("who shuts down for writing in the middle of a message is closed")
        except Closed:
            harness.ok("who shuts down for writing in the middle of a message is closed")
        equal(good.read("/garbage"), b"1", "others go on")
    wait_for(lambda: recording.run("show", p.file)[1].count(b" close\n") == 3, "the end of all connections")
    p.stop()
    lines = text(p.file)
    check(any("its client sends is not recorded: it announced a message of 4294967295 bytes" in line for line in lines),
          "the session says what it has not", lines)
    check(any(line.endswith("20 bytes of its client are no whole message") for line in lines), "half a message is told", lines)


def slow():
    """Who does not read, or sends more than is taken, makes nobody's memory grow and holds up nobody else."""
    p = Proxy(server().socket)
    with p_client(p) as c, p_client(p) as other:
        c.write("/slow", "x" * 4000)
        other.read("/slow")
        before = p.memory_kib()
        c.sock.setblocking(False)
        request, sent = pack(READ, b"/slow\0") * 1000, 0
        while sent < 100000:
            try:
                c.sock.send(request)
                sent += 1000
            except BlockingIOError:
                break
        check(sent < 100000, "a client that never reads is held up in the end", f"{sent} requests were taken")
        for _ in range(20):
            other.read("/slow")
        harness.ok("others go on")
        grown = p.memory_kib() - before
        harness.note(f"the proxy has grown by {grown} KiB")
        check(grown < 4096, "the proxy keeps little of it in memory", f"{grown} KiB")
    p.stop()


def gone():
    """A daemon that is not there, one that goes away; a disk that is full."""
    d = daemon.Daemon().start()
    p = Proxy(d.socket)
    with p_client(p) as c:
        c.write("/gone", "1")
        d.stop()
        try:
            c.read("/gone")
            harness.fail("the end of the daemon comes through")
        except Closed:
            harness.ok("the end of the daemon comes through")
    with p_client(p) as c:
        try:
            c.read("/gone")
            harness.fail("without a daemon the client is sent away")
        except Closed:
            harness.ok("without a daemon the client is sent away")
    status, _, err = recording.run("proxy", "--listen", p.socket, "--to", d.socket, "-o", os.path.join(p.dir, "none"))
    check(status == 3 and b"another daemon answers there" in err, "a socket that is in use is refused", err)
    check(not os.path.exists(os.path.join(p.dir, "none")), "no file is made then")
    equal(p.stop(), 0, "the proxy goes on without a daemon, until it is told to end")
    check(any("note cannot connect to " in line for line in text(p.file)), "the session says why the client got no answer")
    status, _, err = recording.run("proxy", "--listen", os.path.join(d.dir, "x"), "--to", d.socket, "-o", "/dev/full", "--force")
    check(status == 3 and b"cannot write /dev/full: No space left" in err, "a full disk at the begin is an error", err)


def full():
    """The disk is full while it records: clients are served on, and the user is told."""
    p = Proxy(server().socket, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
    with p_client(p) as c:
        for _ in range(20):
            c.write("/full", "x" * 4000)
        harness.ok("clients are served on when the file cannot grow any more")
    check("File too large; nothing more is recorded, clients are served on" in p.said(), "the user is told", p.said())
    equal(p.stop(), 1, "and by the exit status")
    equal(sum(r["kind"] == "request" for r in records(p.file, whole=False)), 4, "what fits in can be read")


def said(path):
    """What was said on each connection, as [(kind, type, tx, payload)], without what logs have not: numbers of requests."""
    out = {}
    for r in records(path):
        if r["kind"] in ("request", "reply", "event"):
            out.setdefault(r["conn"], []).append((r["kind"], r["type"], r["tx_id"], payload(r)))
    return list(out.values())


def talk(proxy):
    with p_client(proxy) as c:
        tx = c.start()
        c.write("/import/a", "two words\nand lines", tx)
        c.write("/import/b", b"\\ \"", tx)
        c.end(tx)
        c.watch("/import", "a token")
        c.set_perms("/import/a", ["n0", "r3"])
        tx = c.start()
        c.rm("/import/b", tx)
        c.end(tx)
        try:
            c.mkdir("/import/ bad")
        except XsError:
            pass
        c.get_perms("/import/a")
        c.directory("/import")
        c.read("/import/a")
        c.unwatch("/import", "a token")
        c.sync()


def import_session(kind, log, *options):
    out = os.path.join(harness.temporary("import"), "session")
    status, _, err = recording.run("import", "--from", kind, log, "-o", out, *options)
    check(status == 0, f"xs-record import --from {kind}", err)
    return out, err


def unordered_events(messages):
    """Requests and replies in their order, events in theirs: a daemon may send them in another order than it logs them."""
    return ([m for m in messages if m[0] != "event"], [m for m in messages if m[0] == "event"])


def import_c_trace():
    """The trace of Debian's C daemon, and of ours, against what the proxy recorded meanwhile."""
    for name in ("Debian's C daemon", "this project's daemon"):
        d = harness.temporary("trace")
        trace = os.path.join(d, "trace")
        peer = daemon.PeerC(options=["-T", trace]).start() if "C" in name else daemon.Daemon(options=["-T", trace]).start()
        p = Proxy(peer.socket)
        talk(p)
        wait_for(lambda: b" close\n" in recording.run("show", p.file)[1], "the end of the connection")
        p.stop()
        peer.stop()
        out, err = import_session("auto", trace)
        want = said(p.file)[0]
        found = [c for c in said(out) if c[0][1] == "TRANSACTION_START"]
        equal([unordered_events(c) for c in found], [unordered_events(want)], f"{name}: all messages are found in its trace")
        check(b"import c-trace: " in err and b"which has seconds only" in err, "what such files never have is said", err)
        check("which has seconds only" in text(out)[0], "in the session, too", text(out)[0])


def import_oxenstored():
    script = os.path.join(daemon.fake_host(), "peers.sh")
    host = harness.temporary("ox")
    daemon.PeerC().start().stop()  # fetches both
    pid, path = subprocess.run([script, "start", "ox", host], check=True, stdout=subprocess.PIPE, timeout=HANG).stdout.decode().split()
    try:
        p = Proxy(path)
        talk(p)
        wait_for(lambda: b" close\n" in recording.run("show", p.file)[1], "the end of the connection")
        p.stop()
    finally:
        os.kill(int(pid), signal.SIGKILL)
    out, err = import_session("auto", os.path.join(host, "var/log/xen/xenstored-access.log"))
    logged = ("WRITE", "RM", "MKDIR", "SET_PERMS", "WATCH", "UNWATCH", "TRANSACTION_START", "TRANSACTION_END")
    found = [c for c in said(out) if c[0][1] == "TRANSACTION_START"]
    equal([[m for m in c if m[0] == "request"] for c in found],
          [[m for m in said(p.file)[0] if m[0] == "request" and m[1] in logged]], "all requests that oxenstored logs are found in its log")
    equal([m for m in found[0] if m[0] == "event"], [m for m in said(p.file)[0] if m[0] == "event"], "its events, too")
    check(b"no replies but errors" in err, "what such logs never have is said", err)


def import_strace():
    """A real client under strace, against what the proxy recorded meanwhile."""
    if not check(daemon.which("strace"), "strace is there"):
        return
    calls = "trace=read,write,recvfrom,sendto,recvmsg,sendmsg,readv,writev,connect,close,clone,clone3"
    for options in (["-xx", "-tt"], ["-ttt", "-yy"]):
        p = Proxy(server().socket)
        log = os.path.join(p.dir, "strace")
        status = subprocess.run(["strace", "-f", "-e", calls, "-s", "65536", *options, "-o", log, "xenstore-write", "/strace/a", "x" * 3000,
                                 "/strace/b", "2"], env=dict(os.environ, XENSTORED_PATH=p.socket), timeout=HANG, check=False).returncode
        with subprocess.Popen(["strace", "-f", "-A", "-e", calls, "-s", "65536", *options, "-o", log, "xenstore-watch", "-n", "2", "/strace"],
                              env=dict(os.environ, XENSTORED_PATH=p.socket), stdout=subprocess.PIPE) as w:
            w.stdout.readline()
            with server().client() as c:
                c.write("/strace/b", "3")
            w.stdout.readline()
            equal((status, w.wait(HANG)), (0, 0), "strace and its clients end")
        wait_for(lambda: recording.run("show", p.file)[1].count(b" close\n") == 2, "the end of the connections")
        p.stop()
        out, err = import_session("auto", log)
        equal(said(out), said(p.file), f"strace -f {' '.join(options)}: all messages are found in its log")
        check(b"import strace: " in err and err.count(b"\n") == 2, "nothing is missing, nothing was guessed", err)


def import_refused():
    d = harness.temporary("import")
    log = os.path.join(d, "log")
    for content, words in ((b"hello\n", b"name its kind with --from"), (b"x" * 2000000, b"line 1 is longer than 1048576 bytes")):
        with open(log, "wb") as f:
            f.write(content)
        status, _, err = recording.run("import", log, "-o", os.path.join(d, "out"))
        check(status == 3 and words in err, f"refused: {words.decode()}", err)
    check(not os.path.exists(os.path.join(d, "out")), "nothing is written then")
    equal(recording.run("import", log, "--from", "none", "-o", "-")[0], 2, "an unknown kind is refused")


harness.main(tools, storm, killed, damaged, rotation, outputs, redaction, garbage, slow, gone, full, import_c_trace,
             import_oxenstored, import_strace, import_refused)
