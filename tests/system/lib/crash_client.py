# SPDX-License-Identifier: MIT
"""A client that knows, byte by byte, what it must hear, whatever happens to the daemon meanwhile.

It speaks through a socket or, as a guest, through a ring. Each owns /crash/<number>, where nobody else writes, so a
model predicts every reply and every event of its own watches.
All increment one shared counter in transactions. Each watches the log of the next one, whose event paths are unique."""
import random
import time

from .model import Model, Transaction, payload
from .turns import Turns
from .wire import ERROR, EVENT, NAMES, XsError


class Wrong(Exception):
    """Something was not as it must be."""


class CrashClient(Turns):
    def __init__(self, number, count, connection, seed, domid=0):
        """`connection` gives a Client. A guest (domid other than 0) keeps its one connection for ever."""
        super().__init__(f"client {number}")
        self.number = number
        self.connection = connection
        self.domid = domid
        self.rng = random.Random(seed * 1000 + number)
        self.top = f"/crash/{number}"
        self.next_top = f"/crash/{(number + 1) % count}"
        self.model = Model()
        self.make_top()
        self.client = None
        self.watched = []        # [(path, token)] of own subtree, in order of registration
        self.log = []            # paths written to the log, in order; acknowledged
        self.heard = []          # event paths of the neighbour's log since the watch was set
        self.serial = 0
        self.increments = 0      # acknowledged increments of the shared counter
        self.unknown = None      # what was in flight when the connection went away
        self.operations = 0
        self.conflicts = 0
        self.closed = False      # the connection went away

    # -- the thread ---------------------------------------------------------------------------------

    def turn(self):
        self.unknown = None
        self.operation()
        self.operations += 1

    def lost(self):
        self.closed = True
        self.go.clear()

    def connect(self):
        """First connection, or the next one after both processes died."""
        self.client = self.connection()
        self.closed = False
        self.watched = []
        self.heard = []
        if not self.domid:
            self.client.mkdir(self.top)
            self.client.mkdir(self.top + "-log")
        self.make_top()
        self.watch(self.top, "own")

    def make_top(self):
        """As lay_out() does it in the store."""
        if self.top not in self.model.nodes:
            self.model.create(self.top)
            self.model.nodes[self.top] = b"", (b"n%d" % self.domid,)

    def lay_out(self, toolstack):
        """Where a guest works must be its own; others read its log."""
        toolstack.mkdir(self.top)
        toolstack.set_perms(self.top, [f"n{self.domid}"])
        self.new_log(toolstack)

    def new_log(self, toolstack):
        """An empty one, small enough to list."""
        if toolstack.exists(self.top + "-log"):
            toolstack.rm(self.top + "-log")
        toolstack.mkdir(self.top + "-log")
        toolstack.set_perms(self.top + "-log", [f"r{self.domid}"])

    def listen(self):
        """Watches the neighbour's log; all must be connected, none at work. The log counts from here."""
        self.client.ok(NAMES["WATCH"], (self.next_top + "-log\0next\0").encode())
        self.client.sync()
        self.log = []
        self.heard = []

    def operation(self):
        roll = self.rng.random()
        if roll < 0.45:
            self.one(self.random_request())
        elif roll < 0.60:
            self.burst()
        elif roll < 0.72:
            self.write_log()
        elif roll < 0.82:
            self.transaction()
        elif roll < 0.90:
            self.increment()
        elif len(self.watched) < 3:
            self.watch(f"{self.top}/d{self.rng.randrange(4)}", f"w{self.new()}")
        else:
            self.unwatch(self.watched[self.rng.randrange(1, len(self.watched))])

    def new(self):
        self.serial += 1
        return self.serial

    def random_request(self, leaf=False):
        path = f"{self.top}/d{self.rng.randrange(4)}"
        if leaf or self.rng.random() < 0.85:
            path += f"/k{self.rng.randrange(6)}"
        kind = self.rng.choice(("WRITE",) * 6 + ("RM", "RM", "MKDIR", "READ", "READ", "DIRECTORY", "SET_PERMS", "GET_PERMS"))
        if kind == "WRITE":
            return kind, path, f"{self.number}-{self.new()}".encode() + b"v" * self.rng.choice((0, 0, 10, 1000))
        if kind == "SET_PERMS":
            return kind, path, self.rng.choice(((b"n%d" % self.domid,), (b"r%d" % self.domid, b"b0")))
        return kind, path

    # -- what must be heard ---------------------------------------------------------------------------

    def receive(self):
        """The next message that is not about the neighbour."""
        while True:
            m = self.client.receive()
            if m.type == EVENT and m.payload.endswith(b"\0next\0"):
                self.heard.append(m.payload[:-6].decode())
                continue
            return m

    def expect(self, kind, req, tx, events, reply):
        """Exactly these events, then exactly this reply."""
        for path, token in events:
            m = self.receive()
            if m.type != EVENT or m.payload != f"{path}\0{token}\0".encode():
                raise Wrong(f"expected the event {path} {token}, got {m}")
        m = self.receive()
        want = (ERROR, reply.encode() + b"\0") if isinstance(reply, str) else (kind, reply)
        if (m.type, m.req, m.tx, m.payload) != (want[0], req, tx, want[1]):
            raise Wrong(f"expected {want} for request {req} of type {kind} tx {tx}, got {m}")

    def fired(self, path):
        return [(path, token) for at, token in self.watched if path == at or path.startswith(at + "/")]

    @staticmethod
    def changes(request, reply, effect):
        """Does it fire?"""
        return (request[0] == "WRITE" or request[0] == "MKDIR" and effect[0] == "created" or effect == "removed"
                or request[0] == "SET_PERMS" and reply == b"OK\0")

    # -- operations -----------------------------------------------------------------------------------

    def one(self, request):
        self.unknown = [request]
        kind = NAMES[request[0]]
        req = self.client.send(kind, payload(request))
        after = self.model.copy()
        reply, effect = after.apply(request)
        self.expect(kind, req, 0, self.fired(request[1]) if self.changes(request, reply, effect) else [], reply)
        self.model = after

    def burst(self):
        """Several requests at once, on different paths: equal events might be merged."""
        requests, paths = [], set()
        while len(requests) < 6:
            r = self.random_request(leaf=True)
            if r[1] not in paths:
                paths.add(r[1])
                requests.append(r)
        self.unknown = requests
        sent = [self.client.send(NAMES[r[0]], payload(r)) for r in requests]
        for request, req in zip(requests, sent):
            after = self.model.copy()
            reply, effect = after.apply(request)
            self.expect(NAMES[request[0]], req, 0,
                        self.fired(request[1]) if self.changes(request, reply, effect) else [], reply)
            self.model = after
            self.unknown = self.unknown[1:]

    def write_log(self):
        path = f"{self.top}-log/{self.new()}"
        self.unknown = ("log", path)
        req = self.client.send(NAMES["WRITE"], path.encode() + b"\0x")
        self.expect(NAMES["WRITE"], req, 0, [], b"OK\0")
        self.log.append(path)

    def watch(self, path, token):
        self.unknown = []
        req = self.client.send(NAMES["WATCH"], f"{path}\0{token}\0".encode())
        self.expect(NAMES["WATCH"], req, 0, [], b"OK\0")
        m = self.receive()
        if m.type != EVENT or m.payload != f"{path}\0{token}\0".encode():
            raise Wrong(f"expected the first event of {path} {token}, got {m}")
        self.watched.append((path, token))

    def unwatch(self, entry):
        self.unknown = []
        req = self.client.send(NAMES["UNWATCH"], f"{entry[0]}\0{entry[1]}\0".encode())
        self.expect(NAMES["UNWATCH"], req, 0, [], b"OK\0")
        self.watched.remove(entry)

    def begin(self):
        req = self.client.send(NAMES["TRANSACTION_START"], b"\0")
        m = self.receive()
        if m.type != NAMES["TRANSACTION_START"] or m.req != req:
            raise Wrong(f"expected a transaction id, got {m}")
        return int(m.payload[:-1])

    def transaction(self):
        """On the own subtree: must commit, or abort."""
        self.unknown = []
        tx = self.begin()
        t = Transaction(self.model)
        events, paths = [], set()
        for _ in range(self.rng.randrange(1, 6)):
            request = self.random_request(leaf=True)
            if request[1] in paths:
                continue
            paths.add(request[1])
            reply = t.apply(request)
            kind = NAMES[request[0]]
            req = self.client.send(kind, payload(request), tx)
            self.expect(kind, req, tx, [], reply)
            if self.changes(*t.log[-1]):
                events += self.fired(request[1])
        commit = self.rng.random() < 0.85
        if commit:
            self.unknown = ("commit", t)
        req = self.client.send(NAMES["TRANSACTION_END"], b"T\0" if commit else b"F\0", tx)
        self.expect(NAMES["TRANSACTION_END"], req, tx, events if commit else [], b"OK\0")
        if commit:
            self.model = t.view

    def increment(self):
        """Of the shared counter, with a mark that it was done."""
        mark = f"/crash/shared/done/{self.number}-{self.new()}"
        for _ in range(50):
            self.unknown = []
            tx = self.begin()
            req = self.client.send(NAMES["READ"], b"/crash/shared/counter\0", tx)
            m = self.receive()
            if m.type != NAMES["READ"] or m.req != req or m.tx != tx:
                raise Wrong(f"expected the counter, got {m}")
            for path, value in (("/crash/shared/counter", b"%d" % (int(m.payload) + 1)), (mark, b"x")):
                req = self.client.send(NAMES["WRITE"], path.encode() + b"\0" + value, tx)
                self.expect(NAMES["WRITE"], req, tx, [], b"OK\0")
            self.unknown = ("increment", mark)
            req = self.client.send(NAMES["TRANSACTION_END"], b"T\0", tx)
            m = self.receive()
            if (m.req, m.tx) != (req, tx) or m.payload not in (b"OK\0", b"EAGAIN\0"):
                raise Wrong(f"expected OK or EAGAIN, got {m}")
            if m.payload == b"OK\0":
                self.increments += 1
                return
            self.conflicts += 1
            time.sleep(self.rng.random() * 0.005)

    # -- between the rounds ---------------------------------------------------------------------------

    def settle_unknown(self, checker):
        """After the connection was lost: finds out whether the request in flight was executed."""
        u, self.unknown = self.unknown, None
        if not u:
            return
        if u[0] == "log":
            if checker.exists(u[1]):
                self.log.append(u[1])
        elif u[0] == "increment":
            self.increments += checker.exists(u[1])
        else:
            seen = see(checker, self.top)
            options = [self.model.copy()]
            if u[0] == "commit":
                options.append(u[1].view)
            else:
                for request in u:  # in order: some of the first ones
                    m = options[-1].copy()
                    m.apply(request)
                    options.append(m)
            fits = [m for m in options if self.own(m) == seen]
            if not fits:
                raise Wrong(f"client {self.number}: the subtree is neither as before nor as after {u}")
            self.model = fits[-1]

    def own(self, model=None):
        tree = (model or self.model).tree()
        return {p: n for p, n in tree.items() if p == self.top.encode() or p.startswith(self.top.encode() + b"/")}

    def verify(self, checker):
        """Own subtree and log, as they are in the store."""
        seen = see(checker, self.top)
        if seen != self.own():
            want = self.own()
            differ = {p: (seen.get(p), want.get(p)) for p in set(seen) | set(want) if seen.get(p) != want.get(p)}
            raise Wrong(f"client {self.number}: (store, model) differ: {str(differ)[:800]}")
        have = {f"{self.top}-log/{n.decode()}" for n in checker.directory_all(self.top + "-log")}
        missing = [p for p in self.log if p not in have]
        if missing:
            raise Wrong(f"client {self.number}: lost {missing[:10]}")


def see(checker, path):
    """wire.walk, but a subtree that is not there is empty."""
    from .wire import walk
    try:
        return walk(checker, path)
    except XsError:
        return {}
