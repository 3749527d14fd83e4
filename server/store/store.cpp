// SPDX-License-Identifier: MIT
#include "server/store/store.hpp"

#include "server/engine/wire.hpp"
#include "server/store/committer.hpp"
#include "server/store/maintenance.hpp"
#include "server/store/recovery.hpp"
#include "server/store/shortage.hpp"
#include "xsgit/base/clock.hpp"
#include "xsgit/base/crash_point.hpp"
#include "xsgit/journal/file.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <set>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace fs = std::filesystem;

namespace xsgit::server {
namespace {

constexpr std::uint64_t kJournalMost = 32u << 20;
constexpr std::uint64_t kJournalLeast = 1u << 20;
constexpr std::uint64_t kStateReserve = 4u << 20; // checkpoints, slots, small files
// Writers wait when the committer folds what is older than this. Shorter than the 500 ms of lag that count when
// history cannot be written at all: writers then wait often and briefly, not seldom and long.
constexpr std::int64_t kSlowWriters = 40'000;  // us
constexpr std::int64_t kStopWriters = 500'000; // us
// While history cannot be written at all, the journal holds what comes: so often a commit, that there is time to help.
constexpr std::int64_t kTrickle = 5'000; // us

std::int64_t wall_us()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::uint64_t journal_capacity(std::uint64_t budget)
{
    return std::clamp(budget / 8, kJournalLeast, kJournalMost) & ~std::uint64_t{4095};
}

/// What a request makes of work for history: commits; or only state, which checkpoints hold; or nothing to speak of.
enum class Burden { None, State, Commit };

Burden burden_of(const Event &e)
{
    if (e.kind != EventKind::Request || e.wire.size() < kHeaderSize)
        return Burden::None;
    switch (static_cast<MsgType>(read_header(e.wire.data()).type)) {
    case MsgType::Write:
    case MsgType::Mkdir:
    case MsgType::Rm:
    case MsgType::SetPerms:
    case MsgType::TransactionEnd:
        return Burden::Commit;
    case MsgType::Watch:
    case MsgType::Unwatch:
    case MsgType::ResetWatches:
    case MsgType::TransactionStart:
        return Burden::State;
    default:
        return Burden::None;
    }
}

/// Makes a repository in our directory, from which git's files are taken. Others, whole or half, were left by starts
/// that died.
fs::path make_beside(const StatePaths &paths)
{
    const fs::path fresh = paths.dir + "/new.git";
    std::vector<fs::path> left;
    for (const auto &entry : fs::directory_iterator(paths.dir))
        if (entry.path().filename().string().starts_with("new.git"))
            left.push_back(entry.path());
    for (const fs::path &path : left)
        fs::remove_all(path);
    Repository::create(fresh.string());
    return fresh;
}

/// 0 for no time.
std::int64_t age_us(std::int64_t since)
{
    return since == 0 ? 0 : std::max<std::int64_t>(0, monotonic_us() - since);
}

} // namespace

struct Store::Impl {
    explicit Impl(const StoreOptions &o) : options(o), paths(o.repo) {}

    StoreOptions options;
    StatePaths paths;
    std::function<void(const std::string &)> report;
    std::unique_ptr<Journal> journal;
    std::unique_ptr<PackStore> packs;
    State state;
    std::vector<UnsentOutput> unsent;
    CommitterStart committer_start;
    std::unique_ptr<Committer> committer;
    std::unique_ptr<Maintenance> maintenance;
    std::uint64_t held_back = 0; // tries to write while history was too far behind
    std::int64_t trickled_us = 0;
    Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

    void make();
    void make_repository();
    void open_journal();
    bool renew_journal(const Repository &repo);
    std::unique_ptr<Repository> open_repository();
    bool recover_state();
    void open_packs();
    void require_means() const;
    void become_new(StoreKind kind);
    bool run(Event &e, Outputs &out);
    bool must_wait(Burden b);
    void begin_epoch(Outputs &out);
};

/// A new store: repository, journal, format last, so that a start that dies in between leaves
/// nothing that looks whole.
void Store::Impl::make()
{
    fs::create_directories(paths.dir);
    fs::permissions(paths.repo, fs::perms::owner_all);
    write_making(paths);
    if (!fs::exists(paths.repo + "/HEAD"))
        make_repository();
    ::unlink(paths.journal.c_str()); // of a start that died before it had made a store
    journal = Journal::create(paths.journal, journal_capacity(options.budget));
    open_packs();
    Event start;
    start.kind = EventKind::Start;
    start.facts = options.boot_id;
    Outputs out;
    run(start, out);
    committer_start.from = Journal::Position{};
    committer_start.first_publish = 1;
    write_format(paths, options.boot_id);
}

/// The directory is there already, with the lock in it: git's files are made beside and moved in,
/// HEAD last, which makes it a repository.
void Store::Impl::make_repository()
{
    const fs::path fresh = make_beside(paths);
    for (const auto &entry : fs::directory_iterator(fresh))
        if (entry.path().filename() != "HEAD") {
            const fs::path target = paths.repo / entry.path().filename();
            fs::remove_all(target);
            fs::rename(entry.path(), target);
        }
    fs::rename(fresh / "HEAD", paths.repo + "/HEAD");
    fs::remove_all(fresh);
}

void Store::Impl::open_packs()
{
    PackStore::Limits limits;
    const std::uint64_t used =
        (journal ? journal->capacity() : journal_capacity(options.budget)) + kStateReserve;
    limits.bytes = options.budget > 2 * used ? options.budget - used : options.budget / 2;
    packs = std::make_unique<PackStore>(paths.repo + "/objects", limits);
}

/// What both checkpoints do not need may be damaged. No journal: there is none to go on from.
void Store::Impl::open_journal()
{
    try {
        journal = Journal::open(paths.journal);
    } catch (const JournalDamaged &e) {
        return report(e.what());
    } catch (const std::system_error &e) {
        if (e.code() != std::errc::no_such_file_or_directory)
            throw;
        return report(e.what());
    }
    std::string damage = journal->check();
    if (damage.empty())
        return;
    std::vector<KeptCheckpoint> kept = kept_checkpoints(paths);
    std::reverse(kept.begin(), kept.end());
    for (const KeptCheckpoint &c : kept)
        if (c.event != 0 && journal->skip_to_after(c.event)) {
            report("journal: " + damage + "; going on from " + c.file + ", nothing is lost");
            return;
        }
    damage = journal->repair();
    report("journal: " + damage + ": THE LAST EVENTS ARE LOST");
}

/// Begins the journal behind the newest checkpoint that can be loaded; the old one is kept beside if there is room. False:
/// there is no such checkpoint.
bool Store::Impl::renew_journal(const Repository &repo)
{
    const std::string broken = paths.journal + ".broken";
    for (const KeptCheckpoint &c : kept_checkpoints(paths)) {
        std::uint64_t event;
        try {
            event = load_checkpoint(c.data, repo, nullptr).state.event_number();
        } catch (const std::system_error &e) {
            if (is_shortage(e.code()))
                throw;
            continue;
        } catch (const std::runtime_error &) {
            continue; // recover() has told of it, or does
        }
        journal.reset();
        ::rename(paths.journal.c_str(), broken.c_str());
        const auto create = [&] {
            journal = Journal::create(paths.journal, journal_capacity(options.budget), {0, event + 1});
        };
        try {
            create();
        } catch (const std::system_error &) {
            ::unlink(broken.c_str());
            create();
        }
        report(fmt::format("{} is gone or damaged: going on from {}; WHAT CAME BEHIND IT IS LOST",
                           paths.journal, c.file));
        return true;
    }
    return false;
}

/// A typo in its configuration, or a missing HEAD, is no reason to give up a whole store.
std::unique_ptr<Repository> Store::Impl::open_repository()
{
    try {
        return Repository::open(paths.repo);
    } catch (const GitError &e) {
        report(std::string(e.what()) +
               ": its configuration and HEAD are written anew, the old ones kept as *.broken");
    }
    const fs::path fresh = make_beside(paths), repo = paths.repo;
    for (const char *name : {"config", "HEAD"}) {
        std::error_code ignored;
        fs::rename(repo / name, repo / (std::string(name) + ".broken"), ignored);
        fs::rename(fresh / name, repo / name);
    }
    for (const char *name : {"refs/heads", "refs/tags", "refs/xsgit", "objects/info", "objects/pack", "info"})
        fs::create_directories(repo / name);
    fs::remove_all(fresh);
    return Repository::open(paths.repo);
}

/// False when nothing leads to a whole state.
bool Store::Impl::recover_state()
{
    try {
        XSGIT_CRASH_POINT("recover.begun");
        open_journal();
        XSGIT_CRASH_POINT("recover.journal");
        for (const char *ref : {"heads/main", "heads/conflicts", "xsgit/head"})
            ::unlink((paths.repo + "/refs/" + ref + ".lock").c_str());
        open_packs();
        XSGIT_CRASH_POINT("recover.packs");
        const auto repo = open_repository();
        std::optional<Recovered> r;
        const auto recover_now = [&] {
            r = recover(paths, *repo, *journal, nullptr, {}, report, options.sent);
        };
        if (journal)
            recover_now();
        if (!r && renew_journal(*repo))
            recover_now();
        if (!r)
            return false;
        XSGIT_CRASH_POINT("recover.folded");
        state = std::move(r->state);
        unsent = r->unsent.take();
        std::set<std::uint64_t> open;
        for (const State::Connection &c : state.connections())
            open.insert(c.id);
        std::erase_if(unsent, [&](const UnsentOutput &o) { return !open.contains(o.conn); });
        committer_start.checkpoint = std::move(r->checkpoint);
        committer_start.from = r->from;
        committer_start.gap_since = r->head.gap ? r->head.tips.seq + 1 : 0;
        committer_start.first_publish = r->end.number - 1;
        committer_start.seq = state.seq();
    } catch (const std::system_error &e) {
        if (is_shortage(e.code()))
            throw;
        report(e.what());
        return false;
    } catch (const std::runtime_error &e) {
        report(e.what());
        return false;
    }
    Event restart;
    restart.kind = EventKind::Restart;
    restart.facts = XSGIT_VERSION;
    Outputs out;
    run(restart, out); // no room for it: no harm
    XSGIT_CRASH_POINT("recover.restarted");
    return true;
}

/// A store is set aside only if another one can be begun: where there is too little of something, that may be why this
/// one could not be read.
void Store::Impl::require_means() const
{
    require_spare_descriptors();
    const std::uint64_t needed = journal_capacity(options.budget) + kStateReserve;
    if (fs::space(paths.repo).available < needed)
        throw std::runtime_error(
            fmt::format("the store cannot be read, and there is no room for another: nothing is "
                        "changed; make room for {} KiB in {}",
                        needed / 1024, paths.repo));
}

void Store::Impl::become_new(StoreKind kind)
{
    journal.reset();
    packs.reset();
    const std::string boot = read_file(paths.format);
    std::string why = "damaged-1";
    if (kind == StoreKind::OtherBoot) {
        const std::size_t at = boot.find("boot ");
        why = "boot-" + boot.substr(at + 5, boot.find('\n', at) - at - 5);
        std::erase_if(why, [](char c) { return !(std::isalnum(static_cast<unsigned char>(c)) || c == '-'); });
    } else {
        for (int n = 1; fs::exists(paths.repo + "." + why); ++n)
            why = fmt::format("damaged-{}", n + 1);
    }
    const std::string where = set_aside(paths, why);
    report(kind == StoreKind::OtherBoot
               ? fmt::format("the store is of another boot of this host: kept as history in {}", where)
               : fmt::format(
                     "THE STORE IS DAMAGED and cannot be served: set aside as {}; starting with an empty one",
                     where));
    state = State();
    unsent.clear();
    make();
}

bool Store::Impl::run(Event &e, Outputs &out)
{
    out.clear();
    e.number = journal->next_number();
    // Outputs' hash is known only behind step(), which cannot be undone: room first.
    if (!journal->has_room())
        return false;
    e.mono_us = monotonic_us();
    e.wall_us = std::max(wall_us(), state.wall_us());
    XSGIT_CRASH_POINT("event.numbered");
    state.step(e, out);
    XSGIT_CRASH_POINT("event.stepped");
    e.outputs_hash = out.hash();
    return journal->append(e);
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store()
{
    impl_->maintenance.reset();
    impl_->committer.reset();
}

std::unique_ptr<Store> Store::open(const StoreOptions &options,
                                   const std::function<void(const std::string &)> &report)
{
    auto impl = std::make_unique<Impl>(options);
    impl->report = report;
    if (impl->options.budget == 0)
        impl->options.budget = default_budget(
            fs::exists(options.repo) ? options.repo : fs::path(options.repo).parent_path().string());
    require_spare_descriptors();
    const StoreKind kind = look_at(impl->paths, options.boot_id);
    switch (kind) {
    case StoreKind::Foreign:
        throw std::runtime_error(
            options.repo +
            " exists and is no xsgit store: name another directory with --repo, or move it away");
    case StoreKind::Absent:
        impl->make();
        break;
    case StoreKind::Ours:
        if (impl->recover_state())
            break;
        impl->require_means();
        impl->become_new(kind);
        break;
    case StoreKind::OtherBoot:
    case StoreKind::Unknown:
        impl->become_new(kind);
        break;
    }
    keep_reserve(impl->paths);
    return std::unique_ptr<Store>(new Store(std::move(impl)));
}

const State &Store::state() const { return impl_->state; }
std::vector<UnsentOutput> Store::take_unsent() { return std::move(impl_->unsent); }

void Store::start(SentUpTo sent_up_to)
{
    impl_->committer = std::make_unique<Committer>(impl_->paths, *impl_->journal, *impl_->packs,
                                                   std::move(impl_->committer_start), std::move(sent_up_to),
                                                   impl_->report, [fd = impl_->wake.get()] {
                                                       constexpr std::uint64_t kOnce = 1;
                                                       (void)!::write(fd, &kOnce, sizeof kOnce);
                                                   });
    impl_->maintenance = std::make_unique<Maintenance>(*impl_->packs, impl_->report);
}

/// Whether history is too far behind for more of it. Half of the journal is for what does not make it longer: while
/// it cannot be written, readers and watchers are served, and clients come and go, for a good while yet.
bool Store::Impl::must_wait(Burden b)
{
    if (b == Burden::None)
        return false;
    if (committer && !committer->stuck() && age_us(committer->folding_us()) > kSlowWriters)
        return true;
    if (b != Burden::Commit)
        return false;
    if (journal->bytes_used() > journal->capacity() / 2)
        return true;
    if (!committer || age_us(committer->behind_since_us()) <= kStopWriters)
        return false;
    if (!committer->stuck() || monotonic_us() - trickled_us < kTrickle)
        return true;
    trickled_us = monotonic_us();
    return false;
}

/// If the committer wants one.
void Store::Impl::begin_epoch(Outputs &out)
{
    using Wanted = Committer::Wanted;
    Wanted wanted = committer ? committer->wanted.load(std::memory_order_relaxed) : Wanted::Nothing;
    if (wanted == Wanted::Nothing)
        return;
    Event epoch;
    epoch.kind = EventKind::Epoch;
    if (wanted == Wanted::EndOfGap)
        epoch.facts = kGapEnds;
    if (run(epoch, out)) // what it wants since then stays wanted
        committer->wanted.compare_exchange_strong(wanted, Wanted::Nothing);
}

int Store::wake_fd() const { return impl_->wake.get(); }

void Store::tend()
{
    std::uint64_t times = 0;
    (void)!::read(impl_->wake.get(), &times, sizeof times);
    Outputs out;
    impl_->begin_epoch(out);
}

bool Store::execute(Event &e, Outputs &out)
{
    Impl &s = *impl_;
    s.begin_epoch(out);
    if (s.must_wait(burden_of(e))) {
        ++s.held_back;
        return false;
    }
    return s.run(e, out);
}

std::int64_t Store::lag_us() const
{
    return impl_->committer ? age_us(impl_->committer->behind_since_us()) : 0;
}

std::vector<std::uint32_t> Store::take_culprits()
{
    return impl_->committer ? impl_->committer->take_culprits() : std::vector<std::uint32_t>();
}

bool Store::published(std::uint64_t number)
{
    return !impl_->committer || impl_->committer->published(number);
}

std::vector<std::pair<std::string, std::string>> Store::status() const
{
    const Impl &s = *impl_;
    const auto number = [](std::uint64_t n) { return std::to_string(n); };
    const PackStore::Stats packs = s.packs->stats();
    const std::uint64_t gap = s.committer ? s.committer->gap_since() : 0;
    return {
        {"version", XSGIT_VERSION},
        {"repository", s.paths.repo},
        {"repository-bytes", fmt::format("{} of {}", packs.bytes + s.journal->capacity(), s.options.budget)},
        {"packs", number(packs.packs)},
        {"events", number(s.state.event_number())},
        {"commits", number(s.state.seq())},
        {"conflicts", number(s.state.conflicts())},
        {"epoch", number(s.state.epoch())},
        {"connections", number(s.state.connections().size())},
        {"journal-bytes", fmt::format("{} of {}", s.journal->bytes_used(), s.journal->capacity())},
        {"lag-ms", number(static_cast<std::uint64_t>(lag_us()) / 1000)},
        {"writes-held-back", number(s.held_back)},
        {"gap", gap == 0 ? "none" : fmt::format("since commit {}", gap)}};
}

bool Store::sync(std::int64_t patience_ms)
{
    return !impl_->committer || impl_->committer->sync_within(impl_->state.event_number(), patience_ms);
}

} // namespace xsgit::server
