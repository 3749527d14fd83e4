#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""History cannot be written for so long that the journal cannot keep it: service goes on, and one commit stands for what
is missing."""
import ctypes
import os
import signal
import struct
import time

from lib import daemon, git, harness
from lib.crash_client import CrashClient
from lib.crash_fleet import Fleet, judge_history
from lib.daemon import wait_for
from lib.gap import fact, small, wait_for_end
from lib.harness import check, equal
from lib.state import lasting, same_again, state
from lib.toolstack import refused

CLIENTS = 4


def fill_until_gap(d, disk, fleet):
    disk.fill()
    fleet.resume()
    wait_for(lambda: fact(d, "gap") != "none", "a gap", 90, 0.1)


def death(d, fleet, mode):
    """In a gap: nobody notices."""
    name = f"in a gap, killed: {mode}"
    fleet.resume()
    time.sleep(0.3)
    {"server": d.kill_server, "keeper": d.kill_keeper, "both": d.kill}[mode]()
    if mode == "both":
        wait_for(fleet.closed, "the clients to notice")
        d.start()
    elif not fleet.hears_all(name):
        return
    with d.client() as checker:
        fleet.judge(checker, name, mode == "both")
    check(fact(d, "gap").startswith("since commit "), f"{name}: the gap goes on")


def same_state(d, c, tx):
    """Quiet clients: what is read back is what there was, with watches and a transaction older than the gap."""
    before = lasting(state(d))
    check(any("transaction" in line for line in before), "the state has an open transaction", before[:40])
    d.kill_server()
    equal(same_again(d, before), before, "in a gap, the state is the same after a restart")
    equal(c.read("/slow/before", tx), b"1", "an open transaction sees what it saw")


def service_goes_on():
    """Kills, watches and transactions while there is no history."""
    disk, d = small()
    fleet = Fleet([CrashClient(i, CLIENTS, d.client, harness.options.seed) for i in range(CLIENTS)], d)
    try:
        c = d.client()
        c.write("/slow/before", "1")
        git.settle(d)
        slow, doomed = c.start(), c.start()
        for tx in slow, doomed:
            c.write(f"/slow/{tx}", "2", tx)
        fill_until_gap(d, disk, fleet)
        begin = int(fact(d, "gap").split()[-1])
        check("HISTORY HAS A GAP behind commit" in d.log_text(), "the log says so", d.log_tail())
        commits = int(fact(d, "commits"))
        fleet.resume()
        wait_for(lambda: int(fact(d, "commits")) > commits + 3000, "3000 operations in the gap", 90, 0.05)
        harness.ok("in a gap, nobody waits for history")
        c.write("/slow/before", "2")
        fleet.quiet()
        same_state(d, c, doomed)
        for mode in ("server", "keeper", "server"):
            death(d, fleet, mode)
        equal(c.read("/slow/before", doomed), b"1", "it still does")
        last = int(fact(d, "commits"))
        disk.relieve()
        wait_for_end(d)
        git.settle(d)
        with d.client() as checker:
            fleet.judge(checker, "after the gap", False)
        end = [t for x in git.commits(d.repo) if "Gap" in (t := x["trailers"])]
        check(len(end) == 1 and int(end[0]["Gap"]) == begin and begin + 3000 < int(end[0]["Seq"]) == last,
              "one commit says what it stands for", (begin, end, last))
        fleet.resume()
        fleet.hears_all("after the gap")
        judge_history(d, "after the gap")
        with c:
            c.end(slow)
            equal(c.read(f"/slow/{slow}"), b"2", "a transaction from before the gap commits")
            equal(refused(c.end, doomed), "EAGAIN", "one that saw what has changed is told to try again")
        git.settle(d)
        shown = git.tree(d.repo)
        with d.client() as c:
            differ = [p for p, v in shown.items() if c.read(p) != v]
        equal(differ, [], "git shows what the daemon has")
        d.kill()
        d.start()
        with d.client() as c:
            equal([p for p, v in shown.items() if c.read(p) != v], [], "and so it is after a restart")
    finally:
        fleet.end()
    d.stop()


def both_killed():
    """Sockets end, all else stays."""
    disk, d = small()
    fleet = Fleet([CrashClient(i, CLIENTS, d.client, harness.options.seed + 1) for i in range(CLIENTS)], d)
    try:
        fill_until_gap(d, disk, fleet)
        death(d, fleet, "both")
        death(d, fleet, "both")
        disk.relieve()
        wait_for_end(d)
        with d.client() as checker:
            fleet.quiet()
            fleet.judge(checker, "both killed, after the gap", False)
        judge_history(d, "both killed, after the gap")
    finally:
        fleet.end()
    d.stop()


def idle():
    """A gap ends where nobody asks for anything; and it may come again and again."""
    disk, d = small()
    seqs = []
    for n in range(3):
        disk.fill()
        with d.client() as c:
            i = 0
            while i % 100 or fact(d, "gap") == "none":
                c.write(f"/idle/{i % 50}", os.urandom(900).hex())
                i += 1
            seqs.append(int(fact(d, "commits")))
        disk.relieve()
        wait_for(lambda: git.commits(d.repo, "main", "-1")[0]["trailers"].get("Seq") == str(seqs[-1]), "a gap commit", 60, 0.1)
        harness.ok(f"gap {n + 1} ends without any request")
        equal(git.fsck(d.repo), "", "fsck is content")
    history = git.commits(d.repo)
    equal(git.seq_breaks(history), [], "every missing number is accounted for")
    gaps = [c for c in history if "Gap" in c["trailers"]]
    # The oldest history may have gone when there was no room.
    equal([int(c["trailers"]["Seq"]) for c in gaps], seqs[-len(gaps):], "a commit for each gap")
    d.stop()


def fault(d):
    """In the thread that writes history. The number of the server that died of it."""
    def thread():
        pid = d.server_pid()
        for tid in os.listdir(f"/proc/{pid}/task") if pid else ():
            with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as f:
                if f.read() == "committer\n":
                    return pid, int(tid)
        return None
    pid, tid = wait_for(thread, "the committer")
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.syscall(234, pid, tid, signal.SIGSEGV) == 0, "a fault in the committer")
    wait_for(lambda: d.server_pid() not in (None, pid), "another server")
    return pid


def poison():
    """What brings the writer of history down again and again is left out of history, and nobody else sees anything."""
    disk, d = small()
    with d.client() as c:
        c.watch("/p", "token")
        c.sync()
        c.write("/p/1", "poison")
        # Nothing is published without room: as if each try ended like the last. It has a little of its own at first.
        wait_for(lambda: disk.fill() or c.write("/p/1", "poison") or int(fact(d, "lag-ms")) > 300, "history to be stuck")
        fault(d)
        equal((c.read("/p/1"), fact(d, "gap")), (b"poison", "none"), "after the first fault it is tried again")
        fault(d)
        check(wait_for(lambda: fact(d, "gap").startswith("since commit "), "a gap"), "after the second it is left out")
        check("died 2 times (signal 11)" in d.log_text(), "the log says so", d.log_tail())
        c.write("/p/2", "on")
        equal([p for p, _ in c.sync()][-2:], [b"/p/1", b"/p/2"], "watches and connections are as they were")
        disk.relieve()
        wait_for_end(d)
        git.settle(d)
        check(any(x["subject"].startswith("gap: ") for x in git.commits(d.repo)), "with a commit for what was left out")
        equal(git.fsck(d.repo), "", "fsck is content")
        fault(d)
        wait_for_end(d)  # which is folded again
        equal(c.read("/p/2"), b"on", "and all is forgiven")
        check(d.log_text().count("HISTORY HAS A GAP") == 1, "there is no other gap", d.log_tail())
    d.stop()


def backs_off():
    """The more tries have failed, the later is the next; what is written of them may be damaged."""
    for text, said in ((mark(2), "in 10 s"), (mark(4), "in 40 s"), (mark(1000), "in 5120 s"),
                       (mark(1), None), (b"\x05" * 8, None), (b"", None)):
        d = daemon.Daemon().start()
        with d.client() as c:
            c.write("/p", "1")
        git.settle(d)
        d.kill()
        with open(os.path.join(d.repo, "xsgit", "faults"), "wb") as f:
            f.write(text)
        d.start()
        with d.client() as c:
            equal(c.read("/p"), b"1", f"faults {text.hex()}: the store is there")
            if said is None:
                c.write("/p", "2")
                git.settle(d)
                equal(fact(d, "gap"), "none", "history goes on")
            else:
                wait_for(lambda: fact(d, "gap") != "none", "a gap")
                check(said in d.log_text(), f"the next try is {said}", d.log_tail())
        d.stop()


def mark(faults):
    """What the handler of the signal writes: see fault_mark.cpp."""
    low = faults << 8 | signal.SIGSEGV
    return struct.pack("<II", low, low ^ 0xffffffff)


if __name__ == "__main__":
    harness.main(service_goes_on, both_killed, idle, poison, backs_off)
