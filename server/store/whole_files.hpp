// SPDX-License-Identifier: MIT
// Two files, <repository>/xsgit/whole.1 and whole.2, whose room is taken in good times, for checkpoints that stand
// without git: they can be written when nothing else can. Overwritten in turn and never given up for good, so that
// nobody else gets the room.
//
// File: "xsgitwhl", u64 number of its last event, u64 length (0: nothing), then so many bytes, a stream with its own
// checksum; the rest is room.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace xsgit::server {

class WholeFiles {
public:
    /// `first`, `second`: paths. Finds what is there, and whether it is whole; nothing is made yet.
    WholeFiles(std::string first, std::string second);

    /// Takes room for two checkpoints of `bytes`, and some more. False: there is none, or the files cannot be made; what
    /// was taken before stays. Cheap when nothing has to change.
    bool reserve(std::uint64_t bytes) noexcept;
    /// Gives back what is much more than that, and holds nothing.
    void shrink(std::uint64_t bytes) noexcept;
    /// Room of both.
    std::uint64_t room() const noexcept { return room_[0] + room_[1]; }
    /// Writes the one of `event` over the older of the two. False: the room does not suffice, or somebody has removed the
    /// file; what the other one holds stays. A kill leaves that one whole.
    bool write(std::uint64_t event, std::string_view data) noexcept;
    /// What they hold is out of date: nobody shall try it.
    void clear() noexcept;

    /// Number of the last event of what a file holds; 0: nothing.
    static std::uint64_t event_of(const std::string &path) noexcept;
    /// What it holds; empty if nothing.
    static std::string read(const std::string &path);

private:
    bool reserve(std::size_t i, std::uint64_t bytes) noexcept;
    const std::array<std::string, 2> paths_;
    std::array<std::uint64_t, 2> room_{}, event_{};
};

} // namespace xsgit::server
