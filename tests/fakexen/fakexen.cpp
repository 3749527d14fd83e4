// SPDX-License-Identifier: MIT
// LD_PRELOAD shim: the functions of Xen's libraries that xenstore daemons
// call, over the emulated host of fakexen.hpp. Covers the C xenstored (4.17:
// libxenctrl; newer: libxenmanage), oxenstored and LiXS.
//
//   FAKEXEN_DIR=/run/x LD_PRELOAD=libfakexen.so xenstored -N
//
// Paths of the host that a daemon has compiled in (/proc/xen, /var/run/xenstored
// and the like) are looked for below FAKEXEN_DIR instead.
//
// With this macro the headers rename open() to open64() and so on; here each is
// defined under its own name.
#undef _FILE_OFFSET_BITS

#include "tests/fakexen/fakexen.hpp"

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

// Only for the layout of the two domain-info structures.
extern "C" { // it has no guard of its own
#include <xenctrl.h>
}

namespace {

fakexen::Host &host()
{
    static fakexen::Host *h = [] {
        const char *dir = std::getenv("FAKEXEN_DIR");
        fakexen::Host *p = dir ? fakexen::Host::open(dir) : nullptr;
        if (!p) {
            std::fprintf(stderr, "fakexen: cannot open FAKEXEN_DIR=%s: %s\n", dir ? dir : "(unset)",
                         std::strerror(errno));
            _exit(99);
        }
        return p;
    }();
    return *h;
}

struct Evtchn {
    int fd;
    std::uint32_t id;
};

int g_dummy; // stands for handles without state

template <typename F>
F next(const char *name)
{
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

// `path` or, for the host's own directories, its counterpart below FAKEXEN_DIR.
const char *reroute(const char *path, std::string &buf)
{
    static const char *const prefixes[] = {"/proc/xen",          "/dev/xen",     "/var/run/xenstored",
                                           "/run/xenstored",     "/var/run/xen", "/run/xen",
                                           "/var/lib/xenstored", "/var/lib/xen", "/var/log/xen"};
    const char *dir = std::getenv("FAKEXEN_DIR");
    if (!dir || !path)
        return path;
    for (const char *p : prefixes) {
        const std::size_t n = std::strlen(p);
        if (std::strncmp(path, p, n) == 0 && (path[n] == '/' || path[n] == 0)) {
            host();
            buf = std::string(dir) + path;
            fakexen::make_dirs(buf.substr(0, buf.rfind('/')));
            return buf.c_str();
        }
    }
    return path;
}

} // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// ---- libxenevtchn ------------------------------------------------------------
EXPORT void *xenevtchn_open(void *, unsigned flags)
{
    auto *e = new Evtchn;
    e->fd = host().open_handle(e->id, !(flags & 1));
    if (e->fd >= 0)
        return e;
    delete e;
    return nullptr;
}

EXPORT void *xenevtchn_fdopen(void *, int fd, unsigned)
{
    auto *e = new Evtchn;
    e->fd = fd;
    if (host().handle_of_fd(fd, e->id))
        return e;
    delete e;
    return nullptr;
}

EXPORT int xenevtchn_close(void *h)
{
    if (auto *e = static_cast<Evtchn *>(h)) {
        host().close_handle(e->id);
        close(e->fd);
        delete e;
    }
    return 0;
}

EXPORT int xenevtchn_fd(void *h) { return static_cast<Evtchn *>(h)->fd; }

// The emulated host coalesces events without entering the kernel. A real daemon
// enters it for every notification and unmasking, so charge one cheap call here.
namespace {
void enter_kernel() { syscall(SYS_getppid); }
} // namespace

EXPORT int xenevtchn_notify(void *h, std::uint32_t port)
{
    enter_kernel();
    if (!host().owns(static_cast<Evtchn *>(h)->id, port))
        return -1;
    host().notify(port); // Linux does not say how it went
    return 0;
}

EXPORT int xenevtchn_bind_unbound_port(void *h, std::uint32_t domid)
{
    const std::uint32_t p = host().alloc_unbound(0, domid, static_cast<Evtchn *>(h)->id);
    return p ? static_cast<int>(p) : -1;
}

EXPORT int xenevtchn_bind_interdomain(void *h, std::uint32_t domid, std::uint32_t rport)
{
    const std::uint32_t p = host().bind_interdomain(static_cast<Evtchn *>(h)->id, domid, rport);
    return p ? static_cast<int>(p) : -1;
}

EXPORT int xenevtchn_bind_virq(void *h, unsigned virq)
{
    if (virq == 3) // VIRQ_DOM_EXC: Xen then reports every domain once
        host().mark_all_changed();
    const std::uint32_t p = host().bind_virq(static_cast<Evtchn *>(h)->id, virq);
    return p ? static_cast<int>(p) : -1;
}

EXPORT int xenevtchn_unbind(void *h, std::uint32_t port)
{
    return host().owns(static_cast<Evtchn *>(h)->id, port) && host().unbind(port) ? 0 : -1;
}

EXPORT int xenevtchn_pending(void *h)
{
    std::uint32_t port;
    if (read(static_cast<Evtchn *>(h)->fd, &port, sizeof port) != static_cast<ssize_t>(sizeof port))
        return -1;
    return static_cast<int>(port);
}

EXPORT int xenevtchn_unmask(void *, std::uint32_t port)
{
    enter_kernel();
    return host().unmask(port) ? 0 : -1;
}

EXPORT int xenevtchn_restrict(void *, unsigned short) { return 0; }

// ---- libxengnttab --------------------------------------------------------------
EXPORT void *xengnttab_open(void *, unsigned) { return &g_dummy; }
EXPORT int xengnttab_close(void *) { return 0; }
EXPORT int xengnttab_set_max_grants(void *, std::uint32_t) { return 0; }

EXPORT void *xengnttab_map_grant_ref(void *, std::uint32_t domid, std::uint32_t, int prot)
{
    return host().map_ring(domid, prot);
}

EXPORT int xengnttab_unmap(void *, void *addr, std::uint32_t count)
{
    return munmap(addr, count * fakexen::kPage);
}

// ---- libxenforeignmemory -------------------------------------------------------
EXPORT void *xenforeignmemory_open(void *, unsigned) { return &g_dummy; }
EXPORT int xenforeignmemory_close(void *) { return 0; }

EXPORT void *xenforeignmemory_map(void *, std::uint32_t domid, int prot, std::size_t pages,
                                  const unsigned long *, int *err)
{
    if (pages != 1) {
        errno = EINVAL;
        return nullptr;
    }
    if (err)
        *err = 0;
    return host().map_ring(domid, prot);
}

EXPORT int xenforeignmemory_unmap(void *, void *addr, std::size_t pages)
{
    return munmap(addr, pages * fakexen::kPage);
}

// ---- libxenmanage (Xen 4.21 and later) -----------------------------------------
namespace {
void fill(std::uint32_t domid, std::uint32_t flags, unsigned *state, unsigned *caps, std::uint64_t *unique)
{
    if (state)
        *state = ((flags & fakexen::kExists) ? 1 : 0) | ((flags & fakexen::kShutdown) ? 2 : 0) |
                 ((flags & fakexen::kDying) ? 4 : 0) | ((flags & fakexen::kExists) ? 0 : 8);
    if (caps)
        *caps = domid == 0 ? 7 : 0; // control, hardware, xenstore
    if (unique)
        *unique = host().hv().doms[domid].unique_id.load();
}
} // namespace

EXPORT void *xenmanage_open(void *, unsigned) { return &g_dummy; }
EXPORT int xenmanage_close(void *) { return 0; }

EXPORT int xenmanage_get_domain_info(void *, unsigned domid, unsigned *state, unsigned *caps,
                                     std::uint64_t *unique)
{
    if (!host().exists(domid)) {
        errno = ENOENT;
        return -1;
    }
    fill(domid, host().hv().doms[domid].flags.load(), state, caps, unique);
    return 0;
}

EXPORT int xenmanage_poll_changed_domain(void *, unsigned *domid, unsigned *state, unsigned *caps,
                                         std::uint64_t *unique)
{
    std::uint32_t d, f;
    if (!host().poll_changed(d, f))
        return -1;
    *domid = d;
    fill(d, f, state, caps, unique);
    return 0;
}

// ---- libxenctrl ------------------------------------------------------------------
EXPORT xc_interface *xc_interface_open(xentoollog_logger *, xentoollog_logger *, unsigned)
{
    host();
    return reinterpret_cast<xc_interface *>(&g_dummy);
}
EXPORT int xc_interface_close(xc_interface *) { return 0; }

EXPORT const xc_error *xc_get_last_error(xc_interface *)
{
    static xc_error none{};
    return &none;
}

EXPORT int xc_evtchn_status(xc_interface *, xc_evtchn_status_t *s)
{
    fakexen::Hv &hv = host().hv();
    ++hv.status_calls;
    if (s->port == 0 || s->port >= hv.next_port.load()) {
        errno = EINVAL;
        return -1;
    }
    const fakexen::Port &p = hv.ports[s->port];
    switch (p.domid == 0 ? p.state.load() : fakexen::kFree) {
    case fakexen::kUnbound:
        s->status = EVTCHNSTAT_unbound;
        s->u.unbound.dom = static_cast<domid_t>(p.remote_domid);
        break;
    case fakexen::kInterdomain:
        s->status = EVTCHNSTAT_interdomain;
        s->u.interdomain.port = p.remote.load();
        s->u.interdomain.dom = static_cast<domid_t>(hv.ports[p.remote.load()].domid);
        break;
    case fakexen::kVirq:
        s->status = EVTCHNSTAT_virq;
        s->u.virq = p.remote.load();
        break;
    default:
        s->status = EVTCHNSTAT_closed;
    }
    return 0;
}

EXPORT int xc_domain_getinfo(xc_interface *, std::uint32_t first, unsigned max, xc_dominfo_t *info)
{
    unsigned n = 0;
    for (std::uint32_t d = first; d < fakexen::kDomains && n < max; ++d) {
        const std::uint32_t f = host().hv().doms[d].flags.load();
        if (!(f & fakexen::kExists))
            continue;
        std::memset(&info[n], 0, sizeof info[n]);
        info[n].domid = d;
        info[n].dying = !!(f & fakexen::kDying);
        info[n].shutdown = !!(f & fakexen::kShutdown);
        info[n].running = !info[n].shutdown;
        ++n;
    }
    return static_cast<int>(n);
}

EXPORT int xc_domain_getinfolist(xc_interface *, std::uint32_t first, unsigned max, xc_domaininfo_t *info)
{
    unsigned n = 0;
    for (std::uint32_t d = first; d < fakexen::kDomains && n < max; ++d) {
        const std::uint32_t f = host().hv().doms[d].flags.load();
        if (!(f & fakexen::kExists))
            continue;
        std::memset(&info[n], 0, sizeof info[n]);
        info[n].domain = static_cast<domid_t>(d);
        // The toolstack's UUID of the domain; the control domain has none.
        const std::uint64_t id = d == 0 ? 0 : host().hv().doms[d].unique_id.load();
        std::memcpy(info[n].handle, &id, sizeof id);
        info[n].flags = ((f & fakexen::kDying) ? XEN_DOMINF_dying : 0) |
                        ((f & fakexen::kShutdown) ? XEN_DOMINF_shutdown : XEN_DOMINF_running);
        ++n;
    }
    return static_cast<int>(n);
}

EXPORT void *xc_map_foreign_range(xc_interface *, std::uint32_t domid, int, int prot, unsigned long)
{
    return host().map_ring(domid, prot);
}

// ---- paths -------------------------------------------------------------------------
namespace {
mode_t mode_arg(int flags, va_list ap) { return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(ap, mode_t) : 0; }
} // namespace

EXPORT int open(const char *path, int flags, ...)
{
    static auto real = next<int (*)(const char *, int, ...)>("open");
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = mode_arg(flags, ap);
    va_end(ap);
    std::string b;
    return real(reroute(path, b), flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    static auto real = next<int (*)(const char *, int, ...)>("open64");
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = mode_arg(flags, ap);
    va_end(ap);
    std::string b;
    return real(reroute(path, b), flags, mode);
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    static auto real = next<FILE *(*)(const char *, const char *)>("fopen");
    std::string b;
    return real(reroute(path, b), mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
    static auto real = next<FILE *(*)(const char *, const char *)>("fopen64");
    std::string b;
    return real(reroute(path, b), mode);
}

EXPORT int unlink(const char *path) noexcept
{
    static auto real = next<int (*)(const char *)>("unlink");
    std::string b;
    return real(reroute(path, b));
}

EXPORT int mkdir(const char *path, mode_t mode) noexcept
{
    static auto real = next<int (*)(const char *, mode_t)>("mkdir");
    std::string b;
    return real(reroute(path, b), mode);
}

EXPORT int chmod(const char *path, mode_t mode) noexcept
{
    static auto real = next<int (*)(const char *, mode_t)>("chmod");
    std::string b;
    return real(reroute(path, b), mode);
}

EXPORT int access(const char *path, int mode) noexcept
{
    static auto real = next<int (*)(const char *, int)>("access");
    std::string b;
    return real(reroute(path, b), mode);
}

EXPORT int rename(const char *from, const char *to) noexcept
{
    static auto real = next<int (*)(const char *, const char *)>("rename");
    std::string a, b;
    return real(reroute(from, a), reroute(to, b));
}

EXPORT int stat(const char *path, struct stat *st) noexcept
{
    static auto real = next<int (*)(const char *, struct stat *)>("stat");
    std::string b;
    return real(reroute(path, b), st);
}

EXPORT int stat64(const char *path, struct stat64 *st) noexcept
{
    static auto real = next<int (*)(const char *, struct stat64 *)>("stat64");
    std::string b;
    return real(reroute(path, b), st);
}

EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len) noexcept
{
    static auto real = next<int (*)(int, const struct sockaddr *, socklen_t)>("bind");
    if (addr->sa_family == AF_UNIX && len > sizeof(sa_family_t)) {
        const auto *un = reinterpret_cast<const sockaddr_un *>(addr);
        std::string b;
        const char *to = un->sun_path[0] ? reroute(un->sun_path, b) : nullptr;
        if (to && to != un->sun_path) {
            sockaddr_un u{};
            u.sun_family = AF_UNIX;
            std::strncpy(u.sun_path, to, sizeof u.sun_path - 1);
            return real(fd, reinterpret_cast<sockaddr *>(&u), sizeof u);
        }
    }
    return real(fd, addr, len);
}

// ---- limits ------------------------------------------------------------------------
// oxenstored insists on raising its descriptor limit; without the privilege to
// do so, go as far as the hard limit and report success.
EXPORT int setrlimit(__rlimit_resource_t what, const struct rlimit *lim) noexcept
{
    static auto real = next<int (*)(__rlimit_resource_t, const struct rlimit *)>("setrlimit");
    if (real(what, lim) == 0)
        return 0;
    struct rlimit cur;
    if (what != RLIMIT_NOFILE || errno != EPERM || getrlimit(what, &cur) != 0)
        return -1;
    cur.rlim_cur = cur.rlim_max;
    return real(what, &cur);
}
