// SPDX-License-Identifier: MIT
#include "server/daemon/slot.hpp"
#include "server/daemon/slot_file.hpp"
#include "tests/unit/daemon/temp_dir.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>

using namespace xsgit;
using namespace xsgit::server;

namespace {

/// Gives and takes as much as the test says.
struct Scripted final : Transport {
    std::string incoming, outgoing;
    mutable std::size_t room = 1 << 20, room_to_come = 0;
    bool ended = false;

    bool settle_receive(mmsghdr &) noexcept override { return true; }
    bool settle_send(mmsghdr &) noexcept override { return true; }
    bool more() const noexcept override { return false; }
    bool has_room() const noexcept override
    {
        room += std::exchange(room_to_come, 0);
        return room > 0;
    }
    void nudge() noexcept override {}
    bool refuse(RingError) noexcept override { return false; }
    int receive(mmsghdr &m) noexcept override
    {
        const iovec &to = m.msg_hdr.msg_iov[0];
        const std::size_t n = std::min(incoming.size(), to.iov_len);
        if (n == 0 && !ended)
            return EAGAIN;
        std::memcpy(to.iov_base, incoming.data(), n);
        incoming.erase(0, n);
        m.msg_len = static_cast<unsigned>(n);
        return 0;
    }
    int send(mmsghdr &m) noexcept override
    {
        const iovec &from = m.msg_hdr.msg_iov[0];
        const std::size_t n = std::min(room, from.iov_len);
        if (n == 0)
            return EAGAIN;
        outgoing.append(static_cast<const char *>(from.iov_base), n);
        room -= n;
        m.msg_len = static_cast<unsigned>(n);
        return 0;
    }
};

std::string request(std::uint32_t length, char fill)
{
    const std::uint32_t header[4] = {2, 0, 0, length};
    std::string m(kHeaderSize + length, fill);
    std::memcpy(m.data(), header, sizeof header);
    return m;
}

struct Fixture {
    std::unique_ptr<SlotMemory> memory = std::make_unique<SlotMemory>();
    Scripted transport;
    Slot slot{*memory, transport};
    Fixture() { Slot::reset(*memory, 0, "socket 0 1 2 test"); }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "requests come whole, in order, numbered from 1")
{
    CHECK(slot.facts() == "socket 0 1 2 test");
    CHECK(slot.receive() == Slot::Receive::Empty);
    const std::string a = request(3, 'a'), b = request(4096, 'b'), c = request(0, 'c');
    transport.incoming = a + b.substr(0, 10);
    REQUIRE(slot.receive() == Slot::Receive::Data);
    REQUIRE(slot.frame() == Slot::Frame::Complete);
    CHECK(slot.request() == a);
    CHECK(slot.request_number() == 1);
    slot.consume();
    CHECK(slot.frame() == Slot::Frame::Partial);
    transport.incoming = b.substr(10) + c;
    REQUIRE(slot.receive() == Slot::Receive::Data);
    REQUIRE(slot.frame() == Slot::Frame::Complete);
    CHECK(slot.request() == b);
    CHECK(slot.request_number() == 2);
    slot.consume();
    REQUIRE(slot.frame() == Slot::Frame::Complete);
    CHECK(slot.request() == c);
    slot.consume();
    CHECK(slot.frame() == Slot::Frame::Partial);
    transport.ended = true;
    CHECK(slot.receive() == Slot::Receive::End);
    CHECK(slot.receive() == Slot::Receive::End);
}

TEST_CASE_FIXTURE(Fixture, "any piece size gives the same requests")
{
    for (const std::size_t piece : {1u, 7u, 16u, 4000u, 4111u, 4112u, 8000u}) {
        std::string stream;
        for (int i = 0; i < 40; ++i)
            stream += request(static_cast<std::uint32_t>(i % 4 == 3 ? 4096 - i : i * 13),
                              static_cast<char>('a' + i % 26));
        std::string got;
        for (std::size_t at = 0; at < stream.size();) {
            transport.incoming += stream.substr(at, piece);
            at += piece;
            while (!transport.incoming.empty() && slot.receive() == Slot::Receive::Data)
                for (; slot.frame() == Slot::Frame::Complete; slot.consume())
                    got += slot.request();
        }
        CHECK(got == stream);
    }
}

TEST_CASE_FIXTURE(Fixture, "a length beyond the limit is seen from the header alone")
{
    transport.incoming = request(4097, 'x').substr(0, kHeaderSize);
    REQUIRE(slot.receive() == Slot::Receive::Data);
    CHECK(slot.frame() == Slot::Frame::TooLong);
}

TEST_CASE_FIXTURE(Fixture, "XSA-420: a length near the top of its type is too long, not negative")
{
    transport.incoming = request(0, 'x');
    std::memset(transport.incoming.data() + 12, 0xff, 4);
    REQUIRE(slot.receive() == Slot::Receive::Data);
    CHECK(slot.frame() == Slot::Frame::TooLong);
}

TEST_CASE_FIXTURE(Fixture,
                  "room that comes while an answer is being written is used, though nobody rings for it")
{
    const std::string text = request(100, 'x');
    std::memcpy(slot.buffer(), text.data(), text.size());
    transport.room = 30;
    transport.room_to_come = 40;
    CHECK(slot.start_batch(text.size(), {7, 1}) == Slot::Send::Full);
    CHECK(transport.outgoing == text.substr(0, 70));
    transport.room_to_come = 1000;
    transport.room = 1;
    CHECK(slot.send() == Slot::Send::Done);
    CHECK(transport.outgoing == text);
}

TEST_CASE_FIXTURE(Fixture, "a batch is continued where it stopped, by a successor too")
{
    CHECK(slot.idle());
    const std::string text = request(100, 'x') + request(5, 'y');
    std::memcpy(slot.buffer(), text.data(), text.size());
    transport.room = 30;
    CHECK(slot.start_batch(text.size(), {7, 1}) == Slot::Send::Full);
    CHECK(slot.send() == Slot::Send::Full);
    transport.room = 20;
    Slot successor(*memory, transport);
    CHECK(!successor.idle());
    CHECK(successor.last() == OutputName{7, 1});
    CHECK(successor.send() == Slot::Send::Full);
    transport.room = 1000;
    CHECK(successor.send() == Slot::Send::Done);
    CHECK(successor.idle());
    CHECK(transport.outgoing == text);
    CHECK(successor.send() == Slot::Send::Done);
    CHECK(transport.outgoing == text);
}

TEST_CASE_FIXTURE(Fixture, "what the journal has lost does not hide what comes with the same numbers")
{
    const std::string text = request(100, 'x');
    std::memcpy(slot.buffer(), text.data(), text.size());
    transport.room = 30;
    CHECK(slot.start_batch(text.size(), {200, 1}) == Slot::Send::Full);
    Slot successor(*memory, transport);
    successor.settle();
    successor.forget_after(200);
    CHECK(successor.last() == OutputName{200, 1});
    successor.forget_after(115);
    CHECK(successor.last().event == 115);
    CHECK(successor.last() < OutputName{116, 0});
    transport.room = 1000;
    CHECK(successor.send() == Slot::Send::Done);
    CHECK(transport.outgoing == text);
}

TEST_CASE_FIXTURE(Fixture, "the word of what is being executed holds number and blame")
{
    slot.set_executing({123456789012, 5});
    CHECK(slot.executing().number == 123456789012);
    CHECK(slot.executing().blame == 5);
    slot.set_executing({1, 1000});
    CHECK(slot.executing().blame == 255);
    slot.set_executing({});
    CHECK(slot.executing().number == 0);
}

TEST_CASE("the slots file gives room when it is needed and takes it back")
{
    const TempDir dir;
    const std::string path = dir / "slots";
    SlotFile::create(path);
    struct stat st {};
    REQUIRE(stat(path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    const auto empty = st.st_blocks;
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const std::uint64_t cookie = socket_cookie(ends[0]);
    CHECK(cookie != 0);
    CHECK(socket_cookie(ends[1]) != cookie);
    {
        const auto file = SlotFile::open(path);
        REQUIRE(file);
        std::vector<std::uint32_t> taken;
        for (std::uint64_t i = 0; i < 100; ++i) {
            const auto index = file->take(ends[0], cookie, 10 + i, 0, "facts");
            REQUIRE(index);
            CHECK(file->memory(*index).conn == 10 + i);
            taken.push_back(*index);
        }
        REQUIRE(stat(path.c_str(), &st) == 0);
        CHECK(st.st_blocks >= empty + 100 * 32);
        for (std::size_t i = 1; i < taken.size(); ++i)
            file->release(taken[i]);
        CHECK(file->in_use() == 1);
        file->begin_close(taken[0]);
    }
    const auto fds = read_slot_fds(path);
    REQUIRE(fds.size() == 1);
    CHECK(fds[0].fd == ends[0]);
    CHECK(fds[0].cookie == cookie);
    write_slot_fds(path, {{fds[0].index, 77, 0}});
    const auto file = SlotFile::open(path);
    REQUIRE(file->used().size() == 1);
    CHECK(file->entry(fds[0].index).fd == 77);
    CHECK(file->entry(fds[0].index).state == SlotState::Closing);
    CHECK(file->memory(fds[0].index).conn == 10);
    REQUIRE(stat(path.c_str(), &st) == 0);
    CHECK(st.st_blocks <= empty + 33 * 32); // some are kept ready
    close(ends[0]);
    close(ends[1]);
}

TEST_CASE("a slots file of another version is not opened")
{
    const TempDir dir;
    const std::string path = dir / "slots";
    SlotFile::create(path);
    {
        const UniqueFd fd(open(path.c_str(), O_WRONLY));
        const std::uint32_t other = kSlotVersion + 1;
        REQUIRE(pwrite(fd.get(), &other, sizeof other, offsetof(SlotFileHeader, version)) == sizeof other);
    }
    CHECK(!SlotFile::open(path));
    CHECK(read_slot_fds(path).empty());
}
