// SPDX-License-Identifier: MIT
#include "server/daemon/xen_hypervisor.hpp"

#include "server/daemon/unique_fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <functional>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <xxhash.h>

extern "C" { // xenctrl.h does not say it itself
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include <xen/sys/evtchn.h> // needs xenctrl.h before it
#include <xen/sys/xenbus_dev.h>
}

namespace xsgit::server {

namespace {

constexpr std::size_t kPageSize = 4096;
/// Grant reference that every domain builder gives to the store (GNTTAB_RESERVED_XENSTORE).
constexpr std::uint32_t kRingGrant = 1;
constexpr unsigned kDomains = kDomidFirstReserved;

constexpr const char *kPortFile = "/proc/xen/xsd_port";
constexpr const char *kPageFile = "/proc/xen/xsd_kva";
constexpr const char *kBackend = "/dev/xen/xenbus_backend";

[[noreturn]] void no_xen(const std::string &what)
{
    throw std::runtime_error(
        fmt::format("{}: {}; the daemon must run as root in Xen's control domain, or with "
                    "--standalone, for local sockets only",
                    what, std::generic_category().message(errno)));
}

/// What a client is told. The rest is Einval, as for an impossible port.
Error error_of(int number) noexcept
{
    switch (number) {
    case ENOENT:
    case ESRCH:
        return Error::Enoent;
    case ENOMEM:
        return Error::Enomem;
    case ENOSPC:
        return Error::Enospc;
    case EACCES:
    case EPERM:
        return Error::Eacces;
    case EBUSY:
        return Error::Ebusy;
    default:
        return Error::Einval;
    }
}

/// Xen 4.17 has no number that is never used again; the toolstack's UUID of the domain comes near: two domains that
/// have one domid after another differ in it, unless they are the same guest.
std::uint64_t unique_id_of(const xc_domaininfo_t &info)
{
    static constexpr xen_domain_handle_t kNone{};
    if (std::memcmp(info.handle, kNone, sizeof kNone) == 0)
        return 0;
    return XXH3_64bits(info.handle, sizeof info.handle) | 1;
}

PresentDomain present(const xc_domaininfo_t &info)
{
    return {info.domain, unique_id_of(info), (info.flags & XEN_DOMINF_shutdown) != 0,
            (info.flags & XEN_DOMINF_dying) != 0};
}

} // namespace

struct XenHypervisor::Handles {
    xc_interface *control = nullptr;
    xengnttab_handle *grants = nullptr;
    xenevtchn_handle *events = nullptr;

    ~Handles()
    {
        // Not the event channels: their descriptor outlives us, and what is bound to it.
        if (grants)
            xengnttab_close(grants);
        if (control)
            xc_interface_close(control);
    }

    /// Calls `f` with each port of this domain and its status, until f says false.
    void each_port(const std::function<bool(std::uint32_t, const xc_evtchn_status_t &)> &f) const
    {
        for (std::uint32_t port = 1;; ++port) {
            xc_evtchn_status_t s{};
            s.dom = DOMID_SELF;
            s.port = port;
            if (xc_evtchn_status(control, &s) != 0) {
                if (errno == EACCES) // the hypervisor's own
                    continue;
                return; // beyond the last one
            }
            if (!f(port, s))
                return;
        }
    }
};

XenHypervisor::XenHypervisor(int inherited) : h_(std::make_unique<Handles>()), inherited_(inherited >= 0)
{
    h_->control = xc_interface_open(nullptr, nullptr, 0);
    if (!h_->control)
        no_xen("cannot reach the hypervisor");
    h_->grants = xengnttab_open(nullptr, 0);
    if (!h_->grants)
        no_xen("cannot map pages of other domains");
    (void)xengnttab_set_max_grants(h_->grants, kDomains); // as many as it goes
    h_->events =
        inherited_ ? xenevtchn_fdopen(nullptr, inherited, 0) : xenevtchn_open(nullptr, XENEVTCHN_NO_CLOEXEC);
    if (!h_->events)
        no_xen("cannot use event channels");
    // One look must never wait.
    const int flags = fcntl(fd(), F_GETFL);
    if (flags < 0 || fcntl(fd(), F_SETFL, flags | O_NONBLOCK) != 0)
        no_xen("cannot use event channels");
}

XenHypervisor::~XenHypervisor() = default;

int XenHypervisor::fd() const noexcept { return xenevtchn_fd(h_->events); }

void XenHypervisor::settle()
{
    if (inherited_)
        h_->each_port([&](std::uint32_t port, const xc_evtchn_status_t &s) {
            if (s.status == EVTCHNSTAT_virq && s.u.virq == VIRQ_DOM_EXC && ours(port)) {
                virq_port_ = port;
                (void)xenevtchn_unmask(h_->events, port);
            }
            return virq_port_ == 0;
        });
    if (virq_port_ != 0)
        return;
    // A daemon in whose place we are may just be ending.
    constexpr int kTries = 100;
    constexpr useconds_t kPauseUs = 20'000;
    for (int i = 0; i < kTries; ++i, usleep(kPauseUs)) {
        const int port = xenevtchn_bind_virq(h_->events, VIRQ_DOM_EXC);
        if (port >= 0) {
            virq_port_ = static_cast<std::uint32_t>(port);
            return;
        }
        if (errno != EEXIST)
            break;
    }
    no_xen("cannot hear of the end of domains (another xenstored may be running)");
}

DomainFact XenHypervisor::domain(std::uint32_t domid)
{
    xc_domaininfo_t info{};
    if (domid >= kDomains || xc_domain_getinfolist(h_->control, domid, 1, &info) != 1 ||
        info.domain != domid || (info.flags & XEN_DOMINF_dying) != 0)
        return {domid, false, 0};
    return {domid, true, unique_id_of(info)};
}

std::optional<std::vector<PresentDomain>> XenHypervisor::domains()
{
    constexpr unsigned kBatch = 256;
    std::vector<xc_domaininfo_t> batch(kBatch);
    std::vector<PresentDomain> out;
    for (std::uint32_t first = 0;;) {
        const int n = xc_domain_getinfolist(h_->control, first, kBatch, batch.data());
        if (n < 0)
            return std::nullopt;
        for (int i = 0; i < n; ++i)
            out.push_back(present(batch[static_cast<std::size_t>(i)]));
        if (static_cast<unsigned>(n) < kBatch)
            break;
        first = out.back().domid + 1;
    }
    if (out.empty()) // we are one ourselves
        return std::nullopt;
    return out;
}

std::uint32_t XenHypervisor::control_port()
{
    if (const UniqueFd file(::open(kPortFile, O_RDONLY | O_CLOEXEC)); file) {
        char text[24];
        const ssize_t n = read(file.get(), text, sizeof text);
        std::uint32_t port = 0;
        if (n > 0 && std::from_chars(text, text + n, port).ec == std::errc() && port != 0)
            return port;
    }
    if (const UniqueFd device(::open(kBackend, O_RDWR | O_CLOEXEC)); device)
        if (const int port = ioctl(device.get(), IOCTL_XENBUS_BACKEND_EVTCHN); port > 0)
            return static_cast<std::uint32_t>(port);
    no_xen(fmt::format("neither {} (is xenfs mounted at /proc/xen?) nor {} tells the kernel's event channel",
                       kPortFile, kBackend));
}

Result<RingPage *> XenHypervisor::map(std::uint32_t domid)
{
    if (domid != 0) {
        void *page = xengnttab_map_grant_ref(h_->grants, domid, kRingGrant, PROT_READ | PROT_WRITE);
        return page ? Result<RingPage *>(static_cast<RingPage *>(page)) : fail(error_of(errno));
    }
    for (const char *path : {kPageFile, kBackend}) {
        const UniqueFd file(::open(path, O_RDWR | O_CLOEXEC));
        if (!file)
            continue;
        void *page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        if (page != MAP_FAILED)
            return static_cast<RingPage *>(page);
    }
    return fail(error_of(errno));
}

void XenHypervisor::unmap(std::uint32_t domid, RingPage *page) noexcept
{
    if (domid != 0)
        xengnttab_unmap(h_->grants, page, 1);
    else
        munmap(page, kPageSize);
}

Result<std::uint32_t> XenHypervisor::bind(std::uint32_t domid, std::uint32_t remote)
{
    const int port = xenevtchn_bind_interdomain(h_->events, domid, remote);
    return port >= 0 ? Result<std::uint32_t>(static_cast<std::uint32_t>(port)) : fail(error_of(errno));
}

/// Notifying is refused for ports of other processes; unmasking is not.
bool XenHypervisor::ours(std::uint32_t local) noexcept { return xenevtchn_notify(h_->events, local) == 0; }

std::optional<std::uint32_t> XenHypervisor::peer(std::uint32_t local, std::uint32_t domid)
{
    xc_evtchn_status_t s{};
    s.dom = DOMID_SELF;
    s.port = local;
    if (xc_evtchn_status(h_->control, &s) != 0 || s.status != EVTCHNSTAT_interdomain ||
        s.u.interdomain.dom != domid)
        return std::nullopt;
    return s.u.interdomain.port;
}

std::optional<std::uint32_t> XenHypervisor::find_bound(std::uint32_t domid, std::uint32_t remote)
{
    if (!inherited_)
        return std::nullopt;
    if (!inherited_ports_) { // once for all rings: a host has tens of thousands of ports
        inherited_ports_.emplace();
        h_->each_port([&](std::uint32_t port, const xc_evtchn_status_t &s) {
            if (s.status == EVTCHNSTAT_interdomain)
                inherited_ports_->emplace(std::pair(s.u.interdomain.dom, s.u.interdomain.port), port);
            return true;
        });
    }
    const auto [first, last] = inherited_ports_->equal_range({domid, remote});
    for (auto it = first; it != last; ++it)
        if (peer(it->second, domid) == remote && ours(it->second))
            return it->second;
    return std::nullopt;
}

void XenHypervisor::unbind(std::uint32_t local) noexcept { (void)xenevtchn_unbind(h_->events, local); }

void XenHypervisor::unbind_others(const std::vector<std::uint32_t> &keep)
{
    if (!inherited_)
        return;
    std::vector<std::uint32_t> kept = keep, others;
    std::sort(kept.begin(), kept.end());
    h_->each_port([&](std::uint32_t port, const xc_evtchn_status_t &s) {
        if ((s.status == EVTCHNSTAT_interdomain || s.status == EVTCHNSTAT_unbound) && port != virq_port_ &&
            !std::binary_search(kept.begin(), kept.end(), port))
            others.push_back(port);
        return true;
    });
    // Most belong to other programs and the kernel, which the device refuses.
    for (const std::uint32_t port : others)
        unbind(port);
}

void XenHypervisor::unmask(std::uint32_t local) noexcept { (void)xenevtchn_unmask(h_->events, local); }

void XenHypervisor::notify(std::uint32_t local) noexcept { (void)xenevtchn_notify(h_->events, local); }

void XenHypervisor::pending(Pending &out)
{
    out.ports.clear();
    out.domains = out.lost = false;
    // The device gives as many at once as there are; the library would take one with each call.
    std::array<evtchn_port_t, 128> ports;
    const ssize_t n = read(fd(), ports.data(), sizeof ports);
    // Its memory of events has overflown, as it can when a successor lets ports ring again that had rung already.
    if (n < 0 && errno == EFBIG) {
        (void)ioctl(fd(), IOCTL_EVTCHN_RESET);
        (void)xenevtchn_unmask(h_->events, virq_port_);
        out.lost = out.domains = true;
    }
    for (std::size_t i = 0; n > 0 && i < static_cast<std::size_t>(n) / sizeof ports[0]; ++i) {
        (void)xenevtchn_unmask(h_->events, ports[i]); // first: who rings from now on is heard again
        if (ports[i] == virq_port_)
            out.domains = true;
        else
            out.ports.push_back(ports[i]);
    }
}

} // namespace xsgit::server
