# SPDX-License-Identifier: MIT
"""Connections in pairs, one to each of two daemons: the same requests go to both, one after the other, and
what each of them answers and tells is kept side by side."""
import collections
import random

from .wire import NAMES, PAYLOAD_MAX, Client, Closed, HEADER

Two = collections.namedtuple("Two", "ours theirs")
BARRIER = 0xfffffff1  # req_id of the request that tells us that nothing is under way any more
FLUSH = NAMES["GET_DOMAIN_PATH"]


def two(value):
    return value if isinstance(value, Two) else Two(value, value)


class Lockstep:
    """`change`, if given, gets every message of our daemon and gives what the test is to see instead
    (None: nothing): so the test itself can be tested."""

    def __init__(self, ours, theirs, number, change=None):
        self.paths = Two(ours, theirs)
        self.change = change
        self.ids = random.Random(number)
        self.pairs = [self.open() for _ in range(number)]

    def open(self):
        return Two(Client(self.paths.ours), Client(self.paths.theirs))

    def seen(self, messages):
        """What came on a pair of connections, as the test sees it."""
        if not self.change:
            return messages
        return Two([m for m in map(self.change, messages.ours) if m], messages.theirs)

    def ask(self, number, kind, payload, tx=0, more=False):
        """Both replies. `payload` and `tx`: the same for both, or a Two. `more`: events may come after the reply, wait for
        them."""
        pair = self.pairs[number]
        req = self.ids.randrange(BARRIER)
        for c, data, transaction in zip(pair, two(payload), two(tx)):
            c.send(kind, data, transaction, req)
        if more:
            for c in pair:
                c.send(FLUSH, b"0\0", 0, BARRIER)
        replies = Two([pair.ours.reply()], [pair.theirs.reply()])
        if more:
            self.flushed(pair)
        ours, theirs = self.seen(replies)
        return Two(ours[0] if ours else None, theirs[0])

    @staticmethod
    def flushed(pair):
        for c in pair:
            m = c.reply()
            if m.req != BARRIER or m.payload != b"/local/domain/0\0":
                raise AssertionError(f"not the reply to the last request: {m}")

    def settle(self, numbers):
        """Waits for the events of what was done until now."""
        pairs = [self.pairs[n] for n in numbers]
        for pair in pairs:
            for c in pair:
                c.send(FLUSH, b"0\0", 0, BARRIER)
        for pair in pairs:
            self.flushed(pair)

    def events(self, number):
        """Those that came since the last time."""
        ours, theirs = self.pairs[number]
        if not ours.events and not theirs.events:
            return None
        out = self.seen(Two(list(ours.events), list(theirs.events)))
        ours.events.clear()
        theirs.events.clear()
        return out

    def reopen(self, number):
        """Closes the pair and opens another in its place."""
        self.close(number)
        self.pairs[number] = self.open()

    def close(self, number):
        for c in self.pairs[number]:
            c.close()

    def closed_for_length(self, number):
        """Announces a payload that is too long: which of the daemons close the connection?"""
        out = []
        for c in self.pairs[number]:
            c.send_bytes(HEADER.pack(NAMES["WRITE"], 1, 0, PAYLOAD_MAX + 1))
            try:
                c.receive()
                out.append(False)
            except Closed:
                out.append(True)
        return Two(*out)
