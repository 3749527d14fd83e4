// SPDX-License-Identifier: MIT
// The loop: events as long as there are some, then a look fifty times a second.
#include "bisect/record/tap/tap.hpp"

#include "bisect/record/proxy.hpp"
#include "inspect/failure.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <stdexcept>
#include <utility>

namespace xsgit::record {

namespace {

constexpr int kEventsAtOnce = 1000;            // between two writes
constexpr std::uint64_t kSettleUs = 2'000'000; // how long transactions are waited for

bool readable(int fd, int timeout_ms)
{
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, timeout_ms) > 0;
}

} // namespace

Tap::Tap(const std::string &repository, FileOptions options, const Redaction &redaction,
         std::function<void(const std::string &)> note)
    : daemon_(repository), note_(std::move(note))
{
    settle();
    const std::uint64_t start = begin_us();
    options.rotate_by_caller = true;
    file_ = std::make_unique<SessionFile>(
        std::move(options), session::Meta{start, "tap", "xenstored-git " XSGIT_VERSION ", " + repository});
    writer_ = std::make_unique<TapWriter>(*file_, redaction, start);
    writer_->begin(daemon_.state(), fresh_since_.has_value());
    file_->flush();
}

/// Transactions that began before the session cannot be in it. They are short, usually.
void Tap::settle()
{
    const std::uint64_t until = monotonic_us() + kSettleUs;
    while (daemon_.state().open_transactions() != 0 && monotonic_us() < until) {
        try {
            if (const auto e = daemon_.next())
                daemon_.step(*e, outputs_);
            else
                ::poll(nullptr, 0, 1);
        } catch (const JournalDamaged &) {
            daemon_.reload();
        }
    }
    if (const std::size_t n = daemon_.state().open_transactions())
        note_(fmt::format(
            "{} transactions are open all the time: what was done in them before is not recorded", n));
}

std::uint64_t Tap::begin_us()
{
    fresh_since_ = daemon_.fresh_since();
    return fresh_since_ ? static_cast<std::uint64_t>(*fresh_since_) : wall_us();
}

void Tap::reload()
{
    const std::uint64_t events = daemon_.reload();
    if (events == 0)
        return;
    lost_ += events;
    note_(fmt::format("the daemon was faster: {} events are missing in the recording", events));
    writer_->gap(daemon_.state(), events);
}

/// Some events; false: there are no more now.
bool Tap::take()
{
    for (int i = 0; i < kEventsAtOnce; ++i) {
        std::optional<Event> e;
        try {
            e = daemon_.next();
        } catch (const JournalDamaged &) {
            reload();
            return true;
        }
        if (!e)
            return false;
        if (!daemon_.step(*e, outputs_) && differing_++ == 0) {
            const std::string text =
                fmt::format("event {}: the daemon answered otherwise than this program would; is it of "
                            "another version? What is recorded from here on may not be what was said",
                            e->number);
            note_(text);
            writer_->note(text);
        }
        writer_->event(*e, outputs_);
        writer_->rotate(daemon_.state());
    }
    return true;
}

void Tap::finish(const std::string &why) { writer_->finish(static_cast<std::int64_t>(wall_us()), why); }

Tap::Ended Tap::record(int stop)
{
    for (;;) {
        const bool more = take();
        file_->flush();
        if (readable(stop, more ? 0 : kLookMs)) {
            for (const std::uint64_t newest = daemon_.newest();
                 daemon_.state().event_number() < newest && take();)
                file_->flush();
            finish("stopped");
            return Ended::Stopped;
        }
        if (more)
            continue;
        const auto place = daemon_.look();
        if (place == DaemonFold::Place::Same)
            continue;
        while (take()) // what came before
            file_->flush();
        if (place == DaemonFold::Place::StoreGone) {
            finish("the store was set aside or removed");
            return Ended::StoreGone;
        }
        reload();
    }
}

Tap::Ended Tap::run(int stop)
{
    try {
        return record(stop);
    } catch (const inspect::ToolFailure &) {
        finish("the daemon's files could not be read any more");
        throw;
    } catch (const std::runtime_error &e) { // of the file
        note_(fmt::format("{}; nothing more is recorded", e.what()));
        return Ended::NotWritable;
    }
}

} // namespace xsgit::record
