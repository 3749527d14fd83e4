# SPDX-License-Identifier: MIT
"""What the random requests met: how often each answer, each kind of conflict and each deliberate difference. What never
came was not tested."""
import collections

from . import differences, merges
from .wire import NUMBERS

STORE = {"READ": (), "DIRECTORY": ("E2BIG",), "DIRECTORY_PART": (), "GET_PERMS": (), "WRITE": (), "MKDIR": (), "RM": (),
         "SET_PERMS": ("ENOSPC",)}
# Each of these must occur. Only WRITE and MKDIR find no node missing, for sockets no permission ever lacks, and an id that names
# no transaction is ENOENT for all but WATCH and UNWATCH.
WANTED = {**{name: ("OK", "EINVAL", "ENOENT") + more for name, more in STORE.items()},
          "WATCH": ("OK", "EINVAL", "EEXIST"), "UNWATCH": ("OK", "EINVAL", "ENOENT"),
          "TRANSACTION_START": ("OK", "EBUSY", "ENOENT", "ENOSPC"),
          "TRANSACTION_END": ("OK", "EINVAL", "ENOENT", "EAGAIN"),
          "GET_DOMAIN_PATH": ("OK", "EINVAL", "ENOENT"), "RESET_WATCHES": ("OK", "ENOENT"), "unknown": ("ENOSYS",),
          "too long": ("closed",)}
ENOUGH = 100000  # requests, after which all of it must have occurred


class Coverage:
    def __init__(self):
        self.requests = 0
        self.inside = 0  # of them: in transactions
        self.events = 0
        self.ends = collections.Counter()
        self.answers = collections.Counter()
        self.conflicts = collections.Counter()
        self.merged = collections.Counter()
        self.differences = collections.Counter()

    def reply(self, kind, answer):
        self.answers[NUMBERS.get(kind, "unknown") if kind not in (15, 16) else "unknown",
                     answer if isinstance(answer, str) else "OK"] += 1

    def tables(self):
        """(title, counts, what must occur)"""
        wanted = [(k, e) for k, errors in WANTED.items() for e in errors]
        yield "answers", self.answers, wanted
        yield "conflicts, by the first request that would be answered otherwise", self.conflicts, merges.KINDS
        yield "merged commits, by what others had changed", self.merged, merges.MERGED
        yield "deliberate differences", self.differences, [d.name for d in differences.ALL if not d.rare]

    def missing(self):
        """Titles of tables with what never occurred."""
        return {title: never for title, counts, wanted in self.tables() if (never := [w for w in wanted if not counts[w]])}

    def report(self):
        inside = 100 * self.inside // max(self.requests, 1)
        yield f"{self.requests} requests to each daemon, {inside} % in transactions; {self.events} events"
        yield "transactions: " + ", ".join(f"{n} {k}" for k, n in sorted(self.ends.items()))
        for title, counts, wanted in self.tables():
            if title == "answers":
                yield title + ":"
                for kind in dict.fromkeys(k for k, _ in [*wanted, *counts]):
                    yield f"  {kind}: " + ", ".join(f"{n} {e}" for (k, e), n in sorted(counts.items()) if k == kind)
            else:
                yield title + ":"
                for k in dict.fromkeys([*wanted, *counts]):
                    yield f"  {counts[k]:6} {k}"
