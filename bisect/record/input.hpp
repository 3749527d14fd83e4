// SPDX-License-Identifier: MIT
// A file, or standard input, that is read to its end.
#pragma once

#include "server/daemon/unique_fd.hpp"

#include <cstddef>
#include <functional>
#include <string>

namespace xsgit::record {

class Input {
public:
    /// "-": standard input. Throws std::runtime_error that names it.
    explicit Input(const std::string &path);
    /// As session::Reader::Source; throws std::runtime_error. This must outlive it.
    std::function<std::size_t(char *to, std::size_t n)> source();

private:
    std::string name_; // for messages
    server::UniqueFd fd_;
};

} // namespace xsgit::record
