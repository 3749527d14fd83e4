#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Too little of something when a server starts: it says so and waits, and takes nothing for damage."""
import contextlib
import os
import resource
import time

from lib import daemon, git, harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.mount import SmallDisk


def with_nodes(d):
    """With a checkpoint, and something behind it."""
    c = d.client()
    c.watch("/a", "token")
    c.sync()
    for i in range(200):
        c.write(f"/n/{i}", "x")
    checkpoint = os.path.join(d.repo, "xsgit", "checkpoint")
    wait_for(lambda: c.write("/n/0", "x") or os.path.exists(checkpoint + ".old"), "checkpoints", step=0.2)
    c.write("/n/last", "y")
    return c


def limit(pid, most):
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
    return before


def descriptors():
    """The server dies, and the next one may have a few, as many as are open, or one more."""
    d = daemon.Daemon().start()
    with with_nodes(d) as c:
        fds = [int(n) for n in os.listdir(f"/proc/{d.keeper_pid()}/fd")]
        for most in (9, 12, 14, 15, 16, max(fds), max(fds) + 1, max(fds) + 4):
            keeper, seen = d.keeper_pid(), len(d.log_text())
            before = limit(keeper, most)
            server = d.kill_server()
            wait_for(lambda: "file descriptors are left" in d.log_text()[seen:], "a message")
            for pid in d.members():
                with contextlib.suppress(ProcessLookupError):  # a start that has failed meanwhile
                    limit(pid, before[0])
            wait_for(lambda: d.server_pid() not in (None, server), "the next server")
            c.write("/a", "1")
            equal((c.sync()[-1:], len(c.directory_all("/n"))), ([(b"/a", b"token")], 201),
                  f"{most} descriptors: store and connections go on when there are more")
        check(not d.complaints() and "IS GONE" not in d.log_text(), "nothing was taken for damage", d.complaints())
    d.stop()


def newcomer():
    """What wants to take over has too few for all connections: it says so, and the old one goes on."""
    d = daemon.Daemon().start()
    clients = [d.client() for _ in range(30)]
    for most in (12, 30, 45, 60):
        other = daemon.Daemon(directory=d.dir, repo=d.repo)
        other.log = os.path.join(d.dir, f"log.{most}")
        command = other.command()
        other.command = lambda n=most, c=command: ["sh", "-c", f'ulimit -n {n}; exec "$0" "$@"'] + c
        other.launch(second=True)
        wait_for(lambda: not other.alive(), "the newcomer's end", 20)
        check("ulimit -n" in other.log_text(), f"{most} descriptors: it says what to do", other.log_tail())
        wait_for(lambda: d.server_pid(), "the old daemon's server")
        clients[0].write("/a", str(most))
        equal([c.read("/a") for c in clients], [str(most).encode()] * 30, "all clients go on")
    d.stop()


def room():
    """A full file system, and something small to put right in the repository."""
    for what, file in (("no HEAD", "HEAD"), ("no journal", "xsgit/journal")):
        disk = SmallDisk("64m")
        d = disk.daemon().start()
        with_nodes(d).close()
        git.settle(d)
        time.sleep(1.2)  # the checkpoint has all of it
        d.kill()
        os.unlink(os.path.join(d.repo, file))
        disk.fill()
        d.launch()
        wait_for(lambda: not d.alive(), f"{what}: the start to fail")
        check("No space left" in d.log_text(), f"{what}, and no room: the log says why nothing starts", d.log_tail())
        check("set aside" not in d.log_text(), "and nothing is set aside", d.log_tail())
        disk.relieve()
        d.start()
        with d.client() as c:
            equal(len(c.directory_all("/n")), 201, f"{what}: all is there when there is room")
        d.stop()


if __name__ == "__main__":
    harness.main(descriptors, newcomer, room)
