# SPDX-License-Identifier: MIT
"""Conversations as text, and a player that compares what the daemon says.

    == title of the case
    A WRITE /t/a|hello         a request on connection A (opened when first named); | is a NUL
      * /t|token|              expected, in order: a watch event,
      OK|                      and the reply: a payload,
    A@1 READ /t/x|             in transaction 1
      !ENOENT                  or an error (!EINVAL~: the other daemon may give any error),
    A READ /t/empty|
      ()                       or an empty payload
    A #27 /t|                  a request by number
    A ?                        nothing is asked: events that came to A since
    A close                    closes the connection
    peer: why                  the other daemon is known to differ in this case

In payloads: \\xNN a byte, \\| and \\\\ and \\s (blank) as themselves, {300*ab} repetition, <g> in an expected
payload a decimal number (the same name is the same number again, another name another number).
Every case starts without the node /t, and none but the listed messages may come."""
import re

from .wire import EVENT, ERROR, NAMES, Client, XsError, pack

SYNC = 0xfffffff1  # req_id of the request that marks the end of what a step causes


class Case:
    def __init__(self, title, where):
        self.title = title
        self.where = where
        self.steps = []  # (connection, tx, request or word, payload, [expected])
        self.peer = None


def decode(text):
    """Bytes of a payload in the notation above; names in <> stay as they are."""
    out = bytearray()
    for m in re.finditer(r"\\x([0-9a-fA-F]{2})|\\(.)|\{(\d+)\*((?:[^}\\]|\\.)*)\}|(\|)|([^\\|{])|(.)", text, re.S):
        hexa, escaped, count, what, nul, plain, other = m.groups()
        if hexa:
            out.append(int(hexa, 16))
        elif escaped:
            out += {"s": b" "}.get(escaped, escaped.encode())
        elif count:
            out += int(count) * decode(what)
        elif nul:
            out.append(0)
        else:
            out += (plain or other).encode()
    return bytes(out)


def parse(text, name=""):
    cases = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            cases.append(Case(line[3:].strip(), where))
        elif line.startswith("peer:"):
            cases[-1].peer = line[5:].strip()
        elif line.startswith(" "):
            cases[-1].steps[-1][4].append(line.strip())
        else:
            m = re.fullmatch(r"(\w+?)(?:@(\d+))? +(#\d+|\w+|\?)(?: +(.*))?", line.rstrip())
            if not m or (m[3][0] != "#" and m[3] not in NAMES and m[3] not in ("?", "close")):
                raise ValueError(f"{where}: cannot read {line!r}")
            cases[-1].steps.append((m[1], int(m[2] or 0), m[3], decode(m[4] or ""), []))
    return cases


def show(data):
    """A payload in the notation."""
    out = "".join("|" if b == 0 else "\\s" if b == 32 else "\\" + chr(b) if chr(b) in "\\|" else chr(b) if 33 <= b < 127
                  else f"\\x{b:02x}" for b in data)
    out = re.sub(r"(.)\1{39,}", lambda m: f"{{{len(m[0])}*{m[1]}}}", out)
    return out or "()"


def show_message(m):
    if m.type == EVENT:
        return "* " + show(m.payload)
    if m.type == ERROR:
        return "!" + (m.payload[:-1].decode("latin-1") if m.payload.endswith(b"\0") else "no NUL: " + show(m.payload))
    return show(m.payload)


class Mismatch(Exception):
    pass


class Player:
    def __init__(self, socket_path, peer=None):
        self.path = socket_path
        self.peer = peer
        self.connections = {}
        self.variables = {}

    def connection(self, name):
        if name not in self.connections:
            self.connections[name] = Client(self.path)
        return self.connections[name]

    def matches(self, expected, message):
        if expected.startswith("!"):
            if expected.endswith("~") and self.peer:
                return message.type == ERROR
            return message.type == ERROR and message.payload == expected[1:].rstrip("~").encode() + b"\0"
        is_event = expected.startswith("*")
        if is_event != (message.type == EVENT) or message.type == ERROR:
            return False
        if expected == "()":
            return message.payload == b""
        text = expected[1:].strip() if is_event else expected
        names = re.findall(r"<(\w+)>", text)
        if not names:
            return message.payload == decode(text)
        pattern = b"([0-9]+)".join(re.escape(decode(part)) for part in re.split(r"<\w+>", text))
        m = re.fullmatch(pattern, message.payload, re.S)
        if not m:
            return False
        for name, value in zip(names, m.groups()):
            if self.variables.setdefault(name, value) != value:
                return False
        return len(set(self.variables.values())) == len(self.variables)

    def step(self, name, tx, what, payload, expected):
        if what == "close":
            self.connections.pop(name).close()
            return
        c = self.connection(name)
        data = b""
        kind = None
        if what != "?":
            kind = int(what[1:]) if what[0] == "#" else NAMES[what]
            data = pack(kind, payload, tx, 7)
        c.send_bytes(data + pack(NAMES["GET_DOMAIN_PATH"], b"0\0", 0, SYNC))
        got = []
        while True:
            m = c.receive()
            if m.req == SYNC:
                break
            if m.type != EVENT and (m.req != 7 or m.tx != tx or m.type not in (kind, ERROR)):
                raise Mismatch(f"the reply's header is wrong: {m}")
            got.append(m)
        if len(got) != len(expected) or not all(self.matches(e, m) for e, m in zip(expected, got)):
            raise Mismatch("got " + (" ".join(f"[{show_message(m)}]" for m in got) or "nothing") + ", expected "
                           + (" ".join(f"[{e}]" for e in expected) or "nothing"))

    def play(self, case):
        """Raises Mismatch with what differs."""
        with Client(self.path) as c:
            for node in ("/t", "/local/domain/0/t"):
                try:
                    c.rm(node)
                except XsError as e:
                    if e.name != "ENOENT":
                        raise
        try:
            for number, (name, tx, what, payload, expected) in enumerate(case.steps, 1):
                try:
                    self.step(name, tx, what, payload, expected)
                except Mismatch as e:
                    raise Mismatch(f"step {number} ({name}{f'@{tx}' if tx else ''} {what} {show(payload)[:80]}): {e}") from None
            for name in self.connections:
                try:
                    self.step(name, 0, "?", b"", [])
                except Mismatch as e:
                    raise Mismatch(f"at the end, on {name}: {e}") from None
        finally:
            for c in self.connections.values():
                c.close()
