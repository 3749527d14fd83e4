#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What xs-replay writes: results, to files and to standard output, and files of its own for a command's time."""
import os
import signal
import stat
import subprocess

from lib import daemon, harness
from lib import session as s
from lib.harness import check, equal
from lib.replaying import at, directory, replay, requests_of, writes
from lib.wire import HANG, NAMES

READ, WRITE = NAMES["READ"], NAMES["WRITE"]


def results_on_standard_output():
    path = writes(8, "stdout")
    tool = os.path.join(harness.options.build, "bisect", "xs-replay")
    for options, told in (((), b"8 requests"), (("--path", "/n", "--exists"), b"the session fails"),
                          (("--minimize", "--path", "/n", "--exists"), b"1 of 8 requests")):
        p = subprocess.run([tool, path, "-o", "-", *options], capture_output=True, timeout=HANG)
        try:
            records = s.read(p.stdout)
        except (s.Damaged, IndexError) as e:
            records = [e]
        check(p.stdout.startswith(s.MAGIC) and len(records) > 4 and records[-1][1] == s.END and told in p.stderr,
              f"-o - {' '.join(options)}: nothing but the session", (records[-1:], p.stderr))
    status, out, err = replay(path, "--emit-test", "-")
    check(status == 0 and out.startswith("== ") and "8 requests" in err and "requests" not in out, "--emit-test -: nothing but the test", out)
    for options in (("--emit-test", "-"), ("--dump",), ("--step",), ("--commit",), ("--", "true"), ("--show",)):
        status, out, err = replay(path, "-o", "-", *options)
        check(status == 2 and not out, f"-o - with {options[0]} is refused", out + err)


def results_of_a_part():
    """What --until leaves is all that there is."""
    path, part = writes(9, "part"), at("part-written")
    status, out, err = replay(path, "--until", "3", "-o", part)
    equal((status, len(requests_of(part))), (0, 3), "--until 3 -o writes three requests")
    replies = [r[7] for r in s.read(open(part, "rb").read()) if r[1] == s.REPLY]
    equal(replies, [b"OK\0"] * 3, "with their replies")
    equal(replay("--check", part)[0], 0, "which are right")
    fresh = daemon.daemon()
    with fresh.client() as c:
        c.write("/only", "here")
    w = s.Writer()
    w.open(1)
    w.request(1, READ, b"/only\0")
    w.ask(1, WRITE, b"/n\0x")
    asked = w.end().save(at("asked"))
    for options in (("--until", "1"), ("--fails-if", "true", "--reset", "true")):
        status, out, err = replay(asked, *options, "--against", fresh.socket, "-o", part, "--force")
        replies = [r[7] for r in s.read(open(part, "rb").read()) if r[1] == s.REPLY]
        equal(replies[0], b"here", f"{options[0]}: a daemon's replies are written, not the engine's" + err)
    status, _, err = replay(asked, "--fails-if", "true", "--against", fresh.socket, "-o", part, "--force")
    check(status == 2 and "--reset" in err, "they cannot be had again from a daemon that is not fresh", err)
    equal(replay(path, "--until", "3", "--fails-if", 'grep -q "^/n = .2" "$XS_STATE"')[0], 1, "--fails-if sees the part")
    status, out, err = replay(path, "--until", "3", "--minimize", "--path", "/n", "--is", "8")
    check(status == 1 and "nothing to make smaller" in out, "--minimize, too", out + err)
    for options in (("--dump",), ("--commit",), ("--speed", "2"), ("--step",)):
        status, _, err = replay(path, "--fails-if", "true", *options)
        check(status == 2 and "--fails-if" in err, f"--fails-if with {options[0]} is refused", err)
    equal(replay(path, "--seed", "99999999999999999999999")[0], 2, "a seed that is too large is refused")


def output_files():
    path, out_file = writes(2, "input"), at("output")
    equal(replay(path, "-o", out_file)[0], 0, "a new file")
    equal(stat.S_IMODE(os.stat(out_file).st_mode), 0o600, "for its owner only")
    before = open(out_file, "rb").read()
    status, _, err = replay(path, "-o", out_file)
    check(status == 2 and "--force" in err and open(out_file, "rb").read() == before, "one that is there is refused", err)
    equal(replay(path, "-o", path, "--force")[0], 0, "--force: even its input, which was read before")
    equal((len(requests_of(path)), replay("--check", path)[0]), (2, 0), "and is a whole session then")
    os.symlink(path, at("link"))
    equal((replay(path, "-o", at("link"), "--force")[0], os.path.islink(at("link"))), (0, True), "a symbolic link stays one")
    equal(replay(path, "-o", "/dev/null")[0], 0, "a device needs no --force")
    check(stat.S_ISCHR(os.stat("/dev/null").st_mode), "and stays one")
    equal(replay(path, "-o", os.path.join(directory(), "none", "x"))[0], 3, "a directory that is not there")
    equal([n for n in os.listdir(directory()) if n.startswith(("output", "input", "link")) and "." in n], [], "nothing is left beside")


def temporary_files():
    path, below = writes(2, "temporary"), at("tmp")
    os.mkdir(below)
    os.mkfifo(at("fifo"))
    tool = os.path.join(harness.options.build, "bisect", "xs-replay")
    for number in (signal.SIGTERM, signal.SIGINT):
        p = subprocess.Popen([tool, path, "--fails-if", f"echo > {at('runs')}; read x < {at('fifo')}"], env=dict(os.environ, TMPDIR=below),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             preexec_fn=lambda n=number: signal.signal(n, signal.SIG_DFL))  # a shell's background ignores SIGINT
        daemon.wait_for(lambda: os.path.exists(at("runs")), "the command")
        check(len(os.listdir(below)) == 1, "while the command runs its files are there")
        p.send_signal(number)
        equal((p.wait(HANG), os.listdir(below)), (-number, []), f"{number.name} takes them along")
        os.unlink(at("runs"))
        os.close(os.open(at("fifo"), os.O_WRONLY))  # the command ends
    status, _, err = replay(path, "--fails-if", "case $XS_SESSION in /tmp/*);; *) exit 1;; esac", env={"TMPDIR": "tmp"})
    equal(status, 1, "a TMPDIR that is no absolute path is not used" + err)


harness.main(results_on_standard_output, results_of_a_part, output_files, temporary_files)
