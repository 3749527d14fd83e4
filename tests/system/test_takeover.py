#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A second start takes over from the first, also when starts and deaths come at the worst moments."""
import os
import random
import signal
import time

from lib import daemon, git, harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.wire import Client, Closed

ROUNDS = 25


def take_over():
    """A second start with the same repository: the newcomer serves, connections live on."""
    d = daemon.Daemon().start()
    c = d.client()
    c.write("/over/a", "1")
    tx = c.start()
    c.write("/over/b", "2", tx)
    c.watch("/over", "token")
    c.sync()
    old = d.members()
    second = daemon.Daemon(directory=d.dir, repo=d.repo)
    second.launch(second=True)
    wait_for(lambda: second.server_pid() and not d.members(), "the newcomer to take over")
    check(not set(old) & set(second.members()), "a second start replaces keeper and server")
    equal(c.read("/over/a"), b"1", "connections live on")
    c.write("/over/b2", "x")
    equal(c.take_events(), [(b"/over/b2", b"token")], "with their watches")
    c.end(tx)
    equal(c.read("/over/b"), b"2", "and their transactions")
    with second.client() as new:
        equal(new.read("/over/b"), b"2", "new ones are served")
    second.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def newcomer(first, name):
    """A daemon for the same repository and socket that is launched; its messages go to a file of its own."""
    d = daemon.Daemon(directory=first.dir, repo=first.repo)
    d.log = os.path.join(first.dir, "log." + name)
    return d.launch(second=True)


def alone(daemons):
    """Waits until one daemon of these is left, two processes; gives it."""
    return wait_for(lambda: (lambda left: left[0] if len(left) == 1 and len(left[0].members()) == 2 and
                             left[0].server_pid() else None)([d for d in daemons if d.alive()]), "one daemon", 30)


def complaints(daemons):
    return [line for d in daemons for line in d.complaints()]


def overtaken_newcomer():
    """A third start reaches the second before that one serves: both older ones are out, for good."""
    first = daemon.Daemon().start()
    c = first.client()
    for i in range(50):
        c.write(f"/over/{i}", "x")
    keeper = first.keeper_pid()
    os.kill(keeper, signal.SIGSTOP)  # so that both newcomers stand in its queue
    second = newcomer(first, "second")
    time.sleep(0.3)
    third = newcomer(first, "third")
    time.sleep(0.3)
    os.kill(keeper, signal.SIGCONT)
    everybody = [first, second, third]
    try:
        last = alone(everybody)
    except RuntimeError:
        check(False, "one daemon is left", str([d.members() for d in everybody]))
        return
    harness.ok("one daemon is left")
    c.write("/over/last", "x")
    equal(len(c.directory("/over")), 51, "the connection goes on, nothing is lost")
    last.stop()
    equal(complaints(everybody), [], "nobody saw damage")
    equal(git.fsck(first.repo), "", "the repository is sound")


def storm():
    """The server, or one that only starts, is killed and another daemon started at once, again and again."""
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    first = daemon.Daemon().start()
    daemons = [first]
    c = first.client()
    written = 0
    for number in range(ROUNDS):
        for _ in range(10):
            c.write(f"/storm/{written}", str(written))
            written += 1
        try:
            with open(first.pid_file, encoding="ascii") as f:
                os.kill(int(f.read()), signal.SIGKILL)
        except (ValueError, FileNotFoundError, ProcessLookupError):
            pass  # a start is under way
        time.sleep(rng.choice((0, 0, 0.001, 0.004, 0.02)))
        daemons.append(newcomer(first, str(number)))
    last = alone(daemons)
    got = {int(n) for n in c.directory("/storm")}
    equal(got, set(range(written)), f"{ROUNDS} kills, each with a start at once: one connection, nothing lost")
    equal(complaints(daemons), [], "nobody saw damage")
    last.stop()
    seqs = git.main_seqs(first.repo)
    equal(seqs, list(range(1, len(seqs) + 1)), "one commit per operation, no gap")
    equal(git.fsck(first.repo), "", "the repository is sound")


def any_process():
    """As before, but any process of any daemon that still lives may be hit; connections may end then."""
    rng = random.Random(harness.options.seed + 1)
    first = daemon.Daemon().start()
    daemons = [first]

    def acknowledged(request):
        """What a request gives, on connections that may be closed before it is answered. If the last daemon was
        hit there is another: a death is seen with some delay."""
        def answered():
            if not any(d.alive() for d in daemons):
                daemons.append(newcomer(first, f"{len(daemons)}-again"))
            try:
                with Client(first.socket) as c:
                    return True, request(c)
            except (OSError, Closed):
                return None
        try:
            return wait_for(answered, "an answer", 30)[1]
        except RuntimeError as e:
            raise RuntimeError(f"{e}: " + "".join(f"\n{d.members()} {d.log_tail()}" for d in daemons[-4:])) from e

    for written in range(ROUNDS):
        acknowledged(lambda c: c.write(f"/any/{written}", str(written)))
        daemons.append(newcomer(first, str(written)))
        for _ in range(rng.choice((1, 1, 2))):
            time.sleep(rng.choice((0, 0.002, 0.005, 0.01, 0.02)))
            living = [p for d in daemons for p in d.members()]
            try:
                os.kill(rng.choice(living), signal.SIGKILL)
            except (IndexError, ProcessLookupError):
                pass
    there = acknowledged(lambda c: c.directory("/any"))
    last = alone(daemons)
    equal({int(n) for n in there}, set(range(ROUNDS)),
          f"{ROUNDS} starts, each with a random process killed: nothing lost")
    equal(complaints(daemons), [], "nobody saw damage")
    last.stop()
    equal(git.fsck(first.repo), "", "the repository is sound")


def unread_events():
    """Events that nobody has read yet outlive their daemon, all of them."""
    for how in ("a killed server", "an update"):
        d = daemon.Daemon().start()
        w, r = d.client(), d.client()
        for i in range(50):
            r.watch("/b", f"token{i}")
        r.request(2, b"/\0")
        r.events.clear()
        for i in range(300):
            w.write(f"/b/{i}", "v")
        if how == "an update":
            d.launch(second=True)
            wait_for(lambda: "taking over" in d.log_text(), "the second daemon")
        else:
            d.kill_server()
        w.write("/last", "1")
        wanted = {b"/b/%d\0token%d\0" % (i, k) for i in range(300) for k in range(50)}
        got = [r.receive().payload for _ in wanted]
        check(set(got) == wanted, f"{how}: {len(wanted)} unread events come, each once", len(wanted - set(got)))
        d.stop()


harness.main(unread_events, any_process, take_over, overtaken_newcomer, storm)
