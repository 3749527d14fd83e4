// SPDX-License-Identifier: MIT
#include "xsgit/git/pack_merger.hpp"

#include "xsgit/git/delta.hpp"
#include "xsgit/git/oid_table.hpp"
#include "xsgit/git/pack_index.hpp"
#include "xsgit/git/sha1.hpp"
#include "xsgit/git/tree_kin.hpp"

#include <cassert>
#include <libdeflate.h>

namespace xsgit {

namespace {

constexpr std::size_t kChunk = std::size_t{128} << 10;

class Merger {
public:
    Merger(const std::vector<PackReader> &inputs, const std::function<void(std::string_view)> &write)
        : inputs_(inputs), write_(write)
    {
    }

    MergedPack run()
    {
        plan();
        buffer_.resize(kPackHeaderSize);
        put_pack_header(buffer_.data(), static_cast<std::uint32_t>(out_.size()));
        for (std::size_t k = 0; k < inputs_.size(); ++k)
            copy_input(k);
        flush();
        const Oid checksum = sha_.finish();
        write_({reinterpret_cast<const char *>(checksum.bytes.data()), checksum.bytes.size()});
        return {checksum.hex(), make_index(out_, checksum), done_ + kPackTrailerSize,
                static_cast<std::uint32_t>(out_.size())};
    }

private:
    using Entry = PackReader::Entry;

    /// Which copies stay. The header wants their number before the first of them is written.
    void plan()
    {
        std::size_t total = 0;
        for (const PackReader &in : inputs_)
            total += in.entries().size();
        out_.reserve(total);
        kept_as_.resize(inputs_.size());
        OidTable table;
        table.reserve(total);
        for (std::size_t k = 0; k < inputs_.size(); ++k) {
            kept_as_[k].reserve(inputs_[k].entries().size());
            for (const Entry &e : inputs_[k].entries()) {
                const auto next = static_cast<std::uint32_t>(out_.size());
                const std::uint32_t found = table.find_or_add(e.oid, next, out_);
                if (found == OidTable::kNone)
                    out_.push_back({e.oid, 0, e.crc, 0, e.type});
                kept_as_[k].push_back(found == OidTable::kNone ? next : found);
            }
        }
    }

    void copy_input(std::size_t k)
    {
        const PackReader &in = inputs_[k];
        const auto count = static_cast<std::uint32_t>(in.entries().size());
        for (std::uint32_t i = 0; i < count; ++i) {
            if (kept_as_[k][i] != next_)
                continue; // an earlier copy stays
            PackEntry &out = out_[next_];
            out.offset = static_cast<std::uint32_t>(done_ + buffer_.size());
            if (in.entries()[i].base != PackReader::kNone)
                copy_delta(in, i, out, out_[kept_as_[k][in.entries()[i].base]]);
            else if (in.entries()[i].type != static_cast<std::uint8_t>(ObjectType::Tree) ||
                     !copy_as_delta(k, i, out))
                buffer_.append(in.raw(i));
            ++next_;
            if (buffer_.size() >= kChunk)
                flush();
        }
    }

    void copy_delta(const PackReader &in, std::uint32_t i, PackEntry &out, const PackEntry &base)
    {
        const Entry &e = in.entries()[i];
        if (base.depth >= kMaxMergedDepth && in.content(i, content_)) {
            out.crc = append_entry(buffer_, e.type, 0, content_);
            return;
        }
        out.depth = static_cast<std::uint16_t>(base.depth + 1);
        const std::string_view raw = in.raw(i);
        const std::uint32_t distance = out.offset - base.offset;
        char digits[5];
        const std::size_t len = put_distance(digits, distance);
        const std::string_view old = raw.substr(e.head_bytes, e.all_bytes - e.head_bytes);
        if (old == std::string_view(digits, len)) {
            buffer_.append(raw);
            return;
        }
        const std::size_t start = buffer_.size();
        buffer_.append(raw.substr(0, e.head_bytes));
        buffer_.append(digits, len);
        buffer_.append(raw.substr(e.all_bytes));
        out.crc = libdeflate_crc32(0, buffer_.data() + start, buffer_.size() - start);
    }

    /// A tree in full: true if it went out as a delta of an earlier one.
    bool copy_as_delta(std::size_t k, std::uint32_t i, PackEntry &out)
    {
        const PackReader &in = inputs_[k];
        const std::string_view tree = in.stored_content(i);
        if (tree.size() < 64)
            return false;
        const TreeKin::Candidates kin = kin_.find(tree);
        std::size_t limit = tree.size() * 3 / 4;
        const PackEntry *best = nullptr;
        for (const std::uint32_t candidate : kin.trees) {
            if (candidate == TreeKin::kNone)
                continue;
            const Full &full = fulls_[candidate];
            const PackEntry &base = out_[full.number];
            // What hangs on this tree gets deeper with it.
            if (base.depth + 1 + in.entries()[i].height > kMaxMergedDepth)
                continue;
            if (make_delta(inputs_[full.input].stored_content(full.entry), tree, limit, delta_)) {
                best = &base;
                limit = delta_.size() - 1;
                best_delta_.swap(delta_);
            }
        }
        kin_.remember(kin, static_cast<std::uint32_t>(fulls_.size()));
        fulls_.push_back({static_cast<std::uint32_t>(k), i, next_});
        if (!best)
            return false;
        out.depth = static_cast<std::uint16_t>(best->depth + 1);
        out.crc = append_entry(buffer_, kOfsDelta, out.offset - best->offset, best_delta_);
        return true;
    }

    void flush()
    {
        sha_.update(buffer_);
        write_(buffer_);
        done_ += buffer_.size();
        assert(done_ < kMaxPackSize);
        buffer_.clear();
    }

    const std::vector<PackReader> &inputs_;
    const std::function<void(std::string_view)> &write_;
    std::vector<PackEntry> out_;
    std::vector<std::vector<std::uint32_t>> kept_as_; // input, entry -> number in out_
    std::uint32_t next_ = 0;                          // number in out_
    std::uint64_t done_ = 0;                          // bytes written
    std::string buffer_, content_, delta_, best_delta_;
    Sha1 sha_;

    struct Full { // a tree that stands in full in an input
        std::uint32_t input, entry, number;
    };
    std::vector<Full> fulls_;
    TreeKin kin_;
};

} // namespace

MergedPack merge_packs(const std::vector<PackReader> &inputs,
                       const std::function<void(std::string_view)> &write)
{
    return Merger(inputs, write).run();
}

} // namespace xsgit
