// SPDX-License-Identifier: MIT
#include "bisect/replay/process_replies.hpp"

#include <iterator>

namespace xsgit::replay {

void ProcessReplies::forget(std::map<std::uint64_t, Reply>::iterator reply)
{
    of_client_.erase(reply->second.client);
    replies_.erase(reply);
}

void ProcessReplies::answered(std::size_t client, std::size_t step, std::uint64_t sent)
{
    while (!replies_.empty() && replies_.begin()->first <= sent)
        forget(replies_.begin());
    if (const auto mine = of_client_.find(client); mine != of_client_.end())
        forget(replies_.find(mine->second)); // sent before this one: the connection keeps their order
    replies_.emplace_hint(replies_.end(), ++now_, Reply{client, step});
    of_client_[client] = now_;
}

std::vector<std::size_t> ProcessReplies::since(std::uint64_t moment, std::size_t client) const
{
    const auto first = replies_.upper_bound(moment);
    std::vector<std::size_t> steps;
    steps.reserve(static_cast<std::size_t>(std::distance(first, replies_.end())));
    for (auto it = first; it != replies_.end(); ++it)
        if (it->second.client != client)
            steps.push_back(it->second.step);
    return steps;
}

} // namespace xsgit::replay
