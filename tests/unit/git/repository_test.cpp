// SPDX-License-Identifier: MIT
#include "xsgit/git/repository.hpp"

#include "git_sandbox.hpp"

#include "xsgit/git/commit_message.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

using namespace xsgit;
using namespace xsgit::test;

namespace fs = std::filesystem;

// libgit2 1.5 asks its regular expressions about a revision that does not exist, and forgets what they used.
extern "C" const char *__lsan_default_suppressions() { return "leak:libpcre2"; }

namespace {

/// A chain of empty commits; returns their ids.
std::vector<Oid> chain(PackBuffer &pack, unsigned n)
{
    const Oid tree = hash_object(ObjectType::Tree, "");
    pack.put(ObjectType::Tree, tree, "");
    std::vector<Oid> ids;
    for (unsigned i = 0; i < n; ++i) {
        std::vector<Oid> parents;
        if (!ids.empty())
            parents.push_back(ids.back());
        const std::string text = commit_object(tree, parents, 5, 1'700'000'000'000'000 + i, "m\n");
        ids.push_back(hash_object(ObjectType::Commit, text));
        pack.put(ObjectType::Commit, ids.back(), text);
    }
    return ids;
}

} // namespace

TEST_CASE("a new repository")
{
    Sandbox box;
    CHECK(fs::status(box.repo_path()).permissions() == fs::perms::owner_all);
    CHECK(box.git_ok("symbolic-ref HEAD") == "refs/heads/main");
    CHECK(box.git_ok("rev-parse --is-bare-repository") == "true");
    CHECK(box.git_ok("config gc.auto") == "0");
    CHECK(box.repo().git_dir() == box.repo_path());
    box.fsck();
    // Nothing is left beside it, and what is there is not overwritten.
    CHECK_THROWS_AS(Repository::create(box.repo_path()), GitError);
    CHECK(std::distance(fs::directory_iterator(box.dir()), {}) == 1);
    fs::create_directory(box.dir() + "/empty");
    CHECK_NOTHROW(Repository::create(box.dir() + "/empty/"));
    CHECK_NOTHROW(Repository::open(box.dir() + "/empty"));
    CHECK_THROWS_AS(Repository::create(box.dir() + "/no/such/dir"), GitError);
    CHECK_THROWS_AS(Repository::open(box.dir()), GitError);
    CHECK_THROWS_AS(Repository::open(box.dir() + "/nothing"), GitError);
}

TEST_CASE("nobody pushes")
{
    Sandbox box;
    PackBuffer pack;
    const auto ids = chain(pack, 2);
    box.publish(pack);
    box.repo().write_ref("refs/heads/main", ids[1]);
    const std::string clone = box.dir() + "/clone";
    REQUIRE(run("git clone -q " + box.repo_path() + " " + clone).status == 0);
    const Ran pushed = run("git -C " + clone + " push " + box.repo_path() + " HEAD:refs/heads/other");
    CHECK(pushed.status != 0);
    CHECK(pushed.out.find("written by xenstored alone") != std::string::npos);
    CHECK(!box.repo().read_ref("refs/heads/other"));
    CHECK(run("git -C " + clone + " push " + box.repo_path() + " :refs/heads/main").status != 0);
    CHECK(box.repo().read_ref("refs/heads/main") == ids[1]);

    // Tools work on the clone as well.
    const auto cloned = Repository::open(clone);
    CHECK(cloned->git_dir() == clone + "/.git");
    CHECK(cloned->rev_parse("HEAD~1") == ids[0]);
}

TEST_CASE("refs")
{
    Sandbox box;
    Repository &repo = box.repo();
    PackBuffer pack;
    const auto ids = chain(pack, 2);
    box.publish(pack);
    CHECK(!repo.read_ref("refs/heads/main"));
    repo.write_ref("refs/heads/main", ids[0]);
    repo.write_ref("refs/heads/main", ids[1]);
    CHECK(repo.read_ref("refs/heads/main") == ids[1]);
    CHECK(repo.read_ref("HEAD") == ids[1]);
    repo.write_ref("refs/xsgit/head", ids[0]);
    CHECK(box.git_ok("rev-parse refs/xsgit/head") == ids[0].hex());
    box.git_ok("pack-refs --all");
    CHECK(repo.read_ref("refs/xsgit/head") == ids[0]);
    repo.delete_ref("refs/xsgit/head");
    CHECK(!repo.read_ref("refs/xsgit/head"));
    CHECK_THROWS_AS(repo.write_ref("not a name", ids[0]), GitError);
    CHECK(!fs::exists(box.repo_path() + "/logs"));
}

TEST_CASE("objects")
{
    Sandbox box;
    Repository &repo = box.repo();
    const Oid blob = *Oid::from_hex(box.git_ok("hash-object -w --stdin", std::string("a\0b", 3)));
    const Oid tree = *Oid::from_hex(box.git_ok("mktree", "100644 blob " + blob.hex() + "\tf\n"));
    const Oid commit = *Oid::from_hex(
        box.git_ok("-c user.name='A B' -c user.email=a@b commit-tree -m subject " + tree.hex()));
    repo.refresh();
    CHECK(repo.blob(blob) == std::string("a\0b", 3));
    REQUIRE(repo.tree(tree).size() == 1);
    CHECK(repo.tree(tree)[0].name == "f");
    CHECK(repo.tree(tree)[0].id == blob);
    CHECK(!repo.tree(tree)[0].is_tree);
    const auto info = repo.commit(commit);
    REQUIRE(info);
    CHECK(info->tree == tree);
    CHECK(info->parents.empty());
    CHECK(info->author == "A B <a@b>");
    CHECK(info->message == "subject\n");
    CHECK(repo.object(commit)->type == ObjectType::Commit);
    CHECK(repo.object(blob)->content == std::string("a\0b", 3));
    CHECK(repo.exists(tree));
    const Oid none = *Oid::from_hex(std::string(40, '1'));
    CHECK(!repo.exists(none));
    CHECK(!repo.commit(none));
    CHECK(!repo.object(none));
    CHECK_THROWS_AS(repo.blob(none), GitError);
    CHECK_THROWS_AS(repo.blob(tree), GitError);
    CHECK_THROWS_AS(repo.tree(blob), GitError);
    CHECK_THROWS_AS(repo.commit(tree), GitError);
    try {
        repo.tree(none);
    } catch (const GitError &e) {
        CHECK(std::string(e.what()).find(none.hex()) != std::string::npos);
        CHECK(std::string(e.what()).find(box.repo_path()) != std::string::npos);
    }
}

TEST_CASE("what refs lead to")
{
    Sandbox box;
    PackBuffer pack;
    const Oid commit = chain(pack, 1).front();
    box.publish(pack);
    const std::string blob = box.git_ok("hash-object -w --stdin </dev/null");
    box.git_ok("tag blob " + blob);
    box.git_ok("tag light " + commit.hex());
    box.git_ok("-c user.name=a -c user.email=b tag -m text deep " + commit.hex());
    std::ofstream(box.repo_path() + "/refs/tags/gone") << std::string(39, '0') << "1\n";
    const auto repo = Repository::open(box.repo_path());
    CHECK(repo->target_of("refs/tags/blob").kind == RefTarget::Other);
    CHECK(repo->target_of("refs/tags/blob").id.hex() == blob);
    for (const char *name : {"refs/tags/light", "refs/tags/deep"}) {
        CHECK(repo->target_of(name).kind == RefTarget::Commit);
        CHECK(repo->target_of(name).id == commit);
    }
    CHECK(repo->target_of("refs/tags/gone").kind == RefTarget::Missing);
    CHECK(repo->target_of("refs/tags/none").kind == RefTarget::Missing);
}

TEST_CASE("revisions")
{
    Sandbox box;
    Repository &repo = box.repo();
    PackBuffer pack;
    const auto ids = chain(pack, 5);
    box.publish(pack);
    CHECK(!repo.rev_parse("main"));
    CHECK(!repo.rev_parse("HEAD"));
    repo.write_ref("refs/heads/main", ids[4]);
    CHECK(repo.rev_parse("main") == ids[4]);
    CHECK(repo.rev_parse("HEAD~3") == ids[1]);
    CHECK(repo.rev_parse(ids[2].hex()) == ids[2]);
    CHECK(repo.rev_parse(ids[2].hex().substr(0, 12)) == ids[2]);
    CHECK(!repo.rev_parse("HEAD~5"));
    CHECK(!repo.rev_parse("nonsense"));
    CHECK(!repo.rev_parse("HEAD^{/nothing}"));
    CHECK(!repo.rev_parse("HEAD^{tree}"));
    CHECK(!repo.rev_parse("a b..~^"));
    CHECK(!repo.rev_parse(""));
    box.git_ok("-c user.name=a -c user.email=b tag -a -m text mark main~1");
    CHECK(repo.rev_parse("mark") == ids[3]);
}

TEST_CASE("the shallow boundary moves")
{
    Sandbox box;
    PackBuffer pack;
    const auto ids = chain(pack, 3);
    const auto set = [&](const std::string &text) {
        const std::string path = box.repo_path() + "/shallow";
        std::ofstream(path + ".new") << text;
        fs::rename(path + ".new", path);
    };
    CHECK(!box.repo().is_shallow(ids[1]));
    set(ids[1].hex() + "\n");
    CHECK(box.repo().is_shallow(ids[1]));
    CHECK(!box.repo().is_shallow(ids[2]));
    set(ids[2].hex() + "\n");
    CHECK(!box.repo().is_shallow(ids[1]));
    CHECK(box.repo().is_shallow(ids[2]));
    set(ids[2].hex() + "\n" + ids[0].hex() + "\n");
    CHECK(box.repo().is_shallow(ids[0]));
    fs::remove(box.repo_path() + "/shallow");
    CHECK(!box.repo().is_shallow(ids[2]));
}

TEST_CASE("objects in memory")
{
    Sandbox box;
    PackBuffer pack;
    const auto ids = chain(pack, 3);
    CHECK(!box.repo().exists(ids[2]));
    box.repo().add_memory(pack);
    pack.finish(); // it has its own copy
    CHECK(box.repo().exists(ids[2]));
    REQUIRE(box.repo().commit(ids[2]));
    CHECK(box.repo().commit(ids[2])->parents == std::vector<Oid>{ids[1]});
    CHECK(box.repo().rev_parse(ids[2].hex() + "~2") == ids[0]);
    CHECK(box.repo().tree(hash_object(ObjectType::Tree, "")).empty());
    CHECK(!Repository::open(box.repo_path())->exists(ids[2]));
}
