// SPDX-License-Identifier: MIT
#include "bisect/replay_shell.hpp"

#include "bisect/serve/command.hpp"
#include "bisect/serve/past_server.hpp"
#include "bisect/serve/past_state.hpp"
#include "bisect/serve/private_socket.hpp"
#include "bisect/serve/signals.hpp"

#include <cstdlib>
#include <memory>
#include <set>
#include <utility>

namespace xsgit::replay {

int run_on_state(const server::State &state, std::vector<std::string> words)
{
    if (words.empty()) {
        const char *shell = std::getenv("SHELL");
        words.emplace_back(shell && *shell ? shell : "/bin/sh");
    }
    std::set<std::uint32_t> introduced;
    for (const server::State::KnownDomain &d : state.domains())
        if (d.introduced)
            introduced.insert(d.domid);
    bisect::Signals signals; // before anything is made that must be removed
    const bisect::PrivateSocket socket;
    bisect::PastServer server(
        socket.path(), std::make_unique<bisect::PastState>(
                           state.tree(), [introduced](std::uint32_t d) { return introduced.contains(d); }));
    return run_beside(server, {std::move(words), {}, false}, signals).status;
}

} // namespace xsgit::replay
