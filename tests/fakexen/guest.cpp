// SPDX-License-Identifier: MIT
// The emulated host for tests in Python (ctypes): what a toolstack does to domains, and what a guest does with its ring.
// Functions give 0 or a negative errno unless they say otherwise.
#include "tests/fakexen/fakexen.hpp"

using fakexen::Host;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {
int result(bool ok) { return ok ? 0 : -errno; }
} // namespace

EXPORT Host *guest_host(const char *dir) { return Host::open(dir); }
EXPORT int guest_create(Host *h, unsigned domid) { return result(h->create_domain(domid)); }
EXPORT int guest_shutdown(Host *h, unsigned domid) { return result(h->shutdown_domain(domid)); }
EXPORT int guest_resume(Host *h, unsigned domid) { return result(h->resume_domain(domid)); }
EXPORT int guest_destroy(Host *h, unsigned domid, int tell)
{
    return result(h->destroy_domain(domid, tell != 0));
}
/// A new port of the domain that the store may bind to; 0: none.
EXPORT unsigned guest_port(Host *h, unsigned domid) { return h->alloc_unbound(domid, 0, 0); }
EXPORT int guest_notify(Host *h, unsigned port) { return result(h->notify(port)); }
/// 1 if the port has rung since the last call.
EXPORT int guest_rung(Host *h, unsigned port) { return h->hv().ports[port].flags.exchange(0) != 0; }
/// The guest closes a port of its own.
EXPORT int guest_close(Host *h, unsigned port) { return result(h->unbind(port)); }
/// The guest drops a connected port and connects another one to the same port of the store: the new one; 0: none.
EXPORT unsigned guest_rebind(Host *h, unsigned domid, unsigned port) { return h->rebind(domid, port); }
/// The toolstack gives the domain another id.
EXPORT void guest_set_id(Host *h, unsigned domid, unsigned id) { h->hv().doms[domid].unique_id = id; }
/// 1 if somebody is connected to the port, 0 if not.
EXPORT int guest_connected(Host *h, unsigned port)
{
    return h->hv().ports[port].state.load() == fakexen::kInterdomain;
}
/// Ports of the control domain that are connected to the domain.
EXPORT unsigned guest_ports_of(Host *h, unsigned domid)
{
    unsigned n = 0;
    for (std::uint32_t p = 1; p < h->hv().next_port.load(); ++p)
        n += h->hv().ports[p].state.load() == fakexen::kInterdomain && h->hv().ports[p].domid == 0 &&
             h->hv().ports[p].remote_domid == domid;
    return n;
}
/// How often the state of a port has been asked for.
EXPORT unsigned guest_status_calls(Host *h) { return static_cast<unsigned>(h->hv().status_calls.load()); }
/// The page; null: no such domain.
EXPORT void *guest_page(Host *h, unsigned domid) { return h->map_ring(domid); }

// A guest's loads and stores of index words, with the barriers that Linux has there.
EXPORT unsigned guest_load(const std::uint32_t *word)
{
    const unsigned value = *const_cast<const volatile std::uint32_t *>(word);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return value;
}
EXPORT void guest_store(std::uint32_t *word, unsigned value)
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
    *const_cast<volatile std::uint32_t *>(word) = value;
    std::atomic_thread_fence(std::memory_order_seq_cst);
}
