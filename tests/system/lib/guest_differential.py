# SPDX-License-Identifier: MIT
"""The same random requests of guests to two daemons."""
from . import guest_differences as differences
from .differences import answer
from .guest_comparison import CHANGING, END, START, Open, Step
from .guest_life import GuestLife
from .guest_requests import IN_TRANSACTIONS, READING, GuestRequests
from .host_pair import DOM0, GUESTS
from .lockstep import Two

AGAIN = 500  # requests, after which the whole stores are compared


class GuestDifferential(GuestLife):
    def __init__(self, rng, *args, few_nodes=False, **kw):
        super().__init__(*args, **kw)
        self.rng = rng
        self.few_nodes = few_nodes  # guests make none in transactions
        self.requests = GuestRequests(rng, GUESTS)
        self.alone = None  # the transaction during which nobody else changes anything

    def run(self, number):
        """That many requests, or a few more. Raises Mismatch."""
        count = lambda: self.coverage.requests  # noqa: E731
        end = count() + number
        place = compared = count()
        while count() < end:
            if self.alone not in self.open:
                self.alone = None
                if count() >= place:
                    place = count() + self.rng.randrange(40, 300)
                    self.requests.new_place()
                    self.places()
                if count() >= compared + AGAIN:
                    compared = count()
                    self.compare_stores()
            self.step()
        for key in list(self.open):
            self.end_transaction(key, False)
        self.compare_stores()

    def step(self):
        rng = self.rng
        if self.alone:
            if rng.random() < 0.85:
                return self.in_transaction(self.alone)
            number = self.any()
            return self.do(Step(number, *self.requests.one(number, READING)))
        if rng.random() < 0.02:
            return self.life(rng)
        if self.open and rng.random() < 0.6:
            return self.in_transaction(rng.choice(list(self.open)))
        number = self.any()
        if rng.random() < 0.1:
            return self.start(number)
        if rng.random() < 0.02:
            return self.odd(number)
        return self.do(Step(number, *self.requests.one(number)))

    def any(self):
        return self.rng.choice((DOM0, *self.alive, *self.alive))

    def start(self, number):
        replies = self.do(Step(number, START, b"\0"))
        if replies.ours.type != START:
            return
        ids = Two(*(int(m.payload[:-1]) for m in replies))
        self.open[number, ids.ours] = Open(number, ids)
        if len(self.open) == 1 and self.rng.random() < 0.6:
            self.alone = number, ids.ours

    def odd(self, number):
        """END of nothing, START in a transaction, a bad END."""
        mine = [t for k, t in self.open.items() if k[0] == number]
        kind, payload = self.rng.choice(((END, b"T\0"), (END, b"X\0"), (START, b"\0")))
        if mine and (kind == START or payload == b"X\0"):
            self.do(Step(number, kind, payload, mine[0]))
            mine[0].steps.pop()
        elif kind == END:
            self.do(Step(number, END, payload))

    def in_transaction(self, key):
        t = self.open[key]
        if self.rng.random() < 0.12:
            return self.end_transaction(key, not t.life and self.rng.random() < 0.85)
        kinds = [k for k in IN_TRANSACTIONS if not (self.few_nodes and t.number and k in ("WRITE", "MKDIR"))]
        return self.do(Step(t.number, *self.requests.one(t.number, kinds), t))

    def end_transaction(self, key, commit):
        """A transaction during which a domain came or went is not committed: done again, it is not the same any more."""
        t = self.open.pop(key)
        steps = list(t.steps)
        changes = {self.changes(s) for s in steps if s.kind in CHANGING} if commit else ()
        step = Step(t.number, END, b"T\0" if commit else b"F\0", t)
        ours, theirs = self.do(step)
        events = self.gather(t.number, True)
        if not commit:
            self.coverage.ends["aborted"] += 1
        elif ours == theirs:
            self.coverage.ends[f"{answer(ours) if ours.payload != b'OK' + bytes(1) else 'OK'}, by both"] += 1
            if t.differed and ours.payload == b"OK\0":
                self.fail("both commit, though they had answered differently inside")
        else:
            found = differences.find("end", step, ours, theirs)
            if not found:
                self.fail(f"the ends differ; others touched {t.touched}" + "".join(f"\n  {s}" for s in steps))
            self.coverage.differences[found.name] += 1
            if b"OK\0" not in (ours.payload, theirs.payload):
                return self.compare_events(step, events)
            self.coverage.ends["committed by " + ("ours" if ours.payload == b"OK\0" else "theirs")] += 1
            events = self.again(t.number, steps, 1 if ours.payload == b"OK\0" else 0, events)
        if commit and b"OK\0" in (ours.payload, theirs.payload):
            for path in changes:
                self.touch(path)
        elif any(pair.ours or pair.theirs for pair in events.values()):
            self.fail("a transaction that did not commit has fired")
        self.compare_events(step, events)

    def again(self, number, steps, refused, events):
        """The transaction once more in the daemon (0 or 1) that refused it, where nobody is in its way now: it must answer,
        do and tell what the other did. Returns the events of both commits side by side."""
        told = {n: pair[1 - refused] for n, pair in events.items()}
        client = self.lock.pairs[number][refused]
        tx = client.start()
        for s in steps:
            client.send(s.kind, s.payload, tx, 0)
            now, then = client.reply()._replace(tx=0), s.replies[1 - refused]._replace(req=0)
            one = Step(number, s.kind, s.payload)
            one.special, one.replies = self.special, Two(then, now) if refused else Two(now, then)
            if now != then and not differences.find("reply", one, *one.replies):
                self.fail(f"done again at once in {('ours', 'theirs')[refused]} it is answered otherwise: {one}" + "".join(f"\n  {s}" for s in steps))
        client.send(END, b"T\0", tx, 0)
        reply = client.reply()
        if reply.payload != b"OK\0":
            self.fail(f"done again at once in {('ours', 'theirs')[refused]} its commit fails: {reply.payload}")
        later = self.gather(number, True)
        out = {}
        for n in {*told, *later}:
            new = later[n][refused] if n in later else []
            out[n] = Two(told.get(n, []), new) if refused else Two(new, told.get(n, []))
        return out
