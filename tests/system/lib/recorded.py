# SPDX-License-Identifier: MIT
"""A recorded session, played to our daemon and to Debian's C daemon on emulated hosts, guests on rings of their own:
what both answer and tell is compared step by step. Differences that are known (differences.py) are counted."""
import collections

from . import differences, guest_differences, session
from .comparison import Mismatch, clear_error, show_events
from .guest_comparison import END, SET_PERMS, START, Step
from .host_pair import DOM0, WITNESS, HostPair
from .lockstep import Two, two
from .wire import NAMES, walk

INTRODUCE = NAMES["INTRODUCE"]
RING = 2
ANYBODY = 32752  # and above: no domains; 4.17 does not know the one that may be in lists of special events
FIRST = 100  # number of the first connection on a socket
QUOTAS = ["-E", "100000", "-S", "100000", "-t", "1000", "-W", "100000"]


class Transaction:
    """Of the recording, in both daemons."""

    def __init__(self, ids):
        self.ids, self.steps, self.differed = ids, [], False

    def touches(self, _):
        return True  # others may have changed anything since its start


class Recorded:
    def __init__(self, data, change=None):
        """`data`: of the file. `change`: see Lockstep."""
        self.records = session.read(data)
        self.lock = HostPair(QUOTAS, QUOTAS, change)
        self.numbers = {}  # connection of the recording -> of the pairs
        self.open = {}  # (number, id in the recording) -> Transaction
        self.seen = collections.Counter()
        self.recent = collections.deque(maxlen=12)
        self.special = {}
        self.introduced = set()
        for c in self.lock.pairs[WITNESS]:
            c.watch("@releaseDomain", "witness")
            c.sync()

    def fail(self, text):
        raise Mismatch(text + "".join(f"\n    {s}" for s in self.recent))

    def play(self):
        """Plays all of it; returns how many requests. Raises Mismatch."""
        for n, record in enumerate(self.records):
            {session.OPENED: self.opened, session.CLOSED: self.closed, session.REQUEST: self.request, session.NODE: self.node,
             session.WATCH: self.watch, session.DOMAINS: self.domains}.get(record[1], lambda *_: None)(n, *record[2:])
        ours, theirs = (walk(c) for c in self.lock.pairs[DOM0])
        if ours != theirs:
            self.fail("the stores differ: " + ", ".join(f"{p.decode()}: ours {ours.get(p)}, theirs {theirs.get(p)}"
                                                        for p in sorted({*ours, *theirs}) if ours.get(p) != theirs.get(p)))
        self.lock.stop()
        return self.seen["requests"]

    # -- what is in a session -----------------------------------------------------------------------

    def opened(self, _, conn, before, transport, domid, *_rest):
        """A guest's ring is opened by INTRODUCE, or was there. The control domain's kernel has no ring here."""
        if transport == RING and domid:
            self.numbers[conn] = domid
            if before:
                self.introduce(domid)
        else:
            self.seen["connections"] += 1
            self.numbers[conn] = FIRST + self.seen["connections"]
            self.lock.pairs[self.numbers[conn]] = self.lock.open()

    def closed(self, _, conn):
        number = self.numbers.pop(conn)
        self.open = {k: v for k, v in self.open.items() if k[0] != number}
        if number >= FIRST:
            self.lock.close(number)
            del self.lock.pairs[number]

    def node(self, _, path, perms, value):
        perms = [p for p in perms.decode().split(",") if int(p[1:].rstrip("!")) < ANYBODY]
        self.owners(perms)
        for c in self.lock.pairs[DOM0]:
            if path[:1] == b"/" and path != b"/":
                c.write(path, value)
            c.set_perms(path, perms)

    def watch(self, _, conn, depth, path, token):
        for c in self.lock.pairs[self.numbers[conn]]:
            c.watch(path, token)
            c.sync()

    def domains(self, _, news):
        for one in news.decode().split(";"):
            domid, _, state = one.split()
            if int(domid) in self.lock.pairs and state in ("shutdown", "dead"):
                self.lock.end(int(domid), shutdown=state == "shutdown")
                if state == "dead":
                    self.introduced.discard(int(domid))
                self.compare_events(Step(DOM0, None, news, domid=int(domid)))

    def exists(self, domid):
        if domid and domid not in self.lock.pairs:
            self.lock.create(domid)

    def owners(self, perms):
        """The host has made domains before the toolstack says anything of them."""
        for one in perms:
            self.exists(int(one[1:].rstrip("!")))

    def introduce(self, domid):
        self.exists(domid)
        self.introduced.add(domid)
        for c, payload in zip(self.lock.pairs[DOM0], self.lock.introduction(domid)):
            c.request(INTRODUCE, payload)

    def request(self, place, conn, kind, _req, tx, redacted, payload, _facts):
        number = self.numbers[conn]
        words = payload.split(b"\0")
        if redacted or kind == INTRODUCE and int(words[0]) in self.introduced:
            return  # introduced again has no effect, and its port would be the recorded host's
        if kind == SET_PERMS:
            self.owners([w.decode() for w in words[1:-1]])
        step = Step(number, kind, payload, self.open.get((number, tx)), number if number < FIRST else 0)
        step.special = self.special
        self.recent.append(step)
        self.seen["requests"] += 1
        ids = step.transaction.ids if step.transaction else Two(tx, tx)
        sent = payload
        if kind == INTRODUCE:
            self.exists(int(words[0]))
            self.introduced.add(int(words[0]))
            sent = self.lock.introduction(int(words[0]))
        else:
            clear_error(self.lock.pairs[number].theirs, step)
        step.replies = Two(*(m._replace(tx=0) for m in self.lock.ask(number, kind, sent, ids, True)))
        self.compare_replies(step)
        if step.transaction:
            step.transaction.steps.append(step)
        if kind == START and two(step.replies).ours.type == START:
            recorded = next(r for r in self.records[place + 1:] if r[1] == session.REPLY and r[2] == conn)
            self.open[number, int(recorded[-1][:-1])] = Transaction(Two(*(int(m.payload[:-1]) for m in step.replies)))
        if kind == END:
            self.open.pop((number, tx), None)
        self.compare_events(step)

    # -- comparing ------------------------------------------------------------------------------------

    def compare_replies(self, step):
        ours, theirs = step.replies
        if ours == theirs or step.kind == START and ours.type == theirs.type == START:
            return
        found = ours[1:3] == theirs[1:3] and (differences.find("reply", step, ours, theirs) or
                                              guest_differences.find("reply", step, ours, theirs))
        if not found or step.kind == END:
            self.fail("the replies differ")
        self.seen[found.name] += 1

    def compare_events(self, step):
        self.lock.settle([n for n in self.lock.pairs if n in (DOM0, *self.introduced) or n >= FIRST])
        for number in self.lock.pairs:
            pair = self.lock.events(number)
            if not pair or number == WITNESS:
                continue
            self.seen["events"] += len(pair.ours)
            if pair.ours == pair.theirs:
                continue
            step.receiver = number
            found = guest_differences.find("events", step, *([m.payload for m in side] for side in pair))
            if not found:
                self.fail(f"the events on {number} differ: ours {show_events(pair.ours)}; theirs {show_events(pair.theirs)}")
            self.seen[found.name] += 1
