#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many simulated guests with rings on the emulated host: what each costs, and what one of them costs among many.

  guests.py [--build DIR] [--guests N …]

For each N: time to introduce a guest as a toolstack makes it, memory, the round trip of one guest, processor time of
the daemon while all are idle, time from the daemon's death to service, and the end of a domain. Nothing is asserted."""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from lib import daemon, guest, harness  # noqa: E402
from lib.wire import pack  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pipelined(c, messages):
    for first in range(0, len(messages), 200):
        batch = messages[first:first + 200]
        c.send_bytes(b"".join(batch))
        for _ in batch:
            if c.reply().type == 16:
                raise AssertionError("refused")


def home(n):
    """A guest's nodes, as libxl makes them: 46 and 22 of its backends."""
    top, own = b"/local/domain/%d" % n, b"n%d\0r0\0" % n
    yield pack(12, top + b"\0")
    yield pack(14, top + b"\0n0\0r%d\0" % n)
    def directory(path, perms):
        yield pack(12, path + b"\0")
        yield pack(14, path + b"\0" + perms)
    yield from directory(top + b"/control", own)
    for i in range(22):
        yield pack(11, top + b"/control/key%d\0value" % i)
    for dev in range(2):
        back = b"/local/domain/0/backend/vif/%d/%d" % (n, dev)
        front = top + b"/device/vif/%d" % dev
        yield from directory(front, own)
        for i in range(12):
            yield pack(11, front + b"/key%d\0" % i + (back if i == 0 else b"4"))
        yield from directory(back, b"n0\0r%d\0" % n)
        for i in range(11):
            yield pack(11, back + b"/key%d\0" % i + (front if i == 0 else b"4"))


def quantiles(times):
    times.sort()
    return f"p50 {1e6 * times[len(times) // 2]:.0f} us, p99 {1e6 * times[len(times) * 99 // 100]:.0f} us"


def measure(count):
    host = guest.XenHost()
    d = host.daemon().start()
    c = d.client()
    c.sync()
    print(f"{count} guests", flush=True)
    empty = d.memory_kib()
    guests, begin = [], time.monotonic()
    for n in range(1, count + 1):
        g = host.create(n)
        guests.append(g)
        pipelined(c, list(home(n)))
        g.introduced_by(c)
    took = time.monotonic() - begin
    print(f"  introduction with 82 requests: {1e3 * took / count:.2f} ms each")
    begin = time.monotonic()
    for g in guests:
        g.watch("device", "token")
    print(f"  a watch by each, one after the other: {1e6 * (time.monotonic() - begin) / count:.0f} us each")
    c.sync()
    pid = d.server_pid()
    print(f"  memory: {d.memory_kib() // 1024} MiB, {(d.memory_kib() - empty) / count:.1f} KiB a guest (RSS, shared pages included)")
    times = []
    for i in range(2000):
        g = guests[i * 7919 % count]
        begin = time.monotonic()
        g.write("control/key1", "x")
        times.append(time.monotonic() - begin)
    print(f"  write by one of them, round trip: {quantiles(times)}")
    c.sync()
    time.sleep(2)
    before = cpu(pid)
    time.sleep(5)
    print(f"  daemon while all are idle: {100 * (cpu(pid) - before) / 5:.1f} % of a processor")
    begin = time.monotonic()
    d.kill_server()
    c.read("/local/domain/1/control/key1")
    print(f"  kill -9 to the next answer: {1e3 * (time.monotonic() - begin):.0f} ms")
    times = []
    for g in guests[-200:]:
        begin = time.monotonic()
        c.ok(9, b"%d\0" % g.domid)
        times.append(time.monotonic() - begin)
    print(f"  end of a guest with its nodes: {quantiles(times)}", flush=True)
    c.close()
    d.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.path.join(harness.root(), "build"))
    p.add_argument("--guests", type=int, nargs="*", default=[100, 1000, 10000])
    harness.options.__dict__.update(vars(p.parse_args()))
    try:
        for count in harness.options.guests:
            measure(count)
    finally:
        harness.run_cleanups()


main()
