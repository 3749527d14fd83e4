// SPDX-License-Identifier: MIT
#include "bisect/search/verdict_log.hpp"

#include "inspect/failure.hpp"
#include "xsgit/base/escape.hpp"

#include <array>
#include <cerrno>
#include <fmt/core.h>
#include <system_error>

namespace xsgit::bisect {

namespace {

constexpr std::string_view kFirstLine = "# xs-bisect log 1";
constexpr std::size_t kLargest = 16u << 20;
constexpr std::array kVerdicts = {Verdict::Good, Verdict::Bad, Verdict::Skip};

[[noreturn]] void bad_file(const std::string &file, const std::string &what)
{
    throw inspect::ToolFailure(inspect::kUsage, "log " + file + ": " + what);
}

[[noreturn]] void not_writable(const std::string &file)
{
    throw inspect::ToolFailure(inspect::kNoRepository, "cannot write the log " + file + ": " +
                                                           std::generic_category().message(errno));
}

std::string why() { return std::generic_category().message(errno); }

std::string_view word(std::string_view &rest)
{
    const std::size_t begin = std::min(rest.find_first_not_of(" \t\r"), rest.size());
    rest.remove_prefix(begin);
    const std::string_view w = rest.substr(0, rest.find_first_of(" \t\r"));
    rest.remove_prefix(w.size());
    return w;
}

/// Nullopt: a remark.
std::optional<LoggedVerdict> parse_line(std::string_view line, std::size_t number)
{
    std::string_view rest = line;
    const std::string_view name = word(rest);
    if (name.empty() || name.starts_with('#'))
        return std::nullopt;
    const auto commit = Oid::from_hex(word(rest));
    const std::string_view behind = word(rest);
    for (const Verdict v : kVerdicts)
        if (name == verdict_name(v) && commit && (behind.empty() || behind.starts_with('#')))
            return LoggedVerdict{*commit, v};
    throw inspect::ToolFailure(
        inspect::kUsage,
        fmt::format("log, line {}: expected good, bad or skip and the 40 digits of a commit: {}", number,
                    escape(line, 60)));
}

} // namespace

std::string_view verdict_name(Verdict v) noexcept
{
    switch (v) {
    case Verdict::Good:
        return "good";
    case Verdict::Bad:
        return "bad";
    case Verdict::Skip:
        break;
    }
    return "skip";
}

std::vector<LoggedVerdict> parse_verdict_log(std::string_view text)
{
    std::vector<LoggedVerdict> out;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (++number == 1 && line != kFirstLine)
            throw inspect::ToolFailure(inspect::kUsage,
                                       fmt::format("not a log of this version of xs-bisect: it "
                                                   "does not begin with \"{}\"",
                                                   kFirstLine));
        if (const auto v = parse_line(line, number))
            out.push_back(*v);
    }
    if (number == 0)
        throw inspect::ToolFailure(inspect::kUsage, "the log is empty");
    return out;
}

std::vector<LoggedVerdict> read_verdict_log(const std::string &file)
{
    struct Close {
        void operator()(std::FILE *f) const noexcept { std::fclose(f); }
    };
    const std::unique_ptr<std::FILE, Close> f(std::fopen(file.c_str(), "re"));
    if (!f)
        bad_file(file, why());
    std::string text(kLargest + 1, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), f.get()));
    if (std::ferror(f.get()))
        bad_file(file, why());
    if (text.size() > kLargest)
        bad_file(file, "it is too large to be one of ours");
    return parse_verdict_log(text);
}

VerdictLog::VerdictLog(const std::string &file, const std::string &remark)
    : name_(file), file_(std::fopen(file.c_str(), "we"))
{
    if (!file_)
        not_writable(file);
    put(std::string(kFirstLine));
    this->remark(remark);
}

void VerdictLog::remark(const std::string &text) { put("# " + text); }

void VerdictLog::add(const LoggedVerdict &v, const std::string &remark)
{
    put(fmt::format("{} {} # {}", verdict_name(v.verdict), v.commit.hex(), remark));
}

void VerdictLog::put(const std::string &line)
{
    const std::string text = line + "\n";
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0)
        not_writable(name_);
}

} // namespace xsgit::bisect
