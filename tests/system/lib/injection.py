# SPDX-License-Identifier: MIT
"""Faults that are put in, to test the tests that compare daemons."""
from .wire import NAMES


class Once:
    """Gives the test something else than what our daemon said, once: at the 40th message that is meant."""

    def __init__(self, meant, instead, seen):
        self.meant = meant
        self.instead = instead
        self.seen = seen
        self.left = 40
        self.when = 0  # number of the request

    def __call__(self, message):
        if not self.meant(message):
            return message
        self.left -= 1
        if self.left:
            return message
        self.when = self.seen.requests
        return self.instead(message)


def says(payload, name=None):
    return lambda m: m.payload == payload and (name is None or m.type == NAMES[name])
