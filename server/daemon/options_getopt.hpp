// SPDX-License-Identifier: MIT
// The command line as getopt_long() reads it, which scripts were written for: values that are missing, options cut
// short or standing together, and the order of those that say the same.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace xsgit::server {

struct Words {
    std::vector<std::string> words; // each option by its long name, with "=value"; quotas all as --quota
    std::vector<std::string> notes; // what was ignored
};

/// `app` knows the options. Throws std::runtime_error if the store or the socket is left without a value: the daemon
/// must not serve another one than was meant.
Words read_like_getopt(const CLI::App &app, int argc, const char *const *argv);

} // namespace xsgit::server
