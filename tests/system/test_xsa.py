#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Xen's security advisories about its store daemons, each tried on ours: what attacked the others fails here. Each
function tells what went wrong there. Here: the ring and its messages, what guests may see and do, domains that come
and go; test_xsa_limits has the others."""
import threading

from lib import git, harness
from lib.daemon import wait_for
from lib.guest import ERROR as ERROR_FIELD
from lib.guest import REQ_CONS, REQ_PROD, RSP_CONS
from lib.harness import check, equal
from lib.toolstack import World, introduced, refused, set_quota
from lib.wire import HEADER, NAMES, Closed, name_of, pack, walk

OUT = (b"@releaseDomain", b"out")


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


harness.main(xsa_38_ring_indexes, xsa_72_long_replies, body_lengths, xsa_233_stub_domain, xsa_115_watches,
             xsa_322_old_permissions, xsa_325_bad_guests_end, xsa_352_owners, xsa_353_root, xsa_417_new_domains,
             xsa_419_orphans, xsa_420_huge_lengths, xsa_425_release_in_traffic, xsa_481_prefix_of_domains,
             xsa_483_counts)
