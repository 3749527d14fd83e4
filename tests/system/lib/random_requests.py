# SPDX-License-Identifier: MIT
"""Random requests about few names, so that they meet; some of them malformed."""
from .decode import HOME
from .wire import NAMES

TOP = HOME + "/d"
CHILDREN = ("a", "a-", "b", "B")  # in another order than that of their bytes; two begin alike
WIDE = HOME + "/wide"  # its list of children does not fit a message
WIDE_CHILDREN = [f"{n:02}" + "w" * 78 for n in range(60)]
ELSEWHERE = (("/", "/local", "/local/domain", HOME, WIDE, "/none", "/none/x", "/tool"), ("/", "/local", HOME, "/tool/xenstored"))
VALUES = (b"", b"", b"1", b"1", b"2", b"3", b"a\0b", b"\0", b"x" * 2000)
PERMISSIONS = (b"n0", b"n0", b"b0", b"r0", b"r5", b"w5", b"n1", b"b9", b"n5")
ENTRIES = (b"r1", b"w5", b"b0", b"n9", b"r5", b"r32752")
ODD_PERMISSIONS = (b"x0", b"N0", b"", b"0", b"n", b"nn", b"n0 ", b"n 1", b"n0x1", b"n0x", b"n010", b"n09", b"n+1", b"n-1", b"n65536",
                   b"n 0x5", b"r32752", b"n1\n", b"n\t9")
ODD_NUMBERS = (b"", b"x", b"5x", b"-1", b"65536", b"65535", b" 7", b"007", b"1", b"32752", b"99999999999", b"0x5")
TOKENS = (b"t", b"t", b"u", b"v", b"", b"\x01 %/\xff", b"/x")
UNKNOWN = (15, 16, 20, 27, 28, 1000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0xffff)
SPECIAL = (b"@releaseDomain", b"@introduceDomain", b"@other")

KINDS = {"READ": 16, "DIRECTORY": 10, "DIRECTORY_PART": 3, "GET_PERMS": 7, "WRITE": 24, "MKDIR": 8, "RM": 9,
         "SET_PERMS": 8, "WATCH": 4, "UNWATCH": 2, "RESET_WATCHES": 0.2, "GET_DOMAIN_PATH": 1}
IN_TRANSACTIONS = tuple(k for k in KINDS if k not in ("WATCH", "UNWATCH", "RESET_WATCHES", "GET_DOMAIN_PATH"))


class Requests:
    def __init__(self, rng):
        self.rng = rng
        self.children = CHILDREN

    def new_place(self):
        """From now on rather here than there, so that the same is met again soon."""
        self.children = self.rng.sample(CHILDREN, self.rng.choice((1, 2, 2, 4)))

    def path(self, depths=(0, 1, 1, 2, 2, 2, 3, 3)):
        out = TOP
        for _ in range(self.rng.choice(depths)):
            out += "/" + self.rng.choice(self.children)
        return out

    def spelt(self, path):
        """Absolute, or relative."""
        short = self.rng.random() < 0.3 and path.startswith(HOME + "/")
        return (path[len(HOME) + 1:] if short else path).encode()

    def one(self, in_transaction=False):
        """(type, payload)"""
        rng = self.rng
        if rng.random() < 0.01:
            return rng.choice(UNKNOWN), rng.choice((b"", b"\0", b"/x\0", b"1\0"))
        names = IN_TRANSACTIONS if in_transaction else tuple(KINDS)
        name = rng.choices(names, [KINDS[n] for n in names])[0]
        return self.of(name)

    def any(self):
        """One of any kind, all as often."""
        return self.of(self.rng.choice(tuple(KINDS)))

    def of(self, name, may_be_spoilt=True):
        rng = self.rng
        payload = self.payload(name)
        if may_be_spoilt and rng.random() < 0.06:
            payload = self.spoil(name, payload)[:4096]
        return NAMES[name], payload

    def payload(self, name):
        rng = self.rng
        if rng.random() < 0.05:
            path = rng.choice(ELSEWHERE[name in ("WRITE", "MKDIR", "SET_PERMS")] if name != "RM" else ("/", "/none", "/none/x"))
        else:
            path = self.path((0, 1, 1, 2, 2, 2, 3, 3, 3, 3)) if name == "RM" else self.path()
        data = self.spelt(path) + b"\0"
        if name == "WRITE":
            value = rng.choice(VALUES)
            if rng.random() < 0.003:
                value = b"y" * (4096 - len(data))
            return data + value
        if name == "SET_PERMS":
            entries = [rng.choice(PERMISSIONS)] + rng.choices(ENTRIES, k=rng.choice((0, 0, 1, 2)))
            return data + b"".join(e + b"\0" for e in entries)
        if name == "DIRECTORY_PART":
            data = self.spelt(TOP if path == WIDE else path) + b"\0"  # parts of the list: Differential.wide()
            return data + rng.choice((b"0", b"0", b"0", b"00", b"1", b"2", b"3", b"1000")) + b"\0"
        if name in ("WATCH", "UNWATCH"):
            if rng.random() < 0.05:
                data = rng.choice(SPECIAL) + b"\0"
            if rng.random() < 0.03:  # with a longer path than the watch's, its events may not fit a message
                return data + b"L" * (4095 - len(data) - rng.randrange(5)) + b"\0"
            return data + rng.choice(TOKENS) + b"\0" + rng.choice((b"",) * 9 + (b"junk",))
        if name == "GET_DOMAIN_PATH":
            return rng.choice((b"0", b"1", b"5", b"123", b"32752") * 2 + ODD_NUMBERS) + b"\0"
        if name == "RESET_WATCHES":
            return rng.choice((b"\0", b"", b"x\0"))
        return data

    def spoil(self, name, payload):
        """A payload that is wrong, most often."""
        rng = self.rng
        path, nul, rest = payload.partition(b"\0")
        if name == "SET_PERMS" and rng.random() < 0.5:
            return path + nul + rng.choice(ODD_PERMISSIONS) + b"\0" + rng.choice((b"", b"r5\0", b"x\0", b"r5"))
        if rng.random() < 0.4:
            return rng.choice((b"", b"\0", path, payload + b"\0", payload + b"x", payload[:-1], path + nul + b"x\0" + rest,
                               payload + b"\0\0", path + b"\0\0" + rest))
        place = rng.randrange(len(path) + 1)
        bad = (path + b"/", b"/" + path, path + b"//x", path[:place] + b" " + path[place:], path + b".",
               path[:place] + b"\xe4" + path[place:], b"/local/domain/", b"//", b"")
        # SET_PERMS of special names does something: Differential.special().
        return rng.choice(bad if name == "SET_PERMS" else bad + (b"@" + path, b"@releaseDomain")) + nul + rest
