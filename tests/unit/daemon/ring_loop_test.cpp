// SPDX-License-Identifier: MIT
// The loop with rings: the real engine, a host in memory (memory_xen.hpp), toolstacks on real sockets.
#include "server/daemon/clock.hpp"
#include "server/daemon/loop.hpp"
#include "tests/unit/daemon/client.hpp"
#include "tests/unit/daemon/memory_fold.hpp"
#include "tests/unit/daemon/memory_xen.hpp"
#include "tests/unit/daemon/temp_dir.hpp"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <random>
#include <thread>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

constexpr std::size_t kRings = 4;

/// A daemon whose "process" is a thread, on a host that outlives it.
class Daemon {
public:
    Daemon() : listener_(listen_at(path(), SOCK_STREAM, 128)) { SlotFile::create(dir_ / "slots"); }
    ~Daemon() { stop(); }

    std::string path() const { return dir_ / "socket"; }

    /// Gives back how often the event channels were looked at before it served.
    unsigned start()
    {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        stop_reader_.reset(ends[0]);
        stop_writer_.reset(ends[1]);
        fold_ = std::make_unique<MemoryFold>(journal_);
        slots_ = SlotFile::open(dir_ / "slots");
        control_ = std::make_unique<ControlService>(*fold_, trace_, log_);
        Loop::Parts parts{*fold_,    *slots_, names_,          xen, *control_,
                          trace_,    log_,    listener_.get(), -1,  stop_reader_.get(),
                          dir_.path, {}};
        parts.ring_limit = kRings;
        parts.ring_scan_ms = 0; // nobody is found by chance
        loop_ = std::make_unique<Loop>(parts);
        const unsigned before = xen.heard();
        loop_->resume({});
        const unsigned looks = xen.heard() - before;
        thread_ = std::thread([this] { loop_->run(); });
        return looks;
    }
    void stop()
    {
        if (!thread_.joinable())
            return;
        stop_writer_.reset();
        thread_.join();
        loop_.reset();
        slots_.reset();
    }

    MemoryXen xen;

private:
    TempDir dir_;
    UniqueFd listener_, stop_reader_, stop_writer_;
    std::vector<KeptEvent> journal_;
    std::unique_ptr<MemoryFold> fold_;
    Trace trace_;
    Log log_{Log::Target::Stderr};
    SentNames names_;
    std::unique_ptr<ControlService> control_;
    std::unique_ptr<SlotFile> slots_;
    std::unique_ptr<Loop> loop_;
    std::thread thread_;
};

/// When a guest rings: after all that it does; or as Linux does, when we may be waiting, as far as it can see.
enum class Style { Always, Needed };

/// A guest at full speed, in a thread of its own: it asks for this and that, takes what comes in pieces of any size, and
/// sleeps until it is rung when it can do neither.
class Guest {
public:
    Guest(MemoryXen &xen, std::uint32_t domid, Style style)
        : xen_(xen), page_(xen.page(domid)), domid_(domid), style_(style)
    {
    }
    /// Empty if each of `n` requests is answered, in order.
    std::string ask(unsigned n)
    {
        std::uint32_t made = 0;
        while (answered_ < n) {
            while (out_.size() < 4 * kRingSize && made < n)
                out_ += next(made++);
            const std::size_t sent = put();
            const std::size_t got = take();
            if (!wrong_.empty())
                return wrong_;
            if (sent == 0 && got == 0 && answered_ < n && !rung())
                return fmt::format("not rung: {} of {}; req {}..{} rsp {}..{}", answered_, n,
                                   load_word(page_.req_cons), load_word(page_.req_prod),
                                   load_word(page_.rsp_cons), load_word(page_.rsp_prod));
        }
        return {};
    }
    unsigned events() const { return events_; }

private:
    std::string next(std::uint32_t n)
    {
        if (n == 0)
            return request(MsgType::Watch, nul("/local/domain/5|w|"), n);
        switch (random_() % 4) {
        case 0:
            return request(MsgType::Write,
                           nul(fmt::format("x{}|", n % 7)) + std::string(random_() % 1500, 'v'), n);
        case 1:
            return request(MsgType::Read, nul(fmt::format("x{}|", n % 7)), n);
        default:
            return request(MsgType::GetDomainPath, nul("5|"), n);
        }
    }
    void store(std::uint32_t &word, std::uint32_t value)
    {
        std::atomic_ref<std::uint32_t>(word).store(value, std::memory_order_seq_cst);
    }
    std::size_t put()
    {
        const std::uint32_t prod = page_.req_prod;
        const std::size_t n =
            std::min<std::size_t>(out_.size(), kRingSize - (prod - load_word(page_.req_cons)));
        for (std::size_t i = 0; i < n; ++i)
            page_.req[(prod + i) & kRingMask] = out_[i];
        out_.erase(0, n);
        store(page_.req_prod, prod + static_cast<std::uint32_t>(n));
        // All that was there before had been read.
        const bool needed = static_cast<std::int32_t>(load_word(page_.req_cons) - prod) >= 0;
        if (n != 0 && (style_ == Style::Always || needed))
            xen_.ring(domid_);
        return n;
    }
    std::size_t take()
    {
        static constexpr std::size_t kMost[] = {1, 16, 300, kRingSize, kRingSize};
        const std::uint32_t cons = page_.rsp_cons;
        const std::size_t n = std::min<std::size_t>(load_word(page_.rsp_prod) - cons, kMost[random_() % 5]);
        std::atomic_thread_fence(std::memory_order_acquire);
        for (std::size_t i = 0; i < n; ++i)
            in_ += page_.rsp[(cons + i) & kRingMask];
        store(page_.rsp_cons, cons + static_cast<std::uint32_t>(n));
        const bool needed = load_word(page_.rsp_prod) - cons >= kRingSize; // it had been full
        if (n != 0 && (style_ == Style::Always || needed))
            xen_.ring(domid_);
        parse();
        return n;
    }
    void parse()
    {
        std::uint32_t header[4];
        while (in_.size() >= sizeof header) {
            std::memcpy(header, in_.data(), sizeof header);
            if (in_.size() < sizeof header + header[3])
                return;
            in_.erase(0, sizeof header + header[3]);
            if (header[0] == static_cast<std::uint32_t>(MsgType::WatchEvent))
                ++events_;
            else if (header[1] != answered_++)
                wrong_ = fmt::format("request {} is answered in the place of {}", header[1], answered_ - 1);
        }
    }
    bool rung()
    {
        const std::int64_t deadline = now_ms() + 10'000;
        for (int i = 0; now_ms() < deadline; ++i) {
            if (xen_.was_rung(domid_))
                return true;
            if (i > 1000)
                usleep(10);
        }
        return false;
    }

    MemoryXen &xen_;
    RingPage &page_;
    std::uint32_t domid_;
    Style style_;
    std::string out_, in_, wrong_;
    std::uint32_t answered_ = 0;
    unsigned events_ = 0;
    std::minstd_rand random_;
};

std::string introduce(Client &c, std::uint32_t domid, std::uint32_t port)
{
    return c.ask(MsgType::Introduce, fmt::format("{}|1|{}|", domid, port));
}

} // namespace

TEST_CASE("a guest that rings without end does not hold up a restart")
{
    constexpr unsigned kEndless = 1'000'000;
    Daemon d;
    d.start();
    d.xen.create(5);
    {
        Client c(d.path());
        CHECK(introduce(c, 5, 7) == "OK|");
    }
    d.stop();
    d.xen.ring_without_end(5, kEndless);
    CHECK(d.start() <= 3); // two rings: the control domain's, and this one
    Client c(d.path());
    CHECK(c.ask(MsgType::IsDomainIntroduced, "5|") == "T|");
    CHECK(d.xen.heard() < kEndless);
}

TEST_CASE("where no further domain can be introduced, those that are can be anew")
{
    Daemon d;
    d.start();
    Client c(d.path());
    std::uint32_t domid = 0;
    for (; domid + 1 < kRings; ++domid) { // one is the control domain's
        d.xen.create(domid + 1);
        CHECK(introduce(c, domid + 1, 7) == "OK|");
    }
    d.xen.create(domid + 1);
    CHECK(introduce(c, domid + 1, 7) == "ENOSPC|");
    CHECK(introduce(c, domid, 7) == "OK|");
    CHECK(introduce(c, domid, 8) == "OK|");
    CHECK(d.xen.ports_of(domid) == 1);
    CHECK(introduce(c, domid + 1, 7) == "ENOSPC|");
    CHECK(c.ask(MsgType::Release, fmt::format("{}|", domid)) == "OK|");
    CHECK(introduce(c, domid + 1, 7) == "OK|");
}

TEST_CASE("guests that ring only when it is needed are never forgotten")
{
    for (const Style style : {Style::Always, Style::Needed}) {
        Daemon d;
        d.start();
        d.xen.create(5);
        Client c(d.path());
        CHECK(c.ask(MsgType::Mkdir, "/local/domain/5|") == "OK|");
        CHECK(c.ask(MsgType::SetPerms, "/local/domain/5|n5|") == "OK|");
        CHECK(introduce(c, 5, 7) == "OK|");
        // Somebody else changes what it watches.
        std::atomic<bool> enough{false};
        std::thread other([&] {
            Client mine(d.path());
            for (int n = 0; !enough; ++n) {
                mine.ask(MsgType::Write, fmt::format("/local/domain/5/y{}|v", n % 20));
                usleep(200);
            }
        });
        Guest g(d.xen, 5, style);
        CHECK(g.ask(20'000) == "");
        CHECK(g.events() > 1000);
        enough = true;
        other.join();
    }
}
