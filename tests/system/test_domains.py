#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What guests and toolstacks may do to domains that nobody else may notice."""
import os
import signal
import time

from lib import git, harness
from lib.daemon import wait_for
from lib.guest import CONNECTION, EVTCHN_PORT, FEATURES, XenHost
from lib.harness import check, equal
from lib.toolstack import introduce, introduced, refused, start


def closed_ports():
    """A restart does not wait for guests that have closed their event channels."""
    host, d = start()
    c = d.client()
    guests = [introduce(host, c, n) for n in range(1, 11)]
    for g in guests[:8]:
        g.close_port()
    for _ in range(2):
        d.kill_server()
        begin = time.monotonic()
        guests[9].write("data/x", "1")
        passed = time.monotonic() - begin
        harness.note(f"{passed:.2f} s without service")
        check(passed < 8, "eight guests without event channels do not hold up a restart", passed)
    equal(guests[8].read("name"), b"guest-9", "the others are served")
    # All processes have died: then there may be somebody to wait for, but not for each.
    d.kill()
    begin = time.monotonic()
    d.start()
    equal(guests[9].read("name"), b"guest-10", "and are after a new start")
    check(time.monotonic() - begin < 8, "which waits once, not for each", time.monotonic() - begin)
    d.stop()


def new_uuid():
    """xenopsd gives a domain another UUID before it destroys it: it is the same domain."""
    host, d = start()
    c = d.client()
    g, other = introduce(host, c, 5), introduce(host, c, 6)
    g.write("data/x", "kept")
    c.watch("@releaseDomain", "out")
    c.sync()
    for id_ in (0xdeadbeef, 0xdeadbee0):
        host.set_id(5, id_)
        host.destroy(host.create(40 + id_ % 2).domid)  # the hypervisor says that something happened
        host.shutdown(6) if id_ == 0xdeadbeef else host.destroy(6)
        wait_for(lambda: (b"@releaseDomain", b"out") in c.sync(), "news of another domain")
        equal((c.read("/local/domain/5/data/x"), introduced(c, 5)), (b"kept", True),
              "a domain with another UUID keeps its nodes")
        equal(g.read("data/x"), b"kept", "and is served")
        d.kill_server()
        equal(g.read("data/x"), b"kept", "after a restart, too")
    host.set_id(5, 0xdead)
    host.destroy(5)
    wait_for(lambda: not introduced(c, 5), "its end")
    check(not c.exists("/local/domain/5"), "when it dies its nodes go")
    del other
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def next_of_its_number():
    """A toolstack speaks of the next domain of a number before the daemon has heard of the last one's end."""
    host, d = start()
    c = d.client()
    c.write("/secret", "s")
    host.create(5)
    c.set_perms("/secret", ["n0", "r5"])  # known from now on, never introduced
    c.write("/its", "s")
    c.set_perms("/its", ["n5"])
    host.destroy(5, tell=False)
    g = introduce(host, c, 5)
    equal(refused(g.read, "/secret"), "EACCES", "what the last one was permitted is not the next one's")
    check(not c.exists("/its"), "and what it owned is gone")
    introduce(host, c, 6)
    c.watch("@releaseDomain", "out")
    c.sync()
    host.destroy(6)  # now the hypervisor says that something happened
    wait_for(lambda: (b"@releaseDomain", b"out") in c.sync(), "news of another domain")
    equal((g.read("name"), introduced(c, 5)), (b"guest-5", True), "what the next one has been given stays")
    d.stop()


def new_uuid_unseen():
    """The same while nobody serves: what tells is the event channel, which a new domain of that number does not have."""
    host, d = start()
    c = d.client()
    g, other = introduce(host, c, 5), introduce(host, c, 6)
    g.write("data/x", "kept")
    g.watch("data", "w")
    g.sync()
    g.take_events()

    def meanwhile(what):
        keeper = wait_for(d.keeper_pid, "the keeper")
        os.kill(keeper, signal.SIGSTOP)
        d.kill_server()
        what()
        os.kill(keeper, signal.SIGCONT)
        equal(other.read("name"), b"guest-6", "others are served")

    def replace():
        host.destroy(5, tell=False)
        host.create(5)
    meanwhile(lambda: host.set_id(5, 0xdeadbeef))
    equal(introduced(c, 5), True, "a domain that was given another UUID while nobody served is the same one")
    equal((c.read("/local/domain/5/data/x"), g.read("data/x")), (b"kept", b"kept"), "it keeps its nodes and is served")
    c.write("/local/domain/5/data/y", "1")
    equal(g.sync(), [(b"data/y", b"w")], "its watch is there, too")
    meanwhile(replace)
    equal((introduced(c, 5), c.exists("/local/domain/5")), (False, False), "a new domain of that number is another one")
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def port_in_the_page():
    """Domains that were there before any toolstack: Xen tells their event channel in their page."""
    host = XenHost()
    g, plain = host.create(5), host.create(6)
    g.set_word(EVTCHN_PORT, g.port)
    g.set_word(CONNECTION, 1)
    d = host.daemon().start()
    c = d.client()
    equal((introduced(c, 5), introduced(c, 6)), (True, False), "the first start introduces domains whose page names a port")
    check(g.connected() and host.ports_of(6) == 0, "this port is connected")
    equal((g.word(CONNECTION), g.rung()), (0, True), "the end of its wait is told")
    check(g.word(FEATURES) & 2, "as are our features")
    g.send(10, b"5\0")
    equal(g.reply().payload, b"/local/domain/5\0", "it is served")
    plain.introduced_by(c)
    check(plain.connected(), "INTRODUCE of one whose page names none")
    h = host.create(7)
    h.set_word(EVTCHN_PORT, h.port)
    c.ok(8, b"7\0001\000%d\0" % (h.port + 1000))
    h.send(10, b"7\0")
    equal((h.connected(), h.reply().type), (True, 10), "the page's port goes before the one of INTRODUCE")
    old = h.port
    h.port = host.lib.guest_port(host.handle, 7)
    h.set_word(EVTCHN_PORT, h.port)
    c.ok(8, b"7\0001\000%d\0" % old)
    equal((h.connected(), bool(host.lib.guest_connected(host.handle, old)), host.ports_of(7)), (True, False, 1),
          "also when it is introduced anew")
    for kill in (d.kill_server, lambda: (d.kill(), d.start())):
        kill()
        for guest in (g, plain, h):
            guest.send(10, b"1\0")
            equal(guest.reply().type, 10, f"domain {guest.domid} is served after a restart")
    c = d.client()
    for wild in (0xffffffff, 0x80000000, 100000, old):
        bad = host.create(8)
        bad.set_word(EVTCHN_PORT, wild)
        equal(refused(bad.introduced_by, c), "EINVAL", f"a page that names port {wild:#x}")
        equal((introduced(c, 8), host.ports_of(8)), (False, 0), "that domain stays outside")
        host.destroy(8)
    c.ok(9, b"5\0")
    d.stop()
    d.start()
    equal(introduced(d.client(), 5), False, "who was released stays so at the next start")
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


def look_once_for_all():
    """Guests that have closed their ports do not each cost a look at all ports of the host."""
    host, d = start()
    c = d.client()
    guests = [introduce(host, c, n) for n in range(1, 61)]
    for g in guests[:-1]:
        g.close_port()
    for _ in range(2):
        before = host.lib.guest_status_calls(host.handle)
        d.kill_server()
        equal(guests[-1].read("name"), b"guest-60", "a restart beside 59 guests without event channels")
        calls = host.lib.guest_status_calls(host.handle) - before
        harness.note(f"{calls} ports were looked at")
        check(calls < 1500, "ports are looked at a few times each", calls)
    d.stop()


def bound_anew_by_the_guest():
    """A guest resets its event channels and connects another port to the daemon's, as Windows does. Nobody tells the
    daemon, and the number that it was introduced with is no port any more."""
    for how in ("a killed server", "an update", "the deaths of a server before and after an update"):
        host, d = start()
        c = d.client()
        g, other = introduce(host, c, 1), introduce(host, c, 2)
        old, g.timeout = g.port, 60
        g.rebind()
        check(g.port != old and g.connected(), f"{how}: a guest has another port")
        equal(g.read("name"), b"guest-1", "it is served there")
        if how != "an update":
            d.kill_server()
            equal(other.read("name"), b"guest-2", "the server has died, others are served")
            equal(g.read("name"), b"guest-1", "and so is it")
        if how != "a killed server":
            g.rebind()
            second = host.daemon()
            second.log = d.log + ".second"
            second.launch(second=True)
            wait_for(lambda: second.server_pid() and not d.members(), "the newcomer to take over")
            d = second
            equal(other.read("name"), b"guest-2", "another daemon serves")
            equal(g.read("name"), b"guest-1", "it is served by that one, too")
            g.rebind()
            d.kill_server()
            equal(g.read("name"), b"guest-1", "and when its server has died")
        c = d.client()
        g.write("data/x", "1")
        g.watch("data", "w")
        g.sync()
        c.write("/local/domain/1/data/x", "2")
        equal(g.sync(), [(b"data/x", b"w")], "its watches fire")
        equal((introduced(c, 1), host.ports_of(1), host.ports_of(0)), (True, 1, 2), "it is introduced, no port is left over")
        d.stop()


def another_child(keeper, known):
    """The keeper's server, which it may not have told of yet; None while there is no other one than before."""
    with open(f"/proc/{keeper}/task/{keeper}/children", encoding="ascii") as f:
        return next((pid for pid in map(int, f.read().split()) if pid not in known), None)


def killed_in_the_first_start():
    """The server dies while it connects domains that were there before it: the next one goes on with that."""
    count, stops = 600, (20, 150, 300)
    for _ in range(5):  # all may be connected before the kill
        host = XenHost()
        guests = [host.create(n) for n in range(1, count + 1)]
        for g in guests:
            g.set_word(EVTCHN_PORT, g.port)
            g.set_word(CONNECTION, 1)
        d = host.daemon().launch()
        seen, servers = [], []
        for at in stops:  # known before the moment comes: looking for it takes longer than what is left to connect
            servers.append(wait_for(lambda: another_child(d.process.pid, servers), "a server", step=0))
            wait_for(guests[at].connected, f"domain {at + 1} to be connected", timeout=30, step=0)
            d.signal(servers[-1], signal.SIGKILL)
            seen.append(sum(g.connected() for g in guests))
        if min(seen) < count:
            break
        d.kill()
    harness.note(f"{seen} of {count} were connected at the kills")
    check(min(seen) < count, "a server is killed while it connects domains", seen)
    wait_for(lambda: os.path.exists(d.socket) and d.server_pid() and "is ready" in d.log_text(), "service")
    c = d.client()
    equal([g.domid for g in guests if not introduced(c, g.domid)], [], f"in the end all {count} are introduced")
    equal([g.domid for g in guests if not g.connected() or g.word(CONNECTION)], [], "and connected, none waits for ever")
    for g in (guests[0], guests[-1]):
        g.send(10, b"1\0")
        equal(g.reply().type, 10, f"domain {g.domid} is served")
    d.stop()
    equal(git.fsck(d.repo), "", "the repository is sound")


harness.main(closed_ports, look_once_for_all, new_uuid, new_uuid_unseen, next_of_its_number, port_in_the_page, bound_anew_by_the_guest,
             killed_in_the_first_start)
