# SPDX-License-Identifier: MIT
"""PASS and FAIL lines, temporary directories, and the options that every test takes."""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback

passed = 0
failed = 0
options = argparse.Namespace(build=None, peer=None, seed=1, keep=False, requests=100000)
_cleanups = []


def ok(text):
    global passed
    passed += 1
    print(f"PASS: {text}", flush=True)


def fail(text, why=""):
    global failed
    failed += 1
    print(f"FAIL: {text}" + (f": {why}" if why else ""), flush=True)


def check(condition, text, why=""):
    """One line of result; `why` is printed when it fails (a function is called only then)."""
    if condition:
        ok(text)
    else:
        fail(text, str(why() if callable(why) else why).strip())
    return bool(condition)


def equal(got, want, text):
    return check(got == want, text, lambda: f"got {shorten(got)}, expected {shorten(want)}")


def shorten(x, limit=600):
    s = repr(x)
    return s if len(s) <= limit else s[:limit] + f"… ({len(s)} characters)"


def note(text):
    """A measured number, or what the reader should know: never a verdict."""
    print(f"  {text}", flush=True)


def on_exit(function):
    _cleanups.append(function)


def run_cleanups():
    while _cleanups:
        try:
            _cleanups.pop()()
        except Exception:
            traceback.print_exc()


def temporary(name="t"):
    """A directory on tmpfs that goes away at the end (unless --keep)."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
    # The pid says whose it is: several people may test on one machine.
    d = tempfile.mkdtemp(prefix=f"xsgit-{name}-{os.getpid()}-", dir=base)
    if not options.keep:
        on_exit(lambda: shutil.rmtree(d, ignore_errors=True))
    return d


def root():
    """The top of the source tree."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def main(*tests, peer=False):
    """Runs the given functions, each under its own guard, and exits. `peer`: the test also makes sense against
    another daemon (--peer C)."""
    p = argparse.ArgumentParser(description="A system test of xenstored.")
    p.add_argument("--build", default=os.path.join(root(), "build"), help="build directory (default: build)")
    p.add_argument("--peer", choices=["C"], help="test Debian's C daemon instead, to test the test")
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"), help="of random choices")
    p.add_argument("--requests", type=int, default=options.requests, help="how many, for test_differential and test_differential_guests (0: no end)")
    p.add_argument("--keep", action="store_true", help="keep the temporary directories")
    p.add_argument("only", nargs="*", help="names of test functions")
    options.__dict__.update(vars(p.parse_args()))
    if options.peer and not peer:
        print("  needs our repository: nothing to do against another daemon")
        sys.exit(0)
    # Be killed in an orderly way, so that our daemons are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for t in tests:
            if options.only and t.__name__ not in options.only:
                continue
            try:
                t()
            except Exception:  # a test that ends early has failed
                fail(t.__name__.replace("_", " "), "\n" + traceback.format_exc())
    finally:
        run_cleanups()
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)
