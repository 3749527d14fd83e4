# SPDX-License-Identifier: MIT
"""The side of systemd that a daemon's descriptor store needs: it reads notifications, keeps the descriptors that come with
them, lets go of sockets that are hung up, and gives them all back to the next start."""
import array
import os
import resource
import select
import socket
import subprocess
import sys
import threading

from . import harness
from .daemon import Daemon

# Becomes the daemon, with the descriptors named as 3, 4, … It is told the names, as they may hold anything.
LAUNCHER = """
import fcntl, os, sys
count = int(sys.argv[1])
fds = [fcntl.fcntl(int(n), fcntl.F_DUPFD_CLOEXEC, 1000) for n in sys.argv[2:2 + count]]
os.closerange(3, 1000)
for to, fd in enumerate(fds, 3):
    os.dup2(fd, to, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def identity(fd):
    """Which file it is, whatever its number (systemd asks kcmp())."""
    s = os.fstat(fd)
    return s.st_dev, s.st_ino


class ServiceManager(threading.Thread):
    """`most`: FileDescriptorStoreMax=. Pause reading with `deaf`."""

    def __init__(self, most=4096):
        super().__init__(daemon=True)
        self.path = os.path.join(harness.temporary("manager"), "notify")
        self.most = most
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(self.path)
        self.lock = threading.RLock()
        self.stored = []      # [name, fd, let go on hang-up]
        self.removed = []     # names
        self.messages = 0     # with descriptors
        self.refused = 0
        self.deaf = False
        self.ended = False
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
        harness.on_exit(self.end)
        self.start()

    @property
    def env(self):
        return {"NOTIFY_SOCKET": self.path, "FDSTORE": str(self.most)}

    def run(self):
        while not self.ended:
            ready = self.poll.poll(20)
            with self.lock:
                # Messages first: what they bring may be hung up already.
                if not self.deaf:
                    self.read()
                for fd, events in ready:
                    if fd != self.socket.fileno() and events & (select.POLLHUP | select.POLLERR):
                        self.drop([s for s in self.stored if s[1] == fd])

    def end(self):
        self.ended = True
        self.join()
        self.drop_all()

    def read(self):
        while not self.deaf:
            try:
                data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(253 * 4), socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            fds = array.array("i")
            for level, kind, body in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(body)
            fields = [line.partition("=")[::2] for line in data.decode().splitlines()]
            assigned = dict(fields)
            if "FDSTOREREMOVE" in assigned:
                self.removed.append(assigned["FDNAME"])
                self.drop([s for s in self.stored if s[0] == assigned["FDNAME"]])
            for fd in fds:
                if assigned.get("FDSTORE") == "1":
                    self.messages += 1
                    self.put(assigned.get("FDNAME", "stored"), fd, assigned.get("FDPOLL") != "0")
                else:
                    os.close(fd)

    def put(self, name, fd, until_hangup):
        """Keeps it, unless that is the same file as another or one too many."""
        with self.lock:
            if identity(fd) in [identity(s[1]) for s in self.stored]:
                os.close(fd)
            elif len(self.stored) >= self.most:
                self.refused += 1
                os.close(fd)
            else:
                self.stored.append([name, fd, until_hangup])
                if until_hangup:
                    self.poll.register(fd, 0)

    def drop(self, entries):
        for s in entries:
            self.stored.remove(s)
            if s[2]:
                self.poll.unregister(s[1])
            os.close(s[1])

    def drop_all(self):
        """As when the unit is stopped."""
        with self.lock:
            self.read()
            self.drop(list(self.stored))

    def names(self):
        with self.lock:
            self.read()
            return sorted(s[0] for s in self.stored)

    def clients(self):
        return [n for n in self.names() if n.startswith("client-")]


class Service(Daemon):
    """A daemon that is the service of such a manager: start() brings back what is stored."""

    def __init__(self, manager, **kw):
        super().__init__(**kw)
        self.manager = manager
        self.env.update(manager.env)
        self.host = None

    @classmethod
    def on(cls, host, manager, **kw):
        """One that serves an emulated Xen host."""
        s = cls(manager, directory=host.dir, **kw)
        s.env.update(host.daemon().env)
        s.env.update(manager.env)
        s.host = host
        return s

    def command(self):
        return [a for a in super().command() if not self.host or a != "--standalone"]

    def launch(self, second=False):
        if second:  # ExecReload=
            return super().launch(second=True)
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)
        m = self.manager
        with m.lock, open(self.log, "ab") as log:
            m.read()
            fds = [s[1] for s in m.stored]
            args = [sys.executable, "-c", LAUNCHER, str(len(fds))] + [str(fd) for fd in fds]
            env = dict(self.env, LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(s[0] for s in m.stored)) if fds else self.env
            self.process = subprocess.Popen((args if fds else []) + self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=env, start_new_session=True, pass_fds=fds)
        return self
