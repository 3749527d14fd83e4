# SPDX-License-Identifier: MIT
"""What the random requests of guests met: how often each answer, events that nobody may hear, ends of domains,
and deliberate differences. What never came was not tested."""
import collections

from . import guest_differences
from .coverage import Coverage
from .wire import NUMBERS

GUEST = {"READ": ("OK", "EACCES", "ENOENT", "EINVAL"), "DIRECTORY": ("OK", "EACCES", "ENOENT", "EINVAL"),
         "DIRECTORY_PART": ("OK", "EACCES", "ENOENT"), "GET_PERMS": ("OK", "EACCES", "ENOENT", "EINVAL"),
         "WRITE": ("OK", "EACCES", "ENOSPC", "EINVAL"), "MKDIR": ("OK", "EACCES", "ENOSPC", "EINVAL"),
         "RM": ("OK", "EACCES", "ENOENT", "EINVAL"), "SET_PERMS": ("OK", "EACCES", "EPERM", "ENOENT", "ENOSPC", "EINVAL"),
         "WATCH": ("OK", "EEXIST", "ENOSPC", "EINVAL"), "UNWATCH": ("OK", "ENOENT"), "RESET_WATCHES": ("OK",),
         "GET_DOMAIN_PATH": ("OK",), "TRANSACTION_START": ("OK", "EBUSY", "ENOSPC"),
         "TRANSACTION_END": ("OK", "EAGAIN", "ENOENT", "EINVAL"),
         "INTRODUCE": ("EACCES",), "RELEASE": ("EACCES",), "SET_TARGET": ("EACCES",), "RESUME": ("EACCES",),
         "IS_DOMAIN_INTRODUCED": ("EACCES",), "unknown": ("ENOSYS",)}
DOM0 = {"INTRODUCE": ("OK",), "RELEASE": ("OK", "ENOENT", "EINVAL"), "SET_TARGET": ("OK", "ENOENT"), "RESUME": ("OK", "ENOENT"),
        "IS_DOMAIN_INTRODUCED": ("T", "F"), "SET_PERMS": ("OK", "ENOENT"), "TRANSACTION_END": ("OK", "EAGAIN")}
FILTERED = ("WRITE", "MKDIR", "RM", "SET_PERMS", "of a commit", "INTRODUCE", "RELEASE", "the end of a domain")
LIFE = [(w, h) for w in ("release", "end", "introduced again") for h in ("with transactions", "without")] + [
    ("made again", "after its release"), ("made again", "after its end"), ("shut down", "")]
ENDS = ("OK, by both", "EAGAIN, by both", "ENOMEM, by both", "committed by ours", "committed by theirs", "aborted")
ENOUGH = 30000  # requests, after which all of it must have occurred


class GuestCoverage(Coverage):
    def __init__(self):
        super().__init__()
        self.to_guests = 0  # events
        self.stores = 0  # compared
        self.filtered = collections.Counter()
        self.life = collections.Counter()

    def answered(self, kind, answer, domid):
        name = NUMBERS.get(kind, "unknown") if kind not in (15, 16) else "unknown"
        if name == "IS_DOMAIN_INTRODUCED" and isinstance(answer, bytes):
            answer = answer[:1].decode()
        self.answers[f"{'a guest' if domid else 'dom0'}: {name}", answer if isinstance(answer, str) else "OK"] += 1

    def tables(self):
        wanted = [(f"{who}: {k}", e) for who, of in (("a guest", GUEST), ("dom0", DOM0)) for k, errors in of.items() for e in errors]
        yield "answers", self.answers, wanted
        yield "ends of transactions", self.ends, ENDS
        yield "events that a guest watched for and may not read", self.filtered, FILTERED
        yield "lives", self.life, LIFE
        yield "deliberate differences", self.differences, [d.name for d in guest_differences.ALL if not d.rare]
