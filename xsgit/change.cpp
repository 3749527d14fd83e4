// SPDX-License-Identifier: MIT
#include "xsgit/change.hpp"

namespace xsgit {

std::string_view op_name(OpKind k) noexcept
{
    switch (k) {
    case OpKind::Start:
        return "start";
    case OpKind::Write:
        return "write";
    case OpKind::Mkdir:
        return "mkdir";
    case OpKind::Rm:
        return "rm";
    case OpKind::SetPerms:
        return "set-perms";
    case OpKind::Commit:
        return "commit";
    case OpKind::Read:
        return "read";
    case OpKind::Directory:
        return "directory";
    case OpKind::GetPerms:
        return "get-perms";
    case OpKind::Introduce:
        return "introduce";
    case OpKind::Release:
        return "release";
    case OpKind::Death:
        return "death";
    }
    return "?";
}

} // namespace xsgit
