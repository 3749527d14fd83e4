// SPDX-License-Identifier: MIT
// Serves a past state to clients of a local socket. One thread, one poll loop; nobody can make it wait for them.
#pragma once

#include "bisect/serve/client_buffer.hpp"
#include "bisect/serve/past_state.hpp"
#include "server/daemon/unique_fd.hpp"

#include <map>
#include <memory>
#include <string>

namespace xsgit::bisect {

class PastServer {
public:
    /// Listens at `path` as server::listen_at() does, and throws what that throws.
    PastServer(const std::string &path, std::unique_ptr<PastState> state);
    ~PastServer();
    PastServer(const PastServer &) = delete;

    /// Answers until `wake` is readable. Throws std::system_error if the system refuses to wait.
    void serve_until(int wake);

    const std::string &path() const noexcept { return path_; }

private:
    struct Client {
        server::UniqueFd fd;
        ClientBuffer buffer;
        bool ended = false; // it sends no more
    };
    using Clients = std::map<std::uint64_t, std::unique_ptr<Client>>;

    void accept_some();
    /// False: it is gone, or deserves to be.
    bool serve(std::uint64_t conn, Client &c, bool readable);
    void execute(std::uint64_t conn, Client &c);
    static bool read_some(Client &c);
    static bool write_some(Client &c);

    std::string path_;
    server::UniqueFd listening_;
    std::unique_ptr<PastState> state_;
    Clients clients_;
    bool full_ = false; // no descriptors left: others wait until one is free
};

} // namespace xsgit::bisect
