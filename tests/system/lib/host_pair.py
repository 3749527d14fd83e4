# SPDX-License-Identifier: MIT
"""Two emulated hosts in lockstep: one serves our daemon, the other Debian's C daemon. Each has a toolstack on the socket,
somebody who watches everything, and guests on rings, whose numbers are their domain ids."""
from . import daemon, guest
from .lockstep import Lockstep, Two

GUESTS = (1, 2, 3, 4)
DOM0, WITNESS = 0, 9  # numbers of connections that are no guests


class HostPair(Lockstep):
    def __init__(self, ours_options, theirs_options, change=None):
        host = guest.XenHost()
        self.daemons = Two(host.daemon(ours_options).start(), daemon.PeerC(options=theirs_options).start())
        super().__init__(*(d.socket for d in self.daemons), 0, change)
        peer = guest.XenHost(self.daemons.theirs.dir, xen=self.daemons.theirs.dir)
        for domid in range(1, 10):  # that PeerC has made
            peer.destroy(domid)
        self.hosts = Two(host, peer)
        self.pairs = {DOM0: self.open(), WITNESS: self.open()}

    def stop(self):
        for pair in self.pairs.values():
            for c in pair:
                c.close()
        self.daemons.theirs.stop()
        self.daemons.ours.stop()

    def create(self, domid):
        """The domain comes to be, and nobody has told the daemons."""
        self.pairs[domid] = Two(*(h.create(domid) for h in self.hosts))

    def new_ring(self, domid):
        """Its old connection is over, or about to be: another event channel for the next."""
        self.pairs[domid] = Two(*(guest.Guest(h, domid) for h in self.hosts))

    def introduction(self, domid):
        """The payload of INTRODUCE, with each host's port."""
        return Two(*(b"%d\0001\0%d\0" % (domid, g.port) for g in self.pairs[domid]))

    def end(self, domid, shutdown=False):
        """The domain shuts down, or is no more; returns when both daemons have told so."""
        for h in self.hosts:
            h.shutdown(domid) if shutdown else h.destroy(domid)
        if not shutdown:
            del self.pairs[domid]
        for c in self.pairs[WITNESS]:
            daemon.wait_for(lambda c=c: self.told(c), f"the end of domain {domid}")

    @staticmethod
    def told(client):
        client.request(10, b"0\0")
        return any(e.payload.startswith(b"@releaseDomain\0") for e in client.events)
