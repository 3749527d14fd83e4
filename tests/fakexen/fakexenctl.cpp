// SPDX-License-Identifier: MIT
// fakexenctl DIR create N | port N | shutdown N | destroy N | list
//
// port: a new unbound port of the domain, to give to XS_INTRODUCE. Nobody
// listens on it: enough for a guest that only has to exist.
#include "tests/fakexen/fakexen.hpp"

int main(int argc, char **argv)
{
    if (argc < 3) {
        std::fprintf(stderr,
                     "usage: %s DIR list | create DOMID | port DOMID | shutdown DOMID | destroy DOMID\n",
                     argv[0]);
        return 2;
    }
    fakexen::Host *h = fakexen::Host::open(argv[1]);
    if (!h) {
        std::perror(argv[1]);
        return 1;
    }
    const std::string cmd = argv[2];
    const unsigned domid = argc > 3 ? static_cast<unsigned>(std::strtoul(argv[3], nullptr, 0)) : 0;
    bool ok = true;
    if (cmd == "list") {
        for (unsigned d = 0; d < fakexen::kDomains; ++d)
            if (h->exists(d))
                std::printf("%u%s\n", d, (h->hv().doms[d].flags & fakexen::kShutdown) ? " shutdown" : "");
    } else if (cmd == "create") {
        ok = h->create_domain(domid);
    } else if (cmd == "port") {
        const unsigned p = h->alloc_unbound(domid, 0, 0);
        ok = p != 0;
        if (ok)
            std::printf("%u\n", p);
    } else if (cmd == "shutdown") {
        ok = h->shutdown_domain(domid);
    } else if (cmd == "destroy") {
        ok = h->destroy_domain(domid);
    } else {
        return 2;
    }
    if (!ok)
        std::perror(cmd.c_str());
    return ok ? 0 : 1;
}
