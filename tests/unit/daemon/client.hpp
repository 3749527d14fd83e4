// SPDX-License-Identifier: MIT
// A xenstore client in a few lines; every wait ends after some seconds.
#pragma once

#include "server/daemon/local_socket.hpp"
#include "server/engine/wire.hpp"

#include <cstring>
#include <string>
#include <sys/socket.h>

namespace xsgit::server::test {

struct Message {
    std::uint32_t type = ~0u, req_id = 0, tx = 0;
    std::string payload;
    bool ok = false; // false: closed or time-out
};

inline std::string request(MsgType type, const std::string &payload, std::uint32_t req_id = 0)
{
    const std::uint32_t header[4] = {static_cast<std::uint32_t>(type), req_id, 0,
                                     static_cast<std::uint32_t>(payload.size())};
    return std::string(reinterpret_cast<const char *>(header), sizeof header) + payload;
}

/// "a|b|": '|' stands for NUL.
inline std::string nul(std::string text)
{
    for (char &c : text)
        if (c == '|')
            c = '\0';
    return text;
}

struct Client {
    explicit Client(const std::string &path) : fd(connect_to(path, SOCK_STREAM))
    {
        set_timeout(fd.get(), 10);
    }

    bool send(const std::string &bytes)
    {
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t n = ::send(fd.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
            if (n <= 0)
                return false;
            done += static_cast<std::size_t>(n);
        }
        return true;
    }
    bool read(char *to, std::size_t size)
    {
        while (size > 0) {
            const ssize_t n = ::recv(fd.get(), to, size, 0);
            if (n <= 0)
                return false;
            to += n;
            size -= static_cast<std::size_t>(n);
        }
        return true;
    }
    Message receive()
    {
        Message m;
        std::uint32_t header[4];
        if (!read(reinterpret_cast<char *>(header), sizeof header))
            return m;
        m.type = header[0];
        m.req_id = header[1];
        m.tx = header[2];
        m.payload.resize(header[3]);
        m.ok = read(m.payload.data(), m.payload.size());
        return m;
    }
    /// Request and its reply, '|' for NUL in both.
    std::string ask(MsgType type, const std::string &payload)
    {
        if (!send(request(type, nul(payload))))
            return "(cannot send)";
        Message m = receive();
        for (char &c : m.payload)
            if (c == '\0')
                c = '|';
        return m.ok ? m.payload : "(closed)";
    }

    UniqueFd fd;
};

} // namespace xsgit::server::test
