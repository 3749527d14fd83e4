#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""xs-bisect on the history of a daemon that is at work: real cases, scripts of Xen's own clients, logs, and git beside it."""
import functools
import json
import os
import re
import signal
import subprocess
import time

from lib import git, harness
from lib.harness import check, equal
from lib.tools import server, show, tip, tool
from lib.wire import HANG, XsError

# A script as an operator has it: plain xenstore clients, no idea of git or of the past.
LEAK = """
for d in $(xenstore-list /local/domain/0/backend/vif); do
    xenstore-exists /local/domain/$d || exit 1
done
exit 0
"""
LONG, CULPRIT = 100_001, 34_567


def run(*args, repo=None, words=None, timeout=HANG):
    """(status, output, errors) of xs-bisect; `words`: of run -- CMD."""
    command = [tool("bisect/xs-bisect"), *args] + (["run", "--", *words] if words else [])
    p = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                       env=dict(os.environ, XS_REPO=repo or server().repo, LC_ALL="C", TMPDIR=temporary()))
    return p.returncode, p.stdout, p.stderr


@functools.cache
def temporary():
    return harness.temporary("bisect")


def found(*args, **kw):
    """The answer's JSON; a failure is shown."""
    status, out, err = run("--json", *args, **kw)
    if not check(status == 0 and out.count("\n") == 1, f"xs-bisect finds one commit ({' '.join(args)[:60]})", (status, out, err)):
        return {"suspects": [{}], "good": {}}
    return json.loads(out)


def other_traffic(c, n):
    for i in range(n):
        c.write(f"/local/domain/{9 + i % 3}/data/updated", str(i))


@functools.cache
def leak():
    """A driver domain's daemon is updated after 12 guests: from then on it leaves the directory of each guest's devices behind.
    (before all of it, the number of the first commit that shows it)"""
    with server().client() as c:
        before = tip()
        for domid in range(20, 40):
            home, backend = f"/local/domain/{domid}", f"/local/domain/0/backend/vif/{domid}"
            tx = c.start()
            c.write(f"{home}/device/vif/0/state", "1", tx)
            c.write(f"{backend}/0/state", "1", tx)
            c.end(tx)
            c.write(f"{backend}/0/state", "4")
            other_traffic(c, 5)
            c.rm(f"{backend}/0" if domid >= 32 else backend)
            c.rm(home)
            if domid == 32:
                first = tip()
    return before, first


def a_leak():
    """Empty backend/vif directories that stay after each guest, until the quota is reached (qubes-issues 5369)."""
    before, first = leak()
    answer = found("--good", before, words=["sh", "-c", LEAK])
    bad = answer["suspects"][0]
    equal((f"#{bad.get('seq')}", bad.get("domid"), bad.get("op"), bad.get("path")), (first, 0, "rm", "/local/domain/32"),
          "a script of xenstore-list and xenstore-exists finds the guest that was the first to leave something behind")
    status, out, _ = run("--good", before, "--expr", "/local/domain/0/backend/vif/32 and not /local/domain/32")
    check(status == 0, "so does a condition", out)
    lines = out.splitlines()
    equal(lines[:2], [f"{first} rm /local/domain/32", "is the first bad commit:"], "the answer begins with the operation")
    for want in (r"^\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} ", r"^    DOMID=0$", r"^    PEER=pid \d+ python3",
                 rf"^    COMMIT={bad.get('commit')}$", r"^    - /local/domain/32 = ", r"^Good until #\d+ ", "^Since then this holds: "):
        check(re.search(want, out, re.M), f"it says {want}", out)


def a_lost_wakeup():
    """A slave reads, finds nothing, and only then asks to be told; what was written in between it never hears of
    (xapi-project/blktap 441)."""
    path = "/local/domain/0/backend/vbd3/5/51712"
    with server().client() as toolstack, server().client() as slave:
        before = tip()

        def attach(device, late):
            where = f"{path}{device}"
            toolstack.write(f"{where}/params", "/dev/sdx")
            other_traffic(toolstack, 10)
            if not late:
                slave.watch(f"{where}/physical-device-path", "w")
                slave.sync()  # its first event tells nothing: so the slave thinks
            try:
                slave.read(f"{where}/physical-device-path")
            except XsError:
                pass
            toolstack.write(f"{where}/physical-device-path", "/dev/sdx")
            written = tip()
            if late:
                slave.watch(f"{where}/physical-device-path", "w")
                slave.sync()
            if slave.sync():
                slave.write(f"{where}/hotplug-status", "connected")
            other_traffic(toolstack, 40)
            return written

        attach(1, late=False)
        check(toolstack.exists(f"{path}1/hotplug-status"), "in time: the slave hears of the device and connects it")
        lost = attach(2, late=True)
        check(not toolstack.exists(f"{path}2/hotplug-status"), "too late: it waits for ever")
    script = f"xenstore-read {path}2/physical-device-path || exit 0; exec xenstore-read {path}2/hotplug-status"
    for answer in (found("--good", before, words=["sh", "-c", script]),
                   found("--good", before, "--expr", f"{path}2/physical-device-path and not {path}2/hotplug-status")):
        bad = answer["suspects"][0]
        equal((f"#{bad.get('seq')}", bad.get("op"), bad.get("path")), (lost, "write", f"{path}2/physical-device-path"),
              "the write that woke nobody is found")


def conditions():
    with server().client() as c:
        before = tip()
        c.write("/cond/a", "1")
        other_traffic(c, 9)
        tx = c.start()
        c.write("/cond/b", "1", tx)
        c.write("/cond/a", "two words", tx)
        c.set_perms("/cond/a", ["n0", "r0"], tx)
        c.end(tx)
        change = tip()
        other_traffic(c, 9)
        c.rm("/cond/a")
        gone = tip()
        other_traffic(c, 9)
    last = f"#{int(change[1:]) - 1}"
    for args, want in (([last, "--bad", change, "--path", "/cond/a", "--is", "1"], f"{change}.2"),
                       ([last, "--bad", change, "--path", "/cond/a", "--matches", "^one|words$"], f"{change}.2"),
                       ([last, "--bad", change, "--path", "/cond/a", "--perms", "n0,r0"], f"{change}.3"),
                       ([before, "--path", "/cond/b", "--exists"], f"{change}.1"),
                       ([change, "--path", "/cond/a", "--missing"], gone)):
        bad = found("--good", *args)["suspects"][0]
        equal(f"#{bad.get('seq')}" + (f".{bad['step']}" if "step" in bad else ""), want, " ".join(args[-4:]))
    status, _, err = run("--find-good", "--path", "/", "--exists")
    check(status == 1 and "name such a commit with --good" in err, "where --find-good finds none it says what to do", (status, err))
    answer = found("--find-good", "--bad", change, "--path", "/cond/b", "--exists")
    equal((answer["suspects"][0].get("path"), answer.get("transaction", {}).get("seq")), ("/cond/b", int(change[1:])),
          "--find-good finds a good one, and the transaction is told")


def endings():
    with server().client() as c:
        before = tip()
        c.write("/end", "1")
        middle = tip()
        other_traffic(c, 30)
        after = tip()
    ends = ["--good", before, "--bad", after]
    status, out, err = run(*ends, words=["sh", "-c", "exit 125"])
    check(status == 1 and "cannot be judged" in err and not out, "a bad end that cannot be judged", (status, out, err))
    status, out, err = run(*ends, words=["sh", "-c", "exit 130"])
    check(status == 1 and "128 and more mean to stop" in err, "a command that stops the search", (status, err))
    status, out, err = run(*ends, words=["true"])
    check(status == 1 and f"--bad {after} " in err and "is good" in err, "a bad end that is good", (status, err))
    status, out, err = run(*ends, words=["sh", "-c", "exit 127"])
    check(status == 1 and f"--good {before} " in err and "is bad" in err, "a good end that is bad", (status, err))
    equal(run(*ends, words=["/nowhere/at-all"])[0], 127, "a command that is not there")
    fast = ["--good", before, "--path", "/end", "--exists"]
    for args, code, text in ((["--good", after, "--bad", before, "--path", "/end", "--exists"], 1, "but after it"),
                             (["--good", before], 2, "what is bad?"), (["--path", "/end", "--exists"], 2, "since when?"),
                             ([*fast, "--missing"], 2, "takes one of"), (["--good", before, "--exists"], 2, "of which node?"),
                             (["--good", before, "--expr", "/end = "], 2, "expected a value"), ([*fast, "run"], 2, "run what?"),
                             ([*fast, "--bad", "#999999"], 4, "no such revision"), ([*fast, "--replay", "/none"], 2, "No such file"),
                             ([*fast, "--", "true"], 2, "run -- CMD"), ([*fast, "--log", "/none/x"], 3, "No such file"),
                             ([*fast, "--log", "/dev/full"], 3, "cannot write the log"), ([*fast, "--log", ""], 2, "empty"),
                             ([*fast, "--expr", ""], 2, "empty"), ([*fast, "--replay", ""], 2, "empty")):
        status, out, err = run(*args)
        check(status == code and text in err and not out, f"{' '.join(args)[-40:]}: {text}", (status, out, err))
    # The middle third cannot be judged.
    skip = f'n=$(xenstore-read /end) || exit 0; [ "$XS_BISECT_REV" = {commit_of(middle)} ] && exit 125; exit 1'
    status, out, _ = run(*ends, words=["sh", "-c", skip])
    check(status == 1 and "is one of these 2." in out and f"{middle} " in out, "what was skipped is told", (status, out))
    status, out, err = run(*fast, "--bad", after, "--skip", middle, "--json")
    equal((status, [s["seq"] for s in json.loads(out)["suspects"]]), (1, [int(middle[1:]) + 1, int(middle[1:])]), "--skip")


def values_like_options():
    with server().client() as c:
        before = tip()
        c.write("/value", "-5min")
        change = tip()
    bad = found("--good", before, "--path", "/value", "--is", "-5min")["suspects"][0]
    equal(f"#{bad.get('seq')}", change, "a value may look like a time ago")
    status, _, err = run("--good", "-300y", "--path", "/value", "--is", "-5min")
    check(status == 4 and "-300y" in err, "where a time is wanted it is one", (status, err))


def a_refused_transaction():
    with server().client() as c:
        c.write("/refused", "1")
        tx = c.start()
        c.read("/refused", tx)
        c.write("/refused", "2", tx)
        c.write("/refused", "3")
        try:
            c.end(tx)
            harness.fail("the transaction is refused")
        except XsError as e:
            equal(e.name, "EAGAIN", "the transaction is refused")
    refused = "conflicts"  # the branch of them
    for args, words in ((["--path", "/refused", "--exists"], None), ([], ["true"])):
        for ends in (["--good", "#1", "--bad", refused], ["--good", refused]):
            status, out, err = run(*ends, *args, words=words)
            check(status == 4 and "is a transaction that was refused" in err and not out,
                  f"{' '.join(ends)} {words or ''}: it says what that is", (status, out, err))


def commit_of(number):
    return json.loads(show("-o", "json", number))["commit"]


def logs():
    before, first = leak()
    log = os.path.join(harness.temporary("log"), "log")
    count = os.path.join(os.path.dirname(log), "count")
    script = f"echo >> {count}; [ $(wc -l < {count}) = 5 ] && exit 200; " + LEAK
    status, _, err = run("--good", before, "--log", log, words=["sh", "-c", script])
    check(status == 1 and "ended with 200" in err, "a search that is stopped half way", (status, err))
    with open(log, encoding="ascii") as f:
        lines = f.read().splitlines()
    equal([l.split()[0] for l in lines[2:]][:2], ["bad", "good"], "its log has the ends first")
    equal(len(lines), 6, "and all that was found")
    status, _, err = run("--replay", log)
    check(status == 1 and "left to be judged" in err, "the log alone does not have the answer", (status, err))
    bad = found("--replay", log, "--log", log, words=["sh", "-c", script])["suspects"][0]
    equal(f"#{bad.get('seq')}", first, "it is gone on with")
    with open(count, encoding="ascii") as f:
        total = len(f.read())
    with open(log, encoding="ascii") as f:
        text = f.read()
    equal(len(re.findall("^(good|bad) ", text, re.M)), total - 1, "without asking again, into the same file")
    check(text.splitlines()[-1].startswith(f"# first bad commit: {first} rm "), "which ends with the answer", text)
    status, out, err = run("--replay", log)
    check(status == 0 and out.startswith(f"{first} rm "), "now the log alone has it", (status, out, err))
    with open(log, "w", encoding="ascii") as f:
        f.write(re.sub("^bad ", "bad " + "12" * 20 + " # ", text, 1, re.M))
    status, _, err = run("--replay", log, "--path", "/a", "--exists")
    check(status == 4 and "of another history" in err, "a log of another history is refused", (status, err))
    with open(log, "w", encoding="ascii") as f:
        f.write(re.sub("^good ", "best ", text, 1, re.M))
    status, _, err = run("--replay", log)
    check(status == 2 and "log, line " in err, "a log that says something else is refused", (status, err))


def interrupted():
    before, _ = leak()
    p = subprocess.Popen([tool("bisect/xs-bisect"), "--good", before, "run", "--", "sh", "-c",
                          "echo ready >&2; while :; do sleep 0.05; done"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=dict(os.environ, XS_REPO=server().repo, TMPDIR=temporary()), start_new_session=True)
    equal(p.stderr.readline(), "ready\n", "a command that takes its time")
    p.send_signal(signal.SIGTERM)
    _, err = p.communicate(timeout=HANG)
    check(p.returncode == 128 + signal.SIGTERM and "interrupted" in err, "SIGTERM ends both", (p.returncode, err))
    equal(os.listdir(temporary()), [], "no sockets are left")
    reader, writer = os.pipe()
    os.close(reader)
    for closed in ("stdout", "stderr"):
        status = subprocess.run([tool("bisect/xs-bisect"), "--good", before, "run", "--", "sh", "-c", LEAK],
                                **({"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {closed: writer}), check=False,
                                env=dict(os.environ, XS_REPO=server().repo, TMPDIR=temporary()), timeout=HANG).returncode
        equal((status == 0, os.listdir(temporary())), (closed == "stderr", []), f"nor when {closed} is closed")
    os.close(writer)


def stock_git():
    """As xs-bisect(1) says it."""
    before, first = leak()
    git.settle(server())
    clone = os.path.join(harness.temporary("clone"), "store")
    git.run("/", "clone", "-q", "--no-local", "--branch", "main", server().repo, clone)
    git.run(clone, "bisect", "start", "--first-parent", "main", commit_of(before))
    git.run(clone, "bisect", "run", "sh", "-c", "! test -e local/domain/0/backend/vif/32 || test -e local/domain/32")
    equal(git.rev(clone, "refs/bisect/bad"), commit_of(first), "git bisect run on a clone finds the same commit")
    bad = found("--good", before, "--expr", "/local/domain/0/backend/vif/32 and not /local/domain/32", repo=clone)["suspects"][0]
    equal(f"#{bad.get('seq')}", first, "and xs-bisect does on the clone")


def long_history():
    repo = os.path.join(harness.temporary("long"), "store.git")
    subprocess.run([tool("tests/bench/long_history"), repo, str(LONG), str(CULPRIT)], check=True, timeout=HANG)
    begin = time.monotonic()
    answer = found("--good", "#2", "--path", "/culprit", "--is", "bad", repo=repo)
    harness.note(f"{time.monotonic() - begin:.2f} s for {LONG} commits, {answer.get('judged')} of them looked at")
    bad = answer["suspects"][0]
    equal((bad.get("seq"), bad.get("step"), bad.get("path")), (CULPRIT, 2, "/culprit"), "a step of a transaction among very many commits")
    check(answer.get("judged", 99) <= 24, "few are looked at", answer.get("judged"))


harness.main(a_leak, a_lost_wakeup, conditions, endings, values_like_options, a_refused_transaction, logs, interrupted, stock_git, long_history)
