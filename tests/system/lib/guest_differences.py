# SPDX-License-Identifier: MIT
"""As differences.py, of what guests meet. The test of guests (guest_differential.py) takes no other difference, and
reports one that never occurs."""
from . import differences
from .differences import Difference, answer, first, first_string, is_kind, named, same_part
from .guest_requests import absolute
from .host_pair import GUESTS
from .wire import NAMES

END = NAMES["TRANSACTION_END"]
ALL = [named(n) for n in ("DIRECTORY is sorted", "SET_PERMS of a special event fires", "UNWATCH checks the path")]


def difference(*args, **kw):
    Difference(*args, among=ALL, **kw)


def find(at, step, ours, theirs):
    return differences.find(at, step, ours, theirs, ALL)


def inside(step):
    return step.transaction is not None


# -- replies --------------------------------------------------------------------------------------

difference("reply", "DIRECTORY_PART's number is a hash", named("DIRECTORY_PART's number is a hash").why, same_part)

difference("reply", "special events can be asked for their lists",
           "GET_PERMS takes names with @ since 4.18, from those who may read them; 4.17 refuses them.",
           lambda step, o, t: is_kind(step, "GET_PERMS") and step.path in step.special and answer(t) == "EINVAL"
           and answer(o) in ("EACCES", step.special[step.path]))

difference("reply", "a guest may not change the list of a special event",
           "Both refuse it; ours is EACCES as since 4.18.",
           lambda step, o, t: is_kind(step, "SET_PERMS") and first(step)[:1] == b"@" and step.domid
           and answer(o) == "EACCES" and answer(t) in ("EINVAL", "EPERM", "ENOENT"), rare=True)

difference("reply", "limit: watches", "Too many are ENOSPC, as in 4.22; before that it was E2BIG, which a guest's kernel takes for EINVAL.",
           lambda step, o, t: is_kind(step, "WATCH") and (answer(o), answer(t)) == ("ENOSPC", "E2BIG"))

difference("reply", "a transaction sees the store as it was at START",
           "A transaction is a true snapshot; C copies a node when it is first accessed. Taken only where others changed that "
           "node, or one above or below it, after START.",
           lambda step, o, t: inside(step) and step.transaction.touches(step.path))

# -- events ---------------------------------------------------------------------------------------


def same_of_each_path(step, ours, theirs):
    return sorted(ours) == sorted(theirs) and all(
        [e for e in ours if first_string(e) == p] == [e for e in theirs if first_string(e) == p] for p in map(first_string, ours))


def special(events):
    """Places of special events."""
    return [n for n, e in enumerate(events) if e[:1] == b"@"]


difference("events", "the order in which a subtree goes",
           "What is removed with a node, or with a domain, fires in the order of names, where C has the order of creation.",
           lambda step, o, t: (is_kind(step, "RM", "RELEASE") or step.kind is None) and special(o) == special(t)
           and same_of_each_path(step, o, t))

difference("events", "the order of the events of a commit",
           "They come in the order in which its requests first name the nodes; C has them in the order in which it first reads "
           "them, and it reads parents on its way, those of missing nodes, too.",
           lambda step, o, t: inside(step) and same_of_each_path(step, o, t))


def parent_changed(step, ours, theirs):
    """Is it about nodes whose parent was changed in the same transaction?"""
    paths = {s.path for s in step.transaction.steps if is_kind(s, "SET_PERMS", "RM", "WRITE", "MKDIR")}
    paths |= {p[:n] for p in paths for n, c in enumerate(p) if c == "/"}  # made on the way
    odd = [e for side, other in ((ours, theirs), (theirs, ours)) for e in side if e not in other]
    return step.receiver in GUESTS and odd and all(absolute(first_string(e), step.receiver).rpartition("/")[0] in paths for e in odd)


difference("events", "the filter of a commit's events",
           "A commit is one change, so what the parent's list is after it decides who hears of a node; C stores node by node, and "
           "decides by what it has stored so far.",
           lambda step, o, t: inside(step) and step.kind == END and parent_changed(step, o, t), rare=True)

# -- the end of a transaction -----------------------------------------------------------------------

difference("end", "commit by replay: merged",
           "A transaction commits when its requests are answered the same again; C refuses it when a node that it accessed "
           "was changed in any way since. Done again in C at once, it must answer and do the same.",
           lambda step, o, t: (answer(o), answer(t)) == (b"OK\0", "EAGAIN") and step.transaction.touched)

difference("end", "commit by replay: the snapshot was old",
           "C may commit what it first looked at after others had changed it; ours saw the state at START. Done again in "
           "ours at once, it must answer and do the same.",
           lambda step, o, t: (answer(o), answer(t)) == ("EAGAIN", b"OK\0") and step.transaction.touched)

difference("end", "commit by replay: refused by a limit",
           "Where others made what a limit forbids, the commit says so; C says EAGAIN, and the limit when it is done again.",
           lambda step, o, t: (answer(o), answer(t)) == ("ENOSPC", "EAGAIN") and step.transaction.touched, rare=True)


def only_one_saw_a_limit(step, which):
    """Was a request in the transaction refused by a limit in `which` of the two alone?"""
    return any(answer(s.replies[which]) == "ENOSPC" != answer(s.replies[1 - which]) for s in step.transaction.steps)


difference("end", "commit by replay: a limit that only one of them saw",
           "Both refuse it. Where others changed what it looked at, one of them came as far as a limit, which ends it with ENOMEM; for the other "
           "it is one that others were in the way of.",
           lambda step, o, t: step.transaction.touched
           and ((answer(o), answer(t)) == ("EAGAIN", "ENOMEM") and only_one_saw_a_limit(step, 1)
                or (answer(o), answer(t)) == ("ENOMEM", "EAGAIN") and only_one_saw_a_limit(step, 0)), rare=True)

# -- the store --------------------------------------------------------------------------------------

ENTRIES = "a domain's entries end with it"
difference("store", ENTRIES,
           "When a domain ends, what others' nodes granted it is taken out of their lists, as in 4.22; 4.17 keeps the entries, and "
           "takes no notice of them. The test then sets the shorter list in both.",
           lambda step, o, t: list(o) == [t[0]] + [p for p in t[1:] if int(p[1:]) != step.domid])
