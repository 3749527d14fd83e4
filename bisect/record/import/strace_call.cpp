// SPDX-License-Identifier: MIT
// Just as much of strace's syntax as transfers of bytes need.
#include "bisect/record/import/strace_call.hpp"

#include "bisect/record/import/scan.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace xsgit::record {

namespace {

constexpr std::array<std::string_view, 9> kTransfers = {"read",    "write", "recvfrom", "sendto", "recvmsg",
                                                        "sendmsg", "readv", "writev",   "recv"};
constexpr std::array<std::string_view, 9> kOthers = {"connect", "close",  "accept", "accept4", "socket",
                                                     "clone",   "clone3", "send",   "openat"};
constexpr std::int64_t kTransferMax = 1 << 22; // bytes of one call that are believed

template <class T>
bool number(std::string_view &text, T &out, int base = 10)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc())
        return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

void blanks(std::string_view &text)
{
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
}

/// The string literal at the front, which it takes off; true behind it if strace cut it ("..."). False: there is none.
bool literal(std::string_view &text, std::string &out, bool &cut)
{
    if (!takes(text, "\""))
        return false;
    static constexpr std::string_view letters = "ntrvf", meant = "\n\t\r\v\f";
    while (!text.empty() && text[0] != '"') {
        if (text[0] != '\\' || text.size() < 2) {
            out += text[0];
            text.remove_prefix(1);
            continue;
        }
        text.remove_prefix(1);
        unsigned code = 0;
        const bool hex = text[0] == 'x';
        const bool octal = text[0] >= '0' && text[0] <= '7';
        std::string_view digits = text.substr(hex, hex ? 2 : 3);
        if ((hex || octal) && number(digits, code, hex ? 16 : 8)) {
            text.remove_prefix(static_cast<std::size_t>(digits.data() - text.data()));
            out += static_cast<char>(code);
            continue;
        }
        const auto l = letters.find(text[0]);
        out += l == letters.npos ? text[0] : meant[l];
        text.remove_prefix(1);
    }
    const bool closed = takes(text, "\"");
    cut = takes(text, "...") || !closed;
    return true;
}

/// Descriptor, with what -y prints behind it.
bool descriptor(std::string_view &text, int &fd)
{
    if (!number(text, fd))
        return false;
    if (!text.starts_with('<'))
        return true;
    for (std::size_t end = text.find('>'); end != text.npos; end = text.find('>', end + 1))
        if (end + 1 < text.size() && (text[end + 1] == ',' || text[end + 1] == ')')) {
            text.remove_prefix(end + 1);
            return true;
        }
    return false;
}

/// Adds at most what is left of the result; what strace did not print of `length` bytes becomes filler.
void add(StraceCall &call, std::string part, bool cut, std::uint64_t length)
{
    const std::size_t left = static_cast<std::size_t>(call.result) - call.data.size();
    const std::size_t whole =
        cut ? static_cast<std::size_t>(std::min<std::uint64_t>(length, left)) : std::min(part.size(), left);
    call.cut |= part.size() < whole;
    part.resize(whole, '?');
    call.data += part;
}

void vectors(StraceCall &call, std::string_view args)
{
    static constexpr std::string_view kBase = "iov_base=", kLength = ", iov_len=";
    for (std::size_t at = args.find(kBase);
         at != args.npos && call.data.size() < static_cast<std::size_t>(call.result); at = args.find(kBase)) {
        args.remove_prefix(at + kBase.size());
        std::string part;
        bool cut = false;
        std::uint64_t length = 0;
        if (!literal(args, part, cut) || !takes(args, kLength) || !number(args, length))
            return;
        add(call, std::move(part), cut, length);
    }
}

/// Of "… ) = 16", "… = -1 EAGAIN (…)", "… = ? ERESTARTSYS"; takes it off the end.
std::int64_t result_of(std::string_view &text)
{
    const std::size_t at = text.rfind(" = ");
    if (at == text.npos)
        return -1;
    std::string_view value = text.substr(at + 3);
    text = text.substr(0, at);
    std::int64_t n = -1;
    if (!number(value, n))
        return -1;
    return n;
}

} // namespace

StraceLine strace_line(std::string_view line)
{
    StraceLine out;
    if (takes(line, "[pid")) {
        blanks(line);
        number(line, out.pid);
        takes(line, "]");
        blanks(line);
    } else if (std::string_view rest = line; number(rest, out.pid) && rest.starts_with(' ')) {
        line = rest;
        blanks(line);
    } else {
        out.pid = 0;
    }
    std::string_view rest = line;
    std::uint64_t first = 0, minutes = 0, seconds = 0;
    const bool begins = number(rest, first);
    const bool clock =
        begins && takes(rest, ":") && number(rest, minutes) && takes(rest, ":") && number(rest, seconds);
    if (clock || (begins && rest.starts_with('.'))) {
        std::uint64_t us = 0;
        if (takes(rest, ".")) {
            std::size_t digits = 0;
            for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; rest.remove_prefix(1))
                if (digits++ < 6)
                    us = us * 10 + static_cast<std::uint64_t>(rest[0] - '0');
            for (; digits < 6; ++digits)
                us *= 10;
        }
        constexpr std::uint64_t kYear3000 = 32'503'680'000;
        if (rest.starts_with(' ') && first < kYear3000 && minutes < 60 && seconds < 61) {
            out.us = (clock ? (first * 60 + minutes) * 60 + seconds : first) * 1'000'000 + us;
            out.wall = !clock;
            blanks(rest);
            line = rest;
        }
    }
    out.rest = line;
    return out;
}

std::optional<StraceCall> strace_call(std::string_view text)
{
    const std::size_t paren = text.find('(');
    if (paren == text.npos)
        return std::nullopt;
    StraceCall call;
    call.name = text.substr(0, paren);
    const bool transfer =
        std::find(kTransfers.begin(), kTransfers.end(), call.name) != kTransfers.end() || call.name == "send";
    if (!transfer && std::find(kOthers.begin(), kOthers.end(), call.name) == kOthers.end())
        return std::nullopt;
    call.result = result_of(text);
    std::string_view args = text.substr(std::min(paren + 1, text.size()));
    if (call.name.starts_with("clone")) {
        call.shares_files = args.find("CLONE_FILES") != args.npos;
        return call;
    }
    if (!descriptor(args, call.fd))
        call.fd = -1;
    if (call.name == "connect" || call.name == "openat") {
        const std::string_view marker = call.name == "connect" ? "sun_path=" : ", ";
        bool cut = false;
        if (const std::size_t at = args.find(marker); at != args.npos) {
            args.remove_prefix(at + marker.size());
            takes(args, "@");
            literal(args, call.path, cut);
        }
    } else if (transfer && call.result > 0 && call.result <= kTransferMax) {
        std::string part;
        bool cut = false;
        if (call.name.ends_with('v') && !call.name.starts_with("recv") ? true : call.name.ends_with("msg")) {
            vectors(call, args);
        } else if (takes(args, ", ") && literal(args, part, cut)) {
            add(call, std::move(part), cut, static_cast<std::uint64_t>(call.result));
        }
        if (call.data.size() < static_cast<std::size_t>(call.result)) { // not printed at all
            call.data.resize(static_cast<std::size_t>(call.result), '?');
            call.cut = true;
        }
    }
    return call;
}

} // namespace xsgit::record
