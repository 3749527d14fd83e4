# SPDX-License-Identifier: MIT
"""One request of a guest or toolstack to two daemons: the replies, and the events that anybody gets."""
import collections

from . import guest_differences as differences
from .comparison import Mismatch, clear_error, show_events, show_two
from .decode import path_of
from .differences import answer
from .guest_requests import SPECIAL, absolute
from .host_pair import DOM0, GUESTS, WITNESS, HostPair
from .lockstep import Two, two
from .script import show
from .wire import EVENT, NAMES, NUMBERS, Message, walk

CHANGING = [NAMES[n] for n in ("WRITE", "MKDIR", "RM", "SET_PERMS")]
MAKING = [NAMES[n] for n in ("WRITE", "MKDIR")]
FIRING = CHANGING + [NAMES[n] for n in ("INTRODUCE", "RELEASE")]
WATCH, UNWATCH, RESET, END = (NAMES[n] for n in ("WATCH", "UNWATCH", "RESET_WATCHES", "TRANSACTION_END"))
START, SET_PERMS = NAMES["TRANSACTION_START"], NAMES["SET_PERMS"]


class Step:
    """One request (or, without a kind, what befalls a domain), and what is known about it."""

    def __init__(self, number, kind, payload, transaction=None, domid=None):
        self.number = number  # of the connection
        self.domid = number % WITNESS if domid is None else domid  # who asks; or whose life changes
        self.kind = kind
        self.payload = payload  # bytes, or a Two
        self.transaction = transaction
        self.path = absolute(two(payload).ours.split(b"\0")[0], self.domid)
        self.special = {}  # the lists of special events
        self.replies = None
        self.receiver = None  # connection whose events are looked at

    def __str__(self):
        who = {DOM0: "dom0", WITNESS: "witness"}.get(self.number, f"d{self.number}")
        who += f"@{self.transaction.ids.ours}" if self.transaction else ""
        what = NUMBERS.get(self.kind, f"#{self.kind}") if self.kind is not None else "(host)"
        return f"{who} {what} {show(two(self.payload).ours)[:120]}" + (f"  ->  {show_two(self.replies)}" if self.replies else "")


def below(path, top):
    """Is it the same, or below?"""
    return top == "/" or path == top or path.startswith(top + "/")


class Open:
    """A transaction, in both daemons."""

    def __init__(self, number, ids):
        self.number = number
        self.ids = ids
        self.steps = []
        self.touched = set()  # paths that others changed since START
        self.life = False  # a domain has come or gone since START
        self.differed = False  # have the daemons answered differently inside?

    def touches(self, path):
        return any(below(path, p) or below(p, path) for p in self.touched)


class GuestComparison:
    """`change`: see Lockstep. `leak`, if given, gets what nobody was told because he may not read it, and gives what
    the test is to see of that from our daemon."""

    def __init__(self, ours_options, theirs_options, coverage, change=None, leak=None):
        self.lock = HostPair(ours_options, theirs_options, change)
        self.coverage = coverage
        self.leak = leak
        self.open = {}  # (connection, our id) -> Open
        self.watches = collections.defaultdict(set)  # connection -> (path in full, as given, token)
        self.special = {}
        self.recent = collections.deque(maxlen=25)
        for name in SPECIAL:  # 4.22 has opened one of them to everybody
            for c in self.lock.pairs[DOM0]:
                c.set_perms(name, ["n0"])
            self.special[name] = b"n0\0"
        for path in ("/", *SPECIAL):
            for c in self.lock.pairs[WITNESS]:
                c.watch(path, "witness")
                c.sync()
            self.watches[WITNESS].add((path, path, b"witness"))

    def fail(self, text):
        if len(self.recent) and self.recent[-1].kind is not None:
            text += "".join(f"\n  {line}" for line in self.lists(self.recent[-1]))
        log = self.lock.daemons.ours.log_tail().splitlines()[-5:]
        raise Mismatch(text + "".join(f"\n    {s}" for s in self.recent) + "".join(f"\n    ours logs: {line}" for line in log))

    def lists(self, step):
        """The permissions of its nodes and those above, as they are now."""
        paths = {p for s in (step.transaction.steps if step.transaction else [step]) for p in (s.path, s.path.rpartition("/")[0])}
        for path in sorted(p for p in paths if p[:1] == "/"):
            out = []
            for c in self.lock.pairs[DOM0]:
                c.send(NAMES["GET_PERMS"], path.encode() + b"\0")
                out.append(show(c.reply().payload))
            yield f"now {path}: " + (out[0] if out[0] == out[1] else " / ".join(out))

    def do(self, step):
        """Sends it, compares the replies and, but for an END that commits, the events."""
        self.coverage.requests += 1
        self.coverage.inside += step.transaction is not None
        self.recent.append(step)
        step.special = self.special
        changes = self.changes(step) if step.kind in CHANGING and not step.transaction else None
        pair = self.lock.pairs[step.number]
        if not isinstance(step.payload, Two):
            clear_error(pair.theirs, step)
        ids = step.transaction.ids if step.transaction else Two(0, 0)
        step.replies = Two(*(m and (m if m.tx != tx else m._replace(tx=0)) for m, tx in zip(
            self.lock.ask(step.number, step.kind, step.payload, ids, step.kind == WATCH), ids)))
        if step.transaction:
            step.transaction.steps.append(step)
        self.compare_replies(step)
        ok = two(step.replies).theirs.payload == b"OK\0"
        if ok and step.kind in CHANGING and not step.transaction:
            self.touch(changes)
            if step.kind == SET_PERMS and step.path in SPECIAL:
                self.special[step.path] = step.payload.split(b"\0", 1)[1]
        self.note_watches(step, ok)
        if step.kind != END:
            fires = ok and step.kind in FIRING and not step.transaction
            self.compare_events(step, self.gather(step.number, fires))
        return step.replies

    def changes(self, step):
        """The top of what it is about to change: directories are made on the way."""
        path = step.path
        if self.open and step.kind in MAKING and path_of(path.encode()):
            with_it = path
            while path != "/" and not self.lock.pairs[DOM0].theirs.exists(path):
                with_it, path = path, path.rpartition("/")[0] or "/"
            return with_it
        return path

    def touch(self, path, life=False):
        for t in self.open.values():
            t.touched.add(path)
            t.life |= life

    def compare_replies(self, step):
        ours, theirs = step.replies
        if ours is None:
            self.fail("no reply from ours")
        self.coverage.answered(step.kind, answer(ours), step.domid)
        if ours == theirs or step.kind == START and ours[:3] == theirs[:3] and ours.type == START:
            return
        if step.kind == END and ours[1:3] == theirs[1:3]:  # guest_differential.py looks at it
            return
        found = differences.find("reply", step, ours, theirs) if ours[1:3] == theirs[1:3] else None
        if not found:
            self.fail("the replies differ")
        self.coverage.differences[found.name] += 1
        if step.transaction and "START" in found.name:
            step.transaction.differed = True

    def note_watches(self, step, ok):
        if not ok or step.kind not in (WATCH, UNWATCH, RESET):
            return
        if step.kind == RESET:
            return self.gone(step.number)
        given, token = step.payload.split(b"\0")[:2]
        if step.kind == WATCH:
            self.watches[step.number].add((step.path, given.decode(), token))
        else:
            self.watches[step.number] = {w for w in self.watches[step.number] if (w[0], w[2]) != (step.path, token)}

    def gone(self, number):
        """The connection has neither watches nor transactions any more."""
        self.watches.pop(number, None)
        for key in [k for k in self.open if k[0] == number]:
            del self.open[key]

    # -- events -----------------------------------------------------------------------------------

    def gather(self, number, fires):
        """What came since the last step, by connection. `fires`: others may hear of the step, too."""
        others = [n for n, w in self.watches.items() if w and n != number and n in self.lock.pairs] if fires else []
        self.lock.settle(others)
        numbers = [n for n in (number, *others) if n in self.lock.pairs]
        return {n: e for n in numbers if (e := self.lock.events(n))}

    def filtered(self, events):
        """[(connection, message)]: what matches a guest's watch, and came to the witness but not to it."""
        out = []
        if WITNESS not in events:
            return out
        for m in events[WITNESS].theirs:
            path = m.payload.split(b"\0")[0].decode()
            for n in GUESTS:
                for top, given, token in self.watches.get(n, ()):
                    relative = path[len(top) - len(given):] if given[:1] not in "/@" else path
                    event = Message(EVENT, 0, 0, relative.encode() + b"\0" + token + b"\0")
                    if below(path, top) and (n not in events or event not in events[n].theirs):
                        out.append((n, event))
        return out

    def compare_events(self, step, events):
        hidden = self.filtered(events)
        if hidden:
            inside = step.kind == END
            self.coverage.filtered["of a commit" if inside else NUMBERS.get(step.kind, "the end of a domain")] += len(hidden)
            for n, message in self.leak(hidden) if self.leak and not inside else ():
                events.setdefault(n, Two([], [])).ours.append(message)
        for number, pair in events.items():
            self.coverage.events += len(pair.theirs)
            self.coverage.to_guests += len(pair.theirs) if number in GUESTS else 0
            if pair.ours == pair.theirs:
                continue
            step.receiver = number
            found = differences.find("events", step, *([m.payload for m in side] for side in pair))
            if not found or any(m.req or m.tx for side in pair for m in side):
                self.fail(f"the events on {number} differ: ours {show_events(pair.ours)}; theirs {show_events(pair.theirs)}; the "
                          f"witness got {show_events(events[WITNESS].theirs) if WITNESS in events else 'none'}")
            self.coverage.differences[found.name] += 1

    # -- all of it --------------------------------------------------------------------------------

    def stores(self):
        return Two(*(walk(c) for c in self.lock.pairs[DOM0]))

    def compare_stores(self):
        ours, theirs = self.stores()
        if ours != theirs:
            self.fail("the stores differ: " + ", ".join(f"{p.decode()}: ours {ours.get(p)}, theirs {theirs.get(p)}"
                                                        for p in sorted({*ours, *theirs}) if ours.get(p) != theirs.get(p)))
        self.coverage.stores += 1
