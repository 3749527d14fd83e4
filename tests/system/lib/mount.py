# SPDX-License-Identifier: MIT
"""A small tmpfs of a test's own, in a mount namespace of its own, so that it can be full without harm to anybody."""
import contextlib
import os
import subprocess

from . import harness
from .daemon import Daemon, wait_for


class Elsewhere(str):
    """A path for open() and its like. git, which asks where it is, has to be run by `enter`, with the path `inside`."""

    def __new__(cls, disk, name):
        self = super().__new__(cls, os.path.join(f"/proc/{disk.holder.pid}/root{disk.dir}", name))
        self.enter, self.inside = disk.enter, os.path.join(disk.dir, name)
        return self


class SmallDisk:
    def __init__(self, size):
        """`size` as mount(8) takes it: 48m."""
        self.dir = harness.temporary("disk")
        root = os.geteuid() == 0
        script = f'mount -t tmpfs -o size={size},mode=700 none "{self.dir}" && echo mounted && exec sleep 100000'
        self.holder = subprocess.Popen(["unshare", "-m" if root else "-rm", "sh", "-c", script],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        harness.on_exit(self.end)
        if self.holder.stdout.readline() != b"mounted\n":
            raise RuntimeError("no tmpfs can be mounted in a namespace of its own")
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-m"] + ([] if root else ["-U", "--preserve-credentials"])

    def daemon(self, options=()):
        """One whose repository lies on it. Its `repo` is for git outside."""
        return self.adopt(Daemon(options=options))

    def adopt(self, d):
        """A daemon that was not started yet: from now on its repository lies here."""
        d.repo = os.path.join(self.dir, "store.git")
        d.binary = os.path.abspath(d.binary)  # nsenter goes elsewhere
        command = self.enter + d.command()
        d.command = lambda: command
        d.repo = Elsewhere(self, "store.git")
        return d

    def fill(self):
        """Not a byte is free afterwards. It may be full already, without room for a file."""
        for piece in (1 << 20, 4096):
            with contextlib.suppress(OSError), open(Elsewhere(self, "filler"), "ab", buffering=0) as f:
                while f.write(b"\0" * piece) == piece:
                    pass

    def relieve(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(Elsewhere(self, "filler"))

    def end(self):
        if self.holder.poll() is None:
            self.holder.kill()
            wait_for(lambda: self.holder.poll() is not None, "the end of a namespace")
        self.holder.stdout.close()
