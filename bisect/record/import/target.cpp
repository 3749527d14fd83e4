// SPDX-License-Identifier: MIT
// Times become times since the first record; what is missing is counted.
#include "bisect/record/import/target.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <stdexcept>

namespace xsgit::record {

namespace {

constexpr std::uint64_t kDay = 86'400'000'000;

} // namespace

Target::Target(FileOptions file, const Redaction &redaction, std::string source, std::string about)
    : file_options_(std::move(file)), redaction_(redaction), source_(std::move(source)),
      about_(std::move(about))
{
}

std::uint64_t Target::at(When when)
{
    if (!file_) {
        begin_us_ = when.us;
        file_ = std::make_unique<SessionFile>(file_options_,
                                              session::Meta{when.wall ? when.us : 0, source_, about_});
        recorder_.emplace(*file_, redaction_);
    }
    if (!when.wall && when.us + kDay / 2 < printed_us_) // a time of day: after midnight it begins anew
        midnights_us_ += kDay;
    printed_us_ = when.us;
    const std::uint64_t us = when.us + midnights_us_;
    last_us_ = std::max(last_us_, us - std::min(us, begin_us_)); // threads may be told of out of order
    return last_us_;
}

std::uint64_t Target::open(When when, session::Opened opened)
{
    const std::uint64_t us = at(when);
    opened.conn = next_++;
    recorder_->opened(us, opened);
    return opened.conn;
}

void Target::close(When when, std::uint64_t conn) { recorder_->closed(at(when), conn); }

void Target::message(When when, From from, session::Message m)
{
    ++messages_;
    recorder_->message(at(when), from, std::move(m));
}

std::vector<std::string> Target::finish()
{
    if (messages_ == 0)
        throw std::runtime_error("there is no message of a xenstored in it");
    std::vector<std::string> told;
    for (const auto &[what, count] : missing_) {
        told.push_back(fmt::format("{} {}", count, what));
        file_->add(last_us_, session::Note{told.back()});
    }
    file_->finish(last_us_, "imported");
    return told;
}

} // namespace xsgit::record
