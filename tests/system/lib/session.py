# SPDX-License-Identifier: MIT
"""Session files, written and read as xsgit-session(5) describes them: an implementation of its own, so that the page is
tested, too. Records are tuples whose first member is the kind."""
import zlib

MAGIC = b"xsgitses"
META, OPENED, CLOSED, REQUEST, REPLY, EVENT, DROPPED, DOMAINS, START, NODE, WATCH, END, NOTE = *range(1, 13), 128

# The fields of each kind behind the time: n a varint, t a text, m a maybe.
FIELDS = {META: "ntt", OPENED: "nnnmmmt", CLOSED: "n", REQUEST: "nnnnntt", REPLY: "nnnnnt", EVENT: "nnnnnt", DROPPED: "n",
          DOMAINS: "t", START: "nn", NODE: "ttt", WATCH: "nmtt", END: "t", NOTE: "t"}


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(0x80 | n & 0x7f)
        n >>= 7
    out.append(n)
    return bytes(out)


def body(kind, delta, fields):
    out = varint(delta)
    for form, value in zip(FIELDS[kind], fields, strict=True):
        if form == "n":
            out += varint(value)
        elif form == "m":
            out += varint(0 if value is None else value + 1)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(len(data)) + data
    return out


class Writer:
    """Builds a session in memory: .data."""

    def __init__(self, start_us=1700000000000000, source="test", daemon=""):
        header = MAGIC + bytes([1, 0, 0, 0])
        self.check = zlib.crc32(header)
        self.data = bytearray(header + self.check.to_bytes(4, "little"))
        self.time = 0
        self.add(0, META, start_us, source, daemon)

    def add(self, time, kind, *fields):
        """`time` in microseconds since the begin."""
        self.frame(kind, body(kind, time - self.time, fields))
        self.time = time

    def frame(self, kind, data):
        record = bytes([kind]) + varint(len(data)) + data
        self.check = zlib.crc32(record, self.check)
        self.data += record + self.check.to_bytes(4, "little")

    # -- what is said often; each a millisecond later ------------------------------------------------

    def later(self):
        return self.time + 1000

    def open(self, conn, domid=0, pid=None, comm="", ring=False):
        self.add(self.later(), OPENED, conn, 0, 2 if ring else 1, domid, pid, None, comm)

    def close(self, conn):
        self.add(self.later(), CLOSED, conn)

    def request(self, conn, kind, payload, tx=0, req=1, facts=b""):
        self.add(self.later(), REQUEST, conn, kind, req, tx, 0, payload, facts)

    def reply(self, conn, kind, payload, tx=0, req=1):
        self.add(self.later(), REPLY, conn, kind, req, tx, 0, payload)

    def ask(self, conn, kind, payload, answer=b"OK\0", tx=0):
        """A request and its reply."""
        self.request(conn, kind, payload, tx)
        self.reply(conn, kind, answer, tx)

    def event(self, conn, payload):
        self.add(self.later(), EVENT, conn, 15, 0, 0, 0, payload)

    def end(self, why="stopped"):
        self.add(self.later(), END, why)
        return self

    def save(self, path):
        with open(path, "wb") as f:
            f.write(self.data)
        return path


class Damaged(Exception):
    pass


def take(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read(data):
    """[(microseconds since the begin, kind, field, …)]; raises Damaged where a check is wrong."""
    if data[:8] != MAGIC or data[8:10] != b"\1\0":
        raise Damaged("header")
    check = zlib.crc32(data[:12])
    if data[12:16] != check.to_bytes(4, "little"):
        raise Damaged("header")
    at, time, records = 16, 0, []
    while at < len(data):
        kind = data[at]
        length, begin = take(data, at + 1)
        end = begin + length
        check = zlib.crc32(data[at:end], check)
        if data[end:end + 4] != check.to_bytes(4, "little"):
            raise Damaged(f"record {len(records) + 1}")
        delta, place = take(data, begin)
        time += delta
        fields = []
        for form in FIELDS.get(kind, ""):
            value, place = take(data, place)
            if form == "t":
                value, place = bytes(data[place:place + value]), place + value
            elif form == "m":
                value = value - 1 if value else None
            fields.append(value)
        records.append((time, kind, *fields))
        at = end + 4
    return records
