# SPDX-License-Identifier: MIT
"""One request to two daemons: the replies and the events that it causes are compared, and ours with the model."""
import collections

from . import decode, differences, merges
from .differences import answer
from .lockstep import Lockstep
from .model import Model
from .random_requests import TOP, WIDE, WIDE_CHILDREN
from .script import show, show_message
from .wire import NAMES, NUMBERS, raw, walk

CHANGING = [NAMES[n] for n in ("WRITE", "MKDIR", "RM", "SET_PERMS")]
WATCH, UNWATCH, RESET = NAMES["WATCH"], NAMES["UNWATCH"], NAMES["RESET_WATCHES"]
END, PART, SET_PERMS = NAMES["TRANSACTION_END"], NAMES["DIRECTORY_PART"], NAMES["SET_PERMS"]
LETTERS = "ABCDEFGH"  # names of connections


class Mismatch(Exception):
    """The daemons differ, and not on purpose."""


class Step:
    """One request, and what is known about it before it is sent."""

    def __init__(self, number, kind, payload, tx=0, transaction=None):
        self.number = number  # of the connection
        self.kind = kind
        self.payload = payload
        self.tx = tx
        self.transaction = transaction
        self.request = decode.request_of(kind, payload)
        self.expected = None  # what the model answers
        self.removed = []  # tops of subtrees that it removes
        self.now = None  # of an END: the model after it
        self.place = self.conflict = None  # of an END: the request that cannot be repeated, and why
        self.replies = None

    def as_expected(self):
        """Does ours answer as the model?"""
        got, want = answer(self.replies.ours), self.expected
        if self.kind == PART and isinstance(got, bytes):
            got = got.split(b"\0", 1)[1]
            want = names_from(want, decode.offset_of(self.payload)) + b"\0"
        return got == want

    def __str__(self):
        who = LETTERS[self.number] + (f"@{self.tx}" if self.tx else "")
        out = f"{who} {NUMBERS.get(self.kind, f'#{self.kind}')} {show(self.payload)[:120]}"
        return out + (f"  ->  {show_two(self.replies)}" if self.replies else "")


def names_from(names, offset):
    """Whole names of a list, from that byte on; a negative one lies behind the end."""
    if offset < 0:
        return b""
    if offset and offset < len(names):
        offset = names.index(b"\0", offset - 1) + 1
    return names[offset:]


def show_two(replies):
    ours, theirs = ("nothing" if m is None else show_message(m)[:160] for m in replies)
    return ours if replies.ours == replies.theirs else f"ours {ours}, theirs {theirs}"


def show_events(messages):
    return " ".join(show_message(m)[:160] for m in messages) or "none"


def clear_error(theirs, step):
    """Where 4.17 answers with whatever error came last (and dies if that is none): see that it is EINVAL."""
    one = NUMBERS.get(step.kind) in decode.ONE_ARGUMENT and step.payload.find(b"\0") != len(step.payload) - 1
    if one or not step.payload or step.kind == SET_PERMS and step.payload[:1] == b"@":
        theirs.send(NAMES["READ"], b"//\0")
        theirs.reply()


class Comparison:
    """`change`: see Lockstep."""

    def __init__(self, ours, theirs, coverage, connections=5, change=None):
        self.lock = Lockstep(ours, theirs, connections, change)
        self.coverage = coverage
        self.head = Model()
        self.open = {}  # (connection, id) -> merges.Open
        self.watches = [set() for _ in range(connections)]
        self.recent = collections.deque(maxlen=15)
        self.parts = {}  # lists of names and their DIRECTORY_PART numbers, each way
        for path in ("/tool/xenstored", TOP, *(f"{WIDE}/{c}" for c in WIDE_CHILDREN)):
            for c in self.lock.pairs[0]:
                c.mkdir(path)
            self.head.create(path)

    def fail(self, text):
        raise Mismatch(text + "".join(f"\n    {s}" for s in self.recent))

    def do(self, step):
        """Sends it, compares the replies and, but for an END, the events; returns the replies."""
        self.coverage.requests += 1
        self.coverage.inside += step.transaction is not None
        self.recent.append(step)
        changes = {}
        if step.request and step.transaction:
            step.expected = step.transaction.note(self.head, step.request, (step.kind, step.payload))
        elif step.request and not step.tx:
            changes = merges.changed(self.head, step.request)
            if step.request[0] == "RM" and changes:
                step.removed = [step.request[1]]
            step.expected = self.head.apply(step.request)[0]
        clear_error(self.lock.pairs[step.number].theirs, step)
        step.replies = self.lock.ask(step.number, step.kind, step.payload, step.tx, step.kind == WATCH)
        if step.request and step.transaction:
            step.transaction.entries[-1].reply = step.replies
        self.compare_replies(step)
        self.compare_with_model(step)
        for t in self.open.values():
            t.others(changes)
        self.note_watches(step)
        if step.kind != END:
            fires = step.kind in CHANGING and not step.tx and step.replies.ours.payload == b"OK\0"
            self.compare_events(step, self.gather(step.number, fires))
        return step.replies

    def compare_replies(self, step):
        ours, theirs = step.replies
        if ours is None:
            self.fail("no reply from ours")
        self.coverage.reply(step.kind, answer(ours))
        if ours == theirs or step.kind == END and not {ours.payload, theirs.payload} - {b"OK\0", b"EAGAIN\0"}:
            return
        found = differences.find("reply", step, ours, theirs) if ours[1:3] == theirs[1:3] else None
        if not found:
            self.fail("the replies differ" + (f"; the model answers {step.expected!r}" if step.request else ""))
        self.coverage.differences[found.name] += 1
        if found.name == differences.SNAPSHOT:
            step.transaction.differed = True
        if found.repair:
            name, payload = found.repair(step)
            for client, reply in zip(self.lock.pairs[step.number], step.replies):
                if reply.payload == b"OK\0":
                    client.request(NAMES[name], payload)
            self.lock.events(step.number)

    def compare_with_model(self, step):
        if step.expected is None:
            return
        got = answer(step.replies.ours)
        if step.kind == PART and isinstance(got, bytes):
            number, names = got.split(b"\0")[0], step.expected
            for key, value in (("names", names), number), (("number", number), names):
                if self.parts.setdefault(key, value) != value:
                    self.fail(f"DIRECTORY_PART's number {number!r} does not tell lists apart")
        if not step.as_expected():
            self.fail(f"the model answers {step.expected!r}")

    def note_watches(self, step):
        if step.kind not in (WATCH, UNWATCH, RESET) or not step.replies.ours.payload == step.replies.theirs.payload == b"OK\0":
            return
        if step.kind == RESET:
            return self.gone(step.number)
        path, token = step.payload.split(b"\0")[:2]
        key = decode.path_of(path) or path, token
        (set.add if step.kind == WATCH else set.discard)(self.watches[step.number], key)

    def gone(self, number):
        """The connection has neither watches nor transactions any more."""
        self.watches[number].clear()
        for key in [k for k in self.open if k[0] == number]:
            del self.open[key]

    # -- events -----------------------------------------------------------------------------------

    def gather(self, number, fires):
        """What came since the last step, by connection. `fires`: others may hear of the step, too."""
        others = [n for n, w in enumerate(self.watches) if w and n != number] if fires else []
        self.lock.settle(others)
        return {n: e for n in (number, *others) if (e := self.lock.events(n))}

    def compare_events(self, step, events):
        for number, pair in events.items():
            self.coverage.events += len(pair.theirs)
            if pair.ours == pair.theirs:
                continue
            found = differences.find("events", step, *([m.payload for m in side] for side in pair))
            if not found or any(m.req or m.tx for side in pair for m in side):
                self.fail(f"the events on {LETTERS[number]} differ: ours {show_events(pair.ours)}; theirs {show_events(pair.theirs)}"
                          + (f"; the log is {step.transaction.log}" if step.transaction else ""))
            self.coverage.differences[found.name] += 1

    # -- all of it --------------------------------------------------------------------------------

    def compare_stores(self):
        ours, theirs = (walk(c, hidden=(raw(WIDE),)) for c in self.lock.pairs[0])
        model = {p: n for p, n in self.head.tree().items() if not p.startswith(raw(WIDE))}
        if not ours == theirs == model:
            self.fail("the stores differ: " + ", ".join(
                f"{p.decode()}: ours {ours.get(p)}, theirs {theirs.get(p)}, model {model.get(p)}"
                for p in sorted({*ours, *theirs, *model}) if not ours.get(p) == theirs.get(p) == model.get(p)))
