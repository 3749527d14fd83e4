// SPDX-License-Identifier: MIT
// A validated xenstore path as a value.
//
//   path    := "/" | ("/" name)+ | "@" name        (absolute or special)
//   name    := [A-Za-z0-9_@-]+
// A relative path of a client is resolved against /local/domain/<domid>.
#pragma once

#include "xsgit/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace xsgit {

class Path {
public:
    /// The root.
    Path() : text_("/") {}

    /// Parses what a client of `domid` sent (without its NUL). Einval for a bad
    /// character, "//", a trailing "/" (except the root), an empty path, or an
    /// "@" path unless `allow_special`. No length limit beyond the payload's:
    /// quotas on length are the engine's.
    static Result<Path> parse(std::string_view text, std::uint32_t domid, bool allow_special = false);

    /// Trusted text, already absolute and valid (our own literals and files).
    static Path trusted(std::string text) { return Path(std::move(text)); }

    const std::string &str() const noexcept { return text_; }
    bool is_root() const noexcept { return text_.size() == 1; }
    bool is_special() const noexcept { return text_[0] == '@'; }

    /// The last component; empty for the root. Valid while this lives.
    std::string_view name() const noexcept;
    /// The directory above; root for the root. Precondition: not special.
    Path parent() const;
    /// `name` must be one valid component.
    Path child(std::string_view name) const;
    /// Number of components; 0 for the root.
    std::size_t depth() const noexcept;

    /// True if this is `other` or lies above it, by components.
    bool contains(const Path &other) const noexcept;

    friend bool operator==(const Path &, const Path &) = default;
    friend auto operator<=>(const Path &, const Path &) = default;

    /// Iterates the components of an absolute path: "/a/b" -> "a", "b".
    /// for (auto c : path.components()) …; views are valid while the path lives.
    class Components;
    Components components() const noexcept;

private:
    explicit Path(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

class Path::Components {
public:
    class iterator {
    public:
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        iterator(std::string_view rest) noexcept : rest_(rest) { cut(); }
        std::string_view operator*() const noexcept { return rest_.substr(0, len_); }
        iterator &operator++() noexcept
        {
            rest_.remove_prefix(len_);
            if (!rest_.empty())
                rest_.remove_prefix(1);
            cut();
            return *this;
        }
        bool operator==(const iterator &o) const noexcept { return rest_.size() == o.rest_.size(); }

    private:
        void cut() noexcept
        {
            const std::size_t n = rest_.find('/');
            len_ = n == std::string_view::npos ? rest_.size() : n;
        }
        std::string_view rest_;
        std::size_t len_ = 0;
    };
    explicit Components(std::string_view text) noexcept : text_(text) {}
    iterator begin() const noexcept { return iterator(text_.substr(1)); }
    iterator end() const noexcept { return iterator(std::string_view()); }

private:
    std::string_view text_;
};

inline Path::Components Path::components() const noexcept { return Components(text_); }

} // namespace xsgit
