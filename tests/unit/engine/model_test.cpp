// SPDX-License-Identifier: MIT
// Random transactions of several clients, checked against a model that knows nothing of trees, snapshots or
// replays: a map from path to value. Committed transactions and direct writes, one after the other in the order
// in which they took effect, must give the replies that the clients got and the store that is there in the end.
#include "world.hpp"

#include <doctest/doctest.h>
#include <map>
#include <rapidcheck.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

enum class Verb : int { Write, Mkdir, Rm, Read, Directory };

struct Request {
    Verb verb;
    std::string path, value;
};

/// What one client does in one step.
struct Step {
    int client;
    enum class What : int { Request, Begin, Commit, Abort } what;
    Request request;
    bool direct; // outside the transaction that is open
};

const char *const kPaths[] = {"/a", "/b", "/a/a", "/a/b", "/b/a", "/a/a/b", "/a/b/a"};

class Model {
public:
    std::string execute(const Request &r)
    {
        const bool there = nodes_.contains(r.path);
        switch (r.verb) {
        case Verb::Write:
            make(r.path);
            nodes_[r.path] = r.value;
            return "OK";
        case Verb::Mkdir:
            make(r.path);
            return "OK";
        case Verb::Rm:
            if (!there)
                return nodes_.contains(parent(r.path)) ? "OK" : "ENOENT";
            std::erase_if(nodes_, [&](const auto &n) {
                return n.first == r.path || n.first.starts_with(r.path + "/");
            });
            return "OK";
        case Verb::Read:
            return there ? nodes_.at(r.path) : "ENOENT";
        case Verb::Directory:
            return there ? children(r.path) : "ENOENT";
        }
        return "?";
    }
    const std::map<std::string, std::string> &nodes() const { return nodes_; }

private:
    static std::string parent(const std::string &path)
    {
        const std::size_t slash = path.rfind('/');
        return slash == 0 ? "/" : path.substr(0, slash);
    }
    void make(const std::string &path)
    {
        for (std::string p = path; !nodes_.contains(p); p = parent(p))
            nodes_[p] = "";
    }
    std::string children(const std::string &path) const
    {
        std::string out;
        for (const auto &[name, value] : nodes_)
            if (name != "/" && parent(name) == path)
                out += name.substr(name.rfind('/') + 1) + '\0';
        if (!out.empty())
            out.pop_back(); // as World::ask() does with the last one
        return out;
    }
    std::map<std::string, std::string> nodes_ = {{"/", ""}};
};

std::string ask(World &w, std::uint64_t conn, const Request &r, std::uint32_t tx)
{
    switch (r.verb) {
    case Verb::Write:
        return w.write(conn, r.path, r.value, tx);
    case Verb::Mkdir:
        return w.ask(conn, MsgType::Mkdir, args({r.path}), tx);
    case Verb::Rm:
        return w.ask(conn, MsgType::Rm, args({r.path}), tx);
    case Verb::Read:
        return w.read(conn, r.path, tx);
    case Verb::Directory:
        return w.ask(conn, MsgType::Directory, args({r.path}), tx);
    }
    return "?";
}

rc::Gen<Step> steps()
{
    return rc::gen::apply(
        [](int client, int what, int verb, const char *path, int value, bool direct) {
            Step s;
            s.client = client;
            // Mostly requests.
            s.what = what < 8 ? Step::What::Request : static_cast<Step::What>(what - 7);
            s.request = {static_cast<Verb>(verb), path, std::to_string(value)};
            s.direct = direct;
            return s;
        },
        rc::gen::inRange(0, 3), rc::gen::inRange(0, 11), rc::gen::inRange(0, 5),
        rc::gen::elementOf(std::vector<const char *>(std::begin(kPaths), std::end(kPaths))),
        rc::gen::inRange(0, 3), rc::gen::map(rc::gen::inRange(0, 5), [](int n) { return n == 0; }));
}

struct Client {
    std::uint64_t conn = 0;
    std::uint32_t tx = 0;
    std::vector<std::pair<Request, std::string>> log; // of the open transaction, with what was answered
};

struct Counts {
    int commits = 0, merges = 0, conflicts = 0;
};

void play(const std::vector<Step> &script, Counts &counts)
{
    World w;
    Model model;
    Client clients[3];
    for (Client &c : clients)
        c.conn = w.connect();
    w.ask(clients[0].conn, MsgType::Rm, args({"/tool"}));
    for (const Step &s : script) {
        Client &c = clients[s.client];
        switch (s.what) {
        case Step::What::Begin:
            if (c.tx == 0)
                c.tx = w.begin(c.conn);
            break;
        case Step::What::Request:
            if (c.tx != 0 && !s.direct)
                c.log.emplace_back(s.request, ask(w, c.conn, s.request, c.tx));
            else
                RC_ASSERT(ask(w, c.conn, s.request, 0) == model.execute(s.request));
            break;
        case Step::What::Commit:
        case Step::What::Abort:
            if (c.tx == 0)
                break;
            const std::string end = w.end(c.conn, std::exchange(c.tx, 0), s.what == Step::What::Commit);
            if (s.what == Step::What::Commit && end == "OK") {
                ++counts.commits;
                for (const auto &[request, reply] : c.log)
                    RC_ASSERT(reply == model.execute(request));
            } else {
                RC_ASSERT(end == (s.what == Step::What::Commit ? "EAGAIN" : "OK"));
                counts.conflicts += end == "EAGAIN";
            }
            c.log.clear();
            break;
        }
    }
    // Node by node, and nothing besides.
    std::size_t found = 0;
    for (const auto &[path, value] : model.nodes()) {
        ++found;
        RC_ASSERT(w.read(clients[0].conn, path) == value);
    }
    std::size_t nodes = 0;
    std::vector<const Node *> todo{w.state.tree().root().get()};
    while (!todo.empty()) {
        const Node *n = todo.back();
        todo.pop_back();
        ++nodes;
        for (auto it = n->children().begin(); it.get(); it.next())
            todo.push_back(it.get());
    }
    RC_ASSERT(nodes == found);
}

} // namespace

TEST_CASE("committed transactions have a serial order")
{
    Counts counts;
    const rc::detail::TestResult result = rc::detail::checkTestable(
        [&counts] { play(*rc::gen::container<std::vector<Step>>(steps()), counts); },
        rc::detail::TestMetadata(),
        [] {
            rc::detail::TestParams p;
            p.maxSuccess = 12000;
            p.maxSize = 160;
            return p;
        }());
    std::ostringstream text;
    rc::detail::printResultMessage(result, text);
    INFO(text.str());
    CHECK(result.is<rc::detail::SuccessResult>());
    // Both ends of a transaction were seen.
    CHECK(counts.commits > 1000);
    CHECK(counts.conflicts > 100);
}
