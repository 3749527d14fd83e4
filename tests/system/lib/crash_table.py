# SPDX-License-Identifier: MIT
"""The file through which a daemon with crash points is told where to die: see xsgit/base/crash_point.hpp."""
import mmap
import struct

MOST, NAME = 256, 48
ENTRY = struct.Struct(f"={NAME}sQQ")


class CrashTable:
    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as f:
            f.truncate(MOST * ENTRY.size)
            self.map = mmap.mmap(f.fileno(), 0)
        self.places = {}
        self.armed = {}  # name: the count at which it dies

    def read(self):
        """Learns the points that programs have entered."""
        for at in range(0, MOST * ENTRY.size, ENTRY.size):
            name = ENTRY.unpack_from(self.map, at)[0].rstrip(b"\0").decode()
            if name:
                self.places[name] = at

    def names(self):
        return list(self.places)

    def passed(self, name):
        return struct.unpack_from("=Q", self.map, self.places[name] + NAME)[0]

    def counts(self):
        return {n: self.passed(n) for n in sorted(self.places)}

    def _kill_at(self, name, count):
        struct.pack_into("=Q", self.map, self.places[name] + NAME + 8, count)

    def arm(self, name, passage):
        """The process that passes there for the `passage`th time from now dies. It may pass while this is written."""
        while True:
            at = self.passed(name) + passage
            self._kill_at(name, at)
            if self.passed(name) < at:
                break
        self.armed[name] = at

    def struck(self, name):
        return self.passed(name) >= self.armed[name]

    def disarm(self):
        for name in self.armed:
            self._kill_at(name, 0)
        self.armed = {}
