// SPDX-License-Identifier: MIT
// A history writer whose packs nobody takes.
#include "bisect/replay/commit_ids.hpp"

namespace xsgit::replay {

namespace {

constexpr std::size_t kPackMost = 16u << 20; // bytes that are kept before they are thrown away

} // namespace

void CommitIds::bound()
{
    if (writer_.pack().bytes() > kPackMost)
        writer_.pack().finish();
}

void CommitIds::on_change(const Change &c)
{
    writer_.on_change(c);
    bound();
}

void CommitIds::on_conflict(const Conflict &c)
{
    writer_.on_conflict(c);
    bound();
}

void CommitIds::on_epoch(const NewEpoch &e, const Tree &head)
{
    writer_.pack().finish();
    writer_.on_epoch(e, head);
}

} // namespace xsgit::replay
