// SPDX-License-Identifier: MIT
#include "server/store/history_refs.hpp"

#include "xsgit/base/crash_point.hpp"
#include "xsgit/git/commit_message.hpp"

#include <algorithm>
#include <ctime>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace xsgit::server {
namespace {

constexpr const char *kMain = "refs/heads/main";
constexpr const char *kConflicts = "refs/heads/conflicts";
constexpr const char *kHead = "refs/xsgit/head";

constexpr std::size_t kLookBack = 100'000; // commits of one publication, at most
constexpr int kFar = 1000;                 // commits of somebody's own between a ref and ours
constexpr std::int64_t kStaleLock = 2;     // s; ours are held for microseconds

bool is_ours(const std::string &ref) { return ref == kMain || ref == kConflicts || ref == kHead; }

/// Whether the nearest commit of ours below `id` lies before `seq`, or is gone already.
bool leads_before(const Repository &repo, Oid id, std::uint64_t seq)
{
    for (int i = 0; i < kFar; ++i) {
        const auto c = repo.commit(id);
        if (!c)
            return true;
        if (const std::uint64_t at = parse_trailers(c->message).seq; at != 0)
            return at < seq;
        if (c->parents.empty())
            return false;
        id = c->parents.front();
    }
    return false;
}

} // namespace

HistoryRefs::HistoryRefs(Repository &repo, std::string path, const Tips &tips, Report report)
    : repo_(repo), path_(std::move(path)), report_(std::move(report)), published_(tips)
{
    if (const auto head = read(kHead))
        published_.main = last_seen_main(*head);
    if (const auto conflicts = read(kConflicts))
        published_.conflicts = *conflicts;
}

/// A ref; one that holds no commit id is removed, since it would be in the way of the next write.
std::optional<Oid> HistoryRefs::read(const std::string &ref) const
{
    try {
        return repo_.read_ref(ref);
    } catch (const GitError &e) {
        report_(ref + " cannot be read and is written anew: " + e.what());
        ::unlink((path_ + "/" + ref).c_str());
        return std::nullopt;
    }
}

Tips HistoryRefs::on_disk() const
{
    Tips t;
    const auto head = read(kHead), conflicts = read(kConflicts);
    const auto main = head ? repo_.commit(*head) : std::nullopt;
    const Trailers trailers = main ? parse_trailers(main->message) : Trailers{};
    if (trailers.seq == 0 || trailers.step != 0)
        return t;
    t.seq = trailers.seq;
    t.main = *head;
    t.main_tree = main->tree;
    if (const auto last = conflicts ? repo_.commit(*conflicts) : std::nullopt) {
        t.conflicts = *conflicts;
        t.conflicts_number = parse_trailers(last->message).conflict_number;
    }
    return t;
}

/// Where main stood when we died: head moves first, so main may lie behind it. A main that is
/// no ancestor of head was moved by somebody, and counts as standing at head.
Oid HistoryRefs::last_seen_main(const Oid &head) const
{
    const auto main = read(kMain);
    Oid at = head;
    for (std::size_t i = 0; main && i < kLookBack; ++i) {
        if (at == *main)
            return at;
        const auto commit = repo_.commit(at);
        if (!commit || commit->parents.empty())
            break;
        at = commit->parents.front();
    }
    return head;
}

void HistoryRefs::move_to(const Tips &tips)
{
    if (!tips.main.is_null() && tips.main != published_.main)
        repo_.write_ref(kHead, tips.main);
    XSGIT_CRASH_POINT("publish.head");
    if (!tips.conflicts.is_null() && tips.conflicts != published_.conflicts)
        repo_.write_ref(kConflicts, tips.conflicts);
    if (tips.conflicts.is_null() && !published_.conflicts.is_null())
        repo_.delete_ref(kConflicts); // it led to what is gone
    XSGIT_CRASH_POINT("publish.conflicts");
    if (!tips.main.is_null())
        put_back(kMain, tips.main, published_.main);
    XSGIT_CRASH_POINT("publish.main");
    published_ = tips;
}

void HistoryRefs::put_back(const std::string &ref, const Oid &ours, const Oid &last)
{
    const std::optional<Oid> there = read(ref);
    if (there && *there != last && *there != ours && !last.is_null())
        report_(ref + " was moved by somebody to " + there->hex() + ": put back; " + rescue(ref, *there));
    if (!there || *there != ours)
        repo_.write_ref(ref, ours);
}

/// Keeps what somebody has moved `ref` to. Says how.
std::string HistoryRefs::rescue(const std::string &ref, const Oid &theirs)
{
    if (!repo_.exists(theirs))
        return "that one does not exist";
    const std::string name = ref.substr(ref.rfind('/') + 1) + "-" + theirs.hex().substr(0, 12);
    // Somebody may have a branch "rescued".
    for (const char *where : {"refs/heads/rescued/", "refs/xsgit/rescued/"})
        try {
            repo_.write_ref(where + name, theirs);
            return "that one is now " + std::string(where) + name;
        } catch (const GitError &) {
            continue;
        }
    return "that one cannot be kept as a branch, only by its id";
}

void HistoryRefs::rescue_main(std::uint64_t seq)
{
    if (const auto head = read(kHead))
        report_("history has more commits than the journal leads to, and goes on behind #" +
                std::to_string(seq) + ", with the same numbers once more; " + rescue(kMain, *head));
}

void HistoryRefs::clear_way()
{
    for (const char *ref : {kMain, kConflicts, kHead}) {
        const std::string path = path_ + "/" + ref, lock = path + ".lock";
        struct stat st {};
        const std::int64_t now = ::time(nullptr);
        // A time to come is no time: somebody's clock was wrong.
        if (::lstat(lock.c_str(), &st) == 0 && (st.st_mtime > now || now - st.st_mtime >= kStaleLock) &&
            (::unlink(lock.c_str()) == 0 || ::rmdir(lock.c_str()) == 0))
            report_(lock + " was left by a git that has died: removed");
        if (::lstat(path.c_str(), &st) != 0)
            continue;
        if (!S_ISDIR(st.st_mode)) {
            read(ref); // removes what is no ref
            continue;
        }
        if (::rmdir(path.c_str()) == 0)
            continue;
        const std::string aside =
            path_ + "/refs/heads/aside-" + std::to_string(now) + "-" + path.substr(path.rfind('/') + 1);
        if (::rename(path.c_str(), aside.c_str()) == 0)
            report_(path + " has to be a ref of ours: the refs in it are now in " + aside);
    }
}

void HistoryRefs::drop_before(std::uint64_t seq)
{
    try {
        std::vector<std::string> theirs = repo_.ref_names();
        std::erase_if(theirs, is_ours);
        if (theirs.empty())
            return;
        // Reading maps packs, and lets go of them only with the repository.
        const std::unique_ptr<Repository> repo = Repository::open(path_);
        for (const std::string &name : theirs) {
            const RefTarget to = repo->target_of(name);
            if (to.kind == RefTarget::Other ||
                (to.kind == RefTarget::Commit && !leads_before(*repo, to.id, seq)))
                continue;
            repo_.delete_ref(name);
            XSGIT_CRASH_POINT("drop.ref");
            report_(name + " led to history that is dropped now: deleted" +
                    (to.kind == RefTarget::Commit ? "; it was " + to.id.hex() : ""));
        }
    } catch (const GitError &e) {
        report_(std::string("refs that lead to dropped history: ") + e.what());
    }
}

} // namespace xsgit::server
