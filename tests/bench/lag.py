#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How old is what git sees? A client writes the time into a node, as fast as it is answered but at most every
millisecond; stock git reads it from main at random moments. The difference is the age, printed with and without load
beside it. Nothing is asserted."""
import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from lib import daemon, git, harness  # noqa: E402


class Stamps(threading.Thread):
    """Writes the monotonic time to /lag until told to stop."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.client = d.client()
        self.quit = threading.Event()
        self.slowest = 0.0

    def run(self):
        while not self.quit.wait(0.001):
            begin = time.monotonic()
            self.client.write("/lag", str(time.monotonic_ns()))
            self.slowest = max(self.slowest, time.monotonic() - begin)


def sample(repo, seconds):
    """Ages in ms, of what `git cat-file` finds on main at random moments."""
    ages = []
    p = subprocess.Popen(["git", "-c", "safe.directory=*", "-C", repo, "cat-file", "--batch"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, env=git.ENV)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(random.random() * 0.02)
        asked = time.monotonic_ns()
        p.stdin.write(b"main:lag\n")
        p.stdin.flush()
        head = p.stdout.readline().split()
        if len(head) == 3:
            value = p.stdout.read(int(head[2]) + 1)
            ages.append((asked - int(value)) / 1e6)
    p.stdin.close()
    p.wait()
    return sorted(ages)


def measure(d, name, load, seconds):
    stamps = Stamps(d)
    stamps.start()
    output = None
    if load:
        output = subprocess.Popen([os.path.join(harness.options.build, "tests/bench/load"), "--socket", d.socket, "--json",
                                   "--seconds", str(seconds + 1), "--warmup", "0.1"] + load, stdout=subprocess.PIPE)
        time.sleep(1)
    ages = sample(d.repo, seconds)
    rate = json.loads(output.communicate()[0])["per_second"] if output else 0
    stamps.quit.set()
    stamps.join()
    at = lambda q: ages[min(len(ages) - 1, int(q * len(ages)))]  # noqa: E731
    result = {"load": name, "per_second": round(rate), "samples": len(ages), "p50_ms": round(at(0.5), 1),
              "p99_ms": round(at(0.99), 1), "max_ms": round(ages[-1], 1), "slowest_write_ms": round(1000 * stamps.slowest, 1)}
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", default=os.path.join(harness.root(), "build"))
    p.add_argument("--seconds", type=float, default=5)
    p.add_argument("--json", action="store_true")
    o = p.parse_args()
    harness.options.build = o.build
    d = daemon.Daemon().start()
    try:
        with d.client() as c:
            c.write("/lag", str(time.monotonic_ns()))
        git.settle(d)
        for name, load in (("idle", None), ("read", ["--workload", "read"]), ("mixed", ["--workload", "mixed"]),
                           ("write", ["--workload", "write"]), ("transaction", ["--workload", "transaction"])):
            r = measure(d, name, load, o.seconds)
            if o.json:
                print(json.dumps(r), flush=True)
            else:
                print(f"{name:<12} {r['per_second']:>8}/s  age of git's view, ms: p50 {r['p50_ms']:>7} p99 {r['p99_ms']:>7} "
                      f"max {r['max_ms']:>7} ({r['samples']} samples); slowest write {r['slowest_write_ms']} ms", flush=True)
    finally:
        harness.run_cleanups()


main()
