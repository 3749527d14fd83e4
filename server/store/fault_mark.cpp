// SPDX-License-Identifier: MIT
#include "server/store/fault_mark.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <iterator>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xsgit::server {

struct FaultMark::Page {
    std::atomic<std::uint64_t> word;
};

namespace {

constexpr int kDeadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
constexpr std::size_t kStack = 64 << 10;

/// Number of faults and the last signal, and the same with all bits turned, so that damage is no fault.
std::uint64_t word_of(std::uint32_t faults, int signal) noexcept
{
    const std::uint32_t low = (faults << 8) | (static_cast<std::uint32_t>(signal) & 0xff);
    return (std::uint64_t{~low} << 32) | low;
}

std::uint32_t low_of(std::uint64_t word) noexcept
{
    const auto low = static_cast<std::uint32_t>(word);
    return static_cast<std::uint32_t>(word >> 32) == ~low ? low : 0;
}

thread_local std::atomic<std::uint64_t> *t_word = nullptr;
struct sigaction g_before[std::size(kDeadly)];

std::size_t place_of(int signal) noexcept
{
    std::size_t i = 0;
    while (i + 1 < std::size(kDeadly) && kDeadly[i] != signal)
        ++i;
    return i;
}

/// Leaves the signal to whom it belonged: an instruction that faults does so again, and abort() and what came from
/// outside are raised again.
void mark(int signal, siginfo_t *info, void *)
{
    if (t_word && info->si_code != SI_USER) // kill(2) came from outside
        t_word->store(word_of((low_of(t_word->load()) >> 8) + 1, signal));
    ::sigaction(signal, &g_before[place_of(signal)], nullptr);
    if (info->si_code <= 0) // sent by somebody
        ::raise(signal);
}

} // namespace

FaultMark::FaultMark(const std::string &path) noexcept
{
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    void *at = MAP_FAILED;
    if (::posix_fallocate(fd, 0, sizeof(Page)) == 0)
        at = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (at == MAP_FAILED)
        return;
    page_ = static_cast<Page *>(at);
}

FaultMark::~FaultMark()
{
    if (page_)
        ::munmap(page_, sizeof(Page));
}

std::uint32_t FaultMark::faults() const noexcept { return page_ ? low_of(page_->word.load()) >> 8 : 0; }

int FaultMark::signal() const noexcept
{
    return page_ ? static_cast<int>(low_of(page_->word.load()) & 0xff) : 0;
}

void FaultMark::progress() noexcept
{
    if (page_ && page_->word.load(std::memory_order_relaxed) != 0)
        page_->word.store(0);
}

void FaultMark::watch_this_thread() noexcept
{
    if (!page_)
        return;
    t_word = &page_->word;
    stack_ = std::malloc(kStack);
    if (stack_) {
        const stack_t s{stack_, 0, kStack};
        ::sigaltstack(&s, nullptr);
    }
    struct sigaction action = {};
    action.sa_sigaction = mark;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (std::size_t i = 0; i < std::size(kDeadly); ++i)
        ::sigaction(kDeadly[i], &action, &g_before[i]);
}

void FaultMark::end_watch() noexcept
{
    if (!t_word)
        return;
    for (std::size_t i = 0; i < std::size(kDeadly); ++i)
        ::sigaction(kDeadly[i], &g_before[i], nullptr);
    const stack_t none{nullptr, SS_DISABLE, 0};
    ::sigaltstack(&none, nullptr);
    std::free(stack_);
    stack_ = nullptr;
    t_word = nullptr;
}

} // namespace xsgit::server
