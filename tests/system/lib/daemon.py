# SPDX-License-Identifier: MIT
"""Starts and stops daemons: ours, and Debian's C one. Signals go only to processes that were started here:
each daemon leads a session of its own, and only members of that session are touched."""
import glob
import os
import re
import shutil
import signal
import subprocess
import time

from . import harness
from .wire import HANG, Client


def fake_host():
    """tests/fakexen, which emulates a Xen host."""
    for d in (os.environ.get("FAKEXEN"), os.path.join(harness.root(), "tests", "fakexen")):
        if d and os.path.exists(os.path.join(d, "peers.sh")):
            return d
    raise RuntimeError("tests/fakexen is missing; FAKEXEN can name another place")


def peers():
    return os.environ.get("PEERS", "/var/tmp/xenstore-peers")


def stat_of(pid):
    """(state, parent, session) of a process, None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode(), int(fields[1]), int(fields[3])


def session_members(session):
    """Living processes of a session."""
    out = []
    for d in os.listdir("/proc"):
        if d.isdigit():
            s = stat_of(int(d))
            if s and s[2] == session and s[0] not in "ZX":
                out.append(int(d))
    return out


def wait_for(condition, what, timeout=HANG, step=0.002):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(step)


class Daemon:
    """Our daemon on a repository. stop() ends it in order, kill() as it comes."""

    def __init__(self, directory=None, repo=None, options=(), binary=None, env=None):
        self.dir = directory or harness.temporary("daemon")
        self.repo = repo or os.path.join(self.dir, "store.git")
        self.socket = os.path.join(self.dir, "socket")
        self.pid_file = os.path.join(self.dir, "pid")
        self.log = os.path.join(self.dir, "log")
        self.binary = binary or self.find()
        self.options = list(options)
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.complained = False
        harness.on_exit(self.cleanup)

    @staticmethod
    def find():
        b = os.path.join(harness.options.build, "server", "xenstored")
        if not os.access(b, os.X_OK):
            raise RuntimeError(f"{b} is missing: build it, or name the build directory with --build")
        return b

    def command(self):
        return [self.binary, "--standalone", "-N", "--repo", self.repo, "--socket", self.socket,
                "--pid-file", self.pid_file] + self.options

    def launch(self, second=False):
        """Starts the process without waiting for service. `second`: another daemon serves there now."""
        for f in (self.pid_file, self.socket):
            if not second and os.path.exists(f) and not self.alive():
                os.unlink(f)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.env, start_new_session=True)
        return self

    def start(self):
        self.launch()

        def ready():
            if not session_members(self.process.pid) and self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self.process.returncode}: {self.log_tail()}")
            return os.path.exists(self.socket) and self.server_pid()
        wait_for(ready, "the daemon's socket")
        Client(self.socket).close()
        return self

    def log_text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_tail(self):
        return self.log_text()[-1500:]

    def complaints(self):
        """Lines of the log that no daemon may write, whoever is killed and started: somebody saw damage."""
        bad = ("Assertion", "DAMAGED", "no record where", "no place of this journal", "starting again", "set aside",
               "no store of", "no xsgit store", "EVENTS ARE LOST", "poison", "otherwise than when")
        return [line for line in self.log_text().splitlines() if any(b in line for b in bad)]

    def client(self, **kw):
        return Client(self.socket, **kw)

    # -- processes --------------------------------------------------------------------------------

    def members(self):
        if self.process:
            self.process.poll()  # reaps it when it has ended
        return session_members(self.process.pid) if self.process else []

    def alive(self):
        return bool(self.members())

    def server_pid(self):
        """The process that serves, as the pid file says; None while there is none."""
        try:
            with open(self.pid_file, encoding="ascii") as f:
                pid = int(f.read().strip() or 0)
        except (FileNotFoundError, ValueError):
            return None
        s = stat_of(pid) if pid else None
        return pid if s and self.process and s[2] == self.process.pid and s[0] not in "ZX" else None

    def keeper_pid(self):
        """The other process."""
        server = self.server_pid()
        others = [p for p in self.members() if p != server]
        return others[0] if server and len(others) == 1 else None

    def kill_server(self):
        pid = wait_for(self.server_pid, "a server process")
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_keeper(self):
        pid = wait_for(self.keeper_pid, "a keeper process")
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill(self):
        """Both, as much at once as can be done; returns when they are gone."""
        while True:
            pids = self.members()
            if not pids:
                return
            for p in pids:  # stopped first, so that none can start the other again
                self.signal(p, signal.SIGSTOP)
            for p in pids:
                self.signal(p, signal.SIGKILL)
            wait_for(lambda: not set(pids) & set(self.members()), "the death of the daemon")

    @staticmethod
    def signal(pid, sig):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass

    def stop(self):
        """Orderly; returns the exit status of the process that was started."""
        if not self.process:
            return None
        pid = self.server_pid() or self.process.pid
        self.signal(pid, signal.SIGTERM)
        wait_for(lambda: not self.members(), "the daemon's orderly stop")
        return self.process.wait(HANG)

    def cleanup(self):
        if self.process and self.alive():
            self.kill()
        # A server that a sanitizer ends is started again: nobody else would notice.
        complaint = re.search(r"(?:Sanitizer|runtime error): .*(?:\n.*){0,40}", self.log_text())
        if complaint and not self.complained:
            self.complained = True
            harness.fail("a sanitizer complains of the daemon", complaint[0])

    # -- looking in ---------------------------------------------------------------------------------

    def memory_kib(self, field="VmRSS"):
        with open(f"/proc/{self.server_pid()}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        return 0


class PeerC:
    """Debian's C xenstored on an emulated host, which has the domains 1 to 9."""

    def __init__(self, directory=None, options=()):
        self.dir = directory or harness.temporary("peer")
        self.options = list(options)
        self.pid = None
        self.socket = None
        harness.on_exit(self.cleanup)

    def start(self):
        script = os.path.join(fake_host(), "peers.sh")
        if not glob.glob(os.path.join(peers(), "root/usr/lib/xen-*/bin/xenstored")):
            subprocess.run([script, "fetch"], check=True, stdout=subprocess.DEVNULL)
        out = subprocess.run([script, "start", "C", self.dir] + self.options, check=True, stdout=subprocess.PIPE,
                             timeout=HANG).stdout.decode()
        pid, self.socket = out.split()
        self.pid = int(pid)
        for domid in range(1, 10):
            subprocess.run([os.path.join(peers(), "fakexenctl"), self.dir, "create", str(domid)], check=True)
        Client(self.socket).close()
        return self

    def client(self, **kw):
        return Client(self.socket, **kw)

    def server_pid(self):
        return self.pid

    memory_kib = Daemon.memory_kib

    def stop(self):
        if self.pid:
            for p in session_members(self.pid):
                os.kill(p, signal.SIGKILL)
            wait_for(lambda: not session_members(self.pid), "the end of the C daemon")
            self.pid = None

    cleanup = stop


def daemon(**kw):
    """Ours, or the peer when --peer says so; started."""
    return PeerC(**kw).start() if harness.options.peer else Daemon(**kw).start()


def which(name, *also):
    """Path of a program, looked for in PATH and in the places named."""
    for p in also:
        for found in sorted(glob.glob(p)):
            if os.access(found, os.X_OK):
                return found
    return shutil.which(name)
