// SPDX-License-Identifier: MIT
#include "sample_history.hpp"

#include <cstring>
#include <fmt/core.h>

namespace xsgit::test {

SampleHistory::SampleHistory(unsigned guests, std::uint64_t seed) : random_(seed)
{
    root_ = make(nullptr, "");
    Dir *domain = make(make(root_, "local"), "domain");
    for (unsigned g = 1; g <= guests; ++g) {
        Dir *guest = make(domain, std::to_string(g));
        guest->leaves = {{"%perms", fmt::format("n{}\n", g)},
                         {"name", fmt::format("vm{}", g)},
                         {"vm", fmt::format("/vm/{}", g * 7919)},
                         {"domid", std::to_string(g)}};
        Dir *device = make(guest, "device");
        device->leaves = {{"%perms", "n0\n"}};
        for (const char *kind : {"vif", "vbd"}) {
            Dir *one = make(make(device, kind), "0");
            one->parent->leaves = {{"%perms", fmt::format("n0,r{}\n", g)}};
            one->leaves = {{"%perms", fmt::format("n{},r0\n", g)},
                           {"backend", fmt::format("/local/domain/0/backend/{}/{}/0", kind, g)},
                           {"backend-id", "0"},
                           {"handle", "0"},
                           {"state", "1"},
                           {"event-channel", std::to_string(10 + g)},
                           {"ring-ref", std::to_string(8 + g)},
                           {"protocol", "x86_64-abi"}};
            for (const char *leaf : {"state", "event-channel", "ring-ref"})
                leaves_.emplace_back(one, leaf);
        }
    }
    build(*root_, nullptr);
}

SampleHistory::Dir *SampleHistory::make(Dir *parent, const std::string &name)
{
    Dir &d = all_.emplace_back();
    d.parent = parent;
    d.name = name;
    if (parent)
        parent->dirs[name] = &d;
    return &d;
}

void SampleHistory::build(Dir &dir, PackBuffer *out)
{
    std::map<std::string, std::pair<std::string, Oid>> entries; // by git's order
    for (const auto &[name, child] : dir.dirs) {
        build(*child, out);
        entries[name + "/"] = {"40000 " + name, child->id};
    }
    for (const auto &[name, value] : dir.leaves) {
        const Oid id = hash_guest_blob(value);
        if (out)
            out->put(ObjectType::Blob, id, value);
        entries[name] = {"100644 " + name, id};
    }
    dir.content.clear();
    for (const auto &[key, entry] : entries) {
        dir.content += entry.first + '\0';
        dir.holes[entry.first.substr(entry.first.find(' ') + 1)] = dir.content.size();
        dir.content.append(reinterpret_cast<const char *>(entry.second.bytes.data()), 20);
    }
    dir.id = hash_object(ObjectType::Tree, dir.content);
    if (out)
        dir.at = out->put(ObjectType::Tree, dir.id, dir.content);
}

void SampleHistory::keyframe(PackBuffer &out) { build(*root_, &out); }

void SampleHistory::step(PackBuffer &out)
{
    const auto &[leaf_dir, leaf] = leaves_[random_() % leaves_.size()];
    last_value_ = leaf == "state" ? std::to_string(1 + random_() % 6) : std::to_string(random_() % 2000);
    leaf_dir->leaves[leaf] = last_value_;
    last_path_ = leaf;
    Oid id = hash_guest_blob(last_value_);
    out.put(ObjectType::Blob, id, last_value_);
    const std::string *name = &leaf;
    for (Dir *d = leaf_dir; d; name = &d->name, d = d->parent) {
        scratch_ = d->content;
        std::memcpy(scratch_.data() + d->holes.find(*name)->second, id.bytes.data(), 20);
        id = hash_object(ObjectType::Tree, scratch_);
        d->at = out.put(ObjectType::Tree, id, scratch_, &d->at, d->content);
        d->content.swap(scratch_);
        d->id = id;
        if (d->parent)
            last_path_ = d->name + "/" + last_path_;
    }
    commit(out);
}

void SampleHistory::steps(PackBuffer &out, unsigned n)
{
    while (n--)
        step(out);
}

void SampleHistory::commit(PackBuffer &out)
{
    ++commits_;
    std::string text = "tree " + root_->id.hex() + "\n";
    if (!tip_.is_null())
        text += "parent " + tip_.hex() + "\n";
    text += fmt::format("author dom5 <5@xen> {0} +0000\ncommitter xenstored <xs@xen> {0} +0000\n\n"
                        "write /{1} = {2}\n\nSeq: {3}\nTime: {0}000000\n",
                        1700000000 + commits_, last_path_, last_value_, commits_);
    tip_ = hash_object(ObjectType::Commit, text);
    out.put(ObjectType::Commit, tip_, text);
}

} // namespace xsgit::test
