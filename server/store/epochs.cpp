// SPDX-License-Identifier: MIT
#include "server/store/epochs.hpp"

#include "server/store/state_dir.hpp"

#include <fmt/core.h>
#include <sstream>

namespace xsgit::server {

Epochs::Epochs(std::string file) : file_(std::move(file))
{
    std::istringstream lines(read_file(file_));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::uint32_t epoch = 0;
        EpochBoundary b;
        if (!(words >> epoch >> b.seq))
            continue;
        for (std::string hex; words >> hex;)
            if (const auto id = Oid::from_hex(hex))
                b.commits.push_back(*id);
        epochs_[epoch] = std::move(b);
    }
}

void Epochs::set(std::uint32_t epoch, EpochBoundary b, std::uint32_t oldest)
{
    epochs_[epoch] = std::move(b);
    epochs_.erase(epochs_.begin(), epochs_.lower_bound(oldest));
    write();
}

void Epochs::forget_before(std::uint32_t epoch)
{
    const auto end = epochs_.lower_bound(epoch);
    if (epochs_.begin() == end)
        return;
    epochs_.erase(epochs_.begin(), end);
    write();
}

void Epochs::write() const
{
    std::string text;
    for (const auto &[number, e] : epochs_) {
        text += fmt::format("{} {}", number, e.seq);
        for (const Oid &id : e.commits)
            text += fmt::format(" {}", id.hex());
        text += '\n';
    }
    replace_file(file_, text);
}

const std::pair<const std::uint32_t, EpochBoundary> *Epochs::find_from(std::uint32_t epoch) const
{
    const auto it = epochs_.lower_bound(epoch);
    return it == epochs_.end() ? nullptr : &*it;
}

} // namespace xsgit::server
