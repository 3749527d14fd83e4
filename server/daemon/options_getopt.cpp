// SPDX-License-Identifier: MIT
#include "server/daemon/options_getopt.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <fmt/core.h>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace xsgit::server {
namespace {

/// Those that have an option of their own in the C daemon.
struct Alias {
    std::string_view option, quota;
};
constexpr std::array<Alias, 6> kQuotaOptions = {{{"entry-nb", "nodes"},
                                                 {"entry-size", "node-size"},
                                                 {"watch-nb", "watches"},
                                                 {"transaction", "transactions"},
                                                 {"perm-nb", "node-permissions"},
                                                 {"path-max", "path-max"}}};

bool needs_value(const CLI::Option &o) { return o.get_expected_min() > 0; }

/// What nobody means as a value. Negative numbers are values, if wrong ones.
bool looks_like_option(std::string_view word)
{
    return word.size() > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9');
}

/// Any unambiguous beginning of a long option stands for it.
std::string complete(const CLI::App &app, const std::string &name)
{
    std::vector<std::string> fitting;
    for (const CLI::Option *o : app.get_options())
        for (const std::string &full : o->get_lnames()) {
            if (full == name)
                return name;
            if (full.compare(0, name.size(), name) == 0)
                fitting.push_back(full);
        }
    return fitting.size() == 1 && name.size() > 1 ? fitting.front() : name;
}

class Reader {
public:
    Reader(const CLI::App &app, int argc, const char *const *argv) : app_(app), args_(argv + 1, argv + argc)
    {
        while (next_ < args_.size()) {
            const std::string &arg = args_[next_++];
            if (arg == "--") {
                out_.words.insert(out_.words.end(), args_.begin() + static_cast<std::ptrdiff_t>(next_) - 1,
                                  args_.end());
                return;
            }
            if (arg.compare(0, 2, "--") == 0)
                long_option(arg);
            else if (arg.size() > 1 && arg[0] == '-')
                short_options(arg);
            else
                out_.words.push_back(arg);
        }
    }
    Words take() { return std::move(out_); }

private:
    void long_option(const std::string &arg)
    {
        const std::size_t equals = arg.find('=');
        const bool has_value = equals != std::string::npos;
        const std::string name = "--" + complete(app_, arg.substr(2, has_value ? equals - 2 : equals));
        const CLI::Option *option = app_.get_option_no_throw(name);
        if (!option || !needs_value(*option))
            out_.words.push_back(name + (has_value ? arg.substr(equals) : ""));
        else
            value(*option, name, has_value ? std::optional(arg.substr(equals + 1)) : following());
    }

    void short_options(const std::string &arg)
    {
        for (std::size_t i = 1; i < arg.size(); ++i) {
            const std::string name{'-', arg[i]};
            const CLI::Option *option = app_.get_option_no_throw(name);
            if (!option) {
                note("unknown option {} is ignored", name);
            } else if (needs_value(*option)) {
                const std::string rest = arg.substr(i + 1);
                return value(*option, name, rest.empty() ? following() : std::optional(rest));
            } else if (option->get_expected_max() > 0) { // may have one
                return out_.words.push_back("-" + arg.substr(i));
            } else {
                out_.words.push_back(name);
            }
        }
    }

    /// The next word, for an option that needs it.
    std::optional<std::string> following()
    {
        if (next_ == args_.size() || looks_like_option(args_[next_]))
            return std::nullopt;
        return args_[next_++];
    }

    void value(const CLI::Option &option, const std::string &shown, const std::optional<std::string> &text)
    {
        const std::string &name = option.get_lnames().front();
        if (!text || text->empty()) {
            if (name == "repo" || name == "socket")
                throw std::runtime_error(shown + " needs a value; --help lists the options");
            return note("option {} needs a value; it is ignored", shown);
        }
        for (const Alias &a : kQuotaOptions)
            if (a.option == name)
                return out_.words.push_back(fmt::format("--quota={}={}", a.quota, *text));
        out_.words.push_back(fmt::format("--{}={}", name, *text));
    }

    void note(fmt::format_string<const std::string &> what, const std::string &option)
    {
        out_.notes.push_back(fmt::format(what, option));
    }

    const CLI::App &app_;
    const std::vector<std::string> args_;
    std::size_t next_ = 0;
    Words out_;
};

} // namespace

Words read_like_getopt(const CLI::App &app, int argc, const char *const *argv)
{
    return Reader(app, argc, argv).take();
}

} // namespace xsgit::server
