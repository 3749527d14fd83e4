# SPDX-License-Identifier: MIT
"""What a toolstack does to guests, in both daemons: they are made, change, and go, with their watches and open
transactions; and their numbers are used again."""
from . import guest_differences as differences
from .guest_comparison import GuestComparison, Step
from .guest_requests import SHARED, SPECIAL, home
from .host_pair import DOM0, GUESTS, WITNESS
from .wire import NAMES

STUB, TARGET = 3, 1  # the first has the rights of the second
RESUMED = 2  # may be RESUMEd at any time: it never shuts down


class GuestLife(GuestComparison):
    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.alive = set()  # introduced
        self.down = set()  # shut down; not RESUMED, the emulated host cannot do its part
        self.released = set()  # there are such domains, and the daemons know it no more
        for domid in GUESTS:
            self.make(domid)
        self.places()

    def dom0(self, name, payload, ok=True):
        """A request of the toolstack that cannot fail."""
        replies = self.do(Step(DOM0, NAMES[name], payload))
        if ok and replies.ours.payload != b"OK\0":
            self.fail("refused")

    def places(self):
        """The shared tree and the homes of guests, where they are missing or were taken away."""
        self.dom0("MKDIR", SHARED.encode() + b"\0")
        self.dom0("SET_PERMS", SHARED.encode() + b"\0b0\0")
        for domid in sorted(self.alive):
            self.home(domid)

    def home(self, domid):
        self.dom0("MKDIR", home(domid).encode() + b"\0")
        self.dom0("SET_PERMS", b"%s\0n%d\0" % (home(domid).encode(), domid))

    def make(self, domid):
        """A domain comes to be (or was released), and gets to know the daemons."""
        if domid not in self.released:
            self.touch("/", life=True)
            self.lock.create(domid)
        else:
            self.lock.new_ring(domid)
        self.released.discard(domid)
        self.down.discard(domid)
        self.home(domid)
        self.introduce(domid)
        self.alive.add(domid)
        if {STUB, TARGET} <= self.alive and domid in (STUB, TARGET):
            self.dom0("SET_TARGET", b"%d\0%d\0" % (STUB, TARGET))

    def introduce(self, domid):
        """Its connection begins anew, if it had one."""
        self.gone(domid)
        self.dom0("INTRODUCE", self.lock.introduction(domid))

    def end(self, domid, how):
        """It is released, or ends. One that has shut down only ends: the emulated host would tell of its shutdown again."""
        how = "end" if domid in self.down else how
        if domid == TARGET and STUB in self.alive:
            self.end(STUB, how)  # 4.17 keeps a domain for as long as its stub domain lives
        self.coverage.life[how, "with transactions" if any(k[0] == domid for k in self.open) else "without"] += 1
        self.gone(domid)
        self.alive.discard(domid)
        self.touch("/", life=True)
        step = Step(DOM0, None, b"%s %d\0" % (how.encode(), domid), domid=domid)
        if how == "release":
            self.released.add(domid)
            step.kind = NAMES["RELEASE"]
            self.dom0("RELEASE", b"%d\0" % domid)
        else:
            self.recent.append(step)
            self.lock.end(domid)
            self.compare_events(step, self.gather(WITNESS, True))
        step.kind = None
        self.take_out_entries(step)

    def shutdown(self, domid):
        """It shuts down: told once, and it is still served until it ends."""
        step = Step(DOM0, None, b"shutdown %d\0" % domid, domid=domid)
        self.recent.append(step)
        self.lock.end(domid, shutdown=True)
        self.compare_events(step, self.gather(WITNESS, True))
        self.down.add(domid)

    def take_out_entries(self, step):
        """The one difference that lasts is mended."""
        ours, theirs = self.stores()
        for path in sorted(ours.keys() & theirs.keys()):
            o, t = ours[path][1], theirs[path][1]
            if o == t:
                continue
            found = differences.find("store", step, o, t)
            if not found:
                self.fail(f"the end of {step.domid} leaves other lists of {path.decode()}: ours {o}, theirs {t}")
            self.coverage.differences[found.name] += 1
            self.dom0("SET_PERMS", path + b"\0" + b"".join(p + b"\0" for p in o))
        for name in SPECIAL:  # both take them out of these, and of what is left 4.17 tells nothing
            self.dom0("SET_PERMS", name.encode() + b"\0n0\0")
        self.compare_stores()

    def life(self, rng):
        """Something that befalls a guest."""
        idle = sorted(set(GUESTS) - self.alive)
        if idle and rng.random() < 0.6:
            self.coverage.life["made again", "after its release" if idle[0] in self.released else "after its end"] += 1
            return self.make(rng.choice(idle))
        if len(self.alive) < 2:
            return None
        domid = rng.choice(sorted(self.alive))
        what = rng.choice(("release", "end", "end", "introduce", "shutdown", "special"))
        if what == "introduce":
            self.coverage.life["introduced again", "with transactions" if any(k[0] == domid for k in self.open) else "without"] += 1
            return self.introduce(domid)
        if what == "special":
            return self.dom0("SET_PERMS", rng.choice(SPECIAL).encode() + b"\0n0\0" + rng.choice((b"r%d\0" % domid, b"")))
        if what == "shutdown":
            if domid in (RESUMED, *self.down):
                return None
            self.coverage.life["shut down", ""] += 1
            return self.shutdown(domid)
        return self.end(domid, what)
