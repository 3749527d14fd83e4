// SPDX-License-Identifier: MIT
// A history as the daemon writes it, without the daemon: guests with device directories, one leaf
// changed per commit. Tests and benchmarks need many realistic objects.
#pragma once

#include "xsgit/git/pack_buffer.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace xsgit::test {

class SampleHistory {
public:
    explicit SampleHistory(unsigned guests, std::uint64_t seed = 1);

    /// Writes all trees and blobs of the present state into `out`, without a commit.
    void keyframe(PackBuffer &out);
    /// Changes a random leaf: one blob, seven trees, one commit.
    void step(PackBuffer &out);
    void steps(PackBuffer &out, unsigned n);

    const Oid &tip() const { return tip_; }
    unsigned commits() const { return commits_; }
    /// What the last change was: "local/domain/3/device/vif/0/state".
    const std::string &last_path() const { return last_path_; }
    const std::string &last_value() const { return last_value_; }

private:
    struct Dir {
        Dir *parent = nullptr;
        std::string name;
        std::map<std::string, Dir *> dirs;
        std::map<std::string, std::string> leaves; // values
        std::string content;
        std::map<std::string, std::size_t> holes; // child -> where its id is in content
        Oid id;
        Placement at;
    };
    Dir *make(Dir *parent, const std::string &name);
    void build(Dir &dir, PackBuffer *out);
    void commit(PackBuffer &out);

    std::mt19937_64 random_;
    std::deque<Dir> all_;
    Dir *root_;
    std::vector<std::pair<Dir *, std::string>> leaves_;
    std::string scratch_;
    Oid tip_;
    unsigned commits_ = 0;
    std::string last_path_, last_value_;
};

} // namespace xsgit::test
