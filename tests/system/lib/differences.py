# SPDX-License-Identifier: MIT
"""Where our daemon is meant to answer otherwise than Debian's C daemon (4.17), and why: all there is. The test
of random requests (differential.py) takes no other difference, and reports one that never occurs."""
import re

from .decode import HOME, NAMES_OF_PATH, offset_of, path_of
from .merges import KINDS
from .wire import ERROR, NUMBERS

ALL = []


class Difference:
    """`accepts(step, ours, theirs)`: is this it? `repair(step)`: (request name, payload) for the one that did
    what the other refused, so that both hold the same again. `rare`: a run may be without it. `among`: the list
    that it belongs to."""

    def __init__(self, at, name, why, accepts, repair=None, rare=False, among=ALL):
        self.at = at  # "reply", "events" or "end"
        self.name = name
        self.why = why
        self.accepts = accepts
        self.repair = repair
        self.rare = rare
        among.append(self)


def find(at, step, ours, theirs, among=None):
    """The difference that explains this, or None."""
    return next((d for d in (ALL if among is None else among) if d.at == at and d.accepts(step, ours, theirs)), None)


def named(name):
    return next(d for d in ALL if d.name == name)


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


def parts(step, ours, theirs):
    """What follows the numbers, None if these are none."""
    if not is_kind(step, "DIRECTORY_PART") or not both_listed(ours, theirs):
        return None
    found = [re.fullmatch(b"[0-9]+\0(.*\0)", m.payload, re.S) for m in (ours, theirs)]
    return [m[1] for m in found] if all(found) else None


def same_part(step, ours, theirs):
    both = parts(step, ours, theirs)
    return both and (both[0] == both[1] or offset_of(step.payload) == 0 and both[0][-1:] == both[1][-1:] == b"\0"
                     and same_names(both[0][:-1], both[1][:-1]))


Difference("reply", "DIRECTORY_PART's number is a hash",
           "The number at its head is computed from the names, where C counts changes: it needs no place in the store.",
           same_part)

Difference("reply", "DIRECTORY_PART goes on with a whole name",
           "The list is sorted, and an offset within a name means the next one, where C gives what is left of it. Taken only if "
           "the model expects our answer.",
           lambda step, o, t: parts(step, o, t) and offset_of(step.payload) and step.expected is not None
           and step.as_expected())

SNAPSHOT = "a transaction sees the store as it was at START"
Difference("reply", SNAPSHOT,
           "A transaction is a true snapshot; C copies a node when it is first accessed, and so shows changes that others "
           "made after START. Taken only where the transaction has looked at what others changed, and the model expects our answer.",
           lambda step, o, t: step.transaction is not None and step.transaction.met
           and step.expected is not None and step.as_expected())

Difference("reply", "numbers are read to the end",
           "A domain id is a decimal number up to 65535 and nothing else, as in 4.22; 4.17 takes what atoi() makes of it.",
           lambda step, o, t: is_kind(step, "GET_DOMAIN_PATH") and answer(o) == "EINVAL" and t.type != ERROR
           and not (re.fullmatch(b"[0-9]{1,5}", first(step)) and int(first(step)) < 65536))

Difference("reply", "domain ids have 16 bits",
           "In SET_PERMS a number that is no domain id is EINVAL; C cuts it to 32 bits and finds that there is no such domain.",
           lambda step, o, t: is_kind(step, "SET_PERMS") and (answer(o), answer(t)) == ("EINVAL", "ENOENT")
           and step.payload.split(b"\0")[1] in (b"n-1", b"n65536"))


def unwatch(step):
    return "UNWATCH", b"".join(s + b"\0" for s in step.payload.split(b"\0")[:2])


Difference("reply", "a watch has a depth", "WATCH takes a third argument since 4.22; 4.17 refuses it.",
           lambda step, o, t: is_kind(step, "WATCH") and step.payload.count(b"\0") == 3 and answer(t) == "EINVAL"
           and answer(o) in (b"OK\0", "EEXIST"), unwatch)

# As they are at first, and as Differential.special() sets them.
SPECIAL_LISTS = {b"@releaseDomain": (b"n0\0r32757\0", b"n0\0r5\0"), b"@introduceDomain": (b"n0\0", b"n0\0r5\0")}
Difference("reply", "special events have lists like nodes",
           "GET_PERMS takes names with @ since 4.18, where 4.17 refuses them; and SET_PERMS of one that is none is ENOENT.",
           lambda step, o, t: is_kind(step, "GET_PERMS", "SET_PERMS") and first(step)[:1] == b"@" and answer(t) == "EINVAL"
           and answer(o) in SPECIAL_LISTS.get(first(step), ("ENOENT",)))

Difference("reply", "UNWATCH checks the path", "A path that is not legal is EINVAL as in 4.22; 4.17 looks for it among the watches.",
           lambda step, o, t: is_kind(step, "UNWATCH") and first(step)[:1] != b"@" and path_of(first(step)) is None
           and (answer(o), answer(t)) == ("EINVAL", "ENOENT"))

Difference("reply", "names with @ are checked",
           "What follows an @ must be names as elsewhere; 4.17 takes any bytes. (4.22 allows an empty name after the @, ours does not.)",
           lambda step, o, t: is_kind(step, "WATCH", "UNWATCH") and first(step)[:1] == b"@"
           and not NAMES_OF_PATH.fullmatch(first(step)[1:].decode("latin-1")) and answer(o) == "EINVAL"
           and answer(t) in (b"OK\0", "ENOENT", "EEXIST"), unwatch)


def length_in_home(text):
    """Of a path, as it is limited: without /local/domain/<domid>/."""
    return len((path_of(text) or "").removeprefix(HOME + "/"))


Difference("reply", "long paths",
           "Only guests are limited to paths of 2048 bytes, as in 4.22; 4.17 refuses longer ones to everybody.",
           lambda step, o, t: length_in_home(first(step)) > 2048 and answer(t) == "EINVAL" and answer(o) != "EINVAL")

Difference("reply", "limit: permissions", "A list has at most 256 entries, for everybody; C limits only guests.",
           lambda step, o, t: is_kind(step, "SET_PERMS") and step.payload.count(b"\0") > 257 and answer(o) == "ENOSPC")

Difference("reply", "limit: transactions", "A connection has at most 1024 open transactions, for everybody; C limits only guests.",
           lambda step, o, t: is_kind(step, "TRANSACTION_START") and answer(o) == "ENOSPC" and t.type != ERROR)

Difference("reply", "limit: watches", "A connection has at most 65536 watches, for everybody; C limits only guests.",
           lambda step, o, t: is_kind(step, "WATCH") and answer(o) == "ENOSPC", unwatch, rare=True)

Difference("reply", "limit: what a transaction remembers",
           "65536 requests, and 4 MiB of them in all open transactions of a connection: they are part of each checkpoint, "
           "and done again at the end; C copies nodes, and limits only guests.",
           lambda step, o, t: step.transaction is not None and answer(o) == "ENOSPC"
           and len(step.transaction.log) > 1000, rare=True)

# -- events ---------------------------------------------------------------------------------------


def event_path(payload):
    return path_of(first_string(payload)) or ""


def below_removed(step, event):
    return any(event_path(event).startswith(top + "/") for top in step.removed)


def same_but_for_order(step, ours, theirs):
    rest = [[e for e in side if not below_removed(step, e)] for side in (ours, theirs)]
    return sorted(ours) == sorted(theirs) and rest[0] == rest[1]


Difference("events", "the order in which a subtree goes",
           "What is removed with a node fires in the order of names, where C has the order of creation.",
           same_but_for_order)


def in_order_of_requests(step, ours, theirs):
    if not step.transaction or sorted(ours) != sorted(theirs):
        return False
    named = {}
    for n, (request, *_) in enumerate(step.transaction.log):
        if request != ("RM", "/"):  # refused before it looks
            named.setdefault(request[1], n)
    mine = [named.get(event_path(e), -1) for e in ours if not below_removed(step, e)]
    return mine == sorted(mine) and all(
        [e for e in ours if event_path(e) == path] == [e for e in theirs if event_path(e) == path] for path in map(event_path, ours))


Difference("events", "the order of the events of a commit",
           "They come in the order in which its requests first name the nodes; C has them in the order in which it first reads "
           "them, and it reads parents on its way, those of missing nodes, too.",
           in_order_of_requests)


def parent_looked_for(step, ours, theirs):
    if not step.transaction:
        return False
    absent = {request[1] for request, reply, *_ in step.transaction.log if reply == "ENOENT"}
    rest = [e for e in theirs if e in ours or event_path(e) not in absent]
    return len(rest) < len(theirs) and sorted(rest) == sorted(ours)


Difference("events", "a directory made on the way fires nothing",
           "As everywhere; C fires for one that the transaction had looked for before, in vain.", parent_looked_for, rare=True)

Difference("events", "SET_PERMS of a special event fires",
           "Since 4.18 those who watch for @releaseDomain or @introduceDomain are told when its list changes; 4.17 tells nobody.",
           lambda step, o, t: is_kind(step, "SET_PERMS") and first(step)[:1] == b"@" and not t
           and all(first_string(e) == first(step) for e in o))

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
