// SPDX-License-Identifier: MIT
// Stands between clients and a xenstored, passes on every byte, and records it first.
#pragma once

#include "bisect/record/pipe.hpp"
#include "bisect/record/recorder.hpp"
#include "server/daemon/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace xsgit::record {

/// A socket for clients, mode 0600; removed at the end.
class Listener {
public:
    /// Throws std::runtime_error that says what to do.
    explicit Listener(std::string path);
    ~Listener();
    Listener(const Listener &) = delete;
    Listener &operator=(const Listener &) = delete;
    int fd() const noexcept { return fd_.get(); }

private:
    std::string path_;
    server::UniqueFd fd_;
};

/// Microseconds of the monotonic clock.
std::uint64_t monotonic_us() noexcept;
/// Microseconds since 1970.
std::uint64_t wall_us() noexcept;

class Proxy {
public:
    /// For the clients of `listener`, to the daemon whose socket is at `to`. `begin_us`: when the session began, of the monotonic
    /// clock. `listener` and `file` must outlive this; `note` gets what the user should know.
    Proxy(const Listener &listener, std::string to, SessionFile &file, const Redaction &redaction,
          std::uint64_t begin_us, std::function<void(const std::string &)> note);
    Proxy(const Proxy &) = delete;
    Proxy &operator=(const Proxy &) = delete;

    /// Serves until `stop` (a descriptor) is readable, then writes the end mark. Nothing is passed on before it is in the
    /// file, so a slow disk slows clients down. If the file cannot be written any more, clients are served on, and the result is
    /// false. Memory: one Pipe::kChunk for each direction at most.
    bool run(int stop);

private:
    struct Pair {
        std::uint64_t conn = 0;
        Socket client, daemon;
        server::UniqueFd client_fd, daemon_fd;
        Pipe up, down; // to the daemon, to the client
        bool up_ended = false, ready = false;
    };
    using Pairs = std::map<std::uint64_t, Pair>;

    void watch(int fd, std::uint64_t key, bool edge);
    void wait(bool busy);
    void event(std::uint64_t key, std::uint32_t events);
    void accept();
    bool connect(server::UniqueFd client);
    void receive(Pair &pair);
    void send(Pair &pair);
    void pass();
    void make_ready(Pair &pair);
    /// Calls `what`, which records; when that fails, recording ends here.
    void record(const std::function<void(std::uint64_t at_us)> &what);

    const Listener &listener_;
    std::string to_;
    SessionFile &file_;
    Recorder recorder_;
    std::uint64_t begin_us_;
    std::function<void(const std::string &)> note_;
    server::UniqueFd epoll_, waiting_; // waiting_: accepted, while the daemon has no room
    Pairs pairs_;
    std::vector<Pair *> ready_;
    std::uint64_t next_ = 1;
    std::size_t most_ = 0; // pairs
    bool can_accept_ = false, recording_ = true, stopped_ = false;
};

} // namespace xsgit::record
