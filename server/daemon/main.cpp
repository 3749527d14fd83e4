// SPDX-License-Identifier: MIT
// xenstored: puts the parts together.
#include "server/daemon/claim.hpp"
#include "server/daemon/daemonize.hpp"
#include "server/daemon/keeper.hpp"
#include "server/daemon/options.hpp"

#include <csignal>
#include <exception>
#include <fmt/core.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace xsgit::server;

namespace {

void raise_limits()
{
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int run(const Options &options, const std::vector<std::string> &args)
{
    if (options.stop) {
        stop_running(options);
        return 0;
    }
    const std::vector<StoredFd> stored = take_stored_fds(); // before a fork: they are for this process
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN); // a limit on file sizes is like a full file system
    umask(077);
    raise_limits();
    Log log(Log::Target::Stderr); // the keeper turns to syslog once the launcher has been told
    if (options.resume) {
        if (!options.foreground)
            log.set_target(Log::Target::Syslog);
        log.warning("keeper", "the keeper has died; the server has taken its place");
        return Keeper(options, args, *options.resume, std::nullopt, log).run();
    }
    // Not owned: the server closes it, as its descriptors are ours; and if we fail, the launcher shall wait until
    // main() has said why.
    const int launcher = options.foreground ? -1 : daemonize().release();
    const Claim claim = claim_repository(options, stored, log);
    if (claim.taken_over)
        log.notice("take-over", "taking over from the running daemon");
    return Keeper(options, args, claim.own, launcher, log).run();
}

} // namespace

int main(int argc, char **argv)
{
    try {
        const CommandLine line = parse_command_line(argc, argv);
        if (line.text) {
            fmt::print("{}", *line.text);
            return 0;
        }
        for (const std::string &note : line.notes)
            fmt::print(stderr, "xenstored: {}\n", note);
        return run(line.options, std::vector<std::string>(argv, argv + argc));
    } catch (const std::exception &e) {
        fmt::print(stderr, "xenstored: {}\n", e.what());
        return 1;
    }
}
