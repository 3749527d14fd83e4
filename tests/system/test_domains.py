#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What guests and toolstacks may do to domains that nobody else may notice."""
import time

from lib import git, harness
from lib.daemon import wait_for
from lib.harness import check, equal
from lib.toolstack import introduce, introduced, start


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


harness.main(closed_ports, new_uuid)
