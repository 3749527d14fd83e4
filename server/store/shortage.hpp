// SPDX-License-Identifier: MIT
// What the host lacks for now: descriptors, memory, room. It says nothing of the store, and must not be taken for damage:
// who meets it stops, and is started again.
#pragma once

#include <system_error>

namespace xsgit::server {

/// What a start of the server needs of descriptors besides those of its clients.
inline constexpr int kSpareDescriptors = 24;

/// Whether so many more descriptors can be had. 2 * `count` system calls.
bool has_spare_descriptors(int count = kSpareDescriptors) noexcept;

/// Throws std::runtime_error that says what to do.
void require_spare_descriptors();

bool is_shortage(const std::error_code &e) noexcept;

} // namespace xsgit::server
