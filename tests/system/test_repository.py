#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""--repo names something odd, damaged, or of another time: a clear message, or set aside; never a crash, never
served wrong, never somebody else's files touched."""
import glob
import os
import re
import random
import shutil
import subprocess

from lib import daemon, git, harness
from lib.daemon import session_members, wait_for
from lib.harness import check, equal
from lib.wire import walk

CONTENT = {f"/keep/{i}": f"value {i}" * (1 + i % 50) for i in range(200)}


def refuses(repo, what, **popen):
    """The daemon must end with a message that names the place, and leave it alone."""
    d = daemon.Daemon(repo=repo)
    before = listing(repo)
    with open(d.log, "ab") as log:
        d.process = subprocess.Popen(d.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     **popen)
    try:
        status = d.process.wait(60)
    except subprocess.TimeoutExpired:
        d.kill()
        harness.fail(f"{what} is refused", "the daemon runs")
        return
    message = d.log_text().strip()
    check(status == 1 and os.path.basename(repo) in message, f"{what} is refused", f"status {status}: {message}")
    check(0 < len(message) < 1000 and "terminate called" not in message and "Assertion" not in message,
          f"{what}: the message is one for people", message)
    harness.note(message)
    equal(listing(repo), before, f"{what} is left alone")


def listing(path):
    """Everything below a place, with contents."""
    if os.path.isfile(path):
        return open(path, "rb").read()
    out = {}
    for where, directories, files in os.walk(path):
        for name in directories:
            out[os.path.join(where, name)] = None
        for name in files:
            with open(os.path.join(where, name), "rb") as f:
                out[os.path.join(where, name)] = f.read()
    return out


def not_ours():
    base = harness.temporary("notours")
    plain = os.path.join(base, "plain")
    os.mkdir(plain)
    with open(os.path.join(plain, "precious"), "w", encoding="ascii") as f:
        f.write("data")
    refuses(plain, "a directory with somebody's files")
    foreign = os.path.join(base, "foreign.git")
    git.run("/", "init", "-q", "--bare", foreign)
    refuses(foreign, "somebody's git repository")
    work = os.path.join(base, "work")
    git.run("/", "init", "-q", work)
    refuses(work, "somebody's work tree")
    file = os.path.join(base, "file")
    with open(file, "w", encoding="ascii") as f:
        f.write("data")
    refuses(file, "a file")
    refuses(os.path.join(file, "below.git"), "a place below a file")
    refuses("/proc/xsgit-store.git", "a place where nothing can be made")
    if os.geteuid() == 0:
        locked = os.path.join(base, "locked")
        os.mkdir(locked, 0o755)
        os.chmod(base, 0o755)
        refuses(os.path.join(locked, "store.git"), "a place that is not ours to write", user=65534, group=65534, extra_groups=[])
    os.symlink(os.path.join(base, "nowhere"), os.path.join(base, "dangling"))
    refuses(os.path.join(base, "dangling"), "a dangling link")


def usable_places():
    base = harness.temporary("places")
    empty = os.path.join(base, "empty")
    os.mkdir(empty)
    for repo, what in ((empty, "an empty directory"), (os.path.join(base, "new.git"), "a new name"),
                       (os.path.join(base, "a b'\"$x.git"), "a name with odd characters")):
        d = daemon.Daemon(repo=repo).start()
        with d.client() as c:
            c.write("/a", "1")
        git.settle(d)
        equal(git.run(repo, "show", "main:a"), "1", f"{what} becomes a repository")
        equal(os.stat(repo).st_mode & 0o7777, 0o700, f"{what}: nobody else may look in")
        d.stop()
    link = os.path.join(base, "link")
    os.symlink(os.path.join(base, "new.git"), link)
    d = daemon.Daemon(repo=link).start()
    with d.client() as c:
        equal(c.read("/a"), b"1", "a link to a store is that store")
    d.stop()


def make_base(kind):
    """A dead repository with known content, everything published."""
    d = daemon.Daemon().start()
    with d.client() as c:
        for path, value in CONTENT.items():
            c.write(path, value)
        tx = c.start()
        c.write("/keep/tx", "t", tx)
        c.end(tx)
        git.settle(d)
        if kind == "killed":
            c.start()  # something open
            c.watch("/keep", "w")
            d.kill()
    if kind == "stopped":
        d.stop()
    return d.repo


def copy(base, repo):
    """The file of slots is large and mostly holes."""
    subprocess.run(["cp", "-a", "--sparse=always", base, repo], check=True)


def content_now(d):
    with d.client() as c:
        return {p.decode(): v[0].decode() for p, v in walk(c, "/keep").items() if p != b"/keep"} or "ENOENT"


WANT = dict(CONTENT, **{"/keep/tx": "t"})


def try_damaged(base, what, damage):
    """Copies the base, damages the copy, starts: must serve everything; or, saying so, what there was at the newest
    checkpoint; or nothing, with the rest set aside. Returns 'served', 'older', 'aside' or 'wrong'."""
    place = harness.temporary("damage")
    repo = os.path.join(place, "store.git")
    copy(base, repo)
    damage(repo)
    d = daemon.Daemon(directory=place, repo=repo)
    problem, result = "", "wrong"
    try:
        d.start()
        got = content_now(d)
        aside = glob.glob(glob.escape(repo) + ".*")
        log = d.log_text()
        if got == WANT:
            result = "served"
        elif got != "ENOENT" and set(got.items()) <= set(WANT.items()) and not aside and "IS LOST" in log:
            result = "older"
        elif got == "ENOENT" and aside:
            result = "aside"
            if os.path.basename(aside[0]) not in log:
                problem = f"set aside without saying so: {log}"
        else:
            missing = "all" if got == "ENOENT" else f"{len(set(WANT.items()) - set(got.items()))} of {len(WANT)} wrong or missing"
            problem = f"served {missing}, set aside: {aside}; log: {log[-400:]}"
        if not problem:
            with d.client() as c:  # and goes on
                c.write("/after", "damage")
            git.settle(d)
            found = git.fsck(d.repo) if result == "aside" or "objects" not in what else ""
            if found:
                problem = f"{result}, but fsck finds: {found[:600]}"
            elif git.run(d.repo, "show", "main:after") != "damage":
                problem = "git does not show new writes"
            d.stop()
            d.start()
            with d.client() as c:
                if c.read("/after") != b"damage":
                    problem = "the next start does not have new writes"
            d.stop()
    except Exception as e:  # it did not start: a failure, with what it said
        problem = f"{type(e).__name__}: {e}"
    finally:
        if d.alive():
            d.kill()
        shutil.rmtree(place, ignore_errors=True)
    if problem:
        harness.fail(f"{what}", problem)
        return "wrong"
    return result


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        b = f.read(1)
        f.seek(at)
        f.write(bytes([b[0] ^ 0x41]))


def damages(path, rng):
    """(what, function of the file) that make sense for a file of this size."""
    size = os.path.getsize(path)
    out = [("removed", os.unlink), ("emptied", lambda p: os.truncate(p, 0))]
    if size > 1:
        out.append(("cut in half", lambda p: os.truncate(p, size // 2)))
        out.append(("a byte shorter", lambda p: os.truncate(p, size - 1)))
        for at in sorted({0, size - 1, rng.randrange(size), rng.randrange(min(size, 4096))}):
            out.append((f"byte {at} flipped", lambda p, at=at: flip(p, at)))
    out.append(("overwritten with noise", lambda p: open(p, "wb").write(rng.randbytes(min(size, 100000) or 100))))
    return out


def damaged_state():
    """Each file of the state directory, in every way, of a killed and of a stopped daemon."""
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    for kind in ("killed", "stopped"):
        base = make_base(kind)
        files = sorted(f for f in os.listdir(os.path.join(base, "xsgit")) if os.path.isfile(os.path.join(base, "xsgit", f)))
        harness.note(f"{kind}: {' '.join(files)}")
        results = {}
        for name in files:
            for what, how in damages(os.path.join(base, "xsgit", name), rng):
                r = try_damaged(base, f"{kind}, xsgit/{name} {what}", lambda repo: how(os.path.join(repo, "xsgit", name)))
                results.setdefault(name, []).append(f"{what}: {r}")
        for name, list_ in results.items():
            check(not any("wrong" in r for r in list_), f"{kind}, xsgit/{name} damaged in {len(list_)} ways", "see above")
            harness.note(", ".join(list_))
        everything = try_damaged(base, f"{kind}, all of xsgit/ but format removed",
                                 lambda repo: [os.unlink(os.path.join(repo, "xsgit", n)) for n in files if n != "format"])
        check(everything != "wrong", f"{kind}, all of xsgit/ but format removed", "see above")
        two = try_damaged(base, f"{kind}, both checkpoints overwritten",
                          lambda repo: [open(f, "wb").write(b"x" * 500) for f in glob.glob(repo + "/xsgit/checkpoint*")])
        check(two != "wrong", f"{kind}, both checkpoints overwritten: {two}", "see above")


def damaged_git():
    """Each part of git's side."""
    rng = random.Random(harness.options.seed)
    base = make_base("stopped")
    parts = sorted(p for p in glob.glob(base + "/objects/pack/*"))
    results = {}
    for path in parts:
        relative = os.path.relpath(path, base)
        kind = os.path.splitext(path)[1]
        if results.get(kind, [None] * 9)[8:]:
            continue  # enough of this kind
        for what, how in damages(path, rng):
            r = try_damaged(base, f"{relative} {what}", lambda repo: how(os.path.join(repo, relative)))
            results.setdefault(kind, []).append(f"{what}: {r}")
    for kind, list_ in results.items():
        check(not any("wrong" in r for r in list_), f"objects/pack/*{kind} damaged in {len(list_)} ways", "see above")
        harness.note(", ".join(list_))

    def refs(*names):
        return lambda repo: [git.run(repo, "update-ref", "-d", n) for n in names]

    def remove(*names):
        return lambda repo: [shutil.rmtree(p) if os.path.isdir(p) else os.path.exists(p) and os.unlink(p)
                             for p in (os.path.join(repo, n) for n in names)]
    for what, how in (("refs/heads/main deleted", refs("refs/heads/main")),
                      ("refs/xsgit/head deleted", refs("refs/xsgit/head")),
                      ("both refs deleted", refs("refs/heads/main", "refs/xsgit/head")),
                      ("refs/ removed", remove("refs", "packed-refs")),
                      ("HEAD removed", remove("HEAD")),
                      ("config removed", remove("config")),
                      ("objects/ removed", remove("objects")),
                      ("objects/pack/ removed", remove("objects/pack")),
                      ("a lock of git left on main", lambda repo: open(repo + "/refs/heads/main.lock", "w").close()),
                      ("all locks of git left", lambda repo: [open(repo + "/" + f + ".lock", "w").close() for f in
                                                              ("HEAD", "config", "packed-refs", "shallow")]),
                      ("main is noise", lambda repo: open(repo + "/refs/heads/main", "w").write("noise\n")),
                      ("main names nothing", lambda repo: open(repo + "/refs/heads/main", "w").write("1" * 40 + "\n"))):
        r = try_damaged(base, f"objects: {what}" if "objects" in what else what, how)
        check(r != "wrong", f"{what}: {r}", "see above")


def main_moved():
    """Somebody moves main by hand, while the daemon runs and while it does not: it is put back, theirs is kept."""
    d = daemon.Daemon().start()
    with d.client() as c:
        for i in range(20):
            c.write("/moved", str(i))
        git.settle(d)
        good = git.rev(d.repo)
        tree = git.run(d.repo, "rev-parse", "main~5^{tree}").strip()
        theirs = git.run(d.repo, "commit-tree", tree, "-p", "main~3", "-m", "mine").strip()
        git.run(d.repo, "update-ref", "refs/heads/main", theirs)
        git.settle(d)
        status, _, _ = git.run(d.repo, "merge-base", "--is-ancestor", good, "main", check=False)
        equal(status, 0, "a moved main is put back while we run")
        equal(c.read("/moved"), b"19", "the store has not changed")
    refs = git.run(d.repo, "for-each-ref", "--format=%(refname) %(objectname)")
    check(any("rescued" in l and theirs in l for l in refs.splitlines()), "theirs is kept under rescued/", refs)
    good = git.rev(d.repo)
    d.stop()
    theirs = git.run(d.repo, "commit-tree", tree, "-p", "main~4", "-m", "mine again").strip()
    git.run(d.repo, "update-ref", "refs/heads/main", theirs)
    d.start()
    with d.client() as c:
        equal(c.read("/moved"), b"19", "a main moved while nobody ran does not change the store")
    git.settle(d)
    status, _, _ = git.run(d.repo, "merge-base", "--is-ancestor", good, "main", check=False)
    equal(status, 0, "and it is put back at the next start")
    refs = git.run(d.repo, "for-each-ref", "--format=%(refname) %(objectname)")
    check(any("rescued" in l and theirs in l for l in refs.splitlines()), "and kept under rescued/", refs)
    equal(git.fsck(d.repo), "", "fsck finds nothing")
    seqs = git.main_seqs(d.repo)
    equal(seqs, list(range(1, len(seqs) + 1)), "main is numbered without a gap")


def another_boot():
    """The state belongs to one boot of the host: what is of another is kept as history and not served."""
    for kind in ("killed", "stopped"):
        base = make_base(kind)
        place = harness.temporary("boot")
        repo = os.path.join(place, "store.git")
        copy(base, repo)
        with open(repo + "/xsgit/format", encoding="ascii") as f:
            text = f.read()
        boot = text.split("boot ")[1].split()[0]
        other = "00000000-1111-2222-3333-444444444444"
        with open(repo + "/xsgit/format", "w", encoding="ascii") as f:
            f.write(text.replace(boot, other))
        d = daemon.Daemon(directory=place, repo=repo).start()
        equal(content_now(d), "ENOENT", f"{kind}: a store of another boot is not served")
        with d.client() as c:
            equal(c.directory("/tool"), [b"xenstored"], f"{kind}: a new one is")
        aside = glob.glob(repo + ".boot-*")
        if check(len(aside) == 1 and other[:8] in aside[0], f"{kind}: the old one is set aside with its boot's name", aside):
            check(git.run(aside[0], "show", "main:settled"), f"{kind}: and still is a repository")
            equal(git.fsck(aside[0]), "", f"{kind}: a sound one")
            check(os.path.basename(aside[0]) in d.log_text(), f"{kind}: the log says so", d.log_text())
        d.stop()
    # a format that we do not know
    base = make_base("stopped")
    place = harness.temporary("format")
    repo = os.path.join(place, "store.git")
    copy(base, repo)
    with open(repo + "/xsgit/format", encoding="ascii") as f:
        text = f.read()
    with open(repo + "/xsgit/format", "w", encoding="ascii") as f:
        f.write(re.sub(r"^xsgit \d+", "xsgit 999", text))
    d = daemon.Daemon(directory=place, repo=repo).start()
    equal(content_now(d), "ENOENT", "a store of an unknown format is not served")
    equal(len(glob.glob(repo + ".*")), 1, "but set aside")
    d.stop()


def one_set_aside_of_each_kind():
    place = harness.temporary("many")
    repo = os.path.join(place, "store.git")
    d = daemon.Daemon(directory=place, repo=repo)
    for i in range(3):
        d.start()
        d.stop()
        with open(repo + "/xsgit/format", encoding="ascii") as f:
            text = f.read()
        boot = text.split("boot ")[1].split()[0]
        with open(repo + "/xsgit/format", "w", encoding="ascii") as f:
            f.write(text.replace(boot, f"{i}0000000-1111-2222-3333-444444444444"))
    d.start()
    equal(len(glob.glob(repo + ".boot-*")), 1, "stores of older boots do not pile up")
    d.stop()


def two_users_of_one_repository():
    """A lock that somebody holds who is no daemon of ours."""
    d = daemon.Daemon().start()
    d.stop()
    holder = subprocess.Popen(["flock", d.repo + "/xsgit/lock", "sleep", "60"], start_new_session=True)
    try:
        wait_for(lambda: len(session_members(holder.pid)) >= 2, "flock to run sleep")
        d.launch()
        status = d.process.wait(60)
        check(status == 1 and "lock" in d.log_tail(), "a repository that somebody holds is refused", d.log_tail())
    finally:
        for p in session_members(holder.pid):
            os.kill(p, 15)
        holder.wait()
    d.start()
    d.stop()


harness.main(not_ours, usable_places, another_boot, one_set_aside_of_each_kind, main_moved, two_users_of_one_repository,
             damaged_git, damaged_state)
