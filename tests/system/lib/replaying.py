# SPDX-License-Identifier: MIT
"""xs-replay, run from outside, and sessions for it."""
import functools
import os
import subprocess

from . import harness
from . import session as s
from .wire import HANG, NAMES


@functools.cache
def directory():
    return harness.temporary("replay")


def at(name):
    return os.path.join(directory(), name)


def replay(*args, stdin=None, env=None):
    """(status, standard output, standard error) of xs-replay."""
    tool = os.path.join(harness.options.build, "bisect", "xs-replay")
    p = subprocess.run([tool, *args], input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, timeout=HANG,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **(env or {})))
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def writes(n, name, comm=""):
    """A session with n requests."""
    w = s.Writer()
    w.open(1, comm=comm)
    for i in range(n):
        w.ask(1, NAMES["WRITE"], b"/n\0%d" % i)
    return w.end().save(at(name))


def requests_of(path):
    with open(path, "rb") as f:
        return [r for r in s.read(f.read()) if r[1] == s.REQUEST]
