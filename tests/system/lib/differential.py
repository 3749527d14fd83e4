# SPDX-License-Identifier: MIT
"""The same random requests to two daemons."""
from .commits import START, Commits
from .comparison import END, PART, RESET, UNWATCH, WATCH, Step
from .differences import answer
from .random_requests import TOP, WIDE, WIDE_CHILDREN, Requests
from .wire import NAMES, PAYLOAD_MAX, raw

AGAIN = 5000  # requests, after which the whole stores are compared
LIMIT = 1200  # transactions: more than ours allows


class Differential(Commits):
    """`disturb`, if given, is called now and then, and must make no difference."""

    def __init__(self, rng, *args, disturb=None, **kw):
        super().__init__(*args, **kw)
        self.disturb = disturb
        self.rng = rng
        self.requests = Requests(rng)
        self.last = None  # transaction that was used last
        self.stickiness = 0  # how probable it is that it is used again at once
        self.odd = [self.odd_id] * 4 + [self.odd_end] * 3 + [self.special] * 4 + [
            self.inside, self.wide, self.part, self.many_permissions, self.long_path, self.depth, self.reconnect, self.too_long]

    def run(self, number):
        """That many requests, or a few more. Raises Mismatch."""
        count = lambda: self.coverage.requests  # noqa: E731
        end = count() + number
        place = compared = count()
        while count() < end:
            if count() >= place:
                place = count() + self.rng.randrange(50, 400)
                self.requests.new_place()
                self.stickiness = self.rng.choice((0.98, 0.95, 0.8, 0.4, 0.0))
            if count() >= compared + AGAIN:
                compared = count()
                self.compare_stores()
            self.step()
        for key in list(self.open):
            self.end(key)
        self.compare_stores()
        self.many_transactions()

    def step(self):
        rng = self.rng
        if self.disturb and rng.random() < 0.01:
            self.disturb()
        if rng.random() < 0.02:
            return rng.choice(self.odd)()
        key = self.last if self.last in self.open and rng.random() < self.stickiness else None
        number = key[0] if key else self.any()
        mine = self.mine(number)
        if not key and len(mine) < 2 and rng.random() < 0.25:
            self.last = self.start(number, rng.choice((b"\0", b"", b"x\0")))
            return None
        if not key and mine and rng.random() < 0.45:
            key = rng.choice(mine)
        if not key:
            return self.unwatch(number) if rng.random() < 0.01 else self.send(number, *self.requests.one())
        self.last = key
        if rng.random() < 0.12:
            return self.end(key, rng.random() < 0.9)
        return self.send(number, *self.requests.one(True), key)

    def any(self):
        return self.rng.randrange(len(self.watches))

    def mine(self, number):
        return [k for k in self.open if k[0] == number]

    def send(self, number, kind, payload, key=None):
        return self.do(Step(number, kind, payload, key[1] if key else 0, self.open.get(key)))

    def unwatch(self, number):
        """A watch that there is, perhaps in the other spelling."""
        if self.watches[number]:
            path, token = self.rng.choice(sorted(self.watches[number], key=repr))
            kind = self.rng.choice((UNWATCH, UNWATCH, UNWATCH, WATCH))
            payload = (self.requests.spelt(path) if isinstance(path, str) else path) + b"\0" + token + b"\0"
            if len(payload) <= PAYLOAD_MAX:
                self.send(number, kind, payload)

    # -- what comes seldom --------------------------------------------------------------------------

    def odd_id(self):
        """A transaction id that names none."""
        rng = self.rng
        number = self.any()
        tx = rng.choice((99999, 0x7fffffff, 0xffffffff, *(k[1] for k in self.open)))
        if (number, tx) in self.open:
            return
        kind, payload = rng.choice((self.requests.any(),) * 6 + ((START, b"\0"), (END, b"T\0"), (END, b"F\0"),
                                    (RESET, b"\0"), (NAMES["GET_DOMAIN_PATH"], b"1\0")))
        self.do(Step(number, kind, payload, tx))

    def odd_end(self):
        """An END without a transaction, or with a bad argument."""
        number = self.any()
        key = self.rng.choice([None, *self.mine(number)])
        bad = (b"", b"T", b"t\0", b"X\0", b"TF\0", b"T\0\0", b"\0", b"T\0x")
        payload = self.rng.choice(bad if key else (b"T\0", b"F\0") + bad)
        replies = self.send(number, END, payload, key)
        if replies.ours.payload == b"OK\0":
            self.fail("accepted")

    def inside(self):
        """Requests that do not look at the transaction whose id they carry, or refuse it."""
        if self.open:
            key = self.rng.choice(list(self.open))
            kind = self.rng.choice((START, START, WATCH, UNWATCH, NAMES["GET_DOMAIN_PATH"], RESET))
            payload = {WATCH: b"d/a\0t\0", UNWATCH: b"d/a\0t\0", NAMES["GET_DOMAIN_PATH"]: b"7\0"}.get(kind, b"\0")
            self.do(Step(key[0], kind, payload, key[1]))

    def special(self):
        """The names with @."""
        name = self.rng.choice((b"@releaseDomain", b"@introduceDomain", b"@releaseDomain", b"@other"))
        kind = self.rng.choice(("READ", "WRITE", "MKDIR", "RM", "DIRECTORY", "GET_PERMS", "SET_PERMS", "SET_PERMS", "WATCH",
                                "UNWATCH"))
        if kind in ("WATCH", "UNWATCH"):
            name = self.rng.choice((name, name, b"@", b"@/d", b"@d/", b"@d//a", b"@d e", b"@d/a"))
        more = {"SET_PERMS": b"n0\0r5\0", "WATCH": b"t\0", "UNWATCH": b"t\0"}
        self.send(self.any(), NAMES[kind], name + b"\0" + more.get(kind, b""))

    def wide(self):
        """A list of names that does not fit a message, whole and in parts."""
        number = self.any()
        key = self.rng.choice([None, *self.mine(number)])
        self.send(number, NAMES["DIRECTORY"], raw(WIDE) + b"\0", key)
        for c in self.lock.pairs[number]:
            if sorted(c.directory_all(WIDE)) != sorted(map(raw, WIDE_CHILDREN)):
                self.fail(f"not all children: {c.directory_all(WIDE)}")

    def part(self):
        """DIRECTORY_PART as no client should ask: bytes after the last NUL, what is no number."""
        more = self.rng.choice((b"0\0junk", b"0\0junk", b"-1\0", b"-1\0", b"\0", b"x\0", b" 0x\0", b"+0\0"))
        self.send(self.any(), PART, self.requests.spelt(self.requests.path((0, 0, 1))) + b"\0" + more)

    def many_permissions(self):
        self.send(self.any(), NAMES["SET_PERMS"], b"/none/x\0" + b"n0\0" * self.rng.choice((256, 257, 1000)))

    def long_path(self):
        """2048 bytes, what a guest may use, is a limit for nobody here."""
        kind = self.rng.choice(("READ", "DIRECTORY", "GET_PERMS", "RM", "SET_PERMS", "UNWATCH"))
        path = self.rng.choice((b"d/", raw(TOP) + b"/", b"/none/")) + b"x/" * 900
        path += b"y" * (self.rng.choice((2040, 2046, 2047, 2048, 2049, 2050, 2064, 2070, 3072, 4000)) - len(path))
        self.send(self.any(), NAMES[kind], path + b"\0" + {"SET_PERMS": b"n0\0", "UNWATCH": b"t\0"}.get(kind, b""))

    def depth(self):
        path = self.requests.spelt(self.requests.path())
        self.send(self.any(), WATCH, path + b"\0depth\0" + self.rng.choice((b"0\0", b"2\0", b"-1\0")))

    def reconnect(self):
        if self.rng.random() < 0.5:
            number = self.any()
            self.lock.reopen(number)
            self.gone(number)

    def too_long(self):
        """More than 4096 bytes announced: the end of the connection."""
        if self.rng.random() < 0.5:
            return
        number = self.any()
        if self.lock.closed_for_length(number) != (True, True):
            self.fail("not closed by both")
        self.coverage.answers["too long", "closed"] += 1
        self.lock.reopen(number)
        self.gone(number)

    def many_transactions(self):
        """As many as there may be."""
        number = self.any()
        for _ in range(LIMIT):
            if answer(self.do(Step(number, START, b"\0")).ours) == "ENOSPC":
                break
        self.lock.reopen(number)
        self.gone(number)
