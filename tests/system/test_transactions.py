#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Transactions: against a model of what they mean, on a moved and on an unmoved head, and as git shows them."""
import functools
import random

from lib import daemon, git, harness
from lib.harness import check, equal
from lib.model import Model, Transaction, payload
from lib.wire import NAMES, XsError, walk


@functools.cache
def server():
    return daemon.Daemon().start()


def do(client, request, tx=0):
    """Reply as the model gives it."""
    try:
        return client.request(NAMES[request[0]], payload(request), tx)
    except XsError as e:
        return e.name


def random_path(rng, top):
    """Few names, so that requests meet."""
    path = top
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3))):
        path += "/" + rng.choice("abc")
    return path


def random_request(rng, top):
    kind = rng.choice(("READ", "READ", "WRITE", "WRITE", "WRITE", "WRITE", "DIRECTORY", "MKDIR", "RM", "GET_PERMS",
                       "SET_PERMS"))
    path = random_path(rng, top)
    if kind == "WRITE":
        return kind, path, rng.choice((b"", b"1", b"2"))
    if kind == "SET_PERMS":
        return kind, path, rng.choice(((b"n0",), (b"b0",), (b"r0", b"w0")))
    return kind, path


def end(client, tx, commit=True):
    try:
        client.end(tx, commit)
        return "OK"
    except XsError as e:
        return e.name


def against_the_model():
    """Transactions of four connections, interleaved with writes, against the model: every reply, and whether they commit."""
    rng = random.Random(harness.options.seed)
    harness.note(f"seed {harness.options.seed}")
    top = "/model"
    model = Model()
    clients = [server().client() for _ in range(4)]
    clients[0].mkdir(top)
    model.apply(("MKDIR", top))
    open_tx = {}  # (client, id) -> Transaction
    counts = {"OK": 0, "EAGAIN": 0}
    trace = []
    for number in range(6000):
        i = rng.randrange(len(clients))
        mine = [k for k in open_tx if k[0] == i]
        roll = rng.random()
        if roll < 0.12 and len(mine) < 3:
            open_tx[(i, clients[i].start())] = Transaction(model)
            trace.append(f"{i} start")
        elif roll < 0.27 and mine:
            key = rng.choice(mine)
            transaction = open_tx.pop(key)
            if rng.random() < 0.1:
                got, want = end(clients[i], key[1], False), "OK"
            else:
                new = transaction.commit(model)
                got, want = end(clients[i], key[1]), "OK" if new else "EAGAIN"
                model = new or model
                counts[want] += 1
            trace.append(f"{i}@{key[1]} end: {got}")
            if got != want:
                harness.fail("the commit goes as the model says", f"step {number}: got {got}, expected {want}; log "
                             f"{transaction.log}; last steps {trace[-30:]}")
                return
        else:
            key = rng.choice(mine) if mine and rng.random() < 0.7 else None
            request = random_request(rng, top)
            want = open_tx[key].apply(request) if key else model.apply(request)[0]
            got = do(clients[i], request, key[1] if key else 0)
            trace.append(f"{i}@{key[1] if key else 0} {request} {got!r}")
            if got != want:
                harness.fail("replies are those of the model", f"step {number}: {request}: got {got!r}, expected "
                             f"{want!r}; last steps {trace[-30:]}")
                return
    harness.ok("6000 random steps of four connections are answered as the model says")
    check(counts["OK"] > 50 and counts["EAGAIN"] > 50, "both outcomes of a commit were met often", counts)
    with server().client() as c:
        seen = walk(c, top)
    model.nodes.pop("/")
    equal(seen, model.tree(), "the tree at the end is that of the model")


def moved_and_unmoved_head():
    """The same transaction once committed by replay on a head that moved, once by taking its tree: same replies, events and tree."""
    rng = random.Random(harness.options.seed + 1)
    moved, unmoved = daemon.Daemon().start(), daemon.Daemon().start()
    a, b = moved.client(), unmoved.client()
    watch_a, watch_b = moved.client(), unmoved.client()
    other = moved.client()  # makes the head move
    counts = {"OK": 0, "EAGAIN": 0}
    for number in range(400):
        top = f"/head/{number % 10}"
        before = [random_request(rng, top) for _ in range(6)]
        log = [random_request(rng, top) for _ in range(rng.randrange(1, 6))]
        # mostly elsewhere, so that many commit
        between = [random_request(rng, top if rng.random() < 0.35 else "/head/elsewhere") for _ in range(rng.randrange(1, 4))]
        for c in (a, b):
            c.mkdir(top)
        for w in (watch_a, watch_b):
            w.request(NAMES["RESET_WATCHES"], b"\0")
            for path in (top, "/head", "/", top + "/a", top + "/a/b", top + "/b/c", top + "/c/c/a"):
                w.watch(path, path[-1:] + "tok")
        for request in before:
            do(a, request), do(b, request)
        tx = a.start()
        first = [do(a, r, tx) for r in log]
        for request in between:
            do(other, request)
        watch_a.sync()
        result = end(a, tx)
        events = watch_a.sync()
        counts[result] += 1
        # on the other one, the same in the other order
        for request in between:
            do(b, request)
        tx = b.start()
        second = [do(b, r, tx) for r in log]
        watch_b.sync()
        if result == "OK":
            if first != second:
                harness.fail("replies inside are those of the merged order", f"{before} {log} {between}: {first} {second}")
                return
            again = end(b, tx)
            if again != "OK":
                harness.fail("a commit on the unmoved head succeeds", f"{again}: {before} {log} {between}")
                return
            direct = watch_b.sync()
            if direct != events:
                harness.fail("a merged commit fires what the direct one fires",
                             f"{before} {log} {between}: {events}, direct {direct}")
                return
        else:
            end(b, tx, False)
            if events:
                harness.fail("EAGAIN fires nothing", f"{events}")
                return
    harness.ok(f"400 transactions, {counts['OK']} merged: the same replies and events as without the detour")
    check(counts["OK"] > 50 and counts["EAGAIN"] > 5, "both outcomes were met often", counts)
    with moved.client() as c1, unmoved.client() as c2:
        equal(walk(c1, "/head"), walk(c2, "/head"), "both stores hold the same")
    git.settle(moved, "end")
    git.settle(unmoved, "end")
    equal(git.rev(moved.repo, "main:head"), git.rev(unmoved.repo, "main:head"), "git sees the same tree")
    equal(git.rev(moved.repo, "main^{tree}"), git.rev(unmoved.repo, "main^{tree}"), "down to the id of the whole tree")


def siblings_merge():
    """Creating devices for many guests at once: all commit, no matter in which order."""
    with server().client() as c:
        c.mkdir("/devices/backend")
    clients = [server().client() for _ in range(12)]
    transactions = [c.start() for c in clients]
    for round_ in range(8):  # interleaved
        for n, (c, tx) in enumerate(zip(clients, transactions)):
            c.write(f"/devices/backend/vif/{n}/0/key{round_}", f"{n}-{round_}", tx)
            if round_ == 0:
                c.set_perms(f"/devices/backend/vif/{n}/0", ["n0", "r0"], tx)
    equal([end(c, tx) for c, tx in reversed(list(zip(clients, transactions)))], ["OK"] * 12,
          "twelve device creations side by side commit in any order")
    with server().client() as c:
        equal(len(walk(c, "/devices/backend/vif")), 1 + 12 * (2 + 8), "all of them are there, whole")
    for c in clients:
        c.close()


def as_git_shows_them():
    d = server()
    c = d.client()
    c.write("/shape/base", "0")
    git.settle(d)
    fork = git.rev(d.repo)
    tx = c.start()
    c.write("/shape/one", "1", tx)
    c.read("/shape/base", tx)
    c.mkdir("/shape/two", tx)
    c.set_perms("/shape/two", ["b0"], tx)
    c.rm("/shape/base", tx)
    with d.client() as other:
        other.write("/shape/other", "x")
    c.end(tx)
    git.settle(d)
    log = git.commits(d.repo)
    at = [n for n, k in enumerate(log) if len(k["parents"]) == 2][-1]
    merge = log[at]
    equal(merge["parents"][0], log[at - 1]["id"], "a committed transaction is a merge onto main")
    side = git.commits(d.repo, merge["parents"][1], f"^{fork}")
    equal(len(side), 4, "its branch has a commit for each of four writes, none for the read")
    equal(side[0]["parents"], [fork], "the branch forks where the transaction started")
    equal([k["trailers"].get("Seq") for k in side], [f"{merge['trailers']['Seq']}.{k}" for k in range(1, 5)],
          "its commits are numbered N.1 to N.4")
    equal({k["trailers"].get("Tx") for k in side + [merge]}, {str(tx)}, "all name the transaction's id")
    for k, words in zip(side, ("write /shape/one", "mkdir /shape/two", "set-perms /shape/two", "rm /shape/base")):
        check(k["subject"].startswith(words), f"a step's subject says {words}", k["subject"])
    equal(git.run(d.repo, "diff", "--name-only", f"{fork}", merge["parents"][1], "--", "shape").split(),
          ["shape/%perms", "shape/base", "shape/one", "shape/two"], "the branch's difference is what it did")
    equal(git.run(d.repo, "show", merge["id"] + ":shape/other"), "x", "the merge has what others did meanwhile")

    # one that needs no merge has the same shape
    tx = c.start()
    c.write("/shape/three", "3", tx)
    c.end(tx)
    git.settle(d)
    merge = [k for k in git.commits(d.repo) if len(k["parents"]) == 2][-1]
    side = git.commits(d.repo, merge["parents"][1], f"^{merge['parents'][0]}")
    equal([k["parents"] for k in side], [[merge["parents"][0]]], "without concurrency it is a merge, too")
    equal(side[0]["tree"], merge["tree"], "with the tree of its branch")

    # an aborted one leaves no trace on main
    n = len(git.commits(d.repo))
    tx = c.start()
    c.write("/shape/aborted", "x", tx)
    c.end(tx, False)
    git.settle(d)
    check("aborted" not in git.run(d.repo, "log", "--format=%s", "main"), "an abort is no commit")
    equal(len(git.commits(d.repo)), n + 1, "main has but the commit that we wait for")


def conflicts_as_git_shows_them():
    d = server()
    c, other = d.client(), d.client()
    c.write("/conflict/a", "1")
    git.settle(d)
    before = len(git.commits(d.repo, "conflicts")) if git.run(d.repo, "for-each-ref", "refs/heads/conflicts") else 0
    base = git.rev(d.repo)
    tx = c.start()
    c.write("/conflict/mine", "x", tx)
    equal(c.read("/conflict/a", tx), b"1", "a value is read in a transaction")
    other.write("/conflict/elsewhere", "2")
    other.write("/conflict/a", "2")
    other.write("/conflict/elsewhere", "3")
    equal(end(c, tx), "EAGAIN", "it changes, and the commit is refused")
    git.settle(d)
    log = git.commits(d.repo, "refs/heads/conflicts")
    equal(len(log), before + 1, "the conflict is one commit on its branch")
    last = log[-1]
    check("read /conflict/a" in last["subject"], "its subject names the request that differs", last["subject"])
    culprit = [k for k in git.commits(d.repo) if k["subject"].startswith("write /conflict/a = ")][-1]
    t = last["trailers"]
    equal(t.get("Culprit"), culprit["id"], "its trailer names the commit that is to blame")
    equal(t.get("Culprit-Seq"), culprit["trailers"]["Seq"], "and its number")
    equal(t.get("Tx"), str(tx), "and the transaction")
    equal(t.get("Base-Seq"), next(k["trailers"]["Seq"] for k in git.commits(d.repo) if k["id"] == base),
          "and where it started")
    equal([int(k["trailers"]["Number"]) for k in log], list(range(1, len(log) + 1)), "conflicts are numbered without a gap")
    check("/conflict/mine" not in str(git.tree(d.repo)), "main has nothing of it")


def history_is_sound():
    d = server()
    git.settle(d)
    equal(git.fsck(d.repo), "", "fsck finds nothing")
    seqs = git.main_seqs(d.repo)
    equal(seqs, list(range(1, len(seqs) + 1)), "main is numbered without a gap")


harness.main(siblings_merge, as_git_shows_them, conflicts_as_git_shows_them, against_the_model, moved_and_unmoved_head,
             history_is_sound)
