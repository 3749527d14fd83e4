#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stock git on the repository of a daemon that is at work."""
import functools
import os
import subprocess
import time

from lib import daemon, git, harness
from lib.harness import check, equal
from lib.traffic import Traffic
from lib.wire import walk


@functools.cache
def server():
    return daemon.Daemon().start()


def clone(name):
    target = os.path.join(harness.temporary(name), "clone")
    git.run("/", "clone", "-q", "--no-local", "--branch", "main", server().repo, target)
    return target


def one_commit_per_operation():
    d = server()
    c = d.client()
    git.settle(d)
    before = git.rev(d.repo)
    c.write("/count/a", "1")
    c.write("/count/a", "1")  # the same value is an operation, too
    c.write("/count/b/c", "two words")
    c.mkdir("/count/d")
    c.mkdir("/count/d")  # changes nothing
    c.set_perms("/count/d", ["b0", "r0"])
    c.rm("/count/b")
    c.rm("/count/none")  # changes nothing
    c.read("/count/a")
    git.settle(d)
    log = git.commits(d.repo, "main", f"^{before}")
    subjects = [k["subject"] for k in log][:-1]
    check(len(log) >= 6, "writes, mkdir, set-perms, rm are a commit each", subjects)
    for want in ("write /count/a", "write /count/b/c", "mkdir /count/d", "set-perms /count/d", "rm /count/b"):
        check(any(s.startswith(want) for s in subjects), f"one says {want}", subjects)
    check(not any("none" in s for s in subjects), "none speaks of what changed nothing", subjects)
    harness.note(" / ".join(subjects))
    check(all(k["author"] == "dom0" and k["email"] == "0@xen" for k in log), "the author is domain 0",
          {(k["author"], k["email"]) for k in log})
    check(all(k["trailers"].get("Conn") and k["trailers"].get("Time", "").isdigit() for k in log),
          "each names connection and time", log[0]["body"])
    check(all("\n" not in k["subject"] and len(k["subject"]) < 5000 for k in log), "subjects are lines")
    first = int(log[0]["trailers"]["Seq"])
    equal([int(k["trailers"]["Seq"]) for k in log], list(range(first, first + len(log))), "Seq counts them")


def values_byte_by_byte():
    d = server()
    c = d.client()
    values = {"/bytes/all": bytes(range(256)) * 8, "/bytes/crlf": b"a\r\nb\n\nc\r", "/bytes/empty": b"", "/bytes/nul": b"\0\0",
              "/bytes/long": b"x" * 4000, "/bytes/dir": b"a directory's own\n", "/bytes/dir/child": b"c",
              "/bytes/-dash": b"d", "/bytes/@at": b"a", "/bytes/git": b"g", "/bytes/CON": b"w", "/bytes/HEAD": b"h"}
    for path, value in values.items():
        c.write(path, value)
    git.settle(d)
    for path, value in values.items():
        name = "main:" + path[1:] + ("/%value" if path == "/bytes/dir" else "")
        equal(git.run(d.repo, "show", name, text=False), value, f"git show {name}")
    shown = {p.decode("latin-1"): v for p, v in git.tree(d.repo).items() if p.startswith(b"/bytes/")}
    equal(shown, values, "ls-tree and cat-file give the whole store")
    for i in range(300):
        c.write(f"/bytes/many/n{i}", str(i))
    git.settle(d)
    shown = {p: v for p, v in git.tree(d.repo).items() if p.startswith(b"/bytes/many/")}
    equal(shown, {b"/bytes/many/n%d" % i: b"%d" % i for i in range(300)}, "a large directory, too")
    for i in range(1, 300):
        c.rm(f"/bytes/many/n{i}")
    git.settle(d)
    equal(git.run(d.repo, "show", "main:bytes/many/n0"), "0", "when it has shrunk, paths are plain again")


def path_history():
    d = server()
    c = d.client()
    for i in range(5):
        c.write("/local/domain/5/name", f"vm{i}")
        c.write("/local/domain/6/name", f"vm{i}")
    c.rm("/local/domain/5")
    git.settle(d)
    out = git.run(d.repo, "log", "--format=%s", "main", "--", "local/domain/5/name").splitlines()
    equal(len(out), 6, "git log -- local/domain/5/name has the five writes and the removal")
    check("vm4" in out[1] and "rm /local/domain/5" in out[0], "newest first", out)
    patch = git.run(d.repo, "log", "-p", "-1", "--format=%s", "main", "--", "local/domain/6/name")
    check("-vm3" in patch and "+vm4" in patch, "git log -p shows the values", patch)
    blame = git.run(d.repo, "blame", "--porcelain", "main", "--", "local/domain/6/name")
    check("summary write /local/domain/6/name" in blame, "git blame names the operation", blame)


def bisect():
    """git bisect run in a clone finds the write that broke an invariant."""
    d = server()
    c = d.client()
    c.write("/bisect/state", "good")
    git.settle(d)
    good = git.rev(d.repo)
    for i in range(40):
        c.write(f"/bisect/noise{i % 7}", str(i))
        if i == 23:
            c.write("/bisect/state", "bad")
    git.settle(d)
    work = clone("bisect")
    git.run(work, "bisect", "start", "origin/main", good)
    git.run(work, "bisect", "run", "grep", "-q", "good", "bisect/state")
    found = git.run(work, "show", "-s", "--format=%s", "refs/bisect/bad").strip()
    check(found.startswith("write /bisect/state"), "git bisect run finds the write", found)


def under_load():
    """Everything again while guests come and go, and while a foreign gc runs in the live repository."""
    d = server()
    git.settle(d)
    before = len(git.commits(d.repo))
    begin = time.monotonic()
    traffic = Traffic(d, pause=0.01)
    try:
        time.sleep(0.5)
        problems = {}
        for round_ in range(4):
            gc = None
            if round_ >= 1:
                command = ("gc", "--quiet") if round_ == 1 else ("gc", "--prune=now", "--quiet") if round_ == 2 else ("repack", "-adq")
                gc = subprocess.Popen(["git", "-c", "safe.directory=*", "-C", d.repo, *command], env=git.ENV,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            name = f"round {round_}" + (f" during git {' '.join(command)}" if gc else "")
            try:
                target = clone("load")
                found = git.fsck(target)
                check(found == "", f"a clone is sound, {name}", found)
                seqs = git.main_seqs(target, "origin/main")
                equal(seqs, list(range(seqs[0], seqs[0] + len(seqs))), f"its history has no gap, {name}")
                found = git.fsck(d.repo)
                check(found == "", f"fsck of the live repository finds nothing, {name}", found)
            except git.GitError as e:
                problems[name] = str(e)
            if gc:
                _, err = gc.communicate(timeout=600)
                harness.note(f"{name}: git ended with {gc.returncode} {err.decode(errors='replace').strip()[:200]}")
        equal(problems, {}, "git never failed")
    finally:
        operations = traffic.stop()
    seconds = time.monotonic() - begin
    git.settle(d)
    harness.note(f"{operations} operations in {seconds:.1f} s beside git")
    # every commit on main but ours of settle(): operations of the traffic
    equal(len(git.commits(d.repo)) - before - 1, operations, "one commit per operation under load")
    found = git.fsck(d.repo)
    check(found == "", "fsck finds nothing afterwards", found)
    with d.client() as c:
        live = {p: v[0] for p, v in walk(c).items()}
    equal({p: v for p, v in git.tree(d.repo).items() if p != b"/settled"},
          {p: v for p, v in live.items() if p != b"/settled"}, "git's tree is the store")


def refuses_pushes():
    d = server()
    work = clone("push")
    status, _, err = git.run(work, "push", "origin", "HEAD~1:refs/heads/main", "--force", check=False)
    check(status != 0, "a push is denied", err)
    status, _, err = git.run(work, "push", "origin", "HEAD:refs/heads/mine", check=False)
    check(status != 0, "a push of a new branch, too", err)
    git.settle(d)
    equal(git.fsck(d.repo), "", "the repository is sound after it")


def restarted_daemon_goes_on():
    d = server()
    git.settle(d)
    tip = git.rev(d.repo)
    d.stop()
    equal(git.fsck(d.repo), "", "fsck finds nothing after an orderly stop")
    check(git.run(d.repo, "merge-base", "--is-ancestor", tip, "main", check=False)[0] == 0, "main has all that it had")
    d.start()
    with d.client() as c:
        equal(c.read("/local/domain/6/name"), b"vm4", "the state is back")
    git.settle(d)
    seqs = git.main_seqs(d.repo)
    equal(seqs, list(range(seqs[0], seqs[0] + len(seqs))), "numbers go on without a gap")


harness.main(one_commit_per_operation, values_byte_by_byte, path_history, bisect, under_load, refuses_pushes,
             restarted_daemon_goes_on)
