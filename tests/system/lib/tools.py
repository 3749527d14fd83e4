# SPDX-License-Identifier: MIT
"""The toolkit's programs, and a daemon whose history they read."""
import functools
import os
import subprocess

from . import daemon, git, harness
from .wire import HANG


def tool(name):
    """Path of a program by its place in the build directory: inspect/xs-show."""
    return os.path.join(harness.options.build, name)


@functools.cache
def server():
    """One for the whole test, with a commit at least."""
    d = daemon.Daemon().start()
    git.settle(d)
    return d


def show(*args):
    """What xs-show prints of that daemon's repository, unpublished commits included."""
    return subprocess.run([tool("inspect/xs-show"), "--repo", server().repo, *args], check=True, text=True,
                          stdout=subprocess.PIPE, timeout=HANG).stdout


def tip():
    """The daemon's last commit, by its number: "#12"."""
    return show().split("\n", 1)[0].split()[-1]
