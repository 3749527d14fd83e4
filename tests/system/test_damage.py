#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Small damage around a good store: it is put right, said, and nothing is lost."""
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

from lib import daemon, git, harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.mount import SmallDisk
from lib.wire import NAMES, Closed, XsError, pack, walk


def write_many(c, top, count, value=b"v"):
    """Pipelined; returns when all are acknowledged."""
    for first in range(0, count, 200):
        batch = range(first, min(first + 200, count))
        c.send_bytes(b"".join(pack(NAMES["WRITE"], b"%s/%d\0%s" % (top, i, value), req=i + 1) for i in batch))
        for _ in batch:
            if c.reply().payload != b"OK\0":
                raise AssertionError("a write was refused")


def stale_lock():
    """A git that was killed while it moved main."""
    d = daemon.Daemon().start()
    with d.client() as c:
        c.write("/a", "1")
        git.settle(d)
        before = git.rev(d.repo)
        open(os.path.join(d.repo, "refs/heads/main.lock"), "w").close()
        c.write("/a", "2")
        wait_for(lambda: git.rev(d.repo) != before, "main to move", 20)
        harness.ok("a lock that a dead git has left does not hold main up for long")
        c.write("/a", "3")
        equal(c.read("/a"), b"3", "clients are served")
    check("main.lock" in d.log_text(), "and the log tells of it")
    d.stop()


def odd_files():
    """A typo in config, a missing HEAD: git's files, which people may touch."""
    d = daemon.Daemon().start()
    c = d.client()
    c.write("/a", "1")
    tx = c.start()
    c.write("/b", "2", tx)
    with open(os.path.join(d.repo, "config"), "a", encoding="ascii") as f:
        f.write("[[oops\n")
    server = d.kill_server()
    wait_for(lambda: d.server_pid() not in (None, server), "a new server")
    equal(c.read("/a"), b"1", "a broken config costs nothing")
    c.end(tx)
    equal(c.read("/b"), b"2", "no open transaction either")
    git.settle(d)
    equal(git.fsck(d.repo), "", "fsck is content")
    check(os.path.exists(os.path.join(d.repo, "config.broken")), "the broken file is kept")
    c.close()
    d.kill()
    os.unlink(os.path.join(d.repo, "HEAD"))
    d.start()
    with d.client() as c:
        equal((c.read("/a"), c.read("/b")), (b"1", b"2"), "nor does a missing HEAD")
    d.stop()


def garbage_for_refs():
    """Files that are no refs, where ours are, while the daemon runs."""
    d = daemon.Daemon().start()
    with d.client() as c:
        for number, ref in enumerate(("heads/main", "xsgit/head")):
            git.settle(d)
            with open(os.path.join(d.repo, "refs", ref), "wb") as f:
                f.write(b"\0" * 30)
            c.write("/a", str(number))
            git.settle(d)
            equal(git.run(d.repo, "show", "main:a"), str(number), f"history goes on where {ref} was overwritten")
    equal(git.fsck(d.repo), "", "fsck is content")
    d.stop()


def packs_removed():
    """Somebody takes packs away while the daemon runs, which has all of the store in memory."""
    d = daemon.Daemon().start()
    with d.client() as c, d.client() as other:
        write_many(c, b"/n", 3000)
        tx = c.start()
        c.read("/n/1", tx)
        c.write("/n/2", "x", tx)
        other.write("/n/1", "y")
        try:
            c.end(tx)
        except XsError:
            pass  # a conflict, whose commit goes, too
        git.settle(d)
        open_one = c.start()
        c.write("/n/3", "open", open_one)
        for file in os.listdir(os.path.join(d.repo, "objects/pack")):
            os.unlink(os.path.join(d.repo, "objects/pack", file))
        wait_for(lambda: "removed from" in d.log_text(), "the daemon to see it", 60, 0.1)
        c.write("/n/4", "later")
        git.settle(d)
        store = {p: v[0] for p, v in walk(c).items()}
        server = d.kill_server()
        wait_for(lambda: d.server_pid() not in (None, server), "a new server")
        equal({p: v[0] for p, v in walk(c).items()}, store, "nothing of the store is lost at the next death")
        try:
            c.end(open_one)
            equal(c.read("/n/3"), b"open", "an open transaction goes on")
        except XsError as e:
            equal(e.name, "EAGAIN", "an open transaction ends with a conflict at worst")
        check(not d.complaints(), "nor is it set aside", d.complaints())
        git.settle(d)
    equal(git.fsck(d.repo), "", "fsck is content with what is there now")
    check(len(git.main_seqs(d.repo)) >= 2, "and git log shows history from then on")
    d.kill()
    d.start()
    with d.client() as c:
        equal(c.read("/n/4"), b"later", "also after both processes have died")
    d.stop()


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x55]))


def old_journal_record():
    """Damage in a part of the journal that the newest checkpoint does not need."""
    d = daemon.Daemon().start()
    with d.client() as c:
        write_many(c, b"/first", 500)
        time.sleep(2.5)  # a checkpoint, and another
        checkpoint = os.path.join(d.repo, "xsgit", "checkpoint")
        before = os.stat(checkpoint).st_mtime_ns
        write_many(c, b"/second", 500)
        c.write("/last", "x")
        # The first after that one; with the next, the journal would no longer be needed from there on.
        wait_for(lambda: os.stat(checkpoint).st_mtime_ns != before, "a checkpoint")
        store = {p: v[0] for p, v in walk(c).items()}
    d.kill()
    journal = os.path.join(d.repo, "xsgit", "journal")
    with open(journal, "rb") as f:
        text = f.read(4 << 20)
    flip(journal, text.index(b"/second/10\0") + 3)
    at = text.index(b"/first/10\0")
    flip(journal, at + 3)
    d.start()
    with d.client() as c:
        now = {p: v[0] for p, v in walk(c).items()}
    missing = set(store) - set(now)
    check(b"/first/499" in now, "what the checkpoint holds is there")
    check("/second" in d.log_text() or "journal" in d.log_text(), "the damage is told")
    check("set aside" not in d.log_text(), "and the store goes on", d.log_tail())
    harness.note(f"{len(missing)} nodes of {len(store)} lost behind the checkpoint")
    equal(git.fsck(d.repo), "", "fsck is content")
    d.stop()


def only_old_record():
    d = daemon.Daemon().start()
    with d.client() as c:
        write_many(c, b"/first", 500)
        wait_for(lambda: os.path.exists(os.path.join(d.repo, "xsgit", "checkpoint")), "a checkpoint")
        time.sleep(1.5)
        write_many(c, b"/second", 300)
        store = {p: v[0] for p, v in walk(c).items()}
        d.kill()
    journal = os.path.join(d.repo, "xsgit", "journal")
    with open(journal, "rb") as f:
        text = f.read(4 << 20)
    flip(journal, text.index(b"/first/10\0") + 3)
    d.start()
    with d.client() as c:
        equal({p: v[0] for p, v in walk(c).items()}, store, "a damaged record that the checkpoint covers costs nothing")
    check("set aside" not in d.log_text() and "ARE LOST" not in d.log_text(), "and nothing is said to be lost",
          d.log_tail())
    d.stop()


def journal_gone():
    """Both processes are dead, and the journal is not there, or not one: the newest checkpoint is what there is."""
    for how in ("removed", "overwritten"):
        d = daemon.Daemon().start()
        checkpoint = os.path.join(d.repo, "xsgit", "checkpoint")
        with d.client() as c:
            write_many(c, b"/first", 500)
            time.sleep(2.5)  # a checkpoint, and another
            before = os.stat(checkpoint).st_mtime_ns
            c.write("/second", "x")
            wait_for(lambda: os.stat(checkpoint).st_mtime_ns != before, "a checkpoint")
            store = {p: v[0] for p, v in walk(c).items()}
        d.kill()
        journal = os.path.join(d.repo, "xsgit", "journal")
        if how == "removed":
            os.unlink(journal)
        else:
            with open(journal, "r+b") as f:
                f.write(b"\0" * 4096)
        d.start()
        with d.client() as c:
            equal({p: v[0] for p, v in walk(c).items()}, store, f"{how}: what the checkpoint holds is there")
            c.write("/third", "y")
        check("IS LOST" in d.log_text(), f"{how}: the log tells of it", d.log_tail())
        git.settle(d)
        equal(git.run(d.repo, "show", "main:third"), "y", f"{how}: history goes on")
        equal(git.fsck(d.repo), "", f"{how}: fsck is content")
        server = d.kill_server()
        wait_for(lambda: d.server_pid() not in (None, server), "a new server")
        with d.client() as c:
            equal((c.read("/second"), c.read("/third")), (b"x", b"y"), f"{how}: and the next death costs nothing")
        d.stop()


def lost_under_clients():
    """The journal goes with the server: clients that it has more of than the checkpoint must not go on as if nothing were."""
    d = daemon.Daemon().start()
    quiet = d.client()
    quiet.watch("/w", "token")
    quiet.sync()
    checkpoint = os.path.join(d.repo, "xsgit", "checkpoint")
    wait_for(lambda: os.path.exists(checkpoint + ".old") or d.client().close(), "checkpoints", step=0.3)
    time.sleep(1.2)  # the newest has all of the quiet one
    kept = [(path, open(path, "rb").read()) for path in (checkpoint, checkpoint + ".old")]
    busy, late, half = d.client(), d.client(), d.client()
    write_many(busy, b"/late", 20)
    late.watch("/late", "token")
    late.sync()
    half.send_bytes(pack(NAMES["WRITE"], b"/half\0value")[:20])
    git.settle(d)
    before = git.rev(d.repo)
    keeper, server = d.keeper_pid(), d.server_pid()
    d.signal(keeper, signal.SIGSTOP)
    d.signal(server, signal.SIGKILL)
    os.unlink(os.path.join(d.repo, "xsgit", "journal"))
    for path, data in kept:  # there may be a newer one
        with open(path, "wb") as f:
            f.write(data)
    d.signal(keeper, signal.SIGCONT)
    wait_for(lambda: d.server_pid() not in (None, server), "a new server")
    for name, c in (("that has written", busy), ("that has a watch", late), ("that is half through a request", half)):
        try:
            c.read("/")
            harness.fail(f"a client {name} behind the checkpoint goes on")
        except Closed:
            harness.ok(f"a client {name} behind the checkpoint is told by the end of its connection")
    for n in range(2):
        with d.client() as c:
            c.write("/w/x", str(n))
        equal(quiet.sync()[-1:], [(b"/w/x", b"token")], f"one of before hears what comes, after {n + 1} deaths")
        server = d.kill_server()
        wait_for(lambda: d.server_pid() not in (None, server), "a new server")
    git.settle(d)
    check("rescued" in git.run(d.repo, "branch", "--contains", before), "what history had of the lost is kept", d.log_tail())
    equal(git.fsck(d.repo), "", "fsck is content")
    d.stop()


def other_boot(repo):
    path = os.path.join(repo, "xsgit", "format")
    with open(path, encoding="ascii") as f:
        text = f.read()
    with open(path, "w", encoding="ascii") as f:
        f.write(re.sub("boot .*", "boot 01234567-89ab-cdef-0123-456789abcdef", text))


def set_aside_names():
    d = daemon.Daemon()
    d.repo += "/"
    d.start()
    with d.client() as c:
        c.write("/a", "1")
    d.stop()
    repo = d.repo.rstrip("/")
    for name in ("boot-mine", "damaged-by-me"):
        os.makedirs(f"{repo}.{name}/evidence")
    other_boot(repo)
    d.start()
    with d.client() as c:
        check(not c.exists("/a"), "the store of another boot is not served, also with a slash behind its name")
    check(os.path.isdir(f"{repo}.boot-01234567-89ab-cdef-0123-456789abcdef"), "it is kept")
    check(all(os.path.isdir(f"{repo}.{n}/evidence") for n in ("boot-mine", "damaged-by-me")),
          "what others keep beside it is left alone")
    d.stop()


def mount_point():
    """The repository is one, in a mount namespace of the daemon's own."""
    d = daemon.Daemon()
    os.makedirs(d.repo)
    command = d.command()
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    script = f'mount -t tmpfs -o size=300m,mode=700 none "{d.repo}" && exec "$0" "$@"'
    d.command = lambda: unshare + ["sh", "-c", script] + command
    d.start()
    with d.client() as c:
        c.write("/a", "1")
    keeper = d.keeper_pid()
    os.kill(keeper, 19)
    os.kill(d.server_pid(), 9)
    other_boot(f"/proc/{keeper}/root{d.repo}")
    os.kill(keeper, 18)
    wait_for(d.server_pid, "a server")
    with d.client() as c:
        check(not c.exists("/a"), "a repository that is a mount point is set aside, too", d.log_tail())
        c.write("/b", "1")
    check(any(n.startswith("set-aside.boot-") for n in os.listdir(f"/proc/{d.server_pid()}/root{d.repo}")),
          "in a directory in it")
    d.stop()


def full_file_system():
    """Room runs out, and comes back."""
    disk = SmallDisk("48m")
    d = disk.daemon().start()
    c = d.client()
    for i in range(30):
        write_many(c, b"/n", 1000, os.urandom(200).replace(b"\0", b"x"))
    disk.fill()
    written = [0]

    def writer():
        with d.client() as w:
            while not stop.is_set():
                w.write(f"/full/{written[0] % 500}", str(written[0]))
                written[0] += 1
    stop = threading.Event()
    t = threading.Thread(target=writer, daemon=True)
    t.start()
    slowest = 0
    end = time.monotonic() + 5
    while time.monotonic() < end:
        begin = time.monotonic()
        c.read("/n/1")
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.05)
    during = written[0]
    check(slowest < 1, f"readers are served while the file system is full (slowest {1000 * slowest:.0f} ms, {during} writes)")
    disk.relieve()
    wait_for(lambda: written[0] > during + 100, "the writer to go on", 60)
    harness.ok("and writers when there is room again")
    stop.set()
    t.join(60)
    with d.client() as w:
        n = written[0] - 1
        equal(w.read(f"/full/{n % 500}"), str(n).encode(), "nothing acknowledged is lost")
    equal(git.fsck(d.repo), "", "fsck is content")
    d.stop()


def start_after_kills(d, seed):
    """Sixty starts that are killed at random moments, and one that is not."""
    rng = random.Random(seed)
    for _ in range(60):
        d.launch()
        time.sleep(rng.uniform(0.001, 0.03))
        d.kill()
    d.start()


def killed_in_first_start():
    """A store in which nobody has been served yet is made again."""
    d = daemon.Daemon()
    start_after_kills(d, 7)
    with d.client() as c:
        c.write("/a", "1")
    check("DAMAGED" not in d.log_text(), "a first start that is killed leaves nothing that looks damaged", d.log_tail())
    equal([n for n in os.listdir(d.dir) if ".damaged" in n], [], "and nothing is set aside")
    d.stop()


def killed_while_making_a_repository():
    """The moment that lots seldom hit: git's files are half made, under a name of their own."""
    d = daemon.Daemon()
    half = os.path.join(d.repo, "xsgit/new.git.new-a1B2c3")
    os.makedirs(half)
    for name, content in (("format", "xsgit 2\nmaking\n"), ("lock", ""), ("new.git.new-a1B2c3/config", "[core")):
        with open(os.path.join(d.repo, "xsgit", name), "w") as f:
            f.write(content)
    d.start()
    with d.client() as c:
        c.write("/a", "1")
    check(not os.path.exists(half), "what a start left that died over its repository is no stranger's, and goes")
    d.stop()


def killed_while_replacing_a_checkpoint():
    """Both left-over names of that moment, and a stranger's file: no reason to refuse a whole store."""
    d = daemon.Daemon().start()
    with d.client() as c:
        c.write("/a", "1")
    d.kill()
    state = os.path.join(d.repo, "xsgit")
    for name in ("checkpoint.new", "checkpoint.link", "notes.txt", "journal~"):
        with open(os.path.join(state, name), "w") as f:
            f.write("x")
    d.start()
    with d.client() as c:
        equal(c.read("/a"), b"1", "left-over files and a stranger's do not make a store somebody else's")
    check("DAMAGED" not in d.log_text(), "nor damaged", d.log_tail())
    d.stop()


def killed_while_setting_aside():
    """The store of another boot, and a start that is killed at random moments until it is set aside."""
    d = daemon.Daemon().start()
    with d.client() as c:
        c.write("/a", "1")
    d.stop()
    other_boot(d.repo)
    start_after_kills(d, 8)
    with d.client() as c:
        check(not c.exists("/a"), "it is not served")
    check("DAMAGED" not in d.log_text(), "nothing looks damaged", d.log_tail())
    kept = os.path.join(d.dir, "store.git.boot-01234567-89ab-cdef-0123-456789abcdef")
    equal(git.run(kept, "show", "main:a"), "1", "and the old one is kept, whole")
    d.stop()


def removed():
    """Somebody removes the store under the daemon; or its server died while it set it aside."""
    d = daemon.Daemon().start()
    c = d.client()
    c.write("/a", "1")
    shutil.rmtree(d.repo)
    server = d.kill_server()
    wait_for(lambda: d.server_pid() not in (None, server), "a new server")
    try:
        c.read("/a")
        harness.fail("a client of the lost store is answered")
    except Closed:
        harness.ok("its clients are told by the end of their connections")
    with d.client() as c:
        check(not c.exists("/a"), "a daemon whose store was removed serves an empty one", d.log_tail())
        c.write("/b", "1")
    git.settle(d)
    equal(git.fsck(d.repo), "", "and writes it")
    check("IS GONE" in d.log_text(), "the log tells of it")
    d.stop()


def held_lock():
    """A git that holds main for a moment, again and again: history is late, not less."""
    d = daemon.Daemon().start()
    with d.client() as c:
        write_many(c, b"/n", 2000)
        git.settle(d)
        lock = os.path.join(d.repo, "refs/heads/main.lock")
        for i in range(5):
            open(lock, "w").close()
            c.write("/q", str(i))
            time.sleep(0.3)
            os.unlink(lock)
            c.write("/r", str(i))
            time.sleep(0.3)
        git.settle(d)
    check(len(git.main_seqs(d.repo)) > 2010, "a lock that comes and goes costs no history", git.rev(d.repo))
    d.stop()


def names_in_the_way():
    """Branches of somebody where ours have to be."""
    d = daemon.Daemon().start()
    with d.client() as c, d.client() as other:
        c.write("/a", "1")
        git.settle(d)
        git.run(d.repo, "branch", "conflicts/mine", "main")
        git.run(d.repo, "branch", "rescued", "main")
        tx = c.start()
        c.read("/a", tx)
        c.write("/b", "1", tx)
        other.write("/a", "2")
        try:
            c.end(tx)
        except XsError:
            pass
        # somebody's own commit on top, on main
        mine = git.run(d.repo, "-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", "-p", "main", "-m", "mine",
                       "main^{tree}").strip()
        git.run(d.repo, "update-ref", "refs/heads/main", mine)
        c.write("/a", "3")
        git.settle(d)
        c.write("/a", "4")
        git.settle(d)
        equal(git.run(d.repo, "show", "main:a"), "4", "history goes on where ours has to be")
    check("refs in it are now in" in d.log_text() and "that one is now refs/xsgit/rescued" in d.log_text(), "the log tells",
          d.log_tail())
    d.stop()


def foreign_directory():
    """/run has a directory xsgit, too."""
    d = daemon.Daemon()
    for name in ("xsgit/store.git", "config", "hooks"):
        os.makedirs(f"{d.repo}/{name}")
    os.chmod(d.repo, 0o755)
    d.launch()
    wait_for(lambda: not d.alive(), "the daemon to refuse")
    check("no store" in d.log_text(), "somebody's directory with an xsgit in it is refused", d.log_tail())
    equal((sorted(os.listdir(d.repo)), os.stat(d.repo).st_mode & 0o777), (["config", "hooks", "xsgit"], 0o755),
          "and left as it is")


def broken_slots():
    d = daemon.Daemon().start()
    c = d.client()
    c.write("/a", "1")
    server = d.server_pid()
    os.truncate(os.path.join(d.repo, "xsgit/slots"), 0)
    try:
        c.read("/a")
    except Closed:
        pass
    wait_for(lambda: d.server_pid() not in (None, server), "a new server")
    with d.client() as c:
        equal(c.read("/a"), b"1", "with the file of slots its clients are lost, and nothing else")
    d.stop()


def refs_into_dropped_history():
    d = daemon.Daemon(options=["--repo-size", "6000000"]).start()
    with d.client() as c:
        write_many(c, b"/n", 500)
        git.settle(d)
        git.run(d.repo, "tag", "v1", "main~10")
        git.run(d.repo, "branch", "mine", "main~20")
        note = git.run(d.repo, "hash-object", "-w", "--stdin", stdin=b"a note of somebody's\n").strip()
        git.run(d.repo, "tag", "note", note)
        first = git.rev(d.repo, "main~10")
        for _ in range(150):
            write_many(c, b"/n", 400, os.urandom(40).replace(b"\0", b"x"))
        git.settle(d)
    check("v1 led to history that is dropped" in d.log_text(), "refs into history that is dropped go with it", d.log_tail())
    equal(git.run(d.repo, "tag").split(), ["note"], "the tag is gone, and one that leads to something else stays")
    clone = ["git", "-c", "safe.directory=*", "clone", "-q", "--mirror", d.repo, os.path.join(d.dir, "clone")]
    # Near so small a limit packs go while they are read.
    wait_for(lambda: subprocess.run(clone, capture_output=True, env=git.ENV).returncode == 0, "a clone", 60, 0.5)
    harness.ok("and what stays can be cloned")
    d.stop()


harness.main(held_lock, names_in_the_way, foreign_directory, broken_slots, refs_into_dropped_history, stale_lock, garbage_for_refs, packs_removed,
             odd_files, killed_in_first_start, killed_while_making_a_repository,
             killed_while_replacing_a_checkpoint, killed_while_setting_aside, removed, old_journal_record,
             only_old_record, journal_gone, lost_under_clients, set_aside_names, mount_point, full_file_system)
