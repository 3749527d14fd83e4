// SPDX-License-Identifier: MIT
// Where each epoch of history begins: what `shallow` must name once older epochs are gone.
// File: one line an epoch, "<epoch> <seq> <commit>…", the commits whose parents lie in older epochs.
#pragma once

#include "xsgit/git/oid.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace xsgit::server {

struct EpochBoundary {
    std::uint64_t seq = 0; // first commit on main in it
    std::vector<Oid> commits;
};

class Epochs {
public:
    /// Reads the file; lines that make no sense are left out.
    explicit Epochs(std::string file);
    /// Sets or replaces one, forgets those below `oldest`, writes the file. Throws std::system_error.
    void set(std::uint32_t epoch, EpochBoundary b, std::uint32_t oldest);
    /// History is shown from `epoch` on: forgets those before it, and writes the file if there were any. Throws
    /// std::system_error.
    void forget_before(std::uint32_t epoch);
    /// The first epoch from `epoch` on that has a commit on main, and where it begins; null if there is none. (Two
    /// Epoch events in a row leave one without.)
    const std::pair<const std::uint32_t, EpochBoundary> *find_from(std::uint32_t epoch) const;

private:
    void write() const;
    std::string file_;
    std::map<std::uint32_t, EpochBoundary> epochs_;
};

} // namespace xsgit::server
