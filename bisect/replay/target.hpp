// SPDX-License-Identifier: MIT
// Who is played to: the engine in this process, or a daemon behind a socket.
#pragma once

#include "bisect/replay/script.hpp"
#include "xsgit/change.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace xsgit::server {
class State;
}

namespace xsgit::replay {

/// The target cannot be played to at all; the text says what to do.
struct TargetFailed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Target {
public:
    virtual ~Target() = default;

    virtual void open(std::size_t client, const session::Opened &who) = 0;
    /// Closed connections hear nothing more; `out` gets what they had not taken.
    virtual void close(std::size_t client, std::vector<Received> &out) = 0;
    /// Sends it as it is and waits for the reply; `out` gets everything that came to anybody, the reply
    /// included, in order for each client. If the daemon has closed the connection, that instead of a reply.
    /// `recorded`: what it was answered when it was recorded, or null.
    virtual void request(std::size_t client, const session::Request &r, const session::Message *recorded,
                         std::vector<Received> &out) = 0;
    virtual void domains(const std::string &news, std::vector<Received> &out) = 0;
    /// A watch of the starting state.
    virtual void watch(const session::Watch &w) = 0;
    /// Waits until all that was caused has come.
    virtual void settle(std::vector<Received> &out) = 0;
    /// Time of what comes next, microseconds since the begin.
    virtual void set_time(std::uint64_t at_us) = 0;
    /// What could not be played as recorded; empty: nothing.
    virtual std::string remark() const = 0;
};

/// The engine, deterministic.
class EngineTarget final : public Target {
public:
    /// `sink`, if any, hears of every commit. Throws NotPlayable for a starting state that is none.
    explicit EngineTarget(const Script &script, ChangeSink *sink = nullptr);
    ~EngineTarget() override;

    void open(std::size_t client, const session::Opened &who) override;
    void close(std::size_t client, std::vector<Received> &out) override;
    void request(std::size_t client, const session::Request &r, const session::Message *recorded,
                 std::vector<Received> &out) override;
    void domains(const std::string &news, std::vector<Received> &out) override;
    void watch(const session::Watch &w) override;
    void settle(std::vector<Received> &) override {}
    void set_time(std::uint64_t at_us) override;
    std::string remark() const override { return {}; }

    const server::State &state() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// A daemon's socket; what a recording has on rings of guests is asked as the control domain.
class SocketTarget final : public Target {
public:
    /// `patience`: how long a reply may take.
    SocketTarget(std::string path, std::chrono::milliseconds patience);
    ~SocketTarget() override;

    void open(std::size_t client, const session::Opened &who) override;
    void close(std::size_t client, std::vector<Received> &out) override;
    void request(std::size_t client, const session::Request &r, const session::Message *recorded,
                 std::vector<Received> &out) override;
    void domains(const std::string &news, std::vector<Received> &out) override;
    void watch(const session::Watch &w) override;
    void settle(std::vector<Received> &out) override;
    void set_time(std::uint64_t) override {}
    std::string remark() const override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xsgit::replay
