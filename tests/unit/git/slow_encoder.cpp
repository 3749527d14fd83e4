// SPDX-License-Identifier: MIT
#include "slow_encoder.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <openssl/evp.h>

namespace xsgit::test {

namespace {

std::string sha1_hex(const std::string &bytes)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest, &n, EVP_sha1(), nullptr);
    std::string hex;
    for (unsigned i = 0; i < n; ++i) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", digest[i]);
        hex += two;
    }
    return hex;
}

std::string object_id(const std::string &type, const std::string &content)
{
    return sha1_hex(type + ' ' + std::to_string(content.size()) + '\0' + content);
}

std::string perms_of(const std::string *own_line, const std::string &own,
                     const std::vector<const Node *> &nodes)
{
    std::map<std::string, std::string> leaves;
    std::map<std::string, int> votes;
    for (const Node *n : nodes)
        if (n->children().empty()) {
            leaves[std::string(n->name())] = n->perms()->text();
            ++votes[n->perms()->text()];
        }
    std::string most = own;
    int best = 0;
    for (const auto &[text, n] : votes) // in order of text: the first of equals stays
        if (n > best) {
            best = n;
            most = text;
        }
    std::string s = own_line ? *own_line + "\n" : "";
    if (most != own)
        s += "* " + most + "\n";
    for (const auto &[name, text] : leaves)
        if (text != most)
            s += name + " " + text + "\n";
    return s;
}

std::string encode_dir(const Node &n, const std::string &special, const ObjectMaker &make);

void add_children(std::vector<SlowEntry> &entries, const Node &dir, std::vector<const Node *> nodes,
                  unsigned level, const ObjectMaker &make)
{
    const std::string own = dir.perms()->text();
    if (nodes.size() <= 128) {
        for (const Node *n : nodes)
            if (n->children().empty())
                entries.push_back({std::string(n->name()), make.blob(std::string(n->value())), false});
            else
                entries.push_back({std::string(n->name()), encode_dir(*n, "", make), true});
        const std::string text = perms_of(level == 0 ? &own : nullptr, own, nodes);
        if (!text.empty())
            entries.push_back({"%perms", make.blob(text), false});
        return;
    }
    std::map<char, std::vector<const Node *>> buckets;
    for (const Node *n : nodes)
        buckets[sha1_hex(std::string(n->name()))[level]].push_back(n);
    for (const auto &[digit, members] : buckets) {
        std::vector<SlowEntry> inside;
        add_children(inside, dir, members, level + 1, make);
        entries.push_back({std::string("%") + digit, make.tree(inside), true});
    }
    if (level == 0)
        entries.push_back({"%perms", make.blob(own + "\n"), false});
}

std::string encode_dir(const Node &n, const std::string &special, const ObjectMaker &make)
{
    std::vector<const Node *> nodes;
    for (auto c = n.children().begin(); c.get(); c.next())
        nodes.push_back(c.get());
    std::vector<SlowEntry> entries;
    add_children(entries, n, nodes, 0, make);
    if (!n.value().empty())
        entries.push_back({"%value", make.blob(std::string(n.value())), false});
    if (!special.empty())
        entries.push_back({"%special", special, true});
    return make.tree(entries);
}

} // namespace

std::string slow_encode(const Tree &t, const ObjectMaker &make)
{
    return encode_dir(*t.root(), encode_dir(*t.special(), "", make), make);
}

ObjectMaker hashing_maker()
{
    ObjectMaker make;
    make.blob = [](const std::string &content) { return object_id("blob", content); };
    make.tree = [](const std::vector<SlowEntry> &entries) {
        std::map<std::string, const SlowEntry *> sorted;
        for (const SlowEntry &e : entries)
            sorted[e.tree ? e.name + "/" : e.name] = &e;
        std::string content;
        for (const auto &[key, e] : sorted) {
            content += e->tree ? "40000 " : "100644 ";
            content += e->name + '\0';
            for (std::size_t i = 0; i < 40; i += 2)
                content += static_cast<char>(std::stoi(e->id.substr(i, 2), nullptr, 16));
        }
        return object_id("tree", content);
    };
    return make;
}

} // namespace xsgit::test
