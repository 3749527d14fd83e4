# SPDX-License-Identifier: MIT
"""What the store must do, written down as simply as possible: a dictionary, copied whole for every transaction."""


PAYLOAD_MAX = 4096


class Model:
    def __init__(self, nodes=None):
        # path -> (value, permissions)
        self.nodes = nodes if nodes is not None else {"/": (b"", (b"n0",))}

    def copy(self):
        return Model(dict(self.nodes))

    @staticmethod
    def parent(path):
        return path.rsplit("/", 1)[0] or "/"

    def children(self, path):
        base = "/" if path == "/" else path + "/"
        return sorted(p[len(base):].encode() for p in self.nodes
                      if p != "/" and p.startswith(base) and "/" not in p[len(base):])

    def create(self, path):
        """Makes the node and what is missing above it."""
        missing = []
        while path not in self.nodes:
            missing.append(path)
            path = self.parent(path)
        for p in reversed(missing):
            self.nodes[p] = (b"", self.nodes[self.parent(p)][1])

    def apply(self, request):
        """Executes ('READ', path, …): (reply, effect). A reply is bytes, or the name of an error as text; the effect is what
        happened besides: whether the node was there, and the permissions of a new one."""
        kind, path, *rest = request
        node = self.nodes.get(path)
        if kind == "READ":
            return (node[0] if node else "ENOENT"), None
        if kind == "DIRECTORY":
            names = b"".join(c + b"\0" for c in self.children(path)) if node else "ENOENT"
            return (names if len(names) <= PAYLOAD_MAX else "E2BIG"), None
        if kind == "GET_PERMS":
            return (b"".join(p + b"\0" for p in node[1]) if node else "ENOENT"), None
        if kind == "SET_PERMS":
            if not node:
                return "ENOENT", None
            self.nodes[path] = node[0], tuple(rest[0])
            return b"OK\0", None
        if kind in ("WRITE", "MKDIR"):
            self.create(path)
            if kind == "WRITE":
                self.nodes[path] = rest[0], self.nodes[path][1]
            return b"OK\0", ("existed",) if node else ("created", self.nodes[path][1])
        if kind == "RM":
            if path == "/":
                return "EINVAL", None
            if not node:
                return (b"OK\0", "absent") if self.parent(path) in self.nodes else ("ENOENT", None)
            for p in [p for p in self.nodes if p == path or p.startswith(path + "/")]:
                del self.nodes[p]
            return b"OK\0", "removed"
        raise ValueError(kind)

    def tree(self):
        """As wire.walk() gives it."""
        return {p.encode(): (n[0], n[1]) for p, n in self.nodes.items()}


class Transaction:
    def __init__(self, head):
        self.view = head.copy()
        self.log = []

    def apply(self, request):
        reply, effect = self.view.apply(request)
        self.log.append((request, reply, effect))
        return reply

    def commit(self, head):
        """The new head, or None for EAGAIN: something would be answered otherwise, or do something else."""
        now = head.copy()
        for request, reply, effect in self.log:
            if now.apply(request) != (reply, effect):
                return None
        return now


def payload(request):
    """A request of the model as the bytes on the wire."""
    kind, path, *rest = request
    data = path.encode() + b"\0"
    if kind == "WRITE":
        data += rest[0]
    if kind == "SET_PERMS":
        data += b"".join(p + b"\0" for p in rest[0])
    return data
