#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The conversations in operations/*.txt: over the socket, and with each local client in turn on the ring of the control
domain's kernel; domains that they name are on rings, too."""
import functools
import glob
import os

from lib import daemon, guest, harness, script


@functools.cache
def cases():
    here = os.path.dirname(os.path.abspath(__file__))
    out = []
    for name in sorted(glob.glob(os.path.join(here, "operations", "*.txt"))):
        with open(name, encoding="utf-8") as f:
            out += script.parse(f.read(), os.path.basename(name))
    return [c for c in out if not (harness.options.peer and c.not_for_peer)]


def play(case, player, on_ring=None):
    title = case.title + (f" [{on_ring} on a ring]" if on_ring else "")
    differs = case.peer or (on_ring and case.peer_on_rings)
    problem = ""
    try:
        player.play(case)
    except Exception as e:  # Closed, a timeout: a failed case, not the end
        problem = f"{type(e).__name__}: {e}" if not isinstance(e, script.Mismatch) else str(e)
    if harness.options.peer and differs:
        # A difference that is none any more would make the table lie.
        harness.check(problem, f"{title} (differs: {differs})", f"{case.where}: does not differ")
    else:
        harness.check(not problem, title, f"{case.where}: {problem}")


def over_sockets():
    d = daemon.daemon()
    for case in cases():
        if not case.needs_host():
            play(case, script.Player(d.socket, harness.options.peer))


@functools.cache
def with_host():
    if harness.options.peer:
        d = daemon.PeerC().start()
        host = guest.XenHost(d.dir, xen=d.dir)
        host.domains.update(script.PEER_DOMAINS)
        return host, d
    host = guest.XenHost()
    return host, host.daemon().start()


def with_domains():
    host, d = with_host()
    for case in cases():
        if case.needs_host():
            play(case, script.Player(d.socket, harness.options.peer, host))


def over_rings():
    host, d = with_host()
    for case in cases():
        for name in case.connections():
            if not case.closes(name):  # the kernel's ring is never closed
                play(case, script.Player(d.socket, harness.options.peer, host, name), name)


if __name__ == "__main__":
    harness.main(over_sockets, with_domains, over_rings, peer=True)
