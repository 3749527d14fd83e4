#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kill -9 at random moments, twenty times, under sixteen clients that know what they must hear."""
import os
import random
import signal
import subprocess
import time

from lib import daemon, git, harness
from lib.crash_client import CrashClient
from lib.crash_fleet import Fleet, judge_history, wait_for_keeper
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.state import lasting, same_again, state

CLIENTS = 16
KILLS = ["server"] * 6 + ["keeper"] * 4 + ["both"] * 5 + ["recovery"] * 5


def kill(d, rng, mode):
    """Kills; gives the moment."""
    if mode == "server":
        d.kill_server()
        return time.monotonic()
    if mode == "keeper":
        d.kill_keeper()
        return time.monotonic()
    if mode == "both":
        d.kill()
        return time.monotonic()
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
    return time.monotonic()


def twenty_kills():
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    d = daemon.Daemon().start()
    clients = [CrashClient(i, CLIENTS, d.client, harness.options.seed) for i in range(CLIENTS)]
    fleet = Fleet(clients, d)
    probe = d.client()
    failed_before = harness.failed
    kills = KILLS[:]
    rng.shuffle(kills)
    times = {}
    try:
        for number, mode in enumerate(kills, 1):
            one_round(d, rng, fleet, number, mode, times, probe)
            if mode == "both":
                probe = d.client()
            if harness.failed > failed_before:
                harness.note(f"the daemon's log ends with: {d.log_tail()}")
                break
    finally:
        fleet.end()
    harness.note(f"{sum(c.operations for c in clients)} operations, {fleet.increments} shared "
                 f"increments, {sum(c.conflicts for c in clients)} conflicts")
    for mode, list_ in sorted(times.items()):
        list_.sort()
        harness.note(f"death of {mode} to next reply, ms: " + " ".join(f"{1000 * t:.1f}" for t in list_))
    check(all(t < 2.0 for l in times.values() for t in l), "service is back within two seconds each time", times)
    d.stop()
    equal(git.fsck(d.repo), "", "fsck finds nothing after the orderly end")


def one_round(d, rng, fleet, number, mode, times, probe):
    name = f"kill {number} ({mode})"
    fleet.resume()
    time.sleep(0.05 + rng.random() * 0.4)
    moment = kill(d, rng, mode)
    if mode == "both":
        wait_for(fleet.closed, "the clients to notice")
        check(not fleet.wrongs(), f"{name}: what the clients heard was right", fleet.wrongs())
        moment = time.monotonic()
        d.start()
        probe = d.client()
    probe.read("/crash/shared/counter")
    times.setdefault(mode, []).append(time.monotonic() - moment)
    if mode != "both" and not fleet.hears_all(name):
        return
    with d.client() as checker:
        fleet.judge(checker, name, mode == "both")
    judge_history(d, name)
    if mode == "keeper" or mode == "recovery":
        wait_for_keeper(d, name)


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
        wait_for(lambda: d.server_pid() not in (None, server) and d.keeper_pid(), "a new server and its keeper")
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
    wanted = lasting(before)
    for mode in ("server", "keeper", "server"):
        kill(d, random.Random(1), mode)
        wait_for(lambda: d.keeper_pid() and d.server_pid(), "both processes")
        with d.client() as c:
            c.read("/")
        equal(same_again(d, wanted), wanted, f"the state after the death of the {mode} is that before it")
    # Watching fires once, then come the eight writes in their order, the queued ones in theirs.
    for number, c in enumerate(clients):
        heard = [p.decode() for p, token in c.sync() if token == f"of {number}".encode()]
        later = [f"/state/{n}" for n in range(number + 1, len(clients))]
        equal(heard, ["/state"] + later + [f"/state/{n}" for n in range(len(clients))],
              f"client {number} hears everything once")
    d.kill()
    dead = state(d)
    d.start()
    kept = ("seq", "conflicts", "epoch")
    equal([x for x in state(d) if x.startswith(kept)], [x for x in dead if x.startswith(kept)],
          "what a dead daemon left is what its successor starts with")
    d.stop()


harness.main(layout, same_state, twenty_kills)
