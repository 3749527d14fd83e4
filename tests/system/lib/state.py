# SPDX-License-Identifier: MIT
"""What a daemon keeps, read from its files."""
import os
import subprocess

from . import harness
from .daemon import wait_for
from .mount import Elsewhere
from .wire import HANG


def state(d):
    """Connections, watches, transactions, queues and nodes, a line each; without the number of events."""
    show = os.path.abspath(os.path.join(harness.options.build, "inspect", "xs-show"))
    enter, repo = (d.repo.enter, d.repo.inside) if isinstance(d.repo, Elsewhere) else ([], d.repo)
    lines = subprocess.run([*enter, show, "--repo", repo, "--state"], capture_output=True, check=True, text=True,
                           timeout=HANG).stdout.splitlines()
    return [line for line in lines if not line.startswith("event ")]


def lasting(lines):
    """Without what a connection that was only looking leaves behind."""
    return [line for line in lines if not line.startswith("next connection")]


def same_again(d, wanted, timeout=10):
    """The state, which is the wanted one unless it did not become that in time: somebody's connection ends a moment after
    it was closed."""
    now = []

    def same():
        now[:] = lasting(state(d))
        return now == wanted
    try:
        wait_for(same, "the same state", timeout)
    except RuntimeError:
        pass
    return now
