// SPDX-License-Identifier: MIT
// Load on a xenstored's socket, from one thread: N connections, each with a fixed number of requests in flight, over
// the nodes of D guests laid out as a toolstack lays them out. Prints operations a second and latencies.
//
// Workloads:
//   read         READ of any node of any guest
//   write        WRITE of a device's state
//   mixed        70 % READ, 10 % DIRECTORY, 5 % GET_PERMS, 15 % WRITE
//   transaction  creation of a device (two directories, 24 writes, permissions) in a transaction, then its removal; one
//                operation is one such cycle; conflicts are retried and counted
//   watch        pairs of connections: one writes, the other hears and writes, the first hears: one operation
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fmt/core.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

enum Type : std::uint32_t {
    kDirectory = 1,
    kRead = 2,
    kGetPerms = 3,
    kWatch = 4,
    kStart = 6,
    kEnd = 7,
    kWrite = 11,
    kMkdir = 12,
    kRm = 13,
    kSetPerms = 14,
    kEvent = 15,
    kError = 16,
};
constexpr std::size_t kHeader = 16;

struct Settings {
    std::string socket, workload = "mixed";
    unsigned connections = 16, guests = 50, depth = 1;
    double seconds = 3, warmup = 0.5;
    bool json = false, no_setup = false;
};

std::int64_t now_ns()
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

/// Latencies in buckets of at most 1.6 % width; costs no memory per value.
class Histogram {
public:
    void add(std::int64_t ns)
    {
        const auto v = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
        ++buckets_[index(v)];
        ++count_;
        max_ = std::max(max_, v);
    }
    std::uint64_t count() const { return count_; }
    double max_us() const { return static_cast<double>(max_) / 1e3; }
    /// The value that the share `q` of all does not exceed, microseconds; 0 without values.
    double quantile_us(double q) const
    {
        const auto wanted = static_cast<std::uint64_t>(q * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i)
            if ((seen += buckets_[i]) > wanted)
                return static_cast<double>(value(i)) / 1e3;
        return max_us();
    }

private:
    static constexpr unsigned kBits = 6; // 64 buckets to a power of two
    static std::size_t index(std::uint64_t v)
    {
        if (v < (1u << kBits))
            return v;
        const unsigned shift = static_cast<unsigned>(std::bit_width(v)) - kBits - 1;
        return ((shift + 1) << kBits) + ((v >> shift) & ((1u << kBits) - 1));
    }
    static std::uint64_t value(std::size_t i)
    {
        if (i < (2u << kBits))
            return i;
        const std::size_t shift = (i >> kBits) - 1;
        return ((i & ((1u << kBits) - 1)) + (1u << kBits)) << shift;
    }
    std::array<std::uint64_t, (64 - kBits + 1) << kBits> buckets_{};
    std::uint64_t count_ = 0, max_ = 0;
};

struct Node {
    std::string path, value;
};

/// What a toolstack and the two ends of two devices write for one guest: 68 nodes with the directories.
std::vector<Node> guest_nodes(unsigned domid)
{
    const std::string d = fmt::format("/local/domain/{}", domid), id = std::to_string(domid);
    const std::string vm = fmt::format("/vm/00000000-0000-0000-0000-{:012}", domid);
    std::vector<Node> out{{d + "/vm", vm},
                          {d + "/name", "guest-" + id},
                          {d + "/domid", id},
                          {d + "/cpu/0/availability", "online"},
                          {d + "/cpu/1/availability", "online"},
                          {d + "/memory/static-max", "1048576"},
                          {d + "/memory/target", "1048577"},
                          {d + "/memory/videoram", "-1"},
                          {d + "/control/shutdown", ""},
                          {d + "/control/feature-poweroff", "1"},
                          {d + "/control/feature-reboot", "1"},
                          {d + "/control/feature-suspend", ""},
                          {d + "/data/updated", "1"},
                          {d + "/console/backend", "/local/domain/0/backend/console/" + id + "/0"},
                          {d + "/console/backend-id", "0"},
                          {d + "/console/limit", "1048576"},
                          {d + "/console/type", "xenconsoled"},
                          {d + "/console/output", "pty"},
                          {d + "/console/port", "2"},
                          {d + "/console/ring-ref", "1044476"},
                          {d + "/store/port", "1"},
                          {d + "/store/ring-ref", "1044477"},
                          {vm + "/name", "guest-" + id},
                          {vm + "/uuid", vm.substr(4)},
                          {vm + "/start_time", "1700000000.00"}};
    for (const auto &[kind, number] : {std::pair<std::string, std::string>{"vbd", "51712"}, {"vif", "0"}}) {
        const std::string front = d + "/device/" + kind + "/" + number;
        const std::string back = "/local/domain/0/backend/" + kind + "/" + id + "/" + number;
        for (const auto &[leaf, value] :
             std::vector<std::pair<std::string, std::string>>{{"backend", back},
                                                              {"backend-id", "0"},
                                                              {"state", "4"},
                                                              {"handle", number},
                                                              {"ring-ref", "8"},
                                                              {"event-channel", "12"},
                                                              {"protocol", "x86_64-abi"}})
            out.push_back({front + "/" + leaf, value});
        for (const auto &[leaf, value] :
             std::vector<std::pair<std::string, std::string>>{{"frontend", front},
                                                              {"frontend-id", id},
                                                              {"online", "1"},
                                                              {"state", "4"},
                                                              {"hotplug-status", "connected"},
                                                              {"params", "/dev/vg/guest-" + id}})
            out.push_back({back + "/" + leaf, value});
    }
    return out;
}

std::string message(std::uint32_t type, std::uint32_t tx, std::initializer_list<std::string_view> strings,
                    std::string_view raw = {})
{
    std::string out(kHeader, '\0');
    for (const std::string_view s : strings)
        out.append(s).push_back('\0');
    out.append(raw);
    const std::uint32_t header[4] = {type, 1, tx, static_cast<std::uint32_t>(out.size() - kHeader)};
    std::memcpy(out.data(), header, kHeader);
    return out;
}

/// One connection: buffers, and when each request in flight was sent.
class Client {
public:
    Client(unsigned n, const std::string &path) : number(n), random(n * 0x9e3779b97f4a7c15u + 1)
    {
        fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path)
            throw std::runtime_error("the socket's path is too long: " + path);
        std::memcpy(address.sun_path, path.data(), path.size());
        if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
            throw std::system_error(errno, std::generic_category(), "connecting to " + path);
    }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;
    ~Client() { ::close(fd); }

    void send(std::string_view m)
    {
        out.append(m);
        sent.push_back(now_ns());
    }
    /// Sends what it can; true if something is left.
    bool flush()
    {
        while (done < out.size()) {
            const ssize_t n = ::send(fd, out.data() + done, out.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0) {
                if (errno == EAGAIN)
                    return true;
                throw std::system_error(errno, std::generic_category(), "sending");
            }
            done += static_cast<std::size_t>(n);
        }
        out.clear();
        done = 0;
        return false;
    }
    /// Reads what is there; false if there was nothing.
    bool fill()
    {
        char data[65536];
        const ssize_t n = ::recv(fd, data, sizeof data, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            throw std::runtime_error("the daemon closed the connection");
        if (n > 0)
            in.append(data, static_cast<std::size_t>(n));
        return n > 0;
    }
    std::uint64_t draw(std::uint64_t below) // xorshift64*
    {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        return ((random * 0x2545f4914f6cdd1du) >> 33) % below;
    }

    int fd = -1;
    unsigned number;
    std::string out, in;
    std::size_t done = 0;
    std::deque<std::int64_t> sent;
    bool writing = false; // epoll watches for room
    std::uint64_t random;
    bool watching = false; // watch: it has had its first event

    // transaction: where in the creation of a device it is
    std::vector<std::string> script;
    std::size_t next = 0, answered = 0;
    std::uint32_t tx = 0;
    unsigned device = 0;
    bool removing = false;
    std::int64_t began = 0;
};

class Load {
public:
    explicit Load(const Settings &s) : s_(s)
    {
        if (s.workload == "watch" && s_.connections % 2 != 0)
            ++s_.connections;
        for (unsigned g = 1; g <= s_.guests; ++g)
            for (Node &n : guest_nodes(g))
                nodes_.push_back(std::move(n));
        for (unsigned g = 1; g <= s_.guests; ++g) {
            states_.push_back(fmt::format("/local/domain/{}/device/vbd/51712/state", g));
            states_.push_back(fmt::format("/local/domain/0/backend/vbd/{}/51712/state", g));
            states_.push_back(fmt::format("/local/domain/{}/device/vif/0/state", g));
            directories_.push_back(fmt::format("/local/domain/{}", g));
            directories_.push_back(fmt::format("/local/domain/0/backend/vif/{}/0", g));
        }
    }

    void run()
    {
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        if (epoll_ < 0)
            throw std::system_error(errno, std::generic_category(), "epoll_create1");
        if (!s_.no_setup)
            set_up();
        for (unsigned i = 0; i < s_.connections; ++i) {
            clients_.push_back(std::make_unique<Client>(i, s_.socket));
            epoll_event e{};
            e.events = EPOLLIN;
            e.data.ptr = clients_.back().get();
            if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, clients_.back()->fd, &e) != 0)
                throw std::system_error(errno, std::generic_category(), "epoll_ctl");
        }
        for (const auto &c : clients_)
            begin(*c);
        const std::int64_t start = now_ns();
        measure_from_ = start + static_cast<std::int64_t>(s_.warmup * 1e9);
        const std::int64_t end = measure_from_ + static_cast<std::int64_t>(s_.seconds * 1e9);
        std::int64_t now = start;
        while ((now = now_ns()) < end) {
            epoll_event ready[256];
            const int n = ::epoll_wait(epoll_, ready, 256, 100);
            if (n < 0 && errno != EINTR)
                throw std::system_error(errno, std::generic_category(), "epoll_wait");
            for (int i = 0; i < n; ++i) {
                Client &c = *static_cast<Client *>(ready[i].data.ptr);
                if ((ready[i].events & (EPOLLIN | EPOLLHUP)) && c.fill())
                    consume(c);
                flush(c);
            }
        }
        seconds_ = static_cast<double>(now - measure_from_) / 1e9;
        ::close(epoll_);
    }

    void report() const
    {
        const double rate = static_cast<double>(latency_.count()) / seconds_;
        if (s_.json) {
            const nlohmann::json j{{"workload", s_.workload},
                                   {"connections", s_.connections},
                                   {"guests", s_.guests},
                                   {"depth", s_.depth},
                                   {"seconds", seconds_},
                                   {"operations", latency_.count()},
                                   {"per_second", rate},
                                   {"conflicts", conflicts_},
                                   {"errors", errors_},
                                   {"p50_us", latency_.quantile_us(0.5)},
                                   {"p90_us", latency_.quantile_us(0.9)},
                                   {"p99_us", latency_.quantile_us(0.99)},
                                   {"p999_us", latency_.quantile_us(0.999)},
                                   {"max_us", latency_.max_us()}};
            fmt::print("{}\n", j.dump());
            return;
        }
        fmt::print("{} {} connections depth {} guests {}: {:.0f}/s; us: p50 {:.1f} p90 {:.1f} p99 {:.1f} "
                   "p99.9 {:.1f} "
                   "max {:.1f}; {} operations, {} conflicts, {} errors\n",
                   s_.workload, s_.connections, s_.depth, s_.guests, rate, latency_.quantile_us(0.5),
                   latency_.quantile_us(0.9), latency_.quantile_us(0.99), latency_.quantile_us(0.999),
                   latency_.max_us(), latency_.count(), conflicts_, errors_);
    }

private:
    /// Writes all guests' nodes, pipelined over one connection.
    void set_up()
    {
        Client c(0, s_.socket);
        const auto answer = [&] {
            for (;;) {
                std::uint32_t h[4];
                while (c.in.size() < kHeader ||
                       (std::memcpy(h, c.in.data(), kHeader), c.in.size() < kHeader + h[3]))
                    if (!c.fill())
                        ::usleep(50);
                c.in.erase(0, kHeader + h[3]);
                if (h[0] == kEvent)
                    continue;
                if (h[0] == kError)
                    throw std::runtime_error(
                        "the daemon refuses the guests' nodes; are its quotas too small?");
                c.sent.pop_front();
                return;
            }
        };
        for (const Node &n : nodes_) {
            c.send(message(kWrite, 0, {n.path}, n.value));
            if (c.sent.size() >= 64) {
                while (c.flush())
                    ::usleep(50);
                while (c.sent.size() > 32)
                    answer();
            }
        }
        while (c.flush())
            ::usleep(50);
        while (!c.sent.empty())
            answer();
    }

    void flush(Client &c)
    {
        const bool left = c.flush();
        if (left == c.writing)
            return;
        c.writing = left;
        epoll_event e{};
        e.events = EPOLLIN | (left ? EPOLLOUT : 0u);
        e.data.ptr = &c;
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &e);
    }

    void begin(Client &c)
    {
        if (s_.workload == "transaction") {
            next_device(c);
        } else if (s_.workload == "watch") {
            c.send(message(kWatch, 0, {echo(c) + (c.number % 2 ? "a" : "b"), "t"}));
        } else {
            for (unsigned i = 0; i < s_.depth; ++i)
                c.send(draw_request(c));
        }
        flush(c);
    }

    std::string draw_request(Client &c)
    {
        const auto any = [&](const auto &of) -> const auto & { return of[c.draw(of.size())]; };
        const auto write = [&] {
            return message(kWrite, 0, {any(states_)}, std::string(1, static_cast<char>('1' + c.draw(6))));
        };
        if (s_.workload == "read")
            return message(kRead, 0, {any(nodes_).path});
        if (s_.workload == "write")
            return write();
        const std::uint64_t dice = c.draw(100);
        if (dice < 70)
            return message(kRead, 0, {any(nodes_).path});
        if (dice < 80)
            return message(kDirectory, 0, {any(directories_)});
        return dice < 85 ? message(kGetPerms, 0, {any(directories_)}) : write();
    }

    void finish(std::int64_t began)
    {
        const std::int64_t now = now_ns();
        if (began >= measure_from_)
            latency_.add(now - began);
    }

    void consume(Client &c)
    {
        std::size_t at = 0;
        while (c.in.size() - at >= kHeader) {
            std::uint32_t h[4];
            std::memcpy(h, c.in.data() + at, kHeader);
            if (c.in.size() - at < kHeader + h[3])
                break;
            const std::string_view payload = std::string_view(c.in).substr(at + kHeader, h[3]);
            if (h[0] == kEvent)
                event(c, payload);
            else
                reply(c, h[0], payload);
            at += kHeader + h[3];
        }
        c.in.erase(0, at);
    }

    void reply(Client &c, std::uint32_t type, std::string_view payload)
    {
        if (c.sent.empty())
            throw std::runtime_error("a reply that nobody asked for");
        const std::int64_t began = c.sent.front();
        c.sent.pop_front();
        if (s_.workload == "transaction")
            return step(c, type, payload);
        if (type == kError)
            ++errors_;
        if (s_.workload == "watch")
            return;
        finish(began);
        c.send(draw_request(c));
    }

    /// One round of a pair: the even one writes a; the odd one, hearing of it, b; that ends the round.
    void round(Client &even)
    {
        even.began = now_ns();
        even.send(message(kWrite, 0, {echo(even) + "a"}, "x"));
        flush(even);
    }
    static std::string echo(const Client &c) { return fmt::format("/bench/echo/{}/", c.number / 2); }

    void event(Client &c, std::string_view)
    {
        if (s_.workload != "watch")
            return;
        Client &even = *clients_[c.number & ~1u];
        if (!std::exchange(c.watching, true)) { // the first event says that the watch is set
            if (clients_[c.number ^ 1u]->watching)
                round(even);
        } else if (&c == &even) {
            finish(c.began);
            round(c);
        } else {
            c.send(message(kWrite, 0, {echo(c) + "b"}, "x"));
        }
    }

    void next_device(Client &c)
    {
        const unsigned domid = 1000 + c.number, number = c.device++ % 8;
        const std::string front = fmt::format("/local/domain/{}/device/vbd/{}", domid, number);
        const std::string back = fmt::format("/local/domain/0/backend/vbd/{}/{}", domid, number);
        c.script.clear();
        for (const std::string &d : {front, back}) {
            c.script.push_back(message(kMkdir, 0, {d}));
            c.script.push_back(message(kSetPerms, 0, {d, "n0", "r0"}));
        }
        for (const char *leaf :
             {"backend", "backend-id", "state", "virtual-device", "device-type", "ring-ref", "event-channel",
              "protocol", "feature-a", "feature-b", "feature-c", "feature-d"})
            c.script.push_back(message(kWrite, 0, {front + "/" + leaf}, "1"));
        for (const char *leaf : {"frontend", "frontend-id", "online", "state", "params", "type", "mode",
                                 "dev", "bootable", "removable", "discard-enable", "hotplug-status"})
            c.script.push_back(message(kWrite, 0, {back + "/" + leaf}, "1"));
        c.next = c.answered = 0;
        c.removing = false;
        c.began = now_ns();
        start_transaction(c);
    }

    void start_transaction(Client &c)
    {
        c.tx = 0;
        c.next = c.answered = 0;
        c.send(message(kStart, 0, {""}));
    }

    void feed(Client &c)
    {
        while (c.next < c.script.size() && c.next - c.answered < s_.depth) {
            std::string &m = c.script[c.next++];
            std::memcpy(m.data() + 8, &c.tx, 4);
            c.send(m);
        }
        if (c.next == c.script.size() && c.answered == c.next)
            c.send(message(kEnd, c.tx, {"T"}));
    }

    void step(Client &c, std::uint32_t type, std::string_view payload)
    {
        if (c.removing) { // the two removals that make room for the next one
            errors_ += type == kError;
            if (c.sent.empty()) {
                finish(c.began);
                next_device(c);
            }
            return;
        }
        if (c.tx == 0) {
            if (type != kStart)
                throw std::runtime_error("no transaction: " + std::string(payload));
            c.tx = static_cast<std::uint32_t>(std::strtoul(std::string(payload).c_str(), nullptr, 10));
            return feed(c);
        }
        if (c.answered < c.script.size()) {
            errors_ += type == kError;
            ++c.answered;
            return feed(c);
        }
        if (type == kError) {
            if (payload.substr(0, 6) != "EAGAIN")
                throw std::runtime_error("a commit was refused: " + std::string(payload));
            ++conflicts_;
            return start_transaction(c);
        }
        c.removing = true;
        for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
            const std::string &mkdir = c.script[i];
            c.send(message(kRm, 0, {std::string_view(mkdir).substr(kHeader, mkdir.size() - kHeader - 1)}));
        }
    }

    Settings s_;
    int epoll_ = -1;
    std::vector<Node> nodes_;
    std::vector<std::string> states_, directories_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::int64_t measure_from_ = 0;
    double seconds_ = 0;
    Histogram latency_;
    std::uint64_t conflicts_ = 0, errors_ = 0;
};

} // namespace

int main(int argc, char **argv)
{
    Settings s;
    CLI::App app("Load on a xenstored's socket.");
    app.add_option("--socket", s.socket, "of the daemon")->required();
    app.add_option("--workload", s.workload, "what to do")
        ->check(CLI::IsMember({"read", "write", "mixed", "transaction", "watch"}));
    app.add_option("--connections", s.connections, "served at once")->check(CLI::Range(1, 60000));
    app.add_option("--guests", s.guests, "whose nodes are there")->check(CLI::Range(1, 30000));
    app.add_option("--depth", s.depth, "requests in flight on each connection")->check(CLI::Range(1, 1000));
    app.add_option("--seconds", s.seconds, "measured")->check(CLI::PositiveNumber);
    app.add_option("--warmup", s.warmup, "seconds before that")->check(CLI::NonNegativeNumber);
    app.add_flag("--json", s.json, "print a line of JSON");
    app.add_flag("--no-setup", s.no_setup, "the guests' nodes are there already");
    CLI11_PARSE(app, argc, argv);
    try {
        Load load(s);
        load.run();
        load.report();
    } catch (const std::exception &e) {
        fmt::print(stderr, "load: {}\n", e.what());
        return 1;
    }
    return 0;
}
