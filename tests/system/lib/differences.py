# SPDX-License-Identifier: MIT
"""Where our daemon is meant to answer otherwise than Debian's C daemon (4.17), and why: all there is. The test
of random requests (differential.py) takes no other difference, and reports one that never occurs."""
import re

from .decode import offset_of, path_of
from .merges import KINDS
from .wire import ERROR, NUMBERS

ALL = []


class Difference:
    """`accepts(step, ours, theirs)`: is this it? `repair(step)`: what to ask of ours so that both hold the same
    again, if ours has accepted what theirs refuses: (request name, payload)."""

    def __init__(self, at, name, why, accepts, repair=None):
        self.at = at  # "reply", "events" or "end"
        self.name = name
        self.why = why
        self.accepts = accepts
        self.repair = repair
        ALL.append(self)


def find(at, step, ours, theirs):
    """The difference that explains this, or None."""
    return next((d for d in ALL if d.at == at and d.accepts(step, ours, theirs)), None)


def answer(message):
    """Name of the error as text, or the payload."""
    return message.payload[:-1].decode() if message.type == ERROR else message.payload


def is_kind(step, *names):
    return NUMBERS.get(step.kind) in names


def first_string(payload):
    return payload.split(b"\0")[0]


def first(step):
    return first_string(step.payload)


# -- replies --------------------------------------------------------------------------------------


def same_names(ours, theirs):
    return ours.split(b"\0")[:-1] == sorted(theirs.split(b"\0")[:-1])


def both_listed(ours, theirs):
    return ours.type == theirs.type != ERROR


Difference("reply", "DIRECTORY is sorted",
           "Children are sorted by their bytes, in the tree, on the wire and in git, so that there is no order to store.",
           lambda step, o, t: is_kind(step, "DIRECTORY") and both_listed(o, t) and same_names(o.payload, t.payload))


def same_part(step, ours, theirs):
    if not is_kind(step, "DIRECTORY_PART") or not both_listed(ours, theirs):
        return False
    (ours, names), (theirs, other) = (m.payload.split(b"\0", 1) for m in (ours, theirs))
    if not re.fullmatch(b"[0-9]+", ours) or not re.fullmatch(b"[0-9]+", theirs):
        return False
    if offset_of(step.payload):
        return names == other == b"\0"
    return same_names(names[:-1], other[:-1]) and names[-1:] == other[-1:] == b"\0"


Difference("reply", "DIRECTORY_PART's number is a hash",
           "The number at its head is computed from the names, where C counts changes: it needs no place in the store.",
           same_part)

SNAPSHOT = "a transaction sees the store as it was at START"
Difference("reply", SNAPSHOT,
           "A transaction is a true snapshot; C copies a node when it is first accessed, and so shows changes that others "
           "made after START. Taken only where others changed what the request looks at and the model expects our answer.",
           lambda step, o, t: step.transaction is not None and (step.met or step.transaction.differed)
           and step.expected == answer(o))

Difference("reply", "numbers are read to the end",
           "A domain id is a decimal number up to 65535 and nothing else, as in 4.22; 4.17 takes what atoi() makes of it.",
           lambda step, o, t: is_kind(step, "GET_DOMAIN_PATH") and answer(o) == "EINVAL" and t.type != ERROR
           and not re.fullmatch(b"[0-9]{1,5}", first(step)))

Difference("reply", "a watch has a depth", "WATCH takes a third argument since 4.22; 4.17 refuses it.",
           lambda step, o, t: is_kind(step, "WATCH") and step.payload.count(b"\0") == 3 and answer(t) == "EINVAL",
           lambda step: ("UNWATCH", b"".join(s + b"\0" for s in step.payload.split(b"\0")[:2])))

Difference("reply", "the lists of special events can be read", "GET_PERMS takes names with @ since 4.18; 4.17 refuses them.",
           lambda step, o, t: is_kind(step, "GET_PERMS") and first(step)[:1] == b"@" and answer(t) == "EINVAL")

Difference("reply", "UNWATCH checks the path", "A path that is not legal is EINVAL as in 4.22; 4.17 looks for it among the watches.",
           lambda step, o, t: is_kind(step, "UNWATCH") and path_of(first(step)) is None and (answer(o), answer(t)) ==
           ("EINVAL", "ENOENT"))

Difference("reply", "long paths",
           "Only guests are limited to paths of 2048 bytes, as in 4.22; 4.17 refuses longer ones to everybody.",
           lambda step, o, t: len(first(step)) > 2000 and answer(t) == "EINVAL")

Difference("reply", "limit: permissions", "A list has at most 256 entries, for everybody; C limits only guests.",
           lambda step, o, t: is_kind(step, "SET_PERMS") and step.payload.count(b"\0") > 257 and answer(o) == "ENOSPC")

Difference("reply", "limit: transactions", "A connection has at most 1024 open transactions, for everybody; C limits only guests.",
           lambda step, o, t: is_kind(step, "TRANSACTION_START") and answer(o) == "ENOSPC" and answer(t) == b"1025\0")

# -- events ---------------------------------------------------------------------------------------


def same_but_for_order(step, ours, theirs):
    def outside(events):
        return [e for e in events if not any((path_of(first_string(e)) or "").startswith(top + "/") for top in step.removed)]
    return sorted(ours) == sorted(theirs) and outside(ours) == outside(theirs)


Difference("events", "the order in which a subtree goes",
           "What is removed with a node fires in the order of names, where C has the order of creation.",
           same_but_for_order)

# -- the end of a transaction -----------------------------------------------------------------------

Difference("end", "commit by replay: merged",
           "A transaction commits when its requests are answered the same again; C refuses it when a node that it accessed "
           "was changed in any way since. Done again in C at once, it must answer and do the same.",
           lambda step, o, t: (answer(o), answer(t)) == (b"OK\0", "EAGAIN") and step.transaction.conflicts)

Difference("end", "commit by replay: the snapshot was old",
           "C may commit what it first looked at after others had changed it; ours saw the state at START. Done again in "
           "ours at once, it must answer and do the same.",
           lambda step, o, t: (answer(o), answer(t)) == ("EAGAIN", b"OK\0") and step.conflict in KINDS
           and step.transaction.entries[step.place].met)
