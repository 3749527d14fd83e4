// SPDX-License-Identifier: MIT
// Locking: `mutex` guards the set and the short sequences of renames or unlinks that must agree with
// it. Bytes are written, read and freed without it.
#include "xsgit/git/pack_store.hpp"

#include "xsgit/base/crash_point.hpp"
#include "xsgit/base/lack_of_room.hpp"
#include "xsgit/git/pack_dir.hpp"
#include "xsgit/git/pack_merger.hpp"
#include "xsgit/git/pack_set.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

namespace xsgit {

namespace {

constexpr std::int64_t kRescanUs = 3'000'000;
constexpr std::int64_t kNoRoomPauseUs = 1'000'000;

std::int64_t real_time_ns() noexcept
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

} // namespace

struct PackStore::Impl {
    Impl(std::string objects_dir, Limits l) : dir(std::move(objects_dir)), limits(l) {}

    bool unlink_next(const std::function<bool(const PackSet::Pack &)> &wanted);
    bool make_room(std::uint64_t bytes);
    void write(const FinishedPack &pack, std::uint32_t epoch);
    bool merge_once(std::int64_t now_us);
    void merge(const PackSet::Merge &m, std::int64_t now_us);
    void forget_vanished(const std::string &name);
    void rescan();

    std::uint64_t total() const { return set.bytes() + foreign; }

    PackDir dir;
    const Limits limits;
    std::atomic<std::uint64_t> reserved{0};
    /// What packs may take at present; 0: anything.
    std::uint64_t limit() const noexcept
    {
        const std::uint64_t r = reserved.load(std::memory_order_relaxed);
        return std::max(limits.bytes / 4, limits.bytes - std::min(limits.bytes, r));
    }
    mutable std::mutex mutex;
    PackSet set;
    std::uint64_t foreign = 0; // packs and loose objects of others, and their indexes
    std::uint32_t current = 0;
    std::uint64_t merges = 0, dropped_epochs = 0;
    bool unlinked = false; // since the last rescan
    std::atomic<std::uint64_t> vanished{0};

    // Of the thread that calls maintain().
    std::int64_t next_rescan = 0, no_merge_before = 0;
};

/// Unlinks the replaced pack that is next, if it is `wanted`. False: nothing was done.
bool PackStore::Impl::unlink_next(const std::function<bool(const PackSet::Pack &)> &wanted)
{
    Fd freed; // closed, and so freed, without the lock
    const std::lock_guard lock(mutex);
    const std::string name = set.next_replaced();
    if (name.empty() || !wanted(*set.find(name)))
        return false;
    Fd pack = dir.remove(name);
    set.erase(name);
    unlinked = true;
    freed = std::move(pack);
    return true;
}

/// Unlinks replaced packs until `bytes` more fit into the limit. False if they do not fit.
bool PackStore::Impl::make_room(std::uint64_t bytes)
{
    if (limit() == 0)
        return true;
    while (unlink_next([&](const PackSet::Pack &) { return total() + bytes > limit(); }))
        ;
    const std::lock_guard lock(mutex);
    return total() + bytes <= limit();
}

void PackStore::Impl::write(const FinishedPack &pack, std::uint32_t epoch)
{
    TempFile data = dir.temporary(), index = dir.temporary();
    data.write(pack.pack);
    index.write(pack.index);
    const std::uint64_t bytes = disk_bytes(data.bytes()) + disk_bytes(index.bytes()) + disk_bytes(1);

    const std::lock_guard lock(mutex);
    // The same objects in the same order, as after a replay, are the same pack.
    const PackMark mark = set.mark_of(pack.name, {epoch, 0});
    const std::int64_t time = set.next_time(real_time_ns());
    data.set_time(time);
    dir.install(pack.name, mark, data, index);
    set.add(pack.name, mark, bytes, time);
    current = std::max(current, epoch);
}

bool PackStore::Impl::merge_once(std::int64_t now_us)
{
    if (now_us < no_merge_before)
        return false;
    PackSet::Merge next;
    {
        const std::lock_guard lock(mutex);
        next = set.next_merge(limits.merge_width, current);
    }
    if (next.names.empty())
        return false;
    try {
        if (make_room(next.bytes)) {
            merge(next, now_us);
            const std::lock_guard lock(mutex);
            return !set.next_merge(limits.merge_width, current).names.empty();
        }
    } catch (const std::system_error &e) {
        if (!is_lack_of_room(e))
            throw;
        while (unlink_next([](const PackSet::Pack &) { return true; }))
            ;
    }
    no_merge_before = now_us + kNoRoomPauseUs;
    return false;
}

/// With what may be left of it: its .keep, or an index without a pack. The lock is held.
void PackStore::Impl::forget_vanished(const std::string &name)
{
    vanished += !set.find(name)->replaced;
    dir.remove(name);
    set.erase(name);
}

/// Writes one pack for those of `m`; forgets those that are gone.
void PackStore::Impl::merge(const PackSet::Merge &m, std::int64_t now_us)
{
    std::vector<PackReader> inputs;
    std::vector<std::string> names;
    for (const std::string &name : m.names) {
        PackReader reader;
        const PackReader::State state = reader.open(dir.fd(), name);
        if (state == PackReader::State::Good) {
            inputs.push_back(std::move(reader));
            names.push_back(name);
            continue;
        }
        const std::lock_guard lock(mutex);
        PackSet::Pack *p = set.find(name);
        if (p && state == PackReader::State::Damaged) {
            p->damaged = true;
        } else if (p) {
            forget_vanished(name);
        }
    }
    if (inputs.size() < 2)
        return;
    XSGIT_CRASH_POINT("merge.begun");

    TempFile data = dir.temporary(), index = dir.temporary();
    const MergedPack merged = merge_packs(inputs, [&data](std::string_view bytes) { data.write(bytes); });
    index.write(merged.index);
    const std::uint64_t bytes = disk_bytes(data.bytes()) + disk_bytes(index.bytes()) + disk_bytes(1);

    const std::lock_guard lock(mutex);
    for (const std::string &name : names) {
        const PackSet::Pack *p = set.find(name);
        if (!p || p->replaced)
            return; // dropped meanwhile: the epoch must not come back
    }
    // The result may be one of the inputs, when the others had nothing else. It stays.
    const PackMark mark = set.mark_of(merged.name, m.mark);
    data.set_time(m.time);
    dir.install(merged.name, mark, data, index);
    XSGIT_CRASH_POINT("merge.installed");
    set.add(merged.name, mark, bytes, m.time);
    for (const std::string &name : names) {
        if (name != merged.name)
            set.replace(name, now_us + limits.grace_us);
    }
    ++merges;
}

/// What others put into the repository or took away.
void PackStore::Impl::rescan()
{
    std::set<std::string, std::less<>> before;
    {
        const std::lock_guard lock(mutex);
        for (const auto &[name, p] : set.packs())
            before.insert(name);
    }
    const PackDir::Names files = dir.list();
    const std::uint64_t loose = dir.loose_bytes();

    const std::lock_guard lock(mutex);
    foreign = loose;
    for (const auto &[file, bytes] : files) {
        const std::string name(pack_name_of(file));
        if (!before.contains(name) && !set.find(name))
            foreign += bytes;
    }
    for (const std::string &name : before) {
        const bool whole =
            files.contains("pack-" + name + ".idx") && files.contains("pack-" + name + ".pack");
        // A list that is read in pieces can miss what is renamed meanwhile, as when a pack is written again.
        if (!whole && set.find(name) && !dir.is_whole(name)) {
            forget_vanished(name);
        }
    }
    // One that was being written while we unlinked packs may name them.
    if (std::exchange(unlinked, false)) {
        for (const auto &[file, bytes] : files) {
            if (file.starts_with("multi-pack-index")) // and what belongs to it
                dir.unlink(file);
        }
    }
}

PackStore::PackStore(std::string objects_dir, Limits limits)
    : impl_(std::make_unique<Impl>(std::move(objects_dir), limits))
{
    for (const PackDir::Found &f : impl_->dir.recover()) {
        impl_->set.add(f.name, f.mark, f.bytes, f.time);
        impl_->current = std::max(impl_->current, f.mark.epoch);
    }
    impl_->rescan();
}

PackStore::~PackStore() = default;

std::uint64_t PackStore::limit() const noexcept { return impl_->limits.bytes; }

void PackStore::add(const FinishedPack &pack, std::uint32_t epoch)
{
    if (pack.objects == 0)
        return;
    impl_->make_room(disk_bytes(pack.pack.size()) + disk_bytes(pack.index.size()) + disk_bytes(1));
    for (;;) {
        try {
            return impl_->write(pack, epoch);
        } catch (const std::system_error &e) {
            if (!is_lack_of_room(e) || !impl_->unlink_next([](const PackSet::Pack &) { return true; }))
                throw;
        }
    }
}

void PackStore::begin_epoch(std::uint32_t epoch)
{
    const std::lock_guard lock(impl_->mutex);
    impl_->current = std::max(impl_->current, epoch);
}

std::uint32_t PackStore::oldest_epoch() const
{
    const std::lock_guard lock(impl_->mutex);
    return impl_->set.oldest_epoch(impl_->current);
}

void PackStore::set_reserved(std::uint64_t bytes) { impl_->reserved.store(bytes, std::memory_order_relaxed); }

bool PackStore::wants_epoch() const
{
    const std::lock_guard lock(impl_->mutex);
    return impl_->limit() && impl_->set.epoch_bytes(impl_->current) > impl_->limit() / 6;
}

bool PackStore::wants_drop() const
{
    const std::lock_guard lock(impl_->mutex);
    const Impl &i = *impl_;
    if (i.limit() == 0 || i.set.oldest_epoch(i.current) == i.current)
        return false;
    // A merge has both its inputs and its result on disk; and packs go on coming.
    const std::uint64_t room = i.set.largest_merge() + i.limit() / 16;
    return i.set.live_bytes() + i.foreign + room > i.limit();
}

void PackStore::drop_epoch(std::uint32_t epoch)
{
    {
        const std::lock_guard lock(impl_->mutex);
        bool any = false;
        for (const std::string &name : impl_->set.live()) {
            if (impl_->set.find(name)->mark.epoch == epoch) {
                impl_->set.replace(name, PackSet::kNotYet);
                any = true;
            }
        }
        impl_->dropped_epochs += any;
    }
    impl_->make_room(0);
}

bool PackStore::maintain(std::int64_t now_us)
{
    Impl &i = *impl_;
    {
        const std::lock_guard lock(i.mutex);
        i.set.start_grace(now_us + i.limits.grace_us);
    }
    while (i.unlink_next([now_us](const PackSet::Pack &p) { return p.due <= now_us; }))
        ;
    if (now_us >= i.next_rescan) {
        using Clock = std::chrono::steady_clock;
        const auto start = Clock::now();
        i.rescan();
        const std::chrono::microseconds took =
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
        i.next_rescan = now_us + std::max(kRescanUs, 50 * took.count());
    }
    i.make_room(0);
    return i.merge_once(now_us);
}

std::uint64_t PackStore::vanished() const noexcept { return impl_->vanished.load(); }

PackStore::Stats PackStore::stats() const
{
    const std::lock_guard lock(impl_->mutex);
    const Impl &i = *impl_;
    Stats s;
    s.bytes = i.total();
    s.epoch_bytes = i.set.epoch_bytes(i.current);
    s.packs = i.set.live_count();
    s.oldest_epoch = i.set.oldest_epoch(i.current);
    s.current_epoch = i.current;
    s.merges = i.merges;
    s.dropped_epochs = i.dropped_epochs;
    return s;
}

std::vector<std::string> PackStore::live_packs() const
{
    const std::lock_guard lock(impl_->mutex);
    std::vector<std::string> paths;
    for (const std::string &name : impl_->set.live())
        paths.push_back(impl_->dir.path() + "/pack-" + name + ".pack");
    return paths;
}

} // namespace xsgit
