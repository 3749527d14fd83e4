#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kill -9 at random moments, twenty times, under sixteen clients that know what they must hear."""
import os
import random
import signal
import subprocess
import time

from lib import daemon, git, harness
from lib.crash_client import CrashClient, Wrong
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.wire import HANG

CLIENTS = 16
KILLS = ["server"] * 6 + ["keeper"] * 4 + ["both"] * 5 + ["recovery"] * 5


def quiet(clients):
    for c in clients:
        c.go.clear()
    for c in clients:
        if not c.idle.wait(150):
            raise Wrong(f"client {c.number} hangs")


def resume(clients):
    for c in clients:
        if not c.wrong and not c.closed:
            c.idle.clear()
            c.go.set()


def wrongs(clients):
    return "; ".join(c.wrong for c in clients if c.wrong)


def kill(d, rng, mode):
    """Kills; returns (moment, text)."""
    if mode == "server":
        d.kill_server()
        return time.monotonic(), "the server"
    if mode == "keeper":
        d.kill_keeper()
        return time.monotonic(), "the keeper"
    if mode == "both":
        d.kill()
        return time.monotonic(), "both"
    # the server, and again while its successor recovers
    keeper = wait_for(d.keeper_pid, "a keeper")
    d.kill_server()
    for _ in range(rng.choice((1, 1, 2))):
        successor = wait_for(lambda: [p for p in d.members() if p != keeper], "a successor")[0]
        time.sleep(rng.random() * 0.03)
        try:
            os.kill(successor, signal.SIGKILL)
        except ProcessLookupError:
            pass
        wait_for(lambda: successor not in d.members(), "its death")
    return time.monotonic(), "the server, and its successor during recovery"


def twenty_kills():
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    d = daemon.Daemon().start()
    with d.client() as c:
        c.write("/crash/shared/counter", "0")
        c.mkdir("/crash/shared/done")
    clients = [CrashClient(i, CLIENTS, d.socket, harness.options.seed) for i in range(CLIENTS)]
    for c in clients:
        c.connect()
    for c in clients:
        c.listen()
    for c in clients:
        c.start()
    probe = d.client()
    failed_before = harness.failed
    kills = KILLS[:]
    rng.shuffle(kills)
    times = {}
    try:
        for number, mode in enumerate(kills, 1):
            one_round(d, rng, clients, number, mode, times, probe)
            if mode == "both":
                probe = d.client()
            if harness.failed > failed_before:
                harness.note(f"the daemon's log ends with: {d.log_tail()}")
                break
    finally:
        for c in clients:
            c.quit.set()
            c.go.set()
        for c in clients:
            c.join(150)
    harness.note(f"{sum(c.operations for c in clients)} operations, {sum(c.increments for c in clients)} shared "
                 f"increments, {sum(c.conflicts for c in clients)} conflicts")
    for mode, list_ in sorted(times.items()):
        list_.sort()
        harness.note(f"death of {mode} to next reply, ms: " + " ".join(f"{1000 * t:.1f}" for t in list_))
    check(all(t < 2.0 for l in times.values() for t in l), "service is back within two seconds each time", times)
    d.stop()
    equal(git.fsck(d.repo), "", "fsck finds nothing after the orderly end")


def one_round(d, rng, clients, number, mode, times, probe):
    name = f"kill {number} ({mode})"
    resume(clients)
    time.sleep(0.05 + rng.random() * 0.4)
    moment, text = kill(d, rng, mode)
    if mode == "both":
        wait_for(lambda: all(c.closed or c.wrong for c in clients), "the clients to notice")
        problem = wrongs(clients)
        check(not problem, f"{name}: what the clients heard was right", problem)
        moment = time.monotonic()
        d.start()
        probe = d.client()
    probe.read("/crash/shared/counter")
    times.setdefault(mode, []).append(time.monotonic() - moment)
    if mode != "both":
        time.sleep(0.15)  # go on over the restart
        quiet(clients)
        problem = wrongs(clients) or "; ".join(f"client {c.number} lost its connection" for c in clients if c.closed)
        check(not problem, f"{name}: every client hears exactly what it must", problem)
        if problem:
            return
    checker = d.client()
    problems = []
    if mode == "both":
        for c in clients:
            try:
                c.settle_unknown(checker)
            except Wrong as e:
                problems.append(str(e))
    for c in clients:
        try:
            c.verify(checker)
        except Wrong as e:
            problems.append(str(e))
    check(not problems, f"{name}: every acknowledged change is there", "; ".join(problems))
    done = len(checker.directory_all("/crash/shared/done"))
    counter = int(checker.read("/crash/shared/counter"))
    equal((counter, done), (sum(c.increments for c in clients),) * 2, f"{name}: the shared counter is right")

    problems = []
    for c in clients:
        neighbour = clients[(c.number + 1) % len(clients)]
        if mode == "both":
            if c.heard != neighbour.log[:len(c.heard)]:
                problems.append(f"client {c.number} heard {c.heard[-5:]}, not a beginning of {neighbour.log[-5:]}")
        else:
            c.heard += [p.decode() for p, token in c.client.sync() if token == b"next"]
            if c.heard != neighbour.log:
                problems.append(f"client {c.number} heard {len(c.heard)} events, expected {len(neighbour.log)}: "
                                f"{sorted(set(c.heard) ^ set(neighbour.log))[:10]}")
    check(not problems, f"{name}: watchers of others heard each event once, in order", "; ".join(problems))
    if mode == "both":
        for c in clients:
            c.connect()
    for c in clients:
        # a fresh start for the log, small enough to list
        checker.rm(c.top + "-log")
        checker.mkdir(c.top + "-log")
    for c in clients:
        if mode != "both":
            c.client.sync()
            c.log, c.heard = [], []
        else:
            c.listen()
    checker.close()
    git.settle(d)
    found = git.fsck(d.repo)
    seqs = git.main_seqs(d.repo)
    refs = git.run(d.repo, "for-each-ref", "--format=%(refname) %(objectname)")
    problem = found
    if seqs != list(range(seqs[0], seqs[0] + len(seqs))):
        gaps = [(a, b) for a, b in zip(seqs, seqs[1:]) if b != a + 1]
        problem += f" Seq is not gapless: {gaps[:10]}"
    if git.rev(d.repo, "main") not in refs:
        problem += f" refs: {refs}"
    if git.run(d.repo, "merge-base", "--is-ancestor", "main", "refs/xsgit/head", check=False)[0] != 0:
        problem += " refs/xsgit/head is behind main"
    check(not problem, f"{name}: history is whole ({len(seqs)} commits)", problem)
    if mode == "keeper" or mode == "recovery":
        check(wait_for(d.keeper_pid, "a keeper"), f"{name}: there is a keeper again")


def layout():
    d = daemon.Daemon().start()
    server = d.server_pid()
    keeper = d.keeper_pid()
    check(server and keeper and daemon.stat_of(server)[1] == keeper, "the keeper is the parent of the server that the pid file names",
          f"server {server}, keeper {keeper}, members {d.members()}")
    d.kill_server()
    wait_for(lambda: d.server_pid() not in (None, server), "a new server")
    equal(d.keeper_pid(), keeper, "a killed server is replaced, the keeper stays")
    server = d.server_pid()
    with d.client() as c:
        d.kill_keeper()
        wait_for(lambda: d.keeper_pid() not in (None, keeper), "a new keeper")
        equal(d.keeper_pid(), server, "a killed keeper is replaced by the server, which makes a new server")
        equal(c.read("/"), b"", "connections go on")
    for signal_to in (d.server_pid, d.keeper_pid):
        pid = signal_to()
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not d.members(), "both to end")
        harness.ok(f"SIGTERM to the {'server' if signal_to == d.server_pid else 'keeper'} ends both")
        check(not os.path.exists(d.pid_file) and not os.path.exists(d.socket), "pid file and socket are removed")
        d.start()
    p = subprocess.run([d.binary, "--repo", d.repo, "--stop"], capture_output=True, timeout=150)
    equal(p.returncode, 0, "--stop says that it stopped")
    wait_for(lambda: not d.members(), "both to end")


def state(d):
    """What the daemon keeps beside the nodes, from its files, and the nodes; without the number of events."""
    show = os.path.join(harness.options.build, "inspect", "xs-show")
    lines = subprocess.run([show, "--repo", d.repo, "--state"], capture_output=True, check=True, text=True,
                           timeout=HANG).stdout.splitlines()
    return [line for line in lines if not line.startswith("event ")]


def same_state():
    """Connections, watches, transactions and queues before a death and after it."""
    d = daemon.Daemon().start()
    clients = [d.client() for _ in range(8)]
    for number, c in enumerate(clients):
        c.write(f"/state/{number}", "old")
        c.watch("/state", f"of {number}")
        c.watch(f"relative/{number}", "r")
        tx = c.start()
        c.write(f"/state/{number}", "new", tx)
        c.set_perms(f"/state/{number}", ["n0", "r5"], tx)
        c.rm("/state/0", c.start())
    for number, c in enumerate(clients):
        c.write(f"/state/{number}", "queued")  # nobody reads these events yet
    before = state(d)
    equal(tuple(sum(line.split()[0] == word for line in before) for word in ("watch", "transaction")), (16, 16),
          "the state shows watches and transactions")
    for mode in ("server", "keeper", "server"):
        kill(d, random.Random(1), mode)
        wait_for(lambda: d.keeper_pid() and d.server_pid(), "both processes")
        with d.client() as c:
            c.read("/")
        now = [line for line in state(d) if not line.startswith("next connection")]
        equal(now, [line for line in before if not line.startswith("next connection")],
              f"the state after the death of the {mode} is that before it")
    # Watching fires once, then come the eight writes in their order, the queued ones in theirs.
    for number, c in enumerate(clients):
        heard = [p.decode() for p, token in c.sync() if token == f"of {number}".encode()]
        later = [f"/state/{n}" for n in range(number + 1, len(clients))]
        equal(heard, ["/state"] + later + [f"/state/{n}" for n in range(len(clients))],
              f"client {number} hears everything once")
    d.kill()
    dead = state(d)
    d.start()
    lasting = ("seq", "conflicts", "epoch")
    equal([x for x in state(d) if x.startswith(lasting)], [x for x in dead if x.startswith(lasting)],
          "what a dead daemon left is what its successor starts with")
    d.stop()


harness.main(layout, same_state, twenty_kills)
