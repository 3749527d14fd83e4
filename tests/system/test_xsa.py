#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Xen's security advisories about its store daemons, each tried on ours: what attacked the others fails here. Each
function tells what went wrong there."""
import resource
import threading

from lib import git, harness
from lib.daemon import wait_for
from lib.guest import ERROR as ERROR_FIELD
from lib.guest import REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD
from lib.harness import check, equal
from lib.toolstack import World, introduced, refused, set_quota
from lib.wire import ERROR, HEADER, NAMES, PAYLOAD_MAX, Closed, XsError, pack, walk

OUT = (b"@releaseDomain", b"out")
KIB = 1024


def name_of(m):
    """The error's name, None for another message."""
    return m.payload[:-1].decode() if m.type == ERROR else None


def ignored(w, g, other, code, what):
    """The guest is not listened to any more; another one is."""
    wait_for(lambda: g.word(ERROR_FIELD) == code, f"the page of {g.domid} to say {code}", 30)
    other.write("data/fine", what)
    equal(other.read("data/fine"), what.encode(), f"{what}: others are served")


def served(g):
    """A guest whose requests are answered, and in step."""
    return g.read("name") == b"guest-%d" % g.domid


# -- the ring and the messages ----------------------------------------------------------------------


def xsa_38_ring_indexes():
    """oxenstored used the ring's indexes as the guest had set them, and read them twice."""
    with World() as w:
        other = w.guest(1)
        for domid, (offset, by) in enumerate(((REQ_PROD, 1025), (REQ_PROD, 0x80000000), (REQ_PROD, -1), (REQ_CONS, 1),
                                              (RSP_CONS, 1), (RSP_CONS, 0x7fffffff)), 2):
            g = w.guest(domid)
            g.sync()
            g.set_word(offset, g.word(offset) + by)
            if offset == RSP_CONS:  # it is looked at when something is to be sent
                g.put(pack(2, b"name\0"))
            g.notify()
            ignored(w, g, other, 2, f"XSA-38: word {offset} moved by {by}")
        # The indexes change between any two looks at them.
        g = w.guest(20)
        stop = threading.Event()

        def flip():
            base = g.word(REQ_PROD)
            while not stop.is_set():
                for value in (base, base + 16, base + 1024, base + 5000, base - 1):
                    g.set_word(REQ_PROD, value)
                g.notify()
        t = threading.Thread(target=flip)
        t.start()
        for n in range(300):
            other.write("data/n", str(n))
        stop.set()
        t.join()
        equal(other.read("data/n"), b"299", "XSA-38: while the indexes change under the daemon's eyes, others are served")
        w.end(20)


def xsa_72_long_replies():
    """A reply of more than 4096 bytes overran its buffer."""
    with World() as w:
        g = w.guest(1)
        w.c.mkdir("/local/domain/1/many")
        for n in range(80):
            w.c.mkdir(f"/local/domain/1/many/{'x' * 60}{n}")
        for c, who in ((g, "a guest"), (w.c, "a local client")):
            equal(refused(c.directory, "/local/domain/1/many"), "E2BIG", f"XSA-72: {who} is told of a list that fits no message")
            equal(len(c.directory_all("/local/domain/1/many")), 80, f"XSA-72: {who} gets it in parts")
            equal(c.read("/local/domain/1/name"), b"guest-1", f"XSA-72: {who}'s connection is in step")
        perms = ["n1"] + ["r65535"] * 255
        w.c.set_perms("/local/domain/1/many", perms)
        equal(len(g.get_perms("many")), 256, "XSA-72: the longest permission list fits")


def body_lengths():
    """(2013, without a number) The length of a message was taken as it came."""
    with World() as w:
        g = w.guest(1)
        for length in (0, 1, 15, 1023, 1024, 1025, 4095, 4096):
            for c in (g, w.c):
                c.send_bytes(HEADER.pack(NAMES["WRITE"], 1, 0, length) + b"\1" * length)
                m = c.reply()
                if (name_of(m), m.req) != ("EINVAL", 1):
                    check(False, f"a body of {length} bytes", m)
        check(served(g), "XSA of 2013 without number: bodies of 0 to 4096 bytes are taken")
        for length in (4097, 0x7fffffff, 0x80000000, 0xffffffff):
            c = w.d.client()
            c.send_bytes(HEADER.pack(NAMES["WRITE"], 1, 0, length))
            try:
                c.receive()
                check(False, f"a body of {length} bytes is answered")
            except Closed:
                pass
        check(served(g), "XSA of 2013 without number: longer ones end a connection, no other")


def xsa_420_huge_lengths():
    """A length of 2 GiB and more was negative for oxenstored, which then looped for ever."""
    with World() as w:
        other = w.guest(1)
        for domid, length in enumerate((4097, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff), 2):
            g = w.guest(domid)
            g.put(HEADER.pack(NAMES["WRITE"], 0, 0, length) + b"x" * 200)
            g.notify()
            ignored(w, g, other, 3, f"XSA-420: a length of {length}")
            at = g.word(REQ_CONS)
            g.put(pack(2, b"name\0"))
            g.notify()
            other.sync()
            equal(g.word(REQ_CONS), at, f"XSA-420: a length of {length}: nothing more is read of that guest")


def xsa_325_bad_guests_end():
    """The C daemon dropped a bad guest's record: nobody heard of its end, and the toolstack waited for ever."""
    with World() as w:
        other = w.guest(1)
        g = w.guest(2)
        g.set_word(REQ_PROD, g.word(REQ_CONS) + 2000)
        g.notify()
        ignored(w, g, other, 2, "XSA-325")
        check(introduced(w.c, 2), "XSA-325: a bad guest stays introduced")
        equal(w.c.read("/local/domain/2/name"), b"guest-2", "XSA-325: and keeps its nodes")
        w.c.take_events()
        w.host.shutdown(2)
        wait_for(lambda: OUT in w.c.sync(), "@releaseDomain at the shutdown of a bad guest")
        harness.ok("XSA-325: its shutdown is told")
        w.end(2)
        harness.ok("XSA-325: its end is told")
        check(not introduced(w.c, 2) and w.owned(2) == [], "XSA-325: and then it is gone")


def xsa_481_prefix_of_domains():
    """The path "/local/domain/" made the C daemon fail an assertion."""
    with World() as w:
        g = w.guest(1)
        bad = (b"/local/domain/", b"/local/domain//", b"/local/domain//1", b"/local/domain/1/", b"")
        payloads = {"DIRECTORY": b"", "READ": b"", "GET_PERMS": b"", "WRITE": b"v", "MKDIR": b"", "RM": b"",
                    "SET_PERMS": b"n1\0", "WATCH": b"t\0", "UNWATCH": b"t\0", "DIRECTORY_PART": b"0\0"}
        wrong = []
        for c in (g, w.c):
            for tx in (0, c.start()):
                for kind, rest in payloads.items():
                    for path in bad:
                        # one reply to each, and that one
                        c.send(NAMES[kind], path + b"\0" + rest, tx)
                        m = c.reply()
                        if name_of(m) != "EINVAL":
                            wrong.append((kind, path, tx, m))
        equal(wrong, [], "XSA-481: /local/domain/ and its kin are answered EINVAL, whatever is asked, by guests and others")
        check(served(g), "XSA-481: and the guest is served")


# -- what guests may see and do -----------------------------------------------------------------------


def xsa_115_watches():
    """Watch events told of paths that one may not read; questions about domains and special events were open to all;
    a failed creation was counted."""
    with World() as w:
        g, other = w.guest(1), w.guest(2)
        for path in ("/", "/local", "/local/domain/2", "/local/domain/2/secret", "@introduceDomain"):
            g.watch(path, "spy")
        g.sync()
        g.take_events()
        w.c.write("/local/domain/2/secret", "x")
        other.write("secret/deep", "y")
        tx = w.c.start()
        w.c.write("/local/domain/2/secret", "z", tx)
        w.c.rm("/local/domain/2/secret/deep", tx)
        w.c.end(tx)
        w.c.rm("/local/domain/2/secret")
        w.guest(3)
        equal(g.sync(), [], "XSA-115: no event of a node that the watcher may not read")
        w.c.write("/local/domain/2/open", "1")
        g.sync()
        w.c.set_perms("/local/domain/2/open", ["n2", "r1"])
        w.c.write("/local/domain/2/open", "2")
        check((b"/local/domain/2/open", b"spy") in g.sync(), "XSA-115: but of one that it may")
        w.c.set_perms("/local/domain/2/open", ["n2"])
        g.sync()
        w.c.write("/local/domain/2/open", "3")
        w.c.rm("/local/domain/2/open")
        equal(g.sync(), [], "XSA-115: and no more when it may not any more")
        for domid in (0, 1, 2, 77):
            equal(refused(introduced, g, domid), "EACCES", f"XSA-115: a guest may not ask whether {domid} is introduced")
        for kind in ("CONTROL", "INTRODUCE", "RELEASE", "RESUME", "SET_TARGET", "SET_FEATURE", "GET_QUOTA", "SET_QUOTA"):
            equal(refused(g.request, NAMES[kind], b"2\0001\0001\0"), "EACCES", f"XSA-115: nor {kind}")
        # WATCH and UNWATCH do not look at the transaction
        g.request(NAMES["WATCH"], b"data\0tx\0", 4711)
        g.request(NAMES["UNWATCH"], b"data\0tx\0", 4711)
        harness.ok("XSA-115: the transaction id of WATCH and UNWATCH is not looked at")
        # failed creations, of every kind
        before = w.usage(1)
        for path, error in (("/local/domain/2/x", "EACCES"), ("/local/domain/2/x/y", "EACCES"), ("/x", "EACCES"), ("data//x", "EINVAL")):
            equal(refused(g.write, path, "v"), error, f"XSA-115: a creation of {path} that fails")
        equal(refused(g.write, "a/b/c", b"v" * 2500), "ENOSPC", "XSA-115: and one too large")
        equal(w.usage(1), before, "XSA-115: failed creations are not counted")
        # A parent that is too large does not keep its children.
        g.mkdir("data/full/a")
        for n in range(60):
            w.c.mkdir(f"/local/domain/1/data/full/{'n' * 50}{n}")
        equal(refused(g.mkdir, "data/full/b"), "ENOSPC", "XSA-115: a guest's directory that is full")
        g.rm("data/full/a")
        harness.ok("XSA-115: a child of it can be removed")


def xsa_322_old_permissions():
    """What an old domain had been permitted, a new domain of the same number could use."""
    with World() as w:
        w.guest(5)
        w.c.mkdir("/shared")
        for letter in "rwb":
            w.c.write(f"/shared/{letter}", "secret")
            w.c.set_perms(f"/shared/{letter}", ["n0", f"{letter}5"])
        w.c.set_perms("/shared", ["n0", "r7", "b5"])
        w.c.set_perms("@introduceDomain", ["n0", "r5"])
        w.end(5)
        g = w.guest(5)

        def nothing(g, what):
            bad = [p for p in ("/shared", "/shared/r", "/shared/w", "/shared/b")
                   if refused(g.read, p) != "EACCES" or refused(g.write, p, "mine") != "EACCES" or
                   refused(g.get_perms, p) != "EACCES"]
            equal(bad, [], f"XSA-322: {what} has no use of the old one's permissions")
        nothing(g, "a new domain of that number")
        g.watch("@introduceDomain", "spy")
        g.sync()
        g.take_events()
        w.guest(6)
        equal(g.sync(), [], "XSA-322: nor of those on special events")
        equal(w.c.read("/shared/r"), b"secret", "XSA-322: other people's nodes are as they were")
        # A permission for a domain that is not there yet.
        w.c.set_perms("/shared/r", ["n0", "r8", "r9"])
        w.host.create(9)
        w.c.set_perms("/shared/w", ["n0", "r9"])
        equal(refused(w.guest(8).read, "/shared/r"), "EACCES", "XSA-322: nor one given before there was such a domain")
        w.end(8)
        equal(refused(w.guest(8).read, "/shared/r"), "EACCES", "XSA-322: in no later life")
    # In transactions that are open when the domain dies.
    with World() as w:
        for known in ("introduced", "known only by that permission"):
            for meanwhile in ("nothing else happens", "something else changes"):
                domid = w.host.create(30).domid if known != "introduced" else w.guest(30).domid
                w.c.write("/tx", "secret")
                w.c.set_perms("/tx", ["n0"])
                tx = w.c.start()
                w.c.set_perms("/tx", ["n0", f"b{domid}"], tx)
                w.end(domid)
                if meanwhile != "nothing else happens":
                    w.c.write("/elsewhere", "x")
                result = refused(w.c.end, tx)
                g = w.guest(30)
                equal(refused(g.read, "/tx"), "EACCES", f"XSA-322: a permission set in a transaction for a domain ({known}) that dies "
                      f"before the commit ({meanwhile}; END: {result}) is of no use for the next one")
                w.end(30)


def xsa_417_new_domains():
    """The check for old permissions was wrong for new domains: those set between creation and introduction."""
    with World() as w:
        w.c.write("/for7", "x")
        g = w.host.create(7)
        w.c.set_perms("/for7", ["n0", "r7"])
        w.c.write("/for7/child", "y")
        w.c.mkdir("/local/domain/7")
        w.c.set_perms("/local/domain/7", ["n7"])
        g.introduced_by(w.c)
        equal((g.read("/for7"), g.read("/for7/child")), (b"x", b"y"), "XSA-417: permissions given before INTRODUCE are good after it")
        g.write("mine", "1")
        harness.ok("XSA-417: and so is the ownership")
        g.introduced_by(w.c)
        equal(g.read("/for7"), b"x", "XSA-417: and both after another INTRODUCE")
        w.d.kill_server()
        wait_for(w.d.server_pid, "a new server")
        equal(g.read("/for7"), b"x", "XSA-417: and in a new server")
        w.pid = w.d.server_pid()
        w.c = w.d.client()
        w.c.watch("@releaseDomain", "out")
        w.end(7)
        equal(refused(w.guest(7).read, "/for7"), "EACCES", "XSA-417: not for the next domain 7")


def xsa_352_owners():
    """oxenstored let a guest give its nodes to another domain, and so charge them to it."""
    with World() as w:
        g = w.guest(1)
        w.guest(2)
        g.write("data/x", "1")
        for tx in (0, g.start()):
            for perms in (["n2"], ["n0"], ["n2", "b1"], ["b0", "r1", "w2"]):
                equal(refused(g.set_perms, "data/x", perms, tx), "EPERM", f"XSA-352: {perms[0]} is no owner that a guest may set")
        equal(w.c.get_perms("/local/domain/1/data/x"), [b"n1"], "XSA-352: the owner is as it was")
        w.c.write("/writable", "x")
        w.c.set_perms("/writable", ["n0", "b1"])
        equal(refused(g.set_perms, "/writable", ["n1"]), "EACCES", "XSA-352: nor does the right to write make an owner")
        g.set_perms("data/x", ["b1", "r2"])
        equal(w.c.get_perms("/local/domain/1/data/x"), [b"b1", b"r2"], "XSA-352: all but the owner may be changed")


def xsa_353_root():
    """oxenstored did not check permissions on the root."""
    with World() as w:
        g = w.guest(1)
        before = (w.c.read("/"), w.c.get_perms("/"), w.c.directory("/"))
        for tx in (0, g.start()):
            for what, f in (("READ", lambda: g.read("/", tx)), ("DIRECTORY", lambda: g.directory("/", tx)),
                            ("GET_PERMS", lambda: g.get_perms("/", tx)), ("WRITE", lambda: g.write("/", "x", tx)),
                            ("MKDIR", lambda: g.mkdir("/", tx)), ("RM", lambda: g.rm("/", tx)),
                            ("SET_PERMS", lambda: g.set_perms("/", ["b1"], tx)), ("WRITE below it", lambda: g.write("/x", "y", tx)),
                            ("MKDIR below it", lambda: g.mkdir("/x/y", tx)), ("RM below it", lambda: g.rm("/x", tx)),
                            ("DIRECTORY_PART", lambda: g.request(22, b"/\0000\0", tx))):
                equal(refused(f), "EACCES", f"XSA-353: {what} of / by a guest{' in a transaction' if tx else ''}")
        equal((w.c.read("/"), w.c.get_perms("/"), w.c.directory("/")), before, "XSA-353: it is as it was")


# -- domains that come and go -------------------------------------------------------------------------


def xsa_233_stub_domain():
    """The connection of a domain whose device model lives in a stub domain was freed twice when both died."""
    for order in ("target first", "stub domain first", "at once", "released"):
        with World() as w:
            target, stub = w.guest(10), w.guest(11)
            w.c.ok(NAMES["SET_TARGET"], b"11\00010\0")
            stub.write("/local/domain/10/by-stub", "1")
            for g in (target, stub):
                g.watch("@releaseDomain", "w")
                g.watch("/local/domain/10", "w")
                g.start()
                g.sync()
                g.put(pack(2, b"name\0") * 20)
                g.notify()
            if order == "released":
                w.c.ok(NAMES["RELEASE"], b"10\0")
                w.c.ok(NAMES["RELEASE"], b"11\0")
                w.host.destroy(10)
                w.host.destroy(11)
            elif order == "at once":
                w.host.destroy(10, tell=False)
                w.host.destroy(11)
            else:
                for domid in (10, 11) if order == "target first" else (11, 10):
                    w.end(domid)
            wait_for(lambda: not introduced(w.c, 10) and not introduced(w.c, 11), "the end of both")
            equal(w.owned(10) + w.owned(11), [], f"XSA-233: a domain and its stub domain end ({order}); their nodes are gone")
            equal(w.host.ports_of(10) + w.host.ports_of(11), 0, f"XSA-233: their event channels too ({order})")
            stub = w.guest(11)
            w.guest(10)
            equal(refused(stub.read, "/local/domain/10/name"), "EACCES", f"XSA-233: the next of that number is nobody's stub domain ({order})")


def xsa_419_orphans():
    """Nodes of dead domains stayed, and were charged to the control domain: with time it had no room left."""
    with World() as w:
        w.c.mkdir("/drop")
        empty = len(walk(w.c))
        counted = w.usage(0)["nodes"]
        for _ in range(3):
            g, peer = w.guest(4), w.guest(5)
            w.c.set_perms("/drop", ["n0", "b4"])
            for n in range(40):
                g.write(f"data/{n}/a/b", "x")
                g.write(f"/drop/{n}/a", "x")
            g.mkdir("for5")
            g.set_perms("for5", ["n4", "b5"])
            peer.write("/local/domain/4/for5/x", "lies in another one's")
            w.end(4)
            equal((w.owned(4), w.c.directory("/drop")), ([], []), "XSA-419: nothing is left of a dead domain, wherever it was")
            w.end(5)
            w.c.rm("/local/domain")
            w.c.set_perms("/drop", ["n0"])
        w.c.rm("/local")
        equal((len(walk(w.c)), w.usage(0)["nodes"]), (empty, counted), "XSA-419: the control domain inherits nothing")
        # A transaction that is open when the domain dies must not bring it back.
        for meanwhile in (False, True):
            w.host.create(6)
            tx = w.c.start()
            w.c.mkdir("/late", tx)
            w.c.set_perms("/late", ["n6"], tx)
            w.end(6)
            if meanwhile:
                w.c.write("/elsewhere", "x")
            result = refused(w.c.end, tx)
            equal(w.owned(6), [], f"XSA-419: nor do transactions leave nodes to the dead (END: {result})")
            if w.c.exists("/late"):
                w.c.rm("/late")


def xsa_483_counts():
    """What oxenstored had counted of a domain was counted of the next one of that number, too."""
    with World() as w:
        set_quota(w.c, "nodes", 50)
        for life in range(1, 5):
            g = w.guest(3)
            equal({k: v for k, v in w.usage(3).items() if k != "memory"}, {"nodes": 2, "watches": 0, "transactions": 0},
                  f"XSA-483: life {life} of a domid begins with what the toolstack made")
            made = 0
            while refused(g.mkdir, f"data/{made}") is None:
                made += 1
            watches = 0
            while refused(g.watch, "data", str(watches)) is None:
                watches += 1
            transactions = 0
            while refused(g.start) is None:
                transactions += 1
            equal((made, watches, transactions), (47, 128, 10), f"XSA-483: and may use all of its quota (life {life})")
            if life % 2:
                w.c.ok(NAMES["RELEASE"], b"3\0")
                w.host.destroy(3)
                wait_for(lambda: w.c.directory("/local/domain") == [], "its end")
            else:
                w.end(3)


def xsa_425_release_in_traffic():
    """RELEASE freed a connection that the daemon's main loop was about to serve."""
    with World() as w:
        guests = [w.guest(n) for n in range(1, 9)]
        for g in guests:
            g.watch("@releaseDomain", "out")
            g.watch("data", "w")
            g.sync()
            g.take_events()
        burst = b"".join(pack(11, b"data/%d\0" % n + b"v" * 20, 0, n) for n in range(18))
        for round_ in range(6):
            for g in guests:
                g.put(burst)
                g.notify()
            victim = guests.pop(round_ % len(guests))
            if round_ % 3 == 2:
                w.host.destroy(victim.domid)
                wait_for(lambda: not introduced(w.c, victim.domid), "an end")
            else:
                w.c.ok(NAMES["RELEASE"], b"%d\0" % victim.domid)
                w.host.destroy(victim.domid)
            for g in guests:
                if [m.req for m in (g.reply() for _ in range(18))] != list(range(18)):
                    check(False, f"guest {g.domid} is answered")
        told = [len([e for e in g.sync() if e[0] == b"@releaseDomain"]) for g in guests]
        equal(told, [6, 6], "XSA-425: domains end in the midst of everything; the others are answered, each end is told once")
        equal(sorted(w.c.directory("/local/domain")), sorted(b"%d" % g.domid for g in guests), "XSA-425: their nodes are gone")
        w.d.stop()
        equal(git.fsck(w.d.repo), "", "XSA-425: the repository is sound")
        w.d.start()
        w.pid = w.d.server_pid()


# -- creation, removal, transactions -------------------------------------------------------------------


def xsa_206_starvation():
    """A guest that writes all the time made every transaction on those nodes fail, for ever."""
    with World() as w:
        g = w.guest(1)
        g.write("data/x", "0")
        stop, writes, errors = threading.Event(), [0], []

        def write_on():
            try:
                while not stop.is_set():
                    g.write("data/x", str(writes[0]))
                    writes[0] += 1
            except Exception as e:
                errors.append(repr(e))
        t = threading.Thread(target=write_on)
        t.start()
        tries = []
        try:
            for n in range(10):
                for attempt in range(1, 21):
                    tx = w.c.start()
                    w.c.read("/local/domain/1/data/x", tx)
                    # What a toolstack does in one: enough for the guest to get in between.
                    for i in range(20):
                        w.c.write(f"/local/domain/1/dev/{i}", str(n), tx)
                    w.c.write("/local/domain/1/data/x", "toolstack", tx)
                    if refused(w.c.end, tx) is None:
                        break
                else:
                    attempt = None
                tries.append(attempt)
        finally:
            stop.set()
            t.join()
        harness.note(f"tries {tries}; the guest made {writes[0]} writes")
        check(None not in tries, "XSA-206: a guest that writes without end does not starve others' transactions: 10 of 10 commit "
              "within 20 tries each", tries)
        check(not errors and writes[0] > 10, "XSA-206: and is answered itself", errors or writes)


def xsa_272_every_creation_counts():
    """oxenstored forgot to count nodes on some ways of making them."""
    with World() as w:
        set_quota(w.c, "nodes", 20)
        g = w.guest(1)

        def as_counted(what):
            equal(w.usage(1)["nodes"], len(w.owned(1)), f"XSA-272: {what}: nodes are counted as they are")

        def full(what):
            wrong = []
            for f in (lambda: g.write("full", "x"), lambda: g.mkdir("full"), lambda: g.write("data/full/x", "y"),
                      lambda: g.mkdir("a/b/c/d")):
                if refused(f) != "ENOSPC":
                    wrong.append("directly")
                tx = g.start()
                if (refused(lambda: g.mkdir("in-tx", tx)), refused(g.end, tx)) != ("ENOSPC", "ENOMEM"):
                    wrong.append("in a transaction")
            equal(wrong, [], f"XSA-272: {what}: and there is no way beyond the limit")
            as_counted(what)
        g.write("a", "1")
        g.mkdir("b")
        g.write("c/d/e/f", "2")
        g.mkdir("g/h/i")
        as_counted("WRITE, MKDIR, implicit parents")
        tx = g.start()
        g.write("t/u", "1", tx)
        g.mkdir("v", tx)
        g.rm("b", tx)
        as_counted("before a commit")
        g.end(tx)
        as_counted("a transaction")
        tx = g.start()
        g.write("w/x/y", "1", tx)
        g.end(tx, False)
        as_counted("an abort")
        w.c.write("/given", "x")
        w.c.set_perms("/given", ["n1"])
        w.c.write("/given/by-parent", "x")
        as_counted("nodes given by their creator")
        w.c.set_perms("/given", ["n0"])
        as_counted("a node taken away")
        g.rm("c")
        as_counted("a subtree removed")
        n = 0
        while refused(g.mkdir, f"n{n}") is None:
            n += 1
        equal(len(w.owned(1)), 20, "XSA-272: the quota can be used to the full")
        full("one after the other")
        # Two transactions that fit, but not together.
        for k in range(3):
            g.rm(f"n{k}")
        one, two = g.start(), g.start()
        g.write("one/a", "1", one)
        g.write("two/a", "1", two)
        g.end(one)
        check(refused(g.end, two) in ("ENOSPC", "EAGAIN", "ENOMEM"), "XSA-272: two transactions do not exceed it together")
        as_counted("two transactions")


def xsa_323_relative_paths():
    """oxenstored measured a relative path before its prefix was put before it."""
    with World() as w:
        g = w.guest(1)
        set_quota(w.c, "nodes", 0, 1)
        set_quota(w.c, "node-size", 0, 1)
        home = "/local/domain/1/"
        longest = ("x" * 63 + "/") * 31 + "y" * 64
        equal(len(longest), 2048, "the length of the longest relative path")
        for prefix, what in (("", "relative"), (home, "absolute")):
            for kind, rest in (("WRITE", b"v"), ("MKDIR", b""), ("READ", b""), ("WATCH", b"t" + prefix[:1].encode() + b"\0"), ("RM", b"")):
                for more, error in (("", None), ("y", "EINVAL")):
                    got = refused(g.request, NAMES[kind], (prefix + longest + more).encode() + b"\0" + rest)
                    if kind == "WATCH" and prefix and error is None:
                        error = got if got == "EEXIST" else None
                    equal(got, error, f"XSA-323: {kind} of a path of {len(longest + more)} characters ({what})")
        g.sync()
        equal(refused(g.read, longest), "ENOENT", "XSA-323: both spellings mean one node, which is gone")


def xsa_324_long_events():
    """An event is as long as path and token together: more than a message holds, with a long token."""
    with World() as w:
        set_quota(w.c, "node-size", 0)
        g, local = w.guest(1), w.d.client()
        for c in (g, local):
            for size in (4096 - len("/local/domain/1/data") - 2, 3000):
                c.watch("/local/domain/1/data", b"t" * size)
        for c in (g, local):
            c.sync()
            c.take_events()
        long = "x" * 500
        for n in range(20):
            w.c.write(f"/local/domain/1/data/{long}/{'y' * 60 * n}", str(n)) if n else w.c.write("/local/domain/1/data", "0")
        w.c.rm("/local/domain/1/data")
        for c, who in ((g, "a guest"), (local, "a local client")):
            lengths = [len(p) + len(t) + 2 for p, t in c.sync()]
            check(len(lengths) > 5 and max(lengths) <= PAYLOAD_MAX, f"XSA-324: {who} gets the events that fit a message, no others", lengths)
            equal(c.read("/local/domain/1/name"), b"guest-1", f"XSA-324: {who}'s connection is in step")
        equal(refused(g.watch, "data", b"t" * 4090), None, "XSA-324: the longest token is taken")
        w.c.write("/local/domain/1/data/x", "1")
        check(all(len(p) + len(t) + 2 <= PAYLOAD_MAX for p, t in g.sync()), "XSA-324: though nothing but its first event fits")


def xsa_330_reset_watches():
    """RESET_WATCHES left entries in oxenstored's index of watches."""
    with World() as w:
        g = w.guest(1)
        before = w.usage(1)
        for _ in range(30):
            n = 0
            while refused(g.watch, ("data", "data/a", "/local/domain/1/data/b", "@releaseDomain")[n % 4], str(n)) is None:
                n += 1
            g.request(NAMES["RESET_WATCHES"], b"\0")
            g.sync()
            g.take_events()
            if n != 128 or w.usage(1) != before:
                check(False, "XSA-330: watches after RESET_WATCHES", (n, w.usage(1), before))
                return
        harness.ok("XSA-330: after RESET_WATCHES all 128 watches can be set again, thirty times; the counts are as before")
        g.write("data/a", "x")
        w.c.write("/local/domain/1/data/b", "x")
        w.guest(2)
        w.end(2)
        equal(g.sync(), [], "XSA-330: and nothing fires")


def xsa_414_failed_creation():
    """A creation that failed half way was not undone, or wrongly."""
    with World() as w:
        set_quota(w.c, "nodes", 10)
        g = w.guest(1)
        g.mkdir("data")
        w.c.watch("/local/domain/1", "all")
        w.c.sync()
        w.c.take_events()
        before, counted = walk(w.c), w.usage(1)
        for path, value, error in (("data/" + "/".join("abcdefghij"), "x", "ENOSPC"), ("data/a/b/c", "v" * 3000, "ENOSPC"),
                                   ("data/" + "n" * 2030, "x", "ENOSPC"), ("data/a/" + "n" * 2039, "x", "ENOSPC")):
            equal(refused(g.write, path, value), error, f"XSA-414: a creation with {path.count('/')} levels and {len(value)} bytes")
            tx = g.start()
            equal(refused(g.write, path, value, tx), error, "XSA-414: and in a transaction")
            equal(sorted(g.directory("data", tx)), [], "XSA-414: which sees nothing of it")
            equal(refused(g.end, tx), "ENOMEM", "XSA-414: and cannot commit")
        equal(walk(w.c) == before and w.usage(1) == counted, True, "XSA-414: nothing is left of any, and nothing is counted")
        equal(w.c.sync(), [], "XSA-414: and no event has come")
        g.write("data/a/b/c", "fits")
        equal(g.read("data/a/b/c"), b"fits", "XSA-414: one that fits can be made")


def xsa_415_failed_creation_in_transaction():
    """A creation that failed within a transaction left nodes without a parent, which nobody could remove."""
    with World() as w:
        set_quota(w.c, "nodes", 10)
        g = w.guest(1)
        before, counted = walk(w.c), w.usage(1)
        for n in range(20):
            tx = g.start()
            g.write("good", "x", tx)
            for _ in range(n % 4):
                refused(g.write, "/".join(["p"] * 12), "x", tx)
            equal(refused(g.write, "p/q/r/s/t/u/v/w/x/y", "x", tx), "ENOSPC", f"XSA-415: creation {n} fails")
            g.mkdir("good2", tx)
            equal(refused(g.end, tx, n % 2 == 0), "ENOMEM" if n % 2 == 0 else None, "XSA-415: the transaction is doomed, or aborted")
        check(walk(w.c) == before and w.usage(1) == counted, "XSA-415: nothing is left of any")
        equal(w.c.control("check"), b"OK\0", "XSA-415: the daemon's own check finds nothing")
        w.d.stop()
        equal(git.fsck(w.d.repo), "", "XSA-415: the repository is sound")
        w.d.start()
        w.pid = w.d.server_pid()
        check(walk(w.d.client()) == before, "XSA-415: and has just that")


def xsa_416_request_memory():
    """The memory of a request was kept until its reply had been read."""
    with World() as w:
        clients = [w.d.client() for _ in range(50)]
        request = pack(NAMES["WRITE"], b"/bad path\0" + b"v" * 4000, 0, 1)
        rounds, each = 40, 20
        before = w.d.memory_kib("RssAnon")
        for _ in range(rounds):
            for c in clients:
                c.send_bytes(request * each)
            w.c.sync()
        sent = len(clients) * rounds * each
        # They are executed in order: the last reply to come says that all requests were taken.
        grown = w.d.memory_kib("RssAnon") - before
        harness.note(f"{sent * len(request) >> 20} MiB of requests whose replies nobody reads: the daemon grew by {grown} KiB")
        check(grown * KIB < sent * len(request) // 4, "XSA-416: requests do not stay in memory until their replies are read", grown)
        got = 0
        for c in clients:
            for _ in range(rounds * each):
                got += name_of(c.receive()) == "EINVAL"
        equal(got, sent, "XSA-416: each has its reply")
        # A guest that takes no replies.
        g = w.guest(1)
        before = w.d.memory_kib("RssAnon")
        rest = request * 300
        for _ in range(200):
            rest = g.put(rest)
            g.notify()
            w.c.sync()
        grown = w.d.memory_kib("RssAnon") - before
        check(grown * KIB < 1 << 20, "XSA-416: nor do those of a guest", grown)


def xsa_418_deep_trees():
    """Deep trees were walked by recursion, until the stack was full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (512 * KIB, hard))  # which the daemon inherits
    try:
        w = World()
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
    with w:
        set_quota(w.c, "nodes", 0)
        set_quota(w.c, "transaction-nodes", 0)
        g = w.guest(1)
        deep = "/".join(["d"] * 1024)
        for _ in range(3):
            g.write(deep, "bottom")
            equal(g.read(deep), b"bottom", "XSA-418: a guest makes a thousand levels")
            g.rm("d")
        tx = g.start()
        g.write(deep, "x", tx)
        g.end(tx, False)
        tx = g.start()
        g.write(deep, "x", tx)
        g.rm("d", tx)
        g.write(deep, "x", tx)
        g.end(tx)
        harness.ok("XSA-418: in transactions too")
        g.watch(deep, "w")
        g.sync()
        w.end(1)
        equal(w.owned(1), [], "XSA-418: they end with the domain")
        w.c.write("/d" * 2047, "x")
        w.c.control("check")
        w.d.kill()
        w.d.start()
        w.pid = w.d.server_pid()
        w.c = w.d.client()
        equal(w.c.read("/d" * 2047), b"x", "XSA-418: the deepest path that a message holds survives a death")
        w.c.rm("/d")


def xsa_421_create_and_remove():
    """Nodes made and removed in one transaction made its commit fail half way: some of it was done, some not."""
    with World() as w:
        g = w.guest(1)
        g.write("data/old", "1")
        g.write("data/old2/below", "1")
        w.c.watch("/local/domain/1/data", "w")
        w.c.sync()
        w.c.take_events()
        tx = g.start()
        for n in range(20):
            g.write(f"data/new{n}/x", "1", tx)
            g.rm(f"data/new{n}", tx)
        g.rm("data/old", tx)
        g.write("data/old", "2", tx)
        g.rm("data/old2", tx)
        g.write("data/stays", "1", tx)
        g.write("data/goes", "1", tx)
        g.rm("data/goes", tx)
        g.end(tx)
        equal(sorted(g.directory("data")), [b"old", b"stays"], "XSA-421: a transaction that makes and removes nodes commits as a whole")
        equal((g.read("data/old"), refused(g.read, "data/old/x")), (b"2", "ENOENT"), "XSA-421: with what it wrote")
        equal(w.usage(1)["nodes"], len(w.owned(1)), "XSA-421: and is counted so")
        named = {p for p, _ in w.c.sync()}
        equal([p for p in named if b"new" in p or b"goes" in p], [], "XSA-421: what came and went is not told")
        # One that cannot commit: nothing of it is done.
        set_quota(w.c, "nodes", w.usage(1)["nodes"] + 3, 1)
        before, counted = walk(w.c), w.usage(1)
        tx = g.start()
        g.rm("data/stays", tx)
        for n in range(4):
            g.write(f"data/more{n}", "x", tx)
        g.mkdir("direct", 0)
        g.mkdir("direct2", 0)
        error = refused(g.end, tx)
        check(error in ("ENOSPC", "ENOMEM", "EAGAIN"), "XSA-421: a commit that would exceed the quota fails", error)
        g.rm("direct")
        g.rm("direct2")
        check(walk(w.c) == before and w.usage(1) == counted, "XSA-421: and does nothing by halves")


def xsa_484_reset_in_transaction():
    """RESET_WATCHES within a transaction ended that transaction under the daemon's hands: a failed assertion."""
    with World() as w:
        g = w.guest(1)
        for c, who in ((g, "a guest"), (w.d.client(), "a local client")):
            others = [c.start() for _ in range(3)]
            tx = c.start()
            c.watch("data", "w")
            c.write("/local/domain/1/data/x", "1", tx)
            c.ok(NAMES["RESET_WATCHES"], b"\0", tx)
            for gone in others + [tx]:
                equal((refused(c.read, "/local/domain/1/name", gone), refused(c.end, gone)), ("ENOENT", "ENOENT"),
                      f"XSA-484: after {who}'s RESET_WATCHES in a transaction, that one and others are gone")
            equal(refused(c.read, "/local/domain/1/data/x"), "ENOENT", "XSA-484: and have done nothing")
            tx = c.start()
            c.write("/local/domain/1/data/y", "1", tx)
            c.end(tx)
            c.rm("/local/domain/1/data")
        equal(w.usage(1)["transactions"], 0, "XSA-484: none is counted any more")


# -- too much of everything -----------------------------------------------------------------------------


def xsa_326_limits():
    """Nothing limited what a guest could make the daemon hold: replies, events, transactions, nodes, watches.
    (test_memory measures what all of it comes to.)"""
    with World() as w:
        g, other = w.guest(1), w.guest(2)

        def until(f, most=3000):
            for n in range(most):
                error = refused(f, n)
                if error:
                    return n, error
            return most, None
        equal(until(lambda n: g.watch("data", str(n))), (128, "ENOSPC"), "XSA-326: watches are limited")
        g.request(NAMES["RESET_WATCHES"], b"\0")
        equal(until(lambda n: g.start()), (10, "ENOSPC"), "XSA-326: transactions are limited")
        g.request(NAMES["RESET_WATCHES"], b"\0")
        for what, nodes in (("present", True), ("absent", False)):
            if nodes:
                set_quota(w.c, "nodes", 0, 1)
                for n in range(1100):
                    g.mkdir(f"tn/{n // 100}/{n}")
            tx = g.start()
            equal(until(lambda n: g.read(f"tn/{n // 100}/{n}", tx) if nodes else absent(g, f"none/{n}", tx)), (1024, "ENOSPC"),
                  f"XSA-326: nodes that one transaction looks at are limited, {what} ones")
            equal(refused(g.end, tx), "ENOMEM", f"XSA-326: which dooms it ({what})")
            g.request(NAMES["RESET_WATCHES"], b"\0")
        g.rm("tn")
        set_quota(w.c, "nodes", 1000, 1)
        count, error = until(lambda n: g.mkdir(f"q/{n // 100}/{n}"))
        equal((error, len(w.owned(1))), ("ENOSPC", 1000), "XSA-326: nodes are limited")
        g.rm("q")
        equal(refused(g.write, "big", b"v" * 2048), "ENOSPC", "XSA-326: a node's size is limited")
        equal(refused(g.set_perms, "name", ["n1"] + ["r2"] * 5), "ENOSPC", "XSA-326: and its permission list")
        set_quota(w.c, "nodes", 0, 1)
        count, error = until(lambda n: g.write(f"m/{n // 50}/{n}", b"v" * 2000))
        memory = w.usage(1)["memory"]
        check(error == "ENOMEM" and 2_600_000 < memory <= 2_621_440, "XSA-326: memory is limited", (count, error, memory))
        equal(refused(g.watch, "m", b"t" * 2000 + b"x" * 1000), None if memory + 3020 <= 2_621_440 else "ENOMEM", "XSA-326: watches count in it")
        g.rm("m")
        # A guest that takes no replies is not read.
        request = pack(2, b"name\0", 0, 1)
        rest = request * 400
        for _ in range(100):
            rest = g.put(rest)
            g.notify()
            other.read("name")
        taken = (400 * len(request) - len(rest) - ((g.word(REQ_PROD) - g.word(REQ_CONS)) & 0xffffffff)) // len(request)
        check(taken * (16 + 7) <= 1024 + 20 * 4112 + 8192, "XSA-326: a guest that takes no replies is not read for long", taken)
        check(rest, "XSA-326: its ring stays full")


def absent(g, path, tx):
    """A look at what is not there."""
    try:
        g.read(path, tx)
    except XsError as e:
        if e.name != "ENOENT":
            raise


def xsa_349_equal_events():
    """A flood of events for one node filled the memory of the guest's kernel (and, in the daemon, the queue)."""
    with World() as w:
        g = w.guest(1)
        token = b"t" * 900
        g.watch("data", token)
        g.sync()
        g.take_events()
        for n in range(3000):
            w.c.write("/local/domain/1/data", str(n))
        got = g.sync()
        check(0 < len(got) <= 24, "XSA-349: of 3000 equal events a guest that was not looking gets a few", len(got))
        # Never those that are counted on.
        g.watch("@releaseDomain", token)
        g.sync()
        g.take_events()
        for _ in range(40):
            w.guest(2)
            w.end(2)
        equal(len(g.sync()), 40, "XSA-349: but every @releaseDomain")


def socket_buffer():
    """Bytes that lie between two processes."""
    with open("/proc/sys/net/core/wmem_default", encoding="ascii") as f:
        return int(f.read())


def xsa_354_flood_for_an_agent():
    """A guest's writes flooded an agent of the control domain that watches them."""
    with World() as w:
        g, agent = w.guest(1), w.d.client()
        token = b"t" * 3000
        agent.watch("/local/domain/1/data", token)
        agent.sync()
        agent.take_events()
        set_quota(w.c, "node-size", 0, 1)
        for n in range(3000):
            g.write("data/attr", str(n))
        got = agent.sync()
        harness.note(f"3000 events of 3 KB came to {len(got)}")
        check(0 < len(got) < 1000, "XSA-354: equal events for who does not read are merged", len(got))
        for n in range(3000):
            g.write(f"data/attr{n % 900}", str(n))
        got = agent.sync()
        # what is queued, and what lay in its socket and in the buffer of its connection
        most = (1 << 20) + 2 * socket_buffer() + 16 * KIB
        check(sum(len(p) + len(t) + 18 for p, t in got) <= most, "XSA-354: of different ones it gets what is bounded", len(got))
        agent.sync()
        equal(agent.read("/local/domain/1/data/attr299"), b"2999", "XSA-354: the agent sees the last state")


harness.main(xsa_38_ring_indexes, xsa_72_long_replies, body_lengths, xsa_206_starvation, xsa_233_stub_domain,
             xsa_272_every_creation_counts, xsa_115_watches, xsa_322_old_permissions, xsa_323_relative_paths,
             xsa_324_long_events, xsa_325_bad_guests_end, xsa_326_limits, xsa_330_reset_watches, xsa_349_equal_events,
             xsa_352_owners, xsa_353_root, xsa_354_flood_for_an_agent, xsa_414_failed_creation,
             xsa_415_failed_creation_in_transaction, xsa_416_request_memory, xsa_417_new_domains, xsa_418_deep_trees,
             xsa_419_orphans, xsa_420_huge_lengths, xsa_421_create_and_remove, xsa_425_release_in_traffic,
             xsa_481_prefix_of_domains, xsa_483_counts, xsa_484_reset_in_transaction)
