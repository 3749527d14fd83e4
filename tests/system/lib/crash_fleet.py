# SPDX-License-Identifier: MIT
"""Many CrashClients at work, stopped and judged together after each death."""
import time

from . import git
from .crash_client import Wrong
from .daemon import wait_for
from .harness import check, equal


# For a daemon that has guests among them: a node holds the names of its children, and they make many.
ROOM = ["--entry-size", "1000000", "--entry-nb", "100000"]


class Fleet:
    def __init__(self, clients, daemon):
        """They connect, and wait for resume()."""
        self.clients = clients
        self.increments = 0  # of the rounds before
        with daemon.client() as c:
            self.new_counter(c)
            for x in clients:
                x.lay_out(c)
        for c in clients:
            c.connect()
        for c in clients:
            c.listen()
        for c in clients:
            c.start()

    def new_counter(self, c):
        """From 0, so that the list of what was counted stays small."""
        if c.exists("/crash/shared"):
            c.rm("/crash/shared")
        c.write("/crash/shared/counter", "0")
        c.mkdir("/crash/shared/done")
        guests = [f"b{x.domid}" for x in self.clients if x.domid]
        for path in ("/crash/shared", "/crash/shared/counter", "/crash/shared/done"):
            c.set_perms(path, ["n0"] + guests)
        for x in self.clients:
            self.increments += x.increments
            x.increments = 0

    def resume(self):
        for c in self.clients:
            if not c.wrong and not c.closed:
                c.idle.clear()
                c.go.set()

    def quiet(self):
        for c in self.clients:
            c.go.clear()
        for c in self.clients:
            if not c.idle.wait(150):
                raise Wrong(f"client {c.number} hangs")

    def end(self):
        for c in self.clients:
            c.quit.set()
            c.go.set()
        for c in self.clients:
            c.join(150)

    def wrongs(self):
        return "; ".join(c.wrong for c in self.clients if c.wrong)

    def closed(self):
        """All socket clients have lost their connections, as they must when both processes died."""
        return all(c.closed or c.wrong or c.domid for c in self.clients)

    def hears_all(self, name):
        """After a death that nobody may notice. Stops them; false: something was wrong."""
        time.sleep(0.15)  # go on over the restart
        self.quiet()
        problem = self.wrongs() or "; ".join(f"client {c.number} lost its connection" for c in self.clients if c.closed)
        return check(not problem, f"{name}: every client hears exactly what it must", problem)

    def judge(self, checker, name, both):
        """All are quiet: what they did is in the store, and everybody has heard of it. `both`: sockets were closed by
        the death, and what was in flight may have been executed or not. Then all begin anew."""
        problems = self._problems(lambda c: c.domid or c.settle_unknown(checker)) if both else []
        problems += self._problems(lambda c: c.verify(checker))
        check(not problems, f"{name}: every acknowledged change is there", "; ".join(problems))
        done = len(checker.directory_all("/crash/shared/done"))
        counter = int(checker.read("/crash/shared/counter"))
        equal((counter, done), (sum(c.increments for c in self.clients),) * 2, f"{name}: the shared counter is right")
        problems = [p for c in self.clients if (p := self._heard(c, both))]
        check(not problems, f"{name}: watchers of others heard each event once, in order", "; ".join(problems))
        self.new_counter(checker)
        anew = [c for c in self.clients if both and not c.domid]
        for c in anew:
            c.connect()
        for c in self.clients:
            c.new_log(checker)
        for c in self.clients:
            if c in anew:
                c.listen()
            else:
                c.client.sync()
                c.log, c.heard = [], []

    def _problems(self, action):
        out = []
        for c in self.clients:
            try:
                action(c)
            except Wrong as e:
                out.append(str(e))
        return out

    def _heard(self, c, both):
        """What is wrong with what it heard of its neighbour, "" for nothing."""
        neighbour = self.clients[(c.number + 1) % len(self.clients)]
        if both and not c.domid:
            return "" if c.heard == neighbour.log[:len(c.heard)] else \
                f"client {c.number} heard {c.heard[-5:]}, not a beginning of {neighbour.log[-5:]}"
        c.heard += [p.decode() for p, token in c.client.sync() if token == b"next"]
        return "" if c.heard == neighbour.log else \
            f"client {c.number} heard {len(c.heard)} events, expected {len(neighbour.log)}: " \
            f"{sorted(set(c.heard) ^ set(neighbour.log))[:10]}"


def judge_history(d, name):
    """One commit per operation, refs where they belong, sound."""
    git.settle(d)
    found = git.fsck(d.repo)
    try:
        history = git.commits(d.repo)
    except git.GitError as e:
        return check(False, f"{name}: history can be read", f"{e}; fsck says: {found or 'nothing'}")
    refs = git.run(d.repo, "for-each-ref", "--format=%(refname) %(objectname)")
    problem = found
    if breaks := git.seq_breaks(history):
        problem += f" Seq is not gapless: {breaks[:10]}"
    if git.rev(d.repo, "main") not in refs:
        problem += f" refs: {refs}"
    if git.run(d.repo, "merge-base", "--is-ancestor", "main", "refs/xsgit/head", check=False)[0] != 0:
        problem += " refs/xsgit/head is behind main"
    check(not problem, f"{name}: history is whole ({len(history)} commits)", problem)


def wait_for_keeper(d, name):
    check(wait_for(d.keeper_pid, "a keeper"), f"{name}: there is a keeper again")
