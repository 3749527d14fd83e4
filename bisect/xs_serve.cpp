// SPDX-License-Identifier: MIT
// xs-serve: any past state of the store, for programs that only know how to talk to xenstored.
#include "bisect/serve/command.hpp"
#include "bisect/serve/command_line.hpp"
#include "bisect/serve/moment.hpp"
#include "bisect/serve/private_socket.hpp"
#include "inspect/revision.hpp"
#include "inspect/tool.hpp"

#include <csignal>
#include <cstdlib>
#include <optional>
#include <sys/un.h>

using namespace xsgit;
using namespace xsgit::bisect;
using namespace xsgit::inspect;

namespace {

struct Options {
    std::string at, socket;
};

/// As clients in any directory find it.
std::string absolute(const std::string &path)
{
    if (path.starts_with('/'))
        return path;
    const std::unique_ptr<char, decltype(&std::free)> here(::realpath(".", nullptr), std::free);
    return std::string(here ? here.get() : ".") + "/" + path;
}

void must_fit_an_address(const std::string &path)
{
    constexpr std::size_t kMost = sizeof sockaddr_un{}.sun_path - 1;
    if (path.size() > kMost)
        throw ToolFailure(kUsage, "the socket's path is longer than the " + std::to_string(kMost) +
                                      " bytes that xenstore's clients can use: " + path);
}

/// Until somebody asks us to end.
void serve_alone(PastServer &server, Signals &signals)
{
    for (;;) {
        server.serve_until(signals.fd());
        while (const auto s = signals.take())
            if (s->number == SIGTERM || s->number == SIGINT || s->number == SIGHUP || s->number == SIGQUIT)
                return;
    }
}

int serve(Tool &tool, const Options &o, const std::vector<std::string> *words)
{
    const auto view = tool.open();
    const Oid commit = resolve(*view, o.at, tool.utc());
    auto state = state_at(*view, commit);
    Signals signals; // before anything is made that must be removed
    std::optional<PrivateSocket> own;
    if (o.socket.empty())
        own.emplace();
    const std::string path = own ? own->path() : absolute(o.socket);
    must_fit_an_address(path);
    PastServer server(path, std::move(state));
    if (words)
        return run_beside(server, {*words, {}, false}, signals).status;
    print("XENSTORED_PATH=" + path + "\n");
    flush();
    serve_alone(server, signals);
    return kOk;
}

} // namespace

int main(int argc, char **argv)
{
    Tool tool("xs-serve", "Serve a past state of the store, read-only, as xenstored would.");
    Options o;
    tool.app()
        .add_option("--at", o.at, "the moment: a commit, a number or a time (default: the last commit)")
        ->type_name("REV");
    tool.app()
        .add_option("--socket", o.socket, "listen here (default: at a private place, removed at the end)")
        ->type_name("PATH")
        ->check(not_empty);
    tool.app().footer(
        "-- CMD [ARG...]: run CMD with XENSTORED_PATH naming the socket, end with it, with its status.\n"
        "Without CMD: print XENSTORED_PATH=..., serve until SIGTERM or SIGINT.");
    const CommandLine line(argc, argv);
    return tool.run(line.argc(), argv, [&] { return serve(tool, o, line.command()); });
}
