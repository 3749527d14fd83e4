# SPDX-License-Identifier: MIT
"""A client of the daemon's socket that shows every message as it came: replies, and
watch events with their place between the replies."""
import collections
import contextlib
import errno
import socket
import struct
import time

NAMES = {
    "CONTROL": 0, "DIRECTORY": 1, "READ": 2, "GET_PERMS": 3, "WATCH": 4, "UNWATCH": 5,
    "TRANSACTION_START": 6, "TRANSACTION_END": 7, "INTRODUCE": 8, "RELEASE": 9,
    "GET_DOMAIN_PATH": 10, "WRITE": 11, "MKDIR": 12, "RM": 13, "SET_PERMS": 14,
    "WATCH_EVENT": 15, "ERROR": 16, "IS_DOMAIN_INTRODUCED": 17, "RESUME": 18,
    "SET_TARGET": 19, "RESET_WATCHES": 21, "DIRECTORY_PART": 22, "GET_FEATURE": 23,
    "SET_FEATURE": 24, "GET_QUOTA": 25, "SET_QUOTA": 26,
}
NUMBERS = {number: name for name, number in NAMES.items()}
EVENT = NAMES["WATCH_EVENT"]
ERROR = NAMES["ERROR"]
HEADER = struct.Struct("=IIII")
PAYLOAD_MAX = 4096

# Nothing takes this long; it only keeps a hanging test from hanging for ever.
HANG = 120.0

Message = collections.namedtuple("Message", "type req tx payload")


class XsError(Exception):
    """The daemon answered with an error; .name is what it said."""

    def __init__(self, name, what):
        super().__init__(f"{name} for {what}")
        self.name = name


class Closed(Exception):
    """The daemon closed the connection."""


def name_of(m):
    """The error's name, None for another message."""
    return m.payload[:-1].decode() if m.type == ERROR else None


def raw(path):
    """Paths and values may be given as text."""
    return path.encode("latin-1") if isinstance(path, str) else bytes(path)


@contextlib.contextmanager
def hung_daemon(path):
    """A socket at which somebody listens who never takes a connection, and where no more of them can wait."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        while True:
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            try:
                waiting.connect(path)
            except BlockingIOError:
                break
        yield


def pack(kind, payload=b"", tx=0, req=0):
    return HEADER.pack(kind, req, tx, len(payload)) + payload


class Client:
    """One connection. send() and receive() are the raw halves (for pipelining); request() waits for its
    reply and keeps the events that came before it in .events."""

    def __init__(self, path, timeout=HANG):
        self.path = path
        self.timeout = timeout
        self.events = collections.deque()  # Messages
        self.next_req = 1
        self.buffer = bytearray()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.sock.connect(path)
                return
            except OSError as e:
                # EAGAIN: the listen backlog is full
                if e.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.EAGAIN) or time.monotonic() > deadline:
                    raise
                time.sleep(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # -- raw halves -------------------------------------------------------------------------------

    def send(self, kind, payload=b"", tx=0, req=None):
        """Sends one request, returns its req_id."""
        if req is None:
            req = self.next_req
            self.next_req = (self.next_req % 0xfffffff0) + 1
        self.send_bytes(pack(kind, payload, tx, req))
        return req

    def send_bytes(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed(str(e)) from e

    def fill(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError as e:
            raise Closed(str(e)) from e
        if not data:
            raise Closed("end of stream")
        self.buffer += data

    def receive(self):
        """The next message, whatever it is."""
        while len(self.buffer) < HEADER.size:
            self.fill()
        kind, req, tx, length = HEADER.unpack_from(self.buffer)
        if length > PAYLOAD_MAX:
            raise AssertionError(f"the daemon sent a message of {length} bytes")
        while len(self.buffer) < HEADER.size + length:
            self.fill()
        payload = bytes(self.buffer[HEADER.size:HEADER.size + length])
        del self.buffer[:HEADER.size + length]
        return Message(kind, req, tx, payload)

    def reply(self):
        """The next reply; events before it go to .events."""
        while True:
            m = self.receive()
            if m.type != EVENT:
                return m
            self.events.append(m)

    # -- requests ---------------------------------------------------------------------------------

    def request(self, kind, payload=b"", tx=0):
        """Payload of the reply; raises XsError."""
        req = self.send(kind, payload, tx)
        m = self.reply()
        if m.req != req or m.tx != tx or m.type not in (kind, ERROR):
            raise AssertionError(f"reply {m} does not belong to {NUMBERS.get(kind)} req {req} tx {tx}")
        if m.type == ERROR:
            if not m.payload.endswith(b"\0"):
                raise AssertionError(f"error without NUL: {m}")
            raise XsError(name_of(m), f"{NUMBERS.get(kind, kind)} {payload[:80]!r}")
        return m.payload

    def ok(self, kind, payload, tx=0):
        answer = self.request(kind, payload, tx)
        if answer != b"OK\0":
            raise AssertionError(f"{NUMBERS[kind]} answered {answer!r}")

    def read(self, path, tx=0):
        return self.request(2, raw(path) + b"\0", tx)

    def directory(self, path, tx=0):
        return self.request(1, raw(path) + b"\0", tx).split(b"\0")[:-1]

    def directory_all(self, path):
        """Children, however many there are."""
        while True:
            data, generation = b"", None
            while True:
                part = self.request(22, raw(path) + b"\0%d\0" % len(data))
                gen, rest = part.split(b"\0", 1)
                if generation is not None and gen != generation:
                    break  # changed meanwhile: again
                generation = gen
                if rest == b"\0" or rest == b"":
                    return data.split(b"\0")[:-1]
                data += rest[:-1] if rest.endswith(b"\0\0") else rest
                if rest.endswith(b"\0\0"):
                    return data.split(b"\0")[:-1]

    def get_perms(self, path, tx=0):
        return self.request(3, raw(path) + b"\0", tx).split(b"\0")[:-1]

    def exists(self, path, tx=0):
        try:
            self.read(path, tx)
            return True
        except XsError as e:
            if e.name != "ENOENT":
                raise
            return False

    def write(self, path, value, tx=0):
        self.ok(11, raw(path) + b"\0" + raw(value), tx)

    def mkdir(self, path, tx=0):
        self.ok(12, raw(path) + b"\0", tx)

    def rm(self, path, tx=0):
        self.ok(13, raw(path) + b"\0", tx)

    def set_perms(self, path, perms, tx=0):
        self.ok(14, raw(path) + b"\0" + b"".join(raw(p) + b"\0" for p in perms), tx)

    def watch(self, path, token):
        self.ok(4, raw(path) + b"\0" + raw(token) + b"\0")

    def unwatch(self, path, token):
        self.ok(5, raw(path) + b"\0" + raw(token) + b"\0")

    def start(self):
        return int(self.request(6, b"\0")[:-1])

    def end(self, tx, commit=True):
        self.ok(7, b"T\0" if commit else b"F\0", tx)

    def control(self, *words):
        return self.request(0, b"".join(raw(w) + b"\0" for w in words))

    def sync(self):
        """All events that were caused before now, oldest first, as (path, token)."""
        self.request(10, b"0\0")
        return self.take_events()

    def take_events(self):
        out = [tuple(e.payload.split(b"\0")[:2]) for e in self.events]
        self.events.clear()
        return out


def walk(client, path="/", hidden=()):
    """The tree as seen through the socket: {path: (value, (perm, …))}."""
    out = {}
    todo = [raw(path)]
    while todo:
        p = todo.pop()
        if p in hidden:
            continue
        try:
            out[p] = (client.read(p), tuple(client.get_perms(p)))
            base = b"" if p == b"/" else p
            todo += [base + b"/" + c for c in client.directory_all(p)]
        except XsError as e:
            if e.name != "ENOENT":  # removed while we looked
                raise
    return out
