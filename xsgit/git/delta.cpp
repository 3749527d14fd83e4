// SPDX-License-Identifier: MIT
#include "xsgit/git/delta.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace xsgit
{

namespace
{

constexpr std::size_t kMaxCopy = 0xffff;
constexpr std::size_t kMaxInsert = 127;
constexpr std::size_t kStride = 128; // memcmp has wide registers; the word loops find the byte
constexpr std::size_t kMinRun = 10;  // a copy costs up to 7 bytes, and one more for the next insert
static_assert(std::endian::native == std::endian::little, "common_suffix and common_prefix count in words");

std::uint64_t word(const char *p) noexcept
{
    std::uint64_t w;
    std::memcpy(&w, p, sizeof w);
    return w;
}

std::size_t common_prefix(const char *a, const char *b, std::size_t n) noexcept
{
    std::size_t i = 0;
    while (i + kStride <= n && std::memcmp(a + i, b + i, kStride) == 0)
        i += kStride;
    for (; i + 8 <= n; i += 8) {
        if (const std::uint64_t diff = word(a + i) ^ word(b + i))
            return i + static_cast<std::size_t>(std::countr_zero(diff)) / 8;
    }
    while (i < n && a[i] == b[i])
        ++i;
    return i;
}

/// `a` and `b` point behind the last byte.
std::size_t common_suffix(const char *a, const char *b, std::size_t n) noexcept
{
    std::size_t i = 0;
    while (i + kStride <= n && std::memcmp(a - i - kStride, b - i - kStride, kStride) == 0)
        i += kStride;
    for (; i + 8 <= n; i += 8) {
        if (const std::uint64_t diff = word(a - i - 8) ^ word(b - i - 8))
            return i + static_cast<std::size_t>(std::countl_zero(diff)) / 8;
    }
    while (i < n && *(a - i - 1) == *(b - i - 1))
        ++i;
    return i;
}

class DeltaWriter
{
public:
    DeltaWriter(std::string &out, std::size_t limit) : out_(out), limit_(limit) { out_.clear(); }

    bool size(std::size_t n)
    {
        for (; n >= 0x80; n >>= 7)
            out_.push_back(static_cast<char>(n | 0x80));
        out_.push_back(static_cast<char>(n));
        return out_.size() <= limit_;
    }

    bool copy(std::size_t offset, std::size_t n)
    {
        while (n) {
            const std::size_t part = std::min(n, kMaxCopy);
            char op[8];
            unsigned flags = 0x80;
            std::size_t len = 1;
            const auto field = [&](std::size_t value, unsigned bytes, unsigned flag) {
                for (unsigned i = 0; i < bytes; ++i, flag <<= 1) {
                    if (const auto byte = static_cast<char>(value >> (8 * i))) {
                        op[len++] = byte;
                        flags |= flag;
                    }
                }
            };
            field(offset, 4, 0x01);
            field(part, 2, 0x10);
            op[0] = static_cast<char>(flags);
            out_.append(op, len);
            offset += part;
            n -= part;
        }
        return out_.size() <= limit_;
    }

    bool insert(std::string_view bytes)
    {
        if (out_.size() + bytes.size() > limit_)
            return false;
        for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kMaxInsert))) {
            const std::string_view part = bytes.substr(0, kMaxInsert);
            out_.push_back(static_cast<char>(part.size()));
            out_.append(part);
        }
        return out_.size() <= limit_;
    }

private:
    std::string &out_;
    std::size_t limit_;
};

/// The middles are equally long: holes in equal runs.
bool write_holes(DeltaWriter &w, std::string_view base, std::string_view target, std::size_t at,
                 std::size_t end)
{
    std::size_t hole = at;
    while (at < end) {
        const std::size_t run = common_prefix(base.data() + at, target.data() + at, end - at);
        if (run >= kMinRun) {
            if (!w.insert(target.substr(hole, at - hole)) || !w.copy(at, run))
                return false;
            hole = at + run;
        }
        at += std::max<std::size_t>(run, 1);
    }
    return w.insert(target.substr(hole, end - hole));
}

bool read_size(std::string_view &in, std::uint64_t &n) noexcept
{
    n = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (in.empty())
            return false;
        const auto byte = static_cast<unsigned char>(in.front());
        in.remove_prefix(1);
        n |= std::uint64_t{byte & 0x7fu} << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

} // namespace

bool make_delta(std::string_view base, std::string_view target, std::size_t limit, std::string &out)
{
    const std::size_t shorter = std::min(base.size(), target.size());
    const std::size_t front = common_prefix(base.data(), target.data(), shorter);
    const std::size_t back =
        common_suffix(base.data() + base.size(), target.data() + target.size(), shorter - front);
    DeltaWriter w(out, limit);
    if (!w.size(base.size()) || !w.size(target.size()) || !w.copy(0, front))
        return false;
    const std::size_t middle_end = target.size() - back;
    const bool middle = base.size() == target.size() ? write_holes(w, base, target, front, middle_end)
                                                     : w.insert(target.substr(front, middle_end - front));
    return middle && w.copy(base.size() - back, back);
}

bool apply_delta(std::string_view base, std::string_view delta, std::string &out)
{
    out.clear();
    std::uint64_t base_size = 0, size = 0;
    if (!read_size(delta, base_size) || !read_size(delta, size) || base_size != base.size())
        return false;
    while (!delta.empty()) {
        const auto op = static_cast<unsigned char>(delta.front());
        delta.remove_prefix(1);
        if (op & 0x80) {
            std::uint64_t field[2] = {0, 0}; // offset, length
            for (unsigned bit = 0; bit < 7; ++bit) {
                if (!(op & (1u << bit)))
                    continue;
                if (delta.empty())
                    return false;
                const auto byte = static_cast<unsigned char>(delta.front());
                delta.remove_prefix(1);
                field[bit >= 4] |= std::uint64_t{byte} << (8 * (bit % 4));
            }
            if (field[1] == 0)
                field[1] = 0x10000;
            if (field[0] > base.size() || field[1] > base.size() - field[0] || field[1] > size - out.size())
                return false;
            out.append(base.substr(field[0], field[1]));
        } else {
            if (op == 0 || op > delta.size() || op > size - out.size())
                return false;
            out.append(delta.substr(0, op));
            delta.remove_prefix(op);
        }
    }
    return out.size() == size;
}

} // namespace xsgit
