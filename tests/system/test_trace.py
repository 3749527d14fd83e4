#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The trace file (-T), line by line: scripts search it, so its format is that of Xen's own daemon (4.19 and newer)."""
import os
import re
import subprocess
import time

from lib import daemon, harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.toolstack import introduce, start
from lib.wire import XsError

DATE = r"\d{8} \d\d:\d\d:\d\d"


class Reader:
    """What was appended to a file since the last look, with numbers that vary taken out: connections become a, b, …,
    watches and transactions w1, w2, … in the order of their coming."""

    def __init__(self, path):
        self.path = path
        self.at = 0
        self.connections = {}
        self.objects = {}

    def raw(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.at)
                text = f.read().decode("latin-1")
        except FileNotFoundError:
            return []
        self.at += len(text)
        return text.split("\n")[:-1]

    def lines(self):
        return [self.plain(line) for line in self.raw()]

    def name(self, number, names, form):
        return names.setdefault(number, form(len(names)))

    def plain(self, line):
        def connection(m):
            return m[1] + self.name(m[2], self.connections, lambda n: chr(ord("a") + n))

        def thing(m):
            return m[1] + self.name(m[2], self.objects, lambda n: f"{m[1].split()[-1][0]}{n + 1}")
        line = re.sub(r"^(io: (?:IN|OUT) )(0x[0-9a-f]+)(?= \(d)", connection, line)
        line = re.sub(r"^(obj: \w+ connection )(0x[0-9a-f]+)$", connection, line)
        line = re.sub(r"^(obj: \w+ (?:watch|transaction) )(0x[0-9a-f]+)$", thing, line)
        return re.sub(rf"^(io: (?:IN|OUT) \w+ \(d\d+\)) {DATE} ", r"\1 ", line)


def text_of(path):
    try:
        with open(path, encoding="latin-1") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def traced(*options):
    """A daemon with a trace file, where nobody is connected any more."""
    d = daemon.Daemon(options=options)
    d.trace = os.path.join(d.dir, "trace")
    d.options += ["-T", d.trace]
    d.start()
    if "--trace-control=-obj" not in options:
        wait_for(lambda: "DESTROY connection" in text_of(d.trace), "the end of the client that start() has")
    return d


def objects(lines):
    return [line for line in lines if line.startswith("obj: ")]


def error(call, *args):
    try:
        return call(*args)
    except XsError as e:
        return e.name


def requests_and_answers():
    d = traced()
    r = Reader(d.trace)
    begin = time.time()
    first = r.raw()
    equal(first[:2], ["", "***"], "a trace begins with an empty line and stars")
    equal(os.stat(d.trace).st_mode & 0o777, 0o600, "its mode is 0600")
    r.connections.clear()
    c = d.client()
    c.write("/t/a", "one")
    c.read("/t/a")
    error(c.read, "/t/none")
    c.write("/t/b", b"x\ny\x80\\")
    error(c.request, 99, b"abc\0def")
    equal(r.lines(), ["obj: CREATE connection a",
                      "io: IN a (d0) WRITE (/t/a one)", "io: OUT a (d0) WRITE (OK )",
                      "io: IN a (d0) READ (/t/a )", "io: OUT a (d0) READ (one)",
                      "io: IN a (d0) READ (/t/none )", "io: OUT a (d0) ERROR (ENOENT )",
                      r"io: IN a (d0) WRITE (/t/b x\012y\200\134)", "io: OUT a (d0) WRITE (OK )",
                      "io: IN a (d0) **UNKNOWN** (abc def)", "io: OUT a (d0) ERROR (ENOSYS )"],
          "requests and answers, one line each, NULs as blanks")
    c.read("/t/a")
    line = r.raw()[0]
    date = re.search(DATE, line)
    check(date, "a line has date and time", line)
    said = time.mktime(time.strptime(date[0], "%Y%m%d %H:%M:%S"))
    check(begin - 2 < said < time.time() + 1, "in local time", line)
    c.close()
    d.stop()


def watches_and_transactions():
    d = traced()
    r = Reader(d.trace)
    r.raw()
    c = d.client()
    equal(r.lines() or wait_for(r.lines, "a line"), ["obj: CREATE connection a"], "a connection comes to be")
    c.watch("/t", "token")
    error(c.watch, "/t", "token")
    c.watch("/t", "other")
    c.sync()
    lines = r.lines()
    equal(objects(lines), ["obj: CREATE watch w1", "obj: CREATE watch w2"],
          "a watch comes to be, and none when it is refused")
    equal([line for line in lines if "EVENT" in line],
          ["io: OUT a (d0) WATCH_EVENT (/t token )", "io: OUT a (d0) WATCH_EVENT (/t other )"], "events are traced")
    c.unwatch("/t", "token")
    error(c.unwatch, "/t", "token")
    first, second, third = c.start(), c.start(), c.start()
    error(c.request, 7, b"X\0", first)
    c.end(second)
    c.end(first, commit=False)
    error(c.request, 7, b"T\0", 77)
    other = d.client()
    error(c.read, "/t", third)
    c.write("/t/x", "1", tx=third)
    other.write("/t", "2")
    equal(error(c.end, third), "EAGAIN", "a conflict")
    equal(objects(r.lines()), ["obj: DESTROY watch w1", "obj: CREATE transaction t3", "obj: CREATE transaction t4",
                    "obj: CREATE transaction t5", "obj: DESTROY transaction t4", "obj: DESTROY transaction t3",
                    "obj: CREATE connection b", "obj: DESTROY transaction t5"],
          "watches and transactions come and go, each under its number")
    c.start()
    other.start()
    other.watch("/t", "w")
    c.close()
    wait_for(lambda: "DESTROY connection" in text_of(d.trace).split("EAGAIN")[1],
             "the end of a connection")
    equal(objects(r.lines()),
          ["obj: CREATE transaction t6", "obj: CREATE transaction t7", "obj: CREATE watch w8",
           "obj: DESTROY watch w2", "obj: DESTROY transaction t6", "obj: DESTROY connection a"],
          "what a connection had goes with it")
    other.request(21, b"\0")
    equal(objects(r.lines()),
          ["obj: DESTROY watch w8", "obj: DESTROY transaction t7"], "RESET_WATCHES ends what there is")
    d.stop()


def classes():
    d = traced("--trace-control=-obj", "--trace-control=+wrl")
    c = d.client()
    c.watch("/t", "w")
    r = Reader(d.trace)
    text = "\n".join(r.raw())
    check("io: " in text and "obj: " not in text, "--trace-control=-obj leaves out the objects", text)
    c.control("log", "-io")
    r.raw()
    c.unwatch("/t", "w")
    c.control("log", "+obj")
    c.watch("/t", "v")
    lines = r.raw()
    check(len(lines) == 1 and lines[0].startswith("obj: CREATE watch 0x"), "classes can be switched", lines)
    c.control("log", "+io")
    c.control("log", "off")
    r.raw()
    c.read("/")
    equal(r.raw(), [], "log off: nothing is traced")
    c.control("log", "on")
    c.read("/")
    equal([r.plain(line) for line in r.raw()],
          ["", "***", "io: IN a (d0) CONTROL (log on )", "io: OUT a (d0) CONTROL (OK )", "io: IN a (d0) READ (/ )", "io: OUT a (d0) READ ()"],
          "log on: the same file goes on")
    os.rename(d.trace, d.trace + ".0")
    c.control("log", "on")
    equal(Reader(d.trace).lines(), ["", "***", "io: IN a (d0) CONTROL (log on )", "io: OUT a (d0) CONTROL (OK )"],
          "log on opens it again")
    os.rename(d.trace, d.trace + ".1")
    os.kill(d.server_pid(), 1)  # SIGHUP
    wait_for(lambda: os.path.exists(d.trace), "the new file")
    c.read("/")
    lines = Reader(d.trace).lines()
    equal(lines[:2] + lines[-1:], ["", "***", "io: OUT a (d0) READ ()"], "SIGHUP opens the file again")
    d.stop()


def guests():
    """On an emulated host: the domid of a guest, and what the write-rate limit says."""
    trace = os.path.join(harness.temporary("trace"), "trace")
    host, d = start(["-T", trace, "--trace-control=+wrl"])
    c = d.client()
    r = Reader(trace)
    r.raw()
    g = introduce(host, c, 3)
    check("obj: CREATE connection 0x" in "\n".join(line for line in r.raw()), "a guest's ring is a connection")
    c.start()
    r.raw()
    g.write("data/x", "1")
    lines = r.lines()
    equal([line for line in lines if line.startswith("io: ")],
          ["io: IN a (d3) WRITE (data/x 1)", "io: OUT a (d3) WRITE (OK )"], "requests of a guest have its domid")
    check(any(re.fullmatch(r"wrl: domain 3 credit=[\d.]+ \(reserve=[\d.]+\)", line) for line in lines),
          "what a guest's write costs it while a transaction is open", lines)
    host.destroy(3)
    wait_for(lambda: "DESTROY connection" in text_of(trace), "the end of its ring")
    d.stop()


def cannot_be_opened():
    d = daemon.Daemon(options=["-T", "/nonexistent/trace"]).start()
    d.client().write("/t", "1")
    check("cannot open the trace file /nonexistent/trace" in d.log_text(),
          "a trace file that cannot be opened is reported, and the daemon serves", d.log_tail)
    d.stop()


def pipe():
    """Nobody reads it: the daemon does not wait for that."""
    d = daemon.Daemon().start()
    fifo = os.path.join(d.dir, "fifo")
    os.mkfifo(fifo, 0o600)
    with d.client() as c:
        for command in ("logfile", "memreport"):
            check(b"cannot open" in c.control(command, fifo), f"{command}: a pipe that nobody reads is refused")
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        equal(c.control("logfile", fifo), b"OK\0", "one that somebody has open is not")
        for n in range(2000):  # more than a pipe holds
            c.write("/t", "x" * 200 + str(n))
        harness.ok("and nobody waits when it is full")
        os.close(reader)
        c.write("/t", "1")
        harness.ok("nor when its reader has gone")
    d.stop()


def without_a_value():
    """The daemon serves and says so, also after its server was killed and the keeper is another process."""
    d = daemon.Daemon(options=["-Q", "nodes=7", "-W", "", "-T"]).start()
    c = d.client()
    equal(c.request(25, b"nodes\0"), b"7\0", "an option without its value: the others count")
    for option in ("-T", "-W"):
        check(f"option {option} needs a value; it is ignored" in d.log_text(), f"{option} is reported", d.log_tail)
    before = d.kill_server()
    wait_for(lambda: d.server_pid() not in (None, before), "another server")
    wait_for(d.keeper_pid, "another keeper")
    d.kill_server()
    with d.client() as other:
        equal(other.request(25, b"nodes\0"), b"7\0", "it survives as any other")
    d.stop()


def stray_words():
    """Words that belong to no option end the start: who wrote them meant something."""
    for words in (("-E", "5", "watches=7"), ("-w", "watch-event=3", "ring-scan=1"), ("-E", "5", "6"),
                  ("-Q", "nodes=7", "watches=7")):
        d = daemon.Daemon(options=words).launch()
        what = " ".join(words)
        try:
            status = d.process.wait(30)
        except subprocess.TimeoutExpired:
            d.kill()
            harness.fail(f"{what}: refused", "the daemon runs")
            continue
        said = d.log_text().strip()
        check(status != 0 and not os.path.exists(d.socket), f"{what}: refused", (status, said))
        check(words[-1] in said and len(said) < 1000, f"{what}: the message names the word", said)


harness.main(requests_and_answers, watches_and_transactions, classes, guests, cannot_be_opened, pipe, without_a_value, stray_words)
