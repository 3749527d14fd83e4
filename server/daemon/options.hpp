// SPDX-License-Identifier: MIT
// The command line: everything that the C daemon of Xen 4.17 to 4.22 understands, and ours.
#pragma once

#include "server/daemon/takeover.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::server {

/// A journal, checkpoints, and a little history.
inline constexpr std::uint64_t kRepoSizeLeast = 6'000'000;

struct Options {
    // ---- ours --------------------------------------------------------------
    bool standalone = false;
    bool stop = false;
    std::string repo;            // absolute
    std::string socket;          // absolute
    std::uint64_t repo_size = 0; // bytes, at least kRepoSizeLeast; 0: the store's default

    // ---- of the C daemon ---------------------------------------------------
    bool foreground = false;
    std::string pid_file;   // absolute; empty: none
    std::string trace_file; // absolute; empty: none
    bool keep_orphans = false;
    std::vector<std::string> trace_control;
    std::map<std::string, std::uint64_t> quotas;      // by the name of `-Q`; short options too
    std::map<std::string, std::uint64_t> soft_quotas; // -q
    std::optional<std::uint64_t> watch_event_timeout; // seconds; -w
    std::optional<std::uint64_t> ring_scan;           // seconds; -w, of ours
    std::optional<std::uint32_t> event, master_domid, priv_domid;
    bool live_update = false;

    /// Set in a server that has turned itself into a keeper.
    std::optional<Inheritance> resume;

    std::string state_dir() const { return repo + "/xsgit"; }
    std::string slots_path() const { return state_dir() + "/slots"; }
};

struct CommandLine {
    Options options;
    std::vector<std::string> notes;  // to print: options that were ignored
    std::optional<std::string> text; // print this on standard output and exit 0 (--help, --version)
};

/// Facts of the Settings event.
std::string settings_facts(const Options &o);

/// Throws std::runtime_error with one line that says what is wrong.
CommandLine parse_command_line(int argc, const char *const *argv);

/// `args` (the original command line) in the form that makes this program go on as keeper with `own`.
std::vector<std::string> resume_arguments(const std::vector<std::string> &args, const Options &options,
                                          const Inheritance &own);

} // namespace xsgit::server
