# SPDX-License-Identifier: MIT
"""A daemon whose history can be made to have a gap."""
import os
import re

from . import git
from .daemon import wait_for
from .mount import SmallDisk


def fact(d, name):
    """Of `xenstore-control status`."""
    with d.client() as c:
        return re.search(rf"^{name} *: (.*)$", c.control("status").decode(), re.M)[1]


def small(size="16m"):
    """A daemon on a file system of its own; 16m: with a journal of 1 MiB."""
    disk = SmallDisk(size)
    d = disk.daemon().start()
    git.settle(d)
    return disk, d


def write_until_gap(d, disk, seconds=90):
    """Fills the file system and writes until history is given up."""
    with d.client() as c:
        written = [0]

        def gap():
            disk.fill()
            for _ in range(50):
                c.write(f"/load/{written[0] % 50}", os.urandom(900).hex())
                written[0] += 1
            return fact(d, "gap") != "none"
        wait_for(gap, "a gap", seconds)


def wait_for_end(d):
    """There is room again."""
    wait_for(lambda: fact(d, "gap") == "none", "the end of the gap", 60, 0.1)
    git.settle(d)
