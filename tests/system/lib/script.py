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
    peer on rings: why         it does when the client is on a ring
    not for the peer: why      the case would do it harm

Cases about domains need an emulated host:

    host create 5              a domain comes to be; nobody has told the daemon
    host guest 5               the same, with its home directory, and introduced
    d5 READ name|              a request of domain 5 on its ring
    A INTRODUCE 5|1|$5|        $5: the event channel that domain 5 has made (a dollar: \\x24)
    host shutdown 5            it shuts down,
    host resume 5              runs on, or
    host destroy 5             ends; the daemon has noticed when the next step comes

In payloads: \\xNN a byte, \\| and \\\\ and \\s (blank) as themselves, {300*ab} repetition, <g> in an expected
payload a decimal number (the same name is the same number again, another name another number).
Every case starts without the node /t, and none but the listed messages may come. Where a case names no domain, the
domains 1 to 9 exist (and are not introduced); where it does, none exists but those that it makes."""
import re

from . import toolstack
from .daemon import wait_for
from .wire import EVENT, ERROR, NAMES, Client, XsError, pack

SYNC = 0xfffffff1  # req_id of the request that marks the end of what a step causes

HOST_WORDS = ("create", "guest", "shutdown", "resume", "destroy")
WORDS = (*NAMES, "?", "close")
PEER_DOMAINS = range(1, 10)  # exist where no case is about domains


class Case:
    def __init__(self, title, where):
        self.title = title
        self.where = where
        self.steps = []  # (connection, tx, request or word, payload in the notation, [expected])
        self.peer = self.peer_on_rings = self.not_for_peer = None

    def connections(self):
        """Names of local clients."""
        return sorted({s[0] for s in self.steps if s[0] != "host" and not is_guest(s[0])})

    def needs_host(self):
        return any(s[0] == "host" for s in self.steps)

    def closes(self, name):
        return any(s[0] == name and s[2] == "close" for s in self.steps)


def is_guest(name):
    return re.fullmatch(r"d\d+", name)


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
        elif line.startswith("not for the peer:"):
            cases[-1].not_for_peer = line[len("not for the peer:"):].strip()
        elif line.startswith("peer on rings:"):
            cases[-1].peer_on_rings = line[len("peer on rings:"):].strip()
        elif line.startswith(" "):
            cases[-1].steps[-1][4].append(line.strip())
        else:
            m = re.fullmatch(r"(\w+?)(?:@(\d+))? +(#\d+|\w+|\?)(?: +(.*))?", line.rstrip())
            words = HOST_WORDS if m and m[1] == "host" else WORDS
            if not m or (m[3][0] != "#" and m[3] not in words):
                raise ValueError(f"{where}: cannot read {line!r}")
            cases[-1].steps.append((m[1], int(m[2] or 0), m[3], m[4] or "", []))
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


OTHER_DOMAIN = 99


class Player:
    """Plays one case. With `host`, domains can be had; `on_ring` is the name of the connection that goes through the
    ring of the control domain's kernel, while others use the socket."""

    def __init__(self, socket_path, peer=None, host=None, on_ring=None):
        self.path = socket_path
        self.peer = peer
        self.host = host
        self.on_ring = on_ring
        self.ids_before = 0  # transactions that the ring has had: the C daemon goes on counting after INTRODUCE
        self.connections = {}
        self.variables = {}

    def connection(self, name):
        if name not in self.connections:
            self.connections[name] = self.host.control_domain() if name == self.on_ring else Client(self.path)
        return self.connections[name]

    # -- domains --------------------------------------------------------------------------------------

    def prepare_domains(self, case):
        """Those that a case starts with."""
        wanted = () if case.needs_host() else PEER_DOMAINS
        for domid in sorted(self.host.domains - set(wanted)):
            self.destroy(domid)
        for domid in sorted(set(wanted) - self.host.domains):
            self.host.create(domid)
        if self.on_ring:
            with Client(self.path) as c:  # a connection without a past
                ring = self.host.control_domain().introduced_by(c)
            if self.peer:
                self.ids_before = ring.start()
                ring.end(self.ids_before, False)

    def destroy(self, domid):
        with Client(self.path) as c:
            c.watch("@releaseDomain", "player")
            c.sync()
            c.take_events()
            if not toolstack.introduced(c, domid):  # nobody hears of its end, but of another one after it
                self.host.destroy(domid)
                domid = OTHER_DOMAIN
                toolstack.introduce(self.host, c, domid)
            self.host.destroy(domid)
            wait_for(lambda: c.sync(), f"the end of domain {domid}")
            if c.exists("/local/domain/%d" % domid):  # the C daemon, when its nodes were made before it knew the domain
                c.rm("/local/domain/%d" % domid)

    def on_host(self, what, domid):
        with Client(self.path) as c:
            if what == "create":
                self.connections[f"d{domid}"] = self.host.create(domid)
            elif what == "guest":
                self.connections[f"d{domid}"] = toolstack.introduce(self.host, c, domid)
            elif what == "destroy":
                self.connections.pop(f"d{domid}", None)
                self.destroy(domid)
            elif what == "resume":
                self.host.resume(domid)
            else:
                c.watch("@releaseDomain", "player")
                c.sync()
                c.take_events()
                self.host.shutdown(domid)
                wait_for(lambda: c.sync(), f"the shutdown of domain {domid}")

    def introduced(self, domid):
        with Client(self.path) as c:
            return toolstack.introduced(c, domid)

    def ports_in(self, payload):
        """$5 stands for the port of domain 5; a $ of its own is \\x24."""
        return re.sub(r"\$(\d+)", lambda m: "%d" % self.connections[f"d{int(m[1])}"].port, payload)

    # -- messages -------------------------------------------------------------------------------------

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
        if name == "host":
            return self.on_host(what, int(payload))
        if what == "close":
            self.connections.pop(name).close()
            return
        c = self.connection(name)
        before = self.ids_before if name == self.on_ring else 0
        tx += before if tx else 0
        data = b""
        kind = None
        if what != "?":
            kind = int(what[1:]) if what[0] == "#" else NAMES[what]
            data = pack(kind, decode(self.ports_in(payload) if self.host else payload), tx, 7)
        c.send_bytes(data + pack(NAMES["GET_DOMAIN_PATH"], b"0\0", 0, SYNC))
        got = []
        while True:
            m = c.receive()
            if m.req == SYNC:
                break
            if m.type != EVENT and (m.req != 7 or m.tx != tx or m.type not in (kind, ERROR)):
                raise Mismatch(f"the reply's header is wrong: {m}")
            if before and m.type == NAMES["TRANSACTION_START"]:
                m = m._replace(payload=b"%d\0" % (int(m.payload[:-1]) - before))
            got.append(m)
        if len(got) != len(expected) or not all(self.matches(e, m) for e, m in zip(expected, got)):
            raise Mismatch("got " + (" ".join(f"[{show_message(m)}]" for m in got) or "nothing") + ", expected "
                           + (" ".join(f"[{e}]" for e in expected) or "nothing"))

    def after_step(self):
        """For others to do something that no client may notice."""

    def after_all(self):
        """The same, once in a case: what it has made is there still."""

    def play(self, case):
        """Raises Mismatch with what differs."""
        if self.host:
            self.prepare_domains(case)
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
                    self.after_step()
                except Mismatch as e:
                    raise Mismatch(f"step {number} ({name}{f'@{tx}' if tx else ''} {what} {payload[:80]}): {e}") from None
            self.after_all()
            for name in self.connections:
                if is_guest(name) and not self.introduced(int(name[1:])):
                    continue
                try:
                    self.step(name, 0, "?", b"", [])
                except Mismatch as e:
                    raise Mismatch(f"at the end, on {name}: {e}") from None
        finally:
            for c in self.connections.values():
                c.close()
