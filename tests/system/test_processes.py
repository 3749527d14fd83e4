#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The host has no room for a process or a thread when the server has died: its clients wait, and go on when there is."""
import os
import resource
import shutil
import signal

from lib import daemon, harness
from lib.daemon import wait_for
from lib.harness import check, equal

ORDINARY_USER = 65533  # of no account; for root there is no limit


def as_ordinary_user():
    """Gives a copy of the daemon that this user can run."""
    program = shutil.copy(daemon.Daemon.find(), harness.temporary("program"))
    if os.geteuid() == 0:
        os.chown(os.path.dirname(program), ORDINARY_USER, ORDINARY_USER)
        os.setgroups([])
        os.setgid(ORDINARY_USER)
        os.setuid(ORDINARY_USER)
    return program


def tasks():
    """Of this user, as its limit counts them."""
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{pid}/task"))
        except FileNotFoundError:
            pass
    return count


def no_room():
    d = daemon.Daemon(binary=as_ordinary_user()).start()
    with d.client() as c:
        c.watch("/a", "token")
        c.sync()
        for what, room in (("process", 0), ("thread", 1), ("thread", 2)):
            keeper, server = d.keeper_pid(), d.server_pid()
            threads = len(os.listdir(f"/proc/{server}/task"))
            soft, hard = resource.prlimit(keeper, resource.RLIMIT_NPROC)
            seen = len(d.log_text())
            resource.prlimit(keeper, resource.RLIMIT_NPROC, (tasks() - threads + room, hard))
            os.kill(server, signal.SIGKILL)
            wait_for(lambda: "cannot start" in d.log_text()[seen:], "a message")
            check("TasksMax" in d.log_text()[seen:], f"no {what}: the log says what to do", d.log_tail())
            check(keeper in d.members(), f"no {what} ({room} more): the keeper stays")
            resource.prlimit(keeper, resource.RLIMIT_NPROC, (soft, hard))
            wait_for(lambda: d.server_pid() not in (None, server), "the next server")
            c.write("/a", what)
            equal(c.sync()[-1:], [(b"/a", b"token")], f"no {what} ({room} more): clients go on when there is room")
    d.stop()


if __name__ == "__main__":
    harness.main(no_room)
