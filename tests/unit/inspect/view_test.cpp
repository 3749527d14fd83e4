// SPDX-License-Identifier: MIT
// Views of stores: published, with a tail that only the journal has, damaged, cloned.
#include "inspect/failure.hpp"
#include "inspect/revision.hpp"
#include "inspect/tail.hpp"
#include "inspect/tree_diff.hpp"
#include "inspect/view.hpp"
#include "tests/unit/inspect/store.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

using namespace xsgit;
using namespace xsgit::inspect;
using inspect::test::TestStore;

namespace {

std::string value_at_tip(const RepositoryView &view, const char *path)
{
    TreeReader reader(view.repo());
    const auto node = reader.find(view.repo().commit(view.tip())->tree, Path::trusted(path));
    return node ? reader.state(*node).value : "(absent)";
}

} // namespace

TEST_CASE("the tail of a journal is the end of history")
{
    TestStore s;
    const auto c = s.connect();
    s.write(c, "/a", "published");
    s.publish();
    SUBCASE("with a checkpoint at what is published") { s.checkpoint(); }
    SUBCASE("with the journal alone") {}
    SUBCASE("with a damaged checkpoint, from the first event")
    {
        s.checkpoint();
        std::fstream f(s.path + "/xsgit/checkpoint", std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(40);
        f.put('\x55');
    }
    SUBCASE("with a checkpoint behind an open transaction")
    {
        const auto tx = s.begin(c);
        s.write(c, "/tx", "1", tx);
        s.checkpoint();
        REQUIRE(s.commit(c, tx) == "OK");
    }
    s.write(c, "/a", "tail");
    const auto tx = s.begin(c);
    s.read(c, "/a", tx);
    s.write(c, "/b", "1", tx);
    s.write(c, "/a", "tail, again");
    REQUIRE(s.commit(c, tx) == "EAGAIN");

    const auto view = RepositoryView::open(s.path);
    CHECK(view->notes().empty());
    CHECK(view->tip() == s.writer.tips().main);
    CHECK(view->tip_seq() == s.writer.tips().seq);
    CHECK(view->conflicts() == s.writer.tips().conflicts);
    CHECK(view->unpublished() == s.writer.tips().seq - 2);
    CHECK(value_at_tip(*view, "/a") == "tail, again");
    CHECK(resolve(*view, "HEAD", true) == view->tip());
    CHECK(resolve(*view, "conflicts", true) == view->conflicts());
    CHECK(resolve(*view, "HEAD~1", true) == view->repo().commit(view->tip())->parents[0]);
    CHECK(resolve(*view, "#2", true) == *view->repo().read_ref("refs/heads/main"));
    CHECK(describe_state(view->repo()) == s.state.describe());
}

TEST_CASE("nothing new in the journal")
{
    TestStore s;
    const auto c = s.connect();
    s.write(c, "/a", "1");
    s.publish();
    s.checkpoint();
    const auto view = RepositoryView::open(s.path);
    CHECK(view->tip() == s.writer.tips().main);
    CHECK(view->unpublished() == 0);
    CHECK(view->notes().empty());
    CHECK(describe_state(view->repo()) == s.state.describe());
}

TEST_CASE("a view follows what is published")
{
    TestStore s;
    const auto c = s.connect();
    s.write(c, "/a", "1");
    s.publish();
    s.checkpoint();
    const auto view = RepositoryView::open(s.path);
    CHECK_FALSE(view->refresh());
    s.write(c, "/a", "2");
    CHECK_FALSE(view->refresh());
    s.publish();
    CHECK(view->refresh());
    CHECK(view->tip_seq() == 3);
    CHECK(value_at_tip(*view, "/a") == "2");
    CHECK_FALSE(view->refresh());
}

TEST_CASE("a damaged tail is told and left out")
{
    TestStore s;
    const auto c = s.connect();
    s.write(c, "/a", "published");
    s.publish();
    const Oid main = s.writer.tips().main;
    s.checkpoint();
    s.write(c, "/a", "lost");
    SUBCASE("journal")
    {
        std::fstream f(s.path + "/xsgit/journal", std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(4096 + 80);
        f.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    }
    SUBCASE("checkpoint of another history")
    {
        std::ofstream(s.path + "/xsgit/journal", std::ios::trunc) << "what is this";
    }
    const auto view = RepositoryView::open(s.path);
    CHECK(view->tip() == main);
    CHECK(view->notes().size() == 1);
    CHECK(value_at_tip(*view, "/a") == "published");
    CHECK_THROWS_AS(describe_state(view->repo()), ToolFailure);
}

TEST_CASE("clones")
{
    TestStore s;
    const auto c = s.connect();
    s.write(c, "/a", "1");
    s.publish();
    for (const char *how : {"", "--bare", "--mirror"}) {
        const std::string clone = s.dir + "/clone" + how;
        REQUIRE(std::system(("git clone -q --no-checkout " + std::string(*how ? how : "--quiet") + " " +
                             s.path + " " + clone + " 2>&1")
                                .c_str()) == 0);
        const auto view = RepositoryView::open(clone);
        CHECK(view->tip() == s.writer.tips().main);
        CHECK(value_at_tip(*view, "/a") == "1");
        CHECK_THROWS_AS(describe_state(view->repo()), ToolFailure);
    }
}

TEST_CASE("somebody's repository is not taken for a store")
{
    TestStore s;
    const std::string dir = s.dir + "/program", git = "git -C " + dir + " -c user.name=a -c user.email=b ";
    REQUIRE(std::system(
                ("git init -q -b main " + dir + " && " + git + "commit -q --allow-empty -m mine").c_str()) ==
            0);
    CHECK_THROWS_WITH_AS(RepositoryView::open(dir), doctest::Contains("no store's"), ToolFailure);

    s.publish();
    const std::string clone = s.dir + "/clone",
                      in_clone = "git -C " + clone + " -c user.name=a -c user.email=b ";
    REQUIRE(std::system(("git clone -q " + s.path + " " + clone + " && " + in_clone +
                         "commit -q --allow-empty -m note")
                            .c_str()) == 0);
    CHECK(RepositoryView::open(clone)->tip_seq() == 0); // theirs, on top of ours
}

TEST_CASE("no repository, no commit")
{
    TestStore s;
    try {
        RepositoryView::open(s.dir + "/nothing");
        FAIL("it opened");
    } catch (const ToolFailure &e) {
        CHECK(e.code == kNoRepository);
    }
    const std::string empty = s.dir + "/empty.git";
    Repository::create(empty);
    CHECK_THROWS_AS(RepositoryView::open(empty), ToolFailure);
    std::filesystem::create_directory(empty + "/xsgit");
    const auto view = RepositoryView::open(empty);
    CHECK(view->tip().is_null());
    CHECK(view->tip_seq() == 0);
    CHECK_THROWS_AS(resolve(*view, "", true), ToolFailure);
    CHECK_THROWS_AS(resolve(*view, "#1", true), ToolFailure);
}
