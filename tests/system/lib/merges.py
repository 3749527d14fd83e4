# SPDX-License-Identifier: MIT
"""Transactions of both daemons beside the model, which says what ours answers inside and at the end; and what
others change meanwhile, which says when the C daemon refuses a commit."""
from .model import Transaction


def accessed(model, request):
    """The nodes that a request looks at: missing ones make the C daemon look at those above, too."""
    path = request[1]
    out = {path}
    while path not in model.nodes:
        path = model.parent(path)
        out.add(path)
    if request[0] == "RM" and request[1] in model.nodes and request[1] != "/":
        out.add(model.parent(request[1]))
        out.update(p for p in model.nodes if p.startswith(request[1] + "/"))
    return out


def changed(model, request):
    """The nodes that a request is about to change, {path: what of it}. The list of children counts as a part of a node."""
    kind, path = request[:2]
    there = path in model.nodes
    if kind == "WRITE" and there:
        return {path: "value"}
    if kind == "SET_PERMS" and there:
        return {path: "permissions"}
    if kind == "RM" and there and path != "/":
        out = {p: "removed" for p in accessed(model, request)}
        out[model.parent(path)] = "list"
        return out
    if kind in ("WRITE", "MKDIR") and not there:
        out = {}
        while path not in model.nodes:
            out[path] = "created"
            path = model.parent(path)
        out[path] = "list"
        return out
    return {}


class Entry:
    """One request of a transaction."""

    def __init__(self, request, wire, reply, met):
        self.request = request
        self.wire = wire  # (type, payload)
        self.reply = reply  # both
        self.met = met  # did it meet what others changed before?


class Open(Transaction):
    def __init__(self, head, number):
        super().__init__(head)
        self.number = number
        self.entries = []
        self.touched = {}  # by others since START: path -> what of it
        self.first = set()  # paths that were accessed
        self.conflicts = set()  # what of them others touched after that
        self.met = False  # has any request looked at what others had touched before?
        self.differed = False  # have the daemons answered differently inside?

    def note(self, head, request, wire):
        """A request of ours: what the model answers. Its entry gets the replies later."""
        looks_at = accessed(self.view, request) | accessed(head, request)
        met = not self.touched.keys().isdisjoint(looks_at)
        self.met |= met
        self.entries.append(Entry(request, wire, None, met))
        self.first |= looks_at
        return self.apply(request)

    def others(self, what):
        self.touched.update(what)
        self.conflicts.update(how for path, how in what.items() if path in self.first)

    def replayed(self, head):
        """(new head, what it changes, None); or (None, None, (place, kind)) for the first request that would be answered
        otherwise."""
        now = head.copy()
        changes = {}
        for place, (request, *before) in enumerate(self.log):
            what = changed(now, request)
            after = list(now.apply(request))
            if before != after:
                return None, None, (place, kind_of(request, before, after))
            changes.update(what)
        return now, changes, None


READS = {"READ": "a value read", "DIRECTORY": "a list read", "GET_PERMS": "permissions read"}


def kind_of(request, before, after):
    """In words: why a request in a transaction cannot be repeated. `before` and `after`: what it answered and did."""
    kind = request[0]
    if kind in READS or kind == "SET_PERMS":
        what = READS.get(kind, "permissions set")
        if "ENOENT" in (before[0], after[0]):
            return f"{what}: the node was {'created' if before[0] == 'ENOENT' else 'removed'} meanwhile"
        return f"{what}: changed meanwhile"
    if kind == "RM":
        if "ENOENT" in (before[0], after[0]):
            return f"a removal: its directory was {'created' if before[0] == 'ENOENT' else 'removed'} meanwhile"
        return f"a removal: the node was {'created' if after[1] == 'removed' else 'removed'} meanwhile"
    if before[1][0] != after[1][0]:
        return f"a write: the node was {'created' if before[1][0] == 'created' else 'removed'} meanwhile"
    return "a write: permissions that the new node inherits changed meanwhile"


KINDS = [f"{w}: {h} meanwhile" for w in READS.values() for h in ("the node was created", "the node was removed", "changed")] + [
    f"{w}: {n} was {h} meanwhile" for w, n in (("permissions set", "the node"), ("a removal", "its directory"),
                                               ("a removal", "the node"), ("a write", "the node"))
    for h in ("created", "removed")] + ["a write: permissions that the new node inherits changed meanwhile"]
MERGED = ["value", "permissions", "list", "created", "removed"]
