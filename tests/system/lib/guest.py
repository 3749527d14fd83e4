# SPDX-License-Identifier: MIT
"""Simulated guests on an emulated Xen host (tests/fakexen): they outlive the daemon, as real ones do. A guest is a
Client whose bytes go through a ring; like a real one it looks at its ring only when it has been rung."""
import collections
import ctypes
import os
import time

from . import harness
from .daemon import Daemon
from .wire import HANG, Client

RING = 1024
LAZY_SCAN = 2.0  # seconds after which a guest is looked at that did not ring
REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, FEATURES, CONNECTION, ERROR, EVTCHN_PORT = range(2048, 2080, 4)


def library():
    path = os.path.join(harness.options.build, "tests", "fakexen", "libfakeguest.so")
    lib = ctypes.CDLL(path)
    u, p = ctypes.c_uint, ctypes.c_void_p
    for name, result, *args in (
            ("host", p, ctypes.c_char_p), ("create", ctypes.c_int, p, u), ("shutdown", ctypes.c_int, p, u), ("resume", ctypes.c_int, p, u),
            ("destroy", ctypes.c_int, p, u, ctypes.c_int), ("port", u, p, u), ("notify", ctypes.c_int, p, u),
            ("rung", ctypes.c_int, p, u), ("close", ctypes.c_int, p, u), ("set_id", None, p, u, u), ("connected", ctypes.c_int, p, u), ("ports_of", u, p, u),
            ("rebind", u, p, u, u),
            ("status_calls", u, p), ("page", p, p, u), ("load", u, p), ("store", None, p, u)):
        f = getattr(lib, "guest_" + name)
        f.restype, f.argtypes = result, args
    return lib


class XenHost:
    """An emulated host with our daemon as its xenstored."""

    def __init__(self, directory=None, xen=None):
        self.dir = directory or harness.temporary("host")
        self.xen = xen or os.path.join(self.dir, "xen")
        os.makedirs(self.xen, exist_ok=True)
        self.lib = library()
        self.handle = self.lib.guest_host(self.xen.encode())
        if not self.handle:
            raise RuntimeError("no emulated host")
        self.domains = set()  # that were made here and exist

    def daemon(self, options=()):
        preload = os.path.join(harness.options.build, "tests", "fakexen", "libfakexen.so")
        return XenDaemon(directory=self.dir, options=options, env={"FAKEXEN_DIR": self.xen, "LD_PRELOAD": preload})

    def create(self, domid):
        self._do(self.lib.guest_create(self.handle, domid))
        self.domains.add(domid)
        return Guest(self, domid)

    def control_domain(self):
        """Its kernel, whose ring was there before any domain."""
        with open(os.path.join(self.xen, "proc", "xen", "xsd_port"), encoding="ascii") as f:
            return Guest(self, 0, port=int(f.read()))

    def shutdown(self, domid):
        self._do(self.lib.guest_shutdown(self.handle, domid))

    def resume(self, domid):
        """It runs on, after a suspension that was taken back."""
        self._do(self.lib.guest_resume(self.handle, domid))

    def destroy(self, domid, tell=True):
        self._do(self.lib.guest_destroy(self.handle, domid, tell))
        self.domains.discard(domid)

    def set_id(self, domid, id_):
        """What the toolstack has in the place of a UUID."""
        self.lib.guest_set_id(self.handle, domid, id_)

    def ports_of(self, domid):
        return self.lib.guest_ports_of(self.handle, domid)

    @staticmethod
    def _do(result):
        if result < 0:
            raise OSError(-result, os.strerror(-result))


class XenDaemon(Daemon):
    def command(self):
        return [a for a in super().command() if a != "--standalone"]


class Guest(Client):
    """The kernel of a domain. `c.introduce(guest)` of a toolstack connects it. Its style says when it rings: after all that
    it writes and reads; as Linux does, only if the daemon may be waiting, which it then must find out by itself; or
    after all that it writes and never after what it reads."""
    ALWAYS, NEEDED, SILENT = "always", "needed", "silent"

    def __init__(self, host, domid, timeout=HANG, port=None):  # no connection to open
        self.host, self.domid, self.timeout = host, domid, timeout
        self.events, self.next_req, self.buffer = collections.deque(), 1, bytearray()
        self.lib = host.lib
        self.page = self.lib.guest_page(host.handle, domid)
        self.bytes = (ctypes.c_ubyte * 4096).from_address(self.page)
        self.port = port or self.lib.guest_port(host.handle, domid)
        self.lazy = False  # does not notify
        self.style = self.ALWAYS

    def close(self):
        pass

    def introduced_by(self, client):
        client.ok(8, b"%d\0%d\0%d\0" % (self.domid, 1, self.port))
        return self

    # -- the page ---------------------------------------------------------------------------------

    def word(self, offset):
        return self.lib.guest_load(self.page + offset)

    def set_word(self, offset, value):
        self.lib.guest_store(self.page + offset, value & 0xffffffff)

    def notify(self):
        self.lib.guest_notify(self.host.handle, self.port)

    def close_port(self):
        """As any guest may."""
        self.lib.guest_close(self.host.handle, self.port)

    def rebind(self):
        """Resets its event channels and connects another port to the daemon's, from its own side, as Windows does."""
        port = self.lib.guest_rebind(self.host.handle, self.domid, self.port)
        if not port:
            raise RuntimeError(f"guest {self.domid} cannot bind its port {self.port} anew")
        self.port = port

    def rung(self):
        return bool(self.lib.guest_rung(self.host.handle, self.port))

    def connected(self):
        return bool(self.lib.guest_connected(self.host.handle, self.port))

    def _await_ring(self, what):
        deadline = time.monotonic() + self.timeout
        while not self.rung():
            if time.monotonic() > deadline:
                raise RuntimeError(f"guest {self.domid} was not rung, waiting for {what}: "
                                   f"req {self.word(REQ_CONS)}..{self.word(REQ_PROD)} "
                                   f"rsp {self.word(RSP_CONS)}..{self.word(RSP_PROD)} error {self.word(ERROR)}")
            time.sleep(0.0002)

    # -- Client's raw halves ----------------------------------------------------------------------

    def put(self, data):
        """Puts as much into the ring as fits, gives the rest; rings nobody."""
        prod = self.word(REQ_PROD)
        room = RING - ((prod - self.word(REQ_CONS)) & 0xffffffff)
        piece = data[:room]
        for i, b in enumerate(piece):
            self.bytes[(prod + i) % RING] = b
        self.set_word(REQ_PROD, prod + len(piece))
        return data[len(piece):]

    def take(self, most=RING):
        """What lies in the other ring; the daemon is rung."""
        cons, prod = self.word(RSP_CONS), self.word(RSP_PROD)
        n = (prod - cons) & 0xffffffff
        if n > RING:
            raise AssertionError(f"the daemon made the indexes {cons} {prod}")
        n = min(n, most)
        data = bytes(self.bytes[RING + (cons + i) % RING] for i in range(n))
        self.set_word(RSP_CONS, cons + n)
        # It was full before, as far as the daemon can have seen.
        waits = (self.word(RSP_PROD) - cons) & 0xffffffff >= RING
        if n and not self.lazy and (self.style == self.ALWAYS or self.style == self.NEEDED and waits):
            self.notify()
        return data

    def put_and_ring(self, data):
        prod = self.word(REQ_PROD)
        rest = self.put(data)
        # The daemon had read everything before that.
        waits = (self.word(REQ_CONS) - prod) & 0x80000000 == 0
        if len(rest) != len(data) and not self.lazy and (self.style != self.NEEDED or waits):
            self.notify()
        return rest

    def send_bytes(self, data):
        while data:
            before = len(data)
            data = self.put_and_ring(data)
            if data and len(data) == before:
                self.buffer += self.take()
                self._await_ring("room")

    def fill(self):
        data = self.take()
        while not data:
            self._await_ring("a message")
            data = self.take()
        self.buffer += data
