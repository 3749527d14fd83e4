// SPDX-License-Identifier: MIT
// Three kinds of failure, three ways to say it:
//  * what a client did wrong is a *result*: `Result<T>` carrying an `Error`
//    whose name goes on the wire;
//  * a broken environment (repository, file system) is an *exception*, derived
//    from std::runtime_error, whose text says what to do; main() prints it;
//  * a bug is an assertion; out of memory ends the process, which recovers.
//
//     Result<Path> p = Path::parse(text, domid);
//     if (!p)
//         return fail(p.error());
#pragma once

#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

namespace xsgit {

/// Errors a client can see. The order is libxenstore's table (xs_wire.h).
enum class Error : std::uint8_t {
    Einval,
    Eacces,
    Eexist,
    Eisdir,
    Enoent,
    Enomem,
    Enospc,
    Eio,
    Enotempty,
    Enosys,
    Erofs,
    Ebusy,
    Eagain,
    Eisconn,
    E2big,
    Eperm,
};

/// The name on the wire, without NUL ("ENOENT"). Static lifetime.
std::string_view wire_name(Error e) noexcept;

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Error e) { return tl::unexpected<Error>(e); }

} // namespace xsgit
