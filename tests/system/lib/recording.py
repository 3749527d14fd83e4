# SPDX-License-Identifier: MIT
"""xs-record, run from outside: the proxy, the tap, and sessions as values."""
import json
import os
import signal
import subprocess

from . import daemon, harness
from .wire import HANG, NAMES


def program():
    path = os.path.join(harness.options.build, "bisect", "xs-record")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is missing: build it, or name the build directory with --build")
    return path


def run(*args, **kw):
    """(status, standard output, standard error); bytes."""
    p = subprocess.run([program(), *args], capture_output=True, timeout=HANG, check=False, **kw)
    return p.returncode, p.stdout, p.stderr


def text(path):
    """Lines of a session; it must be whole."""
    status, out, err = run("show", path)
    if status or err:
        raise RuntimeError(f"xs-record show {path}: status {status}: {err!r}")
    return out.decode("ascii").splitlines()


def payload(record):
    return bytes.fromhex(record["payload_hex"]) if "payload_hex" in record else record["payload"].encode()


def records(path, whole=True):
    """A session as a list of dictionaries."""
    status, out, err = run("show", "--json", path)
    if whole and (status or err):
        raise RuntimeError(f"xs-record show {path}: status {status}: {err!r}")
    return [json.loads(line) for line in out.splitlines()]


def heard(path):
    """{connection: {"request": [...], "reply": [...], "event": [...]}} of a session, each as (type, req_id, tx_id, payload)."""
    out = {}
    for r in records(path):
        if r["kind"] in ("request", "reply", "event"):
            kind = NAMES[r["type"]] if r["type"] in NAMES else int(r["type"].removeprefix("#"))
            out.setdefault(r["conn"], {"request": [], "reply": [], "event": []})[r["kind"]].append(
                (kind, r["req_id"], r["tx_id"], payload(r)))
    return out


class Running:
    """xs-record as it records into self.file; what it says goes to self.log."""
    ready_text = None  # that it says when it has begun

    def __init__(self, source, *options, directory=None, preexec_fn=None):
        self.dir = directory or harness.temporary("record")
        self.file = os.path.join(self.dir, "session")
        self.log = os.path.join(self.dir, "log")
        self.socket = os.path.join(self.dir, "proxy")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([program(), *self.command(source), "-o", self.file, *options],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=preexec_fn)
        harness.on_exit(self.kill)
        daemon.wait_for(self.ready, f"xs-record: {self.ready_text}")

    def command(self, source):
        raise NotImplementedError

    def ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"xs-record ended with {self.process.returncode}: {self.said()}")
        return self.ready_text in self.said()

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, how=signal.SIGTERM):
        """The exit status."""
        self.process.send_signal(how)
        return self.process.wait(HANG)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(HANG)

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


class Proxy(Running):
    """xs-record proxy in front of a socket."""
    ready_text = "clients connect to"

    def command(self, source):
        return ["proxy", "--listen", self.socket, "--to", source]


class Tap(Running):
    """xs-record tap beside the daemon of a repository."""
    ready_text = "is tapped"

    def command(self, source):
        return ["tap", "--repo", source]
