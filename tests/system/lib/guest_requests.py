# SPDX-License-Identifier: MIT
"""Random requests of guests and of a toolstack about few nodes, so that they meet: in a shared tree, and in each
other's homes. What changes the life of domains is not here but in guest_life.py."""
from .wire import NAMES

SHARED = "/t"
NAMES_USED = ("a", "b", "c", "d")
GUEST_KINDS = {"READ": 10, "DIRECTORY": 8, "DIRECTORY_PART": 2, "GET_PERMS": 10, "WRITE": 22, "MKDIR": 12, "RM": 12,
               "SET_PERMS": 30, "WATCH": 7, "UNWATCH": 3, "RESET_WATCHES": 0.3, "GET_DOMAIN_PATH": 0.5}
# Only the control domain may; it must be refused to guests, whatever it says.
PRIVILEGED = {"IS_DOMAIN_INTRODUCED": (b"0\0", b"1\0", b"2\0", b"3\0", b"4\0", b"7\0"), "RESUME": (b"2\0", b"2\0", b"7\0", b"0\0"),
              "RELEASE": (b"7\0", b"0\0"), "SET_TARGET": (b"7\0001\0", b"1\0007\0"), "INTRODUCE": (b"7\0001\0001\0", b"1\0001\0")}
FROM_GUESTS = {"INTRODUCE": (b"2\0001\0001\0",), "RELEASE": (b"1\0", b"2\0"), "SET_TARGET": (b"2\0001\0", b"4\0000\0")}
IN_TRANSACTIONS = [k for k in GUEST_KINDS if k not in ("WATCH", "UNWATCH", "RESET_WATCHES", "GET_DOMAIN_PATH")]
READING = ("READ", "DIRECTORY", "DIRECTORY_PART", "GET_PERMS")
SPECIAL = ("@releaseDomain", "@introduceDomain")
OTHERS = (5, 7)  # there is no domain of that number
ODD_ENTRIES = ("x1", "n", "n1x", "", "1")
ODD_PATHS = ("a//b", "a/", "/t/a b", "/local/domain/", "//", "/t/a.")
UNKNOWN = (15, 16, 20, 1000)


def home(domid):
    return f"/local/domain/{domid}"


def absolute(path, domid):
    """In full, as text; special names as they are."""
    path = path.decode("latin-1") if isinstance(path, bytes) else path
    return path if path[:1] in ("/", "@") else f"{home(domid)}/{path}"


class GuestRequests:
    def __init__(self, rng, guests):
        self.rng = rng
        self.guests = guests
        self.used = NAMES_USED
        self.bases = [SHARED]

    def new_place(self):
        """From now on rather here than there, so that the same is met again soon."""
        self.used = self.rng.sample(NAMES_USED, self.rng.choice((1, 2, 2, 4)))
        self.bases = [SHARED, SHARED, self.rng.choice((SHARED, "", *map(home, self.guests))), ""]

    def path(self, shallow=True):
        rng = self.rng
        if rng.random() < 0.02:
            return rng.choice(("/", "/local", "/local/domain", "/none", "/none/x"))
        base = rng.choice(self.bases)
        parts = [rng.choice(self.used) for _ in range(rng.choice((0, 1, 1, 2, 2, 2, 3) if shallow else (1, 1, 2, 2, 3)))]
        return "/".join(([base] if base else []) + parts) or rng.choice(self.used)

    def entry(self):
        return self.rng.choice("nnrrwb") + str(self.rng.choice((0, *self.guests, *self.guests, *OTHERS)))

    def permissions(self, domid):
        """The first names the asker, most often: only dom0 may give a node away."""
        rng = self.rng
        owner = domid if domid and rng.random() < 0.85 else rng.choice((0, *self.guests, *self.guests, *OTHERS))
        out = [rng.choice("nnrrwb") + str(owner)]
        out += [self.entry() for _ in range(rng.choice((0, 0, 1, 1, 2, 2, 3)) if rng.random() < 0.95 else rng.choice((4, 5, 6)))]
        if rng.random() < 0.03:
            out[rng.randrange(len(out))] = rng.choice(ODD_ENTRIES)
        return out

    def one(self, domid, kinds=None):
        """(type, payload) of a request of that domain."""
        rng = self.rng
        if kinds is None and rng.random() < 0.01:
            return rng.choice(UNKNOWN), b"/t\0"
        if kinds is None and rng.random() < (0.03 if domid else 0.12):
            name = rng.choice(tuple(PRIVILEGED))
            return NAMES[name], rng.choice(PRIVILEGED[name] + (FROM_GUESTS.get(name, ()) if domid else ()))
        inside = kinds is not None
        kinds = kinds or tuple(GUEST_KINDS)
        name = rng.choices(kinds, [GUEST_KINDS[k] for k in kinds])[0]
        return NAMES[name], self.payload(name, domid, inside)

    def payload(self, name, domid, inside):
        rng = self.rng
        if name == "GET_DOMAIN_PATH":
            return rng.choice((b"0\0", b"1\0", b"7\0"))
        if name == "RESET_WATCHES":
            return b"\0"
        path = rng.choice(ODD_PATHS) if rng.random() < 0.01 else self.path(name != "RM")
        if rng.random() < (0.2 if name in ("WATCH", "UNWATCH") else 0.01) and not inside:
            path = rng.choice(SPECIAL)
        if path == "/" and not domid and name in ("SET_PERMS", "RM"):  # 4.17 removes it with its owner
            path = SHARED
        data = path.encode() + b"\0"
        if name == "WRITE":
            return data + (b"x" * 3000 if rng.random() < 0.02 else rng.choice((b"", b"1", b"2", b"33")))
        if name == "SET_PERMS" and path in SPECIAL and not domid:  # they are not given away: 4.17 does not count them
            return data + b"n0\0" + "".join(p + "\0" for p in self.permissions(0)[1:]).encode()
        if name == "SET_PERMS":
            return data + "".join(p + "\0" for p in self.permissions(domid)).encode()
        if name == "DIRECTORY_PART":
            return data + b"0\0"
        if name in ("WATCH", "UNWATCH"):
            return data + rng.choice((b"t\0", b"u\0"))
        return data
