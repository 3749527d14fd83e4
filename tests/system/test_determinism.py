#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The journal alone decides: folded again, by another process or another build, it gives the same outputs and the same
commit ids as those that the daemon published, also across a death."""
import os
import random
import subprocess

from lib import daemon, git, harness
from lib.harness import check, equal
from lib.wire import HANG, XsError


def builds():
    """The build directory, and others beside it (say, by another compiler) that have the folding program."""
    build = os.path.abspath(harness.options.build)
    names = [build] + os.environ.get("OTHER_BUILDS", "").split()
    parent = os.path.dirname(build)
    names += sorted(os.path.join(parent, n) for n in os.listdir(parent) if n.startswith("build"))
    programs = []
    for n in names:
        p = os.path.join(n, "tests", "fold", "fold_journal")
        if os.access(p, os.X_OK) and p not in programs:
            programs.append(p)
    return programs


def fold(program, journal):
    p = subprocess.run([program, journal], capture_output=True, timeout=HANG)
    text = (p.stdout + p.stderr).decode(errors="replace").strip()
    words = text.split()
    facts = dict(zip(words[0::2], words[1::2])) if p.returncode == 0 else {}
    return p.returncode, facts, text


def some_traffic(d, seed):
    """Everything that makes commits, conflicts, and outputs; less than what makes the daemon free its journal."""
    rng = random.Random(seed)
    clients = [d.client() for _ in range(4)]
    for n, c in enumerate(clients):
        c.watch("/" if n == 0 else f"/d/{n}", f"token{n}")
    for i in range(300):
        c = rng.choice(clients)
        path = f"/d/{rng.randrange(4)}/{rng.randrange(12)}"
        kind = rng.randrange(8)
        try:
            if kind < 4:
                c.write(path, rng.randbytes(rng.randrange(60)))
            elif kind == 4:
                c.rm(path)
            elif kind == 5:
                c.set_perms(path, ["n0", f"r{rng.randrange(1, 9)}"])
            else:
                tx = c.start()
                c.write(path, str(i), tx)
                c.read("/d/0/0", tx)
                if rng.random() < 0.4:
                    rng.choice(clients).write("/d/0/0", str(i))
                c.end(tx, rng.random() < 0.9)
        except XsError as e:
            if e.name not in ("ENOENT", "EAGAIN"):
                raise
    for c in clients[:2]:
        c.close()
    return clients[2:]


def same_ids():
    programs = builds()
    if not check(programs, "tests/fold/fold_journal is built"):
        return
    harness.note("folded by " + ", ".join(os.path.relpath(p, harness.root()) for p in programs))
    for round_ in range(3):
        for _ in range(5):
            d = daemon.Daemon().start()
            clients = some_traffic(d, harness.options.seed + round_)
            git.settle(d)
            d.kill()
            journal = d.repo + "/xsgit/journal"
            results = [fold(p, journal) for p in programs + programs]
            if "first events are gone" not in results[0][2]:
                break  # else this machine was too slow: the daemon has freed a part of its journal meanwhile
        if not check(all(status == 0 for status, _, _ in results), f"round {round_}: the journal folds", results):
            continue
        facts = results[0][1]
        check(all(f == facts for _, f, _ in results), f"round {round_}: {len(results)} folds agree", results)
        equal(facts["commit"], git.rev(d.repo), f"round {round_}: the commit is the one that was published")
        equal(facts["tree"], git.rev(d.repo, "main^{tree}"), f"round {round_}: and its tree")
        check(int(facts["conflicts"]) > 0, f"round {round_}: there were conflicts among it", facts)
        for c in clients:
            c.close()


def same_ids_across_a_death():
    """Killed before everything was published: what recovery publishes are the commits that the journal says."""
    programs = builds()
    for round_ in range(3):
        for _ in range(5):
            d = daemon.Daemon().start()
            clients = some_traffic(d, harness.options.seed + 100 + round_)
            d.kill()
            status, facts, text = fold(programs[0], d.repo + "/xsgit/journal")
            if "first events are gone" not in text:
                break
        if not check(status == 0, f"round {round_}: the journal of a killed daemon folds", text):
            continue
        published = git.run(d.repo, "rev-parse", "--verify", "main", check=False)[1].strip()
        d.start()
        git.settle(d)
        known = git.run(d.repo, "rev-list", "--first-parent", "main").split()
        check(facts["commit"] in known, f"round {round_}: recovery publishes the very commit", f"{facts['commit']} not in {known[:5]}")
        check(not published or published in known, f"round {round_}: after what was published before")
        equal(known.index(facts["commit"]) if facts["commit"] in known else None, 1,
              f"round {round_}: nothing but our own write came after it")
        for c in clients:
            c.close()
        d.stop()


harness.main(same_ids, same_ids_across_a_death)
