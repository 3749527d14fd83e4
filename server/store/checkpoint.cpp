// SPDX-License-Identifier: MIT
#include "server/store/checkpoint.hpp"

#include "server/engine/state_stream.hpp"
#include "server/store/tree_record.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace xsgit::server {
namespace {

std::string_view raw(const Oid &id)
{
    return {reinterpret_cast<const char *>(id.bytes.data()), id.bytes.size()};
}

Oid to_oid(std::string_view bytes)
{
    Oid id;
    std::memcpy(id.bytes.data(), bytes.data(), id.bytes.size());
    return id;
}

} // namespace

void UnsentOutputs::add(UnsentOutput o)
{
    Queue &q = queues_[o.conn];
    q.bytes += o.bytes.size();
    bytes_ += o.bytes.size();
    q.items.push_back(std::move(o));
}

void UnsentOutputs::add(std::uint64_t number, const Outputs &out, const SentUpTo &sent)
{
    constexpr std::size_t kMost =
        kOutputMost + kOutputDropEvents; // the loop's limit, and what lies on the way
    std::uint32_t index = 0;
    for (const Output &o : out.items()) {
        const OutputName name{number, index++};
        const std::string_view bytes = out.bytes(o);
        Queue &q = queues_[o.conn];
        if (o.event && q.bytes + bytes.size() > kMost)
            trim(q, sent(o.conn));
        if (o.event && q.bytes + bytes.size() > kMost)
            continue;
        q.bytes += bytes.size();
        bytes_ += bytes.size();
        q.items.push_back(UnsentOutput{o.conn, name, o.event, std::string(bytes)});
    }
}

void UnsentOutputs::forget(std::uint64_t conn)
{
    const auto it = queues_.find(conn);
    if (it == queues_.end())
        return;
    bytes_ -= it->second.bytes;
    queues_.erase(it);
}

void UnsentOutputs::trim(Queue &q, const OutputName &first)
{
    while (!q.items.empty() && q.items.front().name < first) {
        const std::size_t size = q.items.front().bytes.size();
        q.bytes -= size;
        bytes_ -= size;
        q.items.pop_front();
    }
}

void UnsentOutputs::trim(const SentUpTo &sent)
{
    for (auto it = queues_.begin(); it != queues_.end();) {
        trim(it->second, sent(it->first));
        it = it->second.items.empty() ? queues_.erase(it) : std::next(it);
    }
}

void UnsentOutputs::save(StreamWriter &w) const
{
    for (const auto &[conn, q] : queues_)
        for (const UnsentOutput &o : q.items) {
            w.record(kUnsentRecord);
            w.u64(conn);
            w.u64(o.name.event);
            w.u32(o.name.index);
            w.u32(o.event ? 1 : 0);
            w.text(o.bytes);
        }
}

std::vector<UnsentOutput> UnsentOutputs::take()
{
    std::vector<UnsentOutput> out;
    for (auto &[conn, q] : queues_)
        out.insert(out.end(), std::make_move_iterator(q.items.begin()),
                   std::make_move_iterator(q.items.end()));
    queues_.clear();
    bytes_ = 0;
    return out;
}

namespace {

void write_head(StreamWriter &w, const Tips &tips, const EpochStart &start)
{
    w.record(kHeadRecord);
    w.bytes(raw(tips.main));
    w.bytes(raw(tips.main_tree));
    w.u64(tips.conflicts_number);
    w.bytes(raw(tips.conflicts));
    w.u64(start.seq);
    w.bytes(raw(start.main));
    w.bytes(raw(start.side));
    w.bytes(raw(start.conflicts));
}

/// Where there is no commit: `seq` in the place of its id.
std::string seq_as_id(std::uint64_t seq)
{
    Oid id{};
    std::memcpy(id.bytes.data(), &seq, sizeof seq);
    return std::string(raw(id));
}

std::uint64_t id_as_seq(std::string_view id)
{
    std::uint64_t seq = 0;
    std::memcpy(&seq, id.data(), sizeof seq);
    return seq;
}

void write_bases(StreamWriter &w, const State &state, std::uint64_t most)
{
    Tree last = state.tree();
    for (const auto &[seq, tree] : state.bases()) {
        if (seq == state.seq())
            continue;
        if (w.size() > most)
            return;
        write_tree_record(w, seq, last, tree);
        last = tree;
    }
}

} // namespace

std::uint64_t bases_bytes(const State &state, std::uint64_t most)
{
    if (state.open_transactions() == 0)
        return 0;
    StreamWriter w;
    write_bases(w, state, most);
    return w.size();
}

std::string write_checkpoint(const State &state, const HistoryWriter &writer, const UnsentOutputs &unsent)
{
    StreamWriter w;
    write_head(w, writer.tips(), writer.epoch_start());
    state.save(w, [&](std::uint64_t seq) {
        const auto id = writer.commit_of(seq);
        return std::string(raw(id ? *id : Oid{}));
    });
    unsent.save(w);
    return w.finish();
}

std::string write_whole_checkpoint(const State &state, const Tips &written, const UnsentOutputs &unsent)
{
    StreamWriter w;
    write_head(w, written, {});
    w.record(kGapRecord);
    w.u64(written.seq);
    w.u64(written.conflicts_number);
    write_tree_record(w, state.seq(), Tree(), state.tree());
    write_bases(w, state, ~std::uint64_t{0});
    state.save(w, seq_as_id);
    unsent.save(w);
    return w.finish();
}

LoadedCheckpoint load_checkpoint(const std::string &data, const Repository &repo, ChangeSink *sink)
{
    LoadedCheckpoint out{{}, State(sink), {}};
    StreamReader stream(data);
    const auto cache = make_load_cache();
    bool has_head = false;
    std::map<std::uint64_t, Tree> trees; // of a gap, by seq
    Tree last_tree;
    while (auto r = stream.next()) {
        if (r->type() == kHeadRecord) {
            Tips &tips = out.head.tips;
            tips.main = to_oid(r->bytes(20));
            tips.main_tree = to_oid(r->bytes(20));
            tips.conflicts_number = r->u64();
            tips.conflicts = to_oid(r->bytes(20));
            out.head.start.seq = r->u64();
            out.head.start.main = to_oid(r->bytes(20));
            out.head.start.side = to_oid(r->bytes(20));
            out.head.start.conflicts = to_oid(r->bytes(20));
            has_head = true;
        } else if (r->type() == kGapRecord) {
            out.head.gap = true;
            out.head.tips.seq = r->u64();
            out.head.tips.conflicts_number = r->u64();
        } else if (r->type() == kTreeRecord) {
            auto [seq, tree] = read_tree_record(*r, std::move(last_tree));
            last_tree = trees[seq] = std::move(tree);
        } else if (r->type() == kUnsentRecord) {
            UnsentOutput o;
            o.conn = r->u64();
            o.name.event = r->u64();
            o.name.index = r->u32();
            o.event = r->u32() != 0;
            o.bytes = std::string(r->text());
            out.unsent.add(std::move(o));
        } else if (r->type() == kStateRecord) {
            out.state.load_record(*r, {});
            if (out.head.gap) {
                out.state.load_tree(trees[out.state.seq()]);
                continue;
            }
            // Of an epoch before, the commit may be gone: its tree was written again where this one begins.
            const auto commit = repo.commit(out.head.tips.main);
            if (commit && commit->tree != out.head.tips.main_tree)
                throw StreamDamaged("checkpoint: its commit " + out.head.tips.main.hex() +
                                    " has another tree");
            out.state.load_tree(load_tree(repo, out.head.tips.main_tree, out.state.epoch(), cache));
            out.head.tips.seq = out.state.seq();
        } else if (out.head.gap) {
            out.state.load_record(*r, [&](std::string_view id) { return trees[id_as_seq(id)]; });
        } else {
            if (r->type() == kTransactionRecord) {
                RecordReader peek = *r;
                peek.u64(); // both ids
                const std::uint64_t seq = peek.u64();
                out.head.bases.emplace_back(seq, to_oid(peek.bytes(20)));
            }
            out.state.load_record(*r, [&](std::string_view id) {
                const auto commit = repo.commit(to_oid(id));
                return !commit ? Tree() : load_tree(repo, commit->tree, out.state.epoch(), cache);
            });
        }
    }
    if (!has_head || out.state.event_number() == 0 || out.state.tree().empty())
        throw StreamDamaged("checkpoint: head or state is missing");
    return out;
}

std::unique_ptr<HistoryWriter> continue_history(const CheckpointHead &head, const State &state,
                                                const Repository *repo)
{
    const Tree none;
    auto writer = std::make_unique<HistoryWriter>(head.tips, head.gap ? none : state.tree(), state.epoch(),
                                                  head.start, repo);
    for (const auto &[seq, id] : head.bases)
        writer->remember(seq, id);
    if (head.gap)
        writer->give_up(head.tips);
    return writer;
}

std::optional<std::uint64_t> checkpoint_event(const std::string &data)
{
    try {
        StreamReader stream(data);
        while (auto r = stream.next())
            if (r->type() == kStateRecord)
                return r->u64();
    } catch (const StreamDamaged &) {
    }
    return std::nullopt;
}

} // namespace xsgit::server
