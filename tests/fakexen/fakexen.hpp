// SPDX-License-Identifier: MIT
// fakexen: a user-space stand-in for the few parts of Xen that a xenstore
// daemon needs: domains, grant-mapped ring pages and event channels.
//
// All state lives in one directory (FAKEXEN_DIR), shared by every process of
// one emulated host:
//
//   hv            shared memory: domains, event channel ports, handles
//   ring/<domid>  the page each guest shares with the store (xs_wire.h)
//   evtchn/<id>   one FIFO per open event channel handle: what /dev/xen/evtchn
//                 would deliver, 4-byte port numbers
//   proc/xen/...  xsd_kva (dom0's own ring page) and xsd_port
//
// Port numbers are unique in the whole emulated host, unlike real Xen where
// each domain has its own space; daemons cannot tell the difference.
//
// The delivery rules follow Linux's evtchn device: a delivered port is masked
// until it is unmasked, and an event arriving meanwhile is delivered then.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

namespace fakexen {

constexpr std::uint32_t kMagic = 0x46584531; // "FXE1"
constexpr std::uint32_t kDomains = 0x7ff0;   // DOMID_FIRST_RESERVED
constexpr std::uint32_t kPorts = 1u << 17;   // FIFO ABI's limit per domain
constexpr std::uint32_t kHandles = 1u << 17;
constexpr std::size_t kPage = 4096;

enum DomFlag : std::uint32_t { kExists = 1, kShutdown = 2, kDying = 4, kChanged = 8 };
enum PortState : std::uint32_t { kFree, kUnbound, kInterdomain, kVirq };
enum PortFlag : std::uint32_t { kPending = 1, kMasked = 2 };

struct Dom {
    std::atomic<std::uint32_t> flags;
    std::uint32_t pad;
    std::atomic<std::uint64_t> unique_id;
};

struct Port {
    std::atomic<std::uint32_t> state;
    std::atomic<std::uint32_t> flags;
    std::atomic<std::uint32_t> handle; // who receives: 0 = nobody
    std::atomic<std::uint32_t> remote; // kInterdomain: the other end; kVirq: the VIRQ
    std::uint32_t domid;               // owner
    std::uint32_t remote_domid;        // kUnbound: who may bind
};

struct Handle {
    std::atomic<std::int32_t> pid; // 0 = closed
};

struct Hv {
    std::atomic<std::uint32_t> magic;
    std::atomic<std::uint32_t> next_handle;
    std::atomic<std::uint32_t> next_port;
    std::atomic<std::uint32_t> changed; // domains with kChanged, roughly
    std::atomic<std::uint64_t> next_unique;
    std::atomic<std::uint64_t> status_calls; // xc_evtchn_status: what looks at all ports makes many
    Dom doms[kDomains];
    Port ports[kPorts];
    Handle handles[kHandles];
};

inline bool make_dirs(const std::string &path)
{
    for (std::size_t i = 1; i <= path.size(); ++i)
        if (i == path.size() || path[i] == '/')
            if (mkdir(path.substr(0, i).c_str(), 0755) != 0 && errno != EEXIST)
                return false;
    return true;
}

class Host {
public:
    // The emulated host in `dir`, made on first use. Null with errno on failure.
    static Host *open(const std::string &dir)
    {
        auto *h = new Host(dir);
        if (h->init())
            return h;
        delete h;
        return nullptr;
    }

    const std::string &dir() const { return dir_; }
    Hv &hv() { return *hv_; }

    // ---- domains -----------------------------------------------------------
    bool exists(std::uint32_t domid) const
    {
        return domid < kDomains && (hv_->doms[domid].flags.load() & kExists);
    }

    bool create_domain(std::uint32_t domid)
    {
        if (domid >= kDomains)
            return fail(EINVAL);
        Lock l(*this);
        if (exists(domid))
            return fail(EEXIST);
        unlink(ring_path(domid).c_str());
        if (!make_page(ring_path(domid)))
            return false;
        hv_->doms[domid].unique_id = ++hv_->next_unique;
        set_flags(domid, kExists | kChanged);
        return true;
    }

    bool shutdown_domain(std::uint32_t domid) { return change(domid, kExists | kShutdown | kChanged); }
    /// As a toolstack that takes back a suspension.
    bool resume_domain(std::uint32_t domid) { return exists(domid) && change(domid, kExists, false); }
    bool destroy_domain(std::uint32_t domid, bool notify = true)
    {
        if (!change(domid, kChanged, notify))
            return false;
        unlink(ring_path(domid).c_str());
        Lock l(*this);
        for (std::uint32_t p = 1, n = hv_->next_port.load(); p < n; ++p)
            if (hv_->ports[p].domid == domid && domid != 0)
                free_port(p);
        return true;
    }

    // Raise VIRQ_DOM_EXC (3) at whoever bound it.
    void raise_virq(std::uint32_t virq)
    {
        const std::uint32_t n = hv_->next_port.load();
        for (std::uint32_t p = 1; p < n; ++p)
            if (hv_->ports[p].state.load() == kVirq && hv_->ports[p].remote.load() == virq)
                send(p);
    }

    void mark_all_changed()
    {
        for (std::uint32_t d = 0; d < kDomains; ++d) {
            const std::uint32_t f = hv_->doms[d].flags.load();
            set_flags(d, (f & kExists) ? (f | kChanged) : 0);
        }
    }

    // Like Xen's get_domain_state hypercall with DOMID_INVALID.
    bool poll_changed(std::uint32_t &domid, std::uint32_t &flags)
    {
        if (hv_->changed.load() != 0)
            for (std::uint32_t d = 0; d < kDomains; ++d) {
                const std::uint32_t f = hv_->doms[d].flags.load();
                if (f & kChanged) {
                    set_flags(d, f & ~kChanged);
                    domid = d;
                    flags = f;
                    return true;
                }
            }
        return fail(ENOENT);
    }

    // ---- pages -------------------------------------------------------------
    void *map_ring(std::uint32_t domid, int prot = PROT_READ | PROT_WRITE)
    {
        if (!exists(domid)) {
            errno = ESRCH;
            return nullptr;
        }
        const std::string path = domid == 0 ? dir_ + "/proc/xen/xsd_kva" : ring_path(domid);
        const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return nullptr;
        void *p = mmap(nullptr, kPage, prot, MAP_SHARED, fd, 0);
        ::close(fd);
        return p == MAP_FAILED ? nullptr : p;
    }

    // ---- event channel handles ---------------------------------------------
    // Returns the FIFO's descriptor; `id` names the handle.
    int open_handle(std::uint32_t &id, bool cloexec = true)
    {
        Lock l(*this);
        reap();
        id = hv_->next_handle.fetch_add(1);
        if (id >= kHandles) {
            errno = ENOSPC;
            return -1;
        }
        const std::string path = fifo_path(id);
        unlink(path.c_str());
        if (mkfifo(path.c_str(), 0600) != 0)
            return -1;
        const int fd = ::open(path.c_str(), O_RDWR | (cloexec ? O_CLOEXEC : 0));
        if (fd < 0)
            return -1;
        flock(fd, LOCK_EX | LOCK_NB); // held by the open file, not by the process: see held()
        hv_->handles[id].pid = getpid();
        return fd;
    }

    // The handle behind a descriptor inherited across exec (live update).
    bool handle_of_fd(int fd, std::uint32_t &id)
    {
        char link[64], path[4096];
        std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const ssize_t n = readlink(link, path, sizeof path - 1);
        if (n <= 0)
            return false;
        path[n] = 0;
        const char *slash = std::strrchr(path, '/');
        if (!slash)
            return fail(EINVAL);
        id = static_cast<std::uint32_t>(std::strtoul(slash + 1, nullptr, 10));
        hv_->handles[id].pid = getpid();
        return true;
    }

    void close_handle(std::uint32_t id)
    {
        Lock l(*this);
        drop_handle(id);
    }

    // ---- ports -------------------------------------------------------------
    // A port of `domid` that `remote` may bind to; events go to `handle`.
    std::uint32_t alloc_unbound(std::uint32_t domid, std::uint32_t remote, std::uint32_t handle)
    {
        Lock l(*this);
        const std::uint32_t p = new_port();
        if (p) {
            Port &q = hv_->ports[p];
            q.domid = domid;
            q.remote_domid = remote;
            q.handle = handle;
            q.state = kUnbound;
        }
        return p;
    }

    // Binds a port of the caller (dom0) to `rport` of `rdom`. 0 on failure.
    std::uint32_t bind_interdomain(std::uint32_t handle, std::uint32_t rdom, std::uint32_t rport)
    {
        Lock l(*this);
        reap();
        if (rport == 0 || rport >= kPorts || hv_->ports[rport].domid != rdom ||
            hv_->ports[rport].state != kUnbound) {
            errno = EINVAL;
            return 0;
        }
        const std::uint32_t p = new_port();
        if (!p)
            return 0;
        Port &q = hv_->ports[p], &r = hv_->ports[rport];
        q.domid = 0;
        q.remote_domid = rdom;
        q.handle = handle;
        q.remote = rport;
        r.remote = p;
        q.state = kInterdomain;
        r.state = kInterdomain;
        send(p); // as Xen does: notifications sent before the bind may be lost
        return p;
    }

    // A guest drops its end of a channel and binds a new port of its own to the same port at the other end, as one
    // does that resets its event channels. The new port; 0 on failure.
    std::uint32_t rebind(std::uint32_t domid, std::uint32_t old)
    {
        Lock l(*this);
        if (old == 0 || old >= kPorts || hv_->ports[old].domid != domid ||
            hv_->ports[old].state != kInterdomain) {
            errno = EINVAL;
            return 0;
        }
        const std::uint32_t p = new_port();
        if (!p)
            return 0;
        const std::uint32_t other = hv_->ports[old].remote.load();
        free_port(old);
        Port &q = hv_->ports[p], &r = hv_->ports[other];
        q.domid = domid;
        q.remote = other;
        r.remote = p;
        q.state = kInterdomain;
        r.state = kInterdomain;
        send(p); // as Xen does, at the end of who binds
        return p;
    }

    std::uint32_t bind_virq(std::uint32_t handle, std::uint32_t virq)
    {
        Lock l(*this);
        reap();
        for (std::uint32_t p = 1; p < hv_->next_port.load(); ++p)
            if (hv_->ports[p].state == kVirq && hv_->ports[p].remote.load() == virq) {
                errno = EEXIST; // of one process only
                return 0;
            }
        const std::uint32_t p = new_port();
        if (p) {
            Port &q = hv_->ports[p];
            q.domid = 0;
            q.handle = handle;
            q.remote = virq;
            q.state = kVirq;
        }
        return p;
    }

    /// Whether the port belongs to the handle, as Linux checks before it touches one.
    bool owns(std::uint32_t handle, std::uint32_t port) const
    {
        if (port != 0 && port < kPorts && hv_->ports[port].state.load() != kFree &&
            hv_->ports[port].handle.load() == handle)
            return true;
        errno = ENOTCONN;
        return false;
    }

    bool unbind(std::uint32_t port)
    {
        Lock l(*this);
        return free_port(port);
    }

    bool notify(std::uint32_t port)
    {
        if (port == 0 || port >= kPorts)
            return fail(EINVAL);
        Port &p = hv_->ports[port];
        if (p.state.load() == kInterdomain)
            send(p.remote.load());
        else if (p.state.load() != kUnbound)
            return fail(EINVAL);
        return true;
    }

    // Make `port` pending at its own handle.
    void send(std::uint32_t port)
    {
        Port &p = hv_->ports[port];
        std::uint32_t f = p.flags.load();
        for (;;) {
            if (f & kMasked) {
                if (p.flags.compare_exchange_weak(f, f | kPending))
                    return;
            } else if (p.flags.compare_exchange_weak(f, kMasked)) {
                deliver(port);
                return;
            }
        }
    }

    bool unmask(std::uint32_t port)
    {
        if (port == 0 || port >= kPorts)
            return fail(EINVAL);
        Port &p = hv_->ports[port];
        std::uint32_t f = p.flags.load();
        for (;;) {
            if (f & kPending) {
                if (p.flags.compare_exchange_weak(f, kMasked)) {
                    deliver(port);
                    return true;
                }
            } else if (p.flags.compare_exchange_weak(f, 0)) {
                return true;
            }
        }
    }

private:
    class Lock {
    public:
        explicit Lock(Host &h) : h_(h), g_(h.mu_) { flock(h.fd_, LOCK_EX); }
        ~Lock()
        {
            const int e = errno;
            flock(h_.fd_, LOCK_UN);
            errno = e;
        }
        Host &h_;
        std::lock_guard<std::recursive_mutex> g_;
    };

    explicit Host(std::string dir) : dir_(std::move(dir)) {}

    static bool fail(int e)
    {
        errno = e;
        return false;
    }

    std::string ring_path(std::uint32_t d) const { return dir_ + "/ring/" + std::to_string(d); }
    std::string fifo_path(std::uint32_t id) const { return dir_ + "/evtchn/" + std::to_string(id); }

    static bool make_page(const std::string &path)
    {
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return false;
        const bool ok = ftruncate(fd, kPage) == 0;
        ::close(fd);
        return ok;
    }

    bool init()
    {
        if (!make_dirs(dir_ + "/ring") || !make_dirs(dir_ + "/evtchn") || !make_dirs(dir_ + "/proc/xen") ||
            !make_dirs(dir_ + "/dev/xen"))
            return false;
        fd_ = ::open((dir_ + "/hv").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd_ < 0)
            return false;
        flock(fd_, LOCK_EX);
        bool ok = ftruncate(fd_, sizeof(Hv)) == 0;
        void *m = ok ? mmap(nullptr, sizeof(Hv), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0) : MAP_FAILED;
        ok = m != MAP_FAILED;
        if (ok) {
            hv_ = static_cast<Hv *>(m);
            if (hv_->magic.load() != kMagic)
                ok = first_time();
        }
        flock(fd_, LOCK_UN);
        return ok;
    }

    bool first_time()
    {
        hv_->next_handle = 1;
        hv_->next_port = 1;
        hv_->doms[0].unique_id = ++hv_->next_unique;
        set_flags(0, kExists | kChanged);
        const std::uint32_t p = new_port(); // dom0's kernel: its end of the store's channel
        hv_->ports[p].state = kUnbound;
        const std::string port = dir_ + "/proc/xen/xsd_port";
        std::FILE *f = std::fopen(port.c_str(), "w");
        if (!f)
            return false;
        std::fprintf(f, "%u", p);
        std::fclose(f);
        if (!make_page(dir_ + "/proc/xen/xsd_kva"))
            return false;
        hv_->magic = kMagic;
        return true;
    }

    void set_flags(std::uint32_t domid, std::uint32_t flags)
    {
        const std::uint32_t old = hv_->doms[domid].flags.exchange(flags);
        if ((flags & kChanged) && !(old & kChanged))
            ++hv_->changed;
        if (!(flags & kChanged) && (old & kChanged))
            --hv_->changed;
    }

    bool change(std::uint32_t domid, std::uint32_t flags, bool notify = true)
    {
        if (!exists(domid))
            return fail(ESRCH);
        set_flags(domid, flags);
        if (notify)
            raise_virq(3); // VIRQ_DOM_EXC
        return true;
    }

    std::uint32_t new_port()
    {
        std::uint32_t p = hv_->next_port.load();
        if (p < kPorts) {
            hv_->next_port = p + 1;
        } else {
            for (p = 1; p < kPorts && hv_->ports[p].state != kFree; ++p) {
            }
            if (p == kPorts) {
                errno = ENOSPC;
                return 0;
            }
        }
        Port &q = hv_->ports[p];
        q.flags = 0;
        q.handle = 0;
        q.remote = 0;
        q.domid = q.remote_domid = 0;
        return p;
    }

    bool free_port(std::uint32_t port)
    {
        if (port == 0 || port >= kPorts || hv_->ports[port].state == kFree)
            return fail(EINVAL);
        Port &p = hv_->ports[port];
        if (p.state == kInterdomain) {
            Port &r = hv_->ports[p.remote.load()];
            r.remote = 0;
            r.state = kUnbound; // may be bound again, as in Xen
        }
        p.state = kFree;
        p.handle = 0;
        return true;
    }

    void drop_handle(std::uint32_t id)
    {
        const std::uint32_t n = hv_->next_port.load();
        for (std::uint32_t p = 1; p < n; ++p)
            if (hv_->ports[p].handle == id && hv_->ports[p].state != kFree)
                free_port(p);
        unlink(fifo_path(id).c_str());
        hv_->handles[id].pid = 0;
    }

    // A zombie no longer runs: its descriptors are closed.
    // Whether any process still has the handle open, as one may that keeps
    // the descriptor for a daemon that died.
    bool held(std::uint32_t id) const
    {
        const int fd = ::open(fifo_path(id).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            return false;
        const bool free = flock(fd, LOCK_EX | LOCK_NB) == 0;
        ::close(fd);
        return !free;
    }

    static bool running(std::int32_t pid)
    {
        const std::string path = "/proc/" + std::to_string(pid) + "/stat";
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return false;
        char b[512];
        const ssize_t n = ::read(fd, b, sizeof b - 1);
        ::close(fd);
        b[n > 0 ? n : 0] = 0;
        const char *end = std::strrchr(b, ')');
        return end && end[1] && end[2] != 'Z' && end[2] != 'X';
    }

    // Close what processes left behind that no longer run (kill -9).
    void reap()
    {
        const std::uint32_t n = hv_->next_handle.load();
        for (std::uint32_t id = 1; id < n; ++id) {
            const std::int32_t pid = hv_->handles[id].pid.load();
            if (pid != 0 && pid != last_alive_ && !running(pid) && !held(id))
                drop_handle(id);
            else if (pid != 0)
                last_alive_ = pid;
        }
        last_alive_ = 0;
    }

    void deliver(std::uint32_t port)
    {
        const std::uint32_t id = hv_->ports[port].handle.load();
        if (id == 0)
            return;
        int fd;
        {
            std::lock_guard<std::recursive_mutex> g(mu_);
            auto it = out_.find(id);
            if (it == out_.end()) {
                fd = ::open(fifo_path(id).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
                if (fd < 0)
                    return;
                out_.emplace(id, fd);
            } else {
                fd = it->second;
            }
        }
        const int e = errno;
        if (::write(fd, &port, sizeof port) != static_cast<ssize_t>(sizeof port))
            std::fprintf(stderr, "fakexen: event for port %u lost: %s\n", port, std::strerror(errno));
        errno = e;
    }

    std::string dir_;
    int fd_ = -1;
    Hv *hv_ = nullptr;
    std::recursive_mutex mu_;
    std::int32_t last_alive_ = 0;
    std::unordered_map<std::uint32_t, int> out_;
};

} // namespace fakexen
