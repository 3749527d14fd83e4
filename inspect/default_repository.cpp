// SPDX-License-Identifier: MIT
// Mirrors the daemon's choice (server/daemon/default_paths.hpp), which tools may not link.
#include "inspect/default_repository.hpp"

#include <cstdlib>
#include <fmt/core.h>
#include <unistd.h>

namespace xsgit::inspect {

std::string default_repository()
{
    const std::string of_host = "/run/xsgit/store.git";
    if (geteuid() == 0)
        return of_host;
    const char *runtime = std::getenv("XDG_RUNTIME_DIR");
    const std::string own = runtime && *runtime ? std::string(runtime) + "/xsgit/store.git"
                                                : fmt::format("/dev/shm/xsgit-{}/store.git", geteuid());
    return access(own.c_str(), F_OK) == 0 ? own : of_host;
}

std::string chosen_repository(const std::string &named)
{
    if (!named.empty())
        return named;
    const char *from_environment = std::getenv("XS_REPO");
    return from_environment && *from_environment ? from_environment : default_repository();
}

} // namespace xsgit::inspect
