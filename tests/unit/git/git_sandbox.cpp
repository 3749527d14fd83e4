// SPDX-License-Identifier: MIT
#include "git_sandbox.hpp"

#include "xsgit/git/commit_message.hpp"

#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <vector>

namespace xsgit::test {

namespace fs = std::filesystem;

namespace {

void write_file(const std::string &path, const std::string &bytes)
{
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    REQUIRE(file.good());
}

} // namespace

Ran run(const std::string &command, const std::string &stdin_text)
{
    std::string input = (fs::temp_directory_path() / "xsgit-stdin-XXXXXX").string();
    const int fd = mkstemp(input.data());
    REQUIRE(fd >= 0);
    close(fd);
    write_file(input, stdin_text);
    const std::string line = "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null LC_ALL=C; { " +
                             command + "; } <" + input + " 2>&1";
    Ran ran;
    std::FILE *const pipe = popen(line.c_str(), "r");
    REQUIRE(pipe);
    char buffer[4096];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe))
        ran.out.append(buffer, n);
    const int status = pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    fs::remove(input);
    return ran;
}

Sandbox::Sandbox()
{
    dir_ = (fs::temp_directory_path() / "xsgit-test-XXXXXX").string();
    REQUIRE(mkdtemp(dir_.data()));
    Repository::create(repo_path());
    repo_ = Repository::open(repo_path());
}

Sandbox::~Sandbox()
{
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
}

Ran Sandbox::git(const std::string &args, const std::string &stdin_text) const
{
    return run("git -C " + repo_path() + " " + args, stdin_text);
}

std::string Sandbox::git_ok(const std::string &args, const std::string &stdin_text) const
{
    Ran ran = git(args, stdin_text);
    CAPTURE(args);
    CAPTURE(ran.out);
    REQUIRE(ran.status == 0);
    if (ran.out.ends_with('\n'))
        ran.out.pop_back();
    return ran.out;
}

void Sandbox::publish(PackBuffer &pack)
{
    if (pack.empty())
        return;
    const FinishedPack done = pack.finish();
    const std::string base = repo_path() + "/objects/pack/pack-" + done.name;
    write_file(base + ".pack", done.pack);
    write_file(base + ".idx", done.index);
    repo_->refresh();
}

void Sandbox::publish(HistoryWriter &writer)
{
    publish(writer.pack());
    if (!writer.tips().conflicts.is_null())
        repo_->write_ref("refs/heads/conflicts", writer.tips().conflicts);
    if (writer.tips().seq != 0)
        repo_->write_ref("refs/heads/main", writer.tips().main);
}

Oid Sandbox::commit(const Oid &tree, PackBuffer &pack, const std::string &branch)
{
    const std::string text = commit_object(tree, {}, 0, 1'700'000'000'000'000, "test\n");
    const Oid id = hash_object(ObjectType::Commit, text);
    pack.put(ObjectType::Commit, id, text);
    publish(pack);
    repo_->write_ref("refs/heads/" + branch, id);
    return id;
}

void Sandbox::fsck() const
{
    const Ran ran = git("fsck --full --strict --no-progress");
    CAPTURE(ran.out);
    CHECK(ran.status == 0);
    for (const char *word : {"error", "missing", "broken", "warning"})
        CHECK(ran.out.find(word) == std::string::npos);
}

PermsRef perms(std::string_view text)
{
    PermsRef list = PermList::from_text(text);
    REQUIRE(list);
    return list;
}

Tree empty_tree(std::string_view root_perms) { return Tree::with_root(perms(root_perms)); }

Tree write(const Tree &t, const std::string &path, std::string_view value, std::string_view list)
{
    const Path p = Path::trusted(path);
    if (const Node *old = t.find(p))
        return t.put(p, old->with_value(Bytes::make(value)));
    Tree with_parent = t;
    PermsRef inherited;
    if (p.is_special()) {
        inherited = t.special()->perms();
    } else {
        if (!t.find(p.parent()))
            with_parent = write(t, p.parent().str(), "", list);
        inherited = with_parent.find(p.parent())->perms();
    }
    return with_parent.put(p, Node::make(p.is_special() ? path : p.name(), Bytes::make(value),
                                         list.empty() ? inherited : perms(list)));
}

Tree set_perms(const Tree &t, const std::string &path, std::string_view list)
{
    const Path p = Path::trusted(path);
    return t.put(p, t.find(p)->with_perms(perms(list)));
}

Tree remove(const Tree &t, const std::string &path) { return t.remove(Path::trusted(path)); }

Tree fresh(const Tree &t)
{
    const auto copy = [](const Node &top) {
        // Children before parents, without recursion: chains may be deep.
        std::vector<const Node *> order{&top};
        for (std::size_t i = 0; i < order.size(); ++i)
            for (auto c = order[i]->children().begin(); c.get(); c.next())
                order.push_back(c.get());
        std::size_t next_child = order.size();
        std::vector<NodeRef> done(order.size());
        for (std::size_t i = order.size(); i-- > 0;) {
            Children children;
            const std::size_t n = order[i]->children().size();
            next_child -= n;
            for (std::size_t k = 0; k < n; ++k)
                children = children.with(done[next_child + k]);
            done[i] =
                Node::make(order[i]->name(), order[i]->value_ref(), order[i]->perms(), std::move(children));
        }
        return done[0];
    };
    return Tree(copy(*t.root()), copy(*t.special()));
}

} // namespace xsgit::test
