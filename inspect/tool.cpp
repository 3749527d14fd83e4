// SPDX-License-Identifier: MIT
// Options and messages that all tools share.
#include "inspect/tool.hpp"

#include "inspect/default_repository.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fmt/core.h>
#include <system_error>

namespace xsgit::inspect {

namespace {

/// "-5min" is a time, not options.
bool is_time_ago(const std::string &arg)
{
    std::size_t n = 1;
    while (n < arg.size() && arg[n] >= '0' && arg[n] <= '9')
        ++n;
    return n > 1 && n < arg.size() && arg[0] == '-' && arg[n] >= 'a' && arg[n] <= 'z';
}

/// Whether the word behind `word` is its value: CLI11 takes that as it is.
bool takes_value(const CLI::App &app, const std::string &word)
{
    const CLI::Option *const option = word.starts_with('-') ? app.get_option_no_throw(word) : nullptr;
    return option && option->get_items_expected_min() > 0;
}

bool has_positional_revision(const CLI::App &app)
{
    const CLI::Option *const option = app.get_option_no_throw("REV");
    return option && option->get_positional();
}

[[noreturn]] void output_failed()
{
    throw OutputFailed(kNoRepository, "cannot write the output: " + std::generic_category().message(errno));
}

} // namespace

Tool::Tool(const char *name, const char *what) : name_(name), app_(what, name)
{
    app_.add_option("--repo", repo_,
                    "the store's repository, or a clone of it (else $XS_REPO, else the daemon's default)")
        ->type_name("DIR");
    app_.add_flag("--utc", utc_, "times in UTC");
    app_.set_version_flag("--version", XSGIT_VERSION);
    app_.set_help_flag("-h,--help", "this text");
}

int Tool::run(int argc, char **argv, const std::function<int()> &body)
{
    std::vector<std::string> args; // CLI11 wants them backwards
    const bool times = has_positional_revision(app_);
    for (int i = argc - 1; i > 0; --i)
        args.push_back(times && is_time_ago(argv[i]) && !takes_value(app_, argv[i - 1])
                           ? std::string("now") + argv[i]
                           : argv[i]);
    try {
        app_.parse(std::move(args));
        const int code = body();
        flush();
        return code;
    } catch (const CLI::Success &e) {
        return app_.exit(e);
    } catch (const CLI::ParseError &e) {
        note(fmt::format("{}\nTry \"{} --help\".", e.what(), name_));
        return kUsage;
    } catch (const ToolFailure &e) {
        std::fflush(stdout);
        note(e.what());
        return e.code;
    } catch (const std::exception &e) {
        std::fflush(stdout);
        note(e.what());
        return kNoRepository;
    }
}

std::unique_ptr<RepositoryView> Tool::open()
{
    auto view = RepositoryView::open(chosen_repository(repo_));
    for (const std::string &text : view->notes())
        note(text);
    return view;
}

void Tool::note(const std::string &text) const
{
    const std::string line = fmt::format("{}: {}\n", name_, text);
    (void)std::fputs(line.c_str(), stderr); // where nobody listens, nobody is told
}

std::string not_empty(const std::string &value) { return value.empty() ? "the value is empty" : ""; }

void print(std::string_view text)
{
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
        output_failed();
}

void flush()
{
    if (std::fflush(stdout) != 0)
        output_failed();
}

} // namespace xsgit::inspect
