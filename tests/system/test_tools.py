#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Debian's unmodified clients against the daemon: xenstore-*, upstream's test-xenstore, and pyxs."""
import functools
import os
import re
import subprocess

from lib import daemon, harness
from lib.harness import check, equal
from lib.wire import HANG

@functools.cache
def server():
    return daemon.daemon()


@functools.cache
def client():
    return server().client()


def environment():
    return dict(os.environ, XENSTORED_PATH=server().socket, LC_ALL="C")


def tool(name, *args):
    """(status, output) of xenstore-NAME; a missing tool is a failure, not a reason to look away."""
    p = subprocess.run(["xenstore-" + name, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=environment(), timeout=HANG)
    return p.returncode, p.stdout.decode("latin-1")


def xenstore_write_read():
    equal(tool("write", "/tools/a", "one", "/tools/b", "two words"), (0, ""), "xenstore-write writes two nodes")
    equal(tool("read", "/tools/a"), (0, "one\n"), "xenstore-read reads")
    equal(tool("read", "-p", "/tools/a", "/tools/b"), (0, "/tools/a: one\n/tools/b: two words\n"),
          "xenstore-read -p reads several")
    status, out = tool("read", "/tools/none")
    check(status == 1 and "couldn't read path /tools/none" in out, "xenstore-read of a missing node fails", out)
    equal(tool("write", "/tools/raw", r"a\x01\n\\b"), (0, ""), "xenstore-write takes escapes")
    with server().client() as c:
        equal(c.read("/tools/raw"), b"a\x01\n\\b", "the escapes arrive as bytes")
    equal(tool("write", "tools-relative", "r"), (0, ""), "xenstore-write takes a relative path")
    equal(tool("read", "/local/domain/0/tools-relative"), (0, "r\n"), "it is that of domain 0")


def xenstore_list_ls():
    for n in ("c", "a", "b/deep"):
        tool("write", "/list/" + n, "v" + n[0])
    status, out = tool("list", "/list")
    equal((status, sorted(out.split())), (0, ["a", "b", "c"]), "xenstore-list lists")
    equal(tool("list", "-p", "/list/b"), (0, "/list/b/deep\n"), "xenstore-list -p gives whole paths")
    status, out = tool("ls", "-f", "/list")
    equal((status, sorted(out.splitlines())),
          (0, ['/list/a = "va"', '/list/b = ""', '/list/b/deep = "vb"', '/list/c = "vc"']), "xenstore-ls -f")
    status, out = tool("ls", "-fp", "/list/b")
    equal((status, out.strip()), (0, '/list/b/deep = "vb"   (n0)'), "xenstore-ls -fp shows permissions")
    status, out = tool("ls")
    check(status == 0 and "list = " in out and "tool = " in out, "xenstore-ls of everything", out)
    for i in range(700):
        name = f"/many/a-rather-long-name-{i:04}"
        if i % 100 == 0:
            status, out = tool("write", name, "x")
        else:
            client().write(name, "x")
    status, out = tool("list", "/many")
    equal((status, len(out.split())), (0, 700), "xenstore-list lists 700 long names (DIRECTORY_PART)")


def xenstore_rm_exists():
    tool("write", "/rm/a/b", "v", "/rm/c", "v")
    equal(tool("exists", "/rm/a/b"), (0, ""), "xenstore-exists says yes")
    equal(tool("rm", "/rm/a"), (0, ""), "xenstore-rm removes")
    status, _ = tool("exists", "/rm/a/b")
    equal(status, 1, "xenstore-exists says no")
    equal(tool("rm", "-t", "/rm/c"), (0, ""), "xenstore-rm -t removes")
    status, _ = tool("exists", "/rm")
    equal(status, 1, "xenstore-rm -t removes the parent that it left empty")


def xenstore_chmod():
    tool("write", "/chmod/a/b", "v")
    equal(tool("chmod", "/chmod/a", "r0", "b0"), (0, ""), "xenstore-chmod sets")
    with server().client() as c:
        equal(c.get_perms("/chmod/a"), [b"r0", b"b0"], "the list is set")
        equal(c.get_perms("/chmod/a/b"), [b"n0"], "children keep theirs")
        equal(tool("chmod", "-r", "/chmod/a", "w0"), (0, ""), "xenstore-chmod -r sets")
        equal(c.get_perms("/chmod/a/b"), [b"w0"], "children get it too")


def xenstore_watch():
    p = subprocess.Popen(["xenstore-watch", "-n", "3", "/watch"], stdout=subprocess.PIPE, env=environment())
    try:
        equal(p.stdout.readline(), b"/watch\n", "xenstore-watch prints the first event")
        tool("write", "/watch/a", "v")
        equal(p.stdout.readline(), b"/watch/a\n", "xenstore-watch prints a write")
        tool("rm", "/watch")
        equal(p.stdout.readline(), b"/watch\n", "xenstore-watch prints a removal")
        equal(p.wait(HANG), 0, "xenstore-watch -n 3 ends after three")
    finally:
        if p.poll() is None:
            p.kill()


@functools.cache
def of_xen_utils(program):
    """Path of a program that Debian has in xen-utils, not in xenstore-utils; fetched if need be, None if in vain."""
    places = ["/usr/lib/xen-*/bin/" + program, os.path.join(daemon.peers(), "root/usr/lib/xen-*/bin", program)]
    name = daemon.which(program, *places)
    if not name:
        subprocess.run([os.path.join(daemon.fake_host(), "peers.sh"), "fetch"], check=False,
                       stdout=subprocess.DEVNULL)
        name = daemon.which(program, *places)
    return name


def test_xenstore():
    name = os.environ.get("TEST_XENSTORE") or of_xen_utils("test-xenstore")
    if not check(name, "test-xenstore is there (part of xen-utils; TEST_XENSTORE can name it)"):
        return
    for args, text in ((["-i", "20"], "with 20 rounds"), (["-r", "1"], "in random order")):
        p = subprocess.run([name, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
                           timeout=HANG)
        out = p.stdout.decode("latin-1")
        check(p.returncode == 0, "test-xenstore passes " + text, f"status {p.returncode}: {out[-800:]}")
    status, out = tool("list", "/local/domain/0")
    check("xenstore-test" not in out, "test-xenstore has tidied up", out)


def control(*args):
    """(status, standard output, standard error) of xenstore-control."""
    libraries = os.path.join(daemon.peers(), "root/usr/lib/x86_64-linux-gnu")
    p = subprocess.run([of_xen_utils("xenstore-control"), *args], capture_output=True, timeout=HANG,
                       env=dict(environment(), LD_LIBRARY_PATH=libraries))
    return p.returncode, p.stdout.decode("latin-1"), p.stderr.decode("latin-1")


def says(args, *parts, status=0):
    """xenstore-control ends with this status and says all of these parts, on standard output if it went well."""
    got, out, err = control(*args)
    text = out if got == 0 else err
    check(got == status and all(p in text for p in parts), f"xenstore-control {' '.join(args)}",
          f"status {got}: {out!r} {err!r}; expected {status} and {parts}")
    return text


def control_is_there():
    return check(of_xen_utils("xenstore-control"), "xenstore-control is there (part of xen-utils)")


def xenstore_control():
    if not control_is_there():
        return
    done = (0, "OK\n", "")
    for args in (["check"], ["print", "from xenstore-control"], ["quota", "set", "nodes", "1000"],
                 ["quota", "set", "permissions", "5"], ["quota-soft", "set", "memory", "2097152"], ["log", "off"]):
        equal(control(*args), done, "xenstore-control " + " ".join(args))
    text = says(["quota"], "Quota settings:\n", "\nnodes            :     1000 Nodes per domain\n")
    for line in text.strip().splitlines()[1:]:
        check(re.fullmatch(r"[a-z-]+ *: +\d+ .+", line), "quota: " + line.split(":")[0].strip(), line)
    says(["quota-soft"], "Quota settings:\nmemory           :  2097152 Total Xenstore memory per domain")
    says(["quota", "0"], "Domain 0:\nnodes ")
    # What xenstore-control says to EINVAL is the same as if there were no such command: help.
    for args in (["nonsense"], ["check", "more"], ["quota", "set", "nodes", "0"], ["quota", "set", "none", "5"],
                 ["print"], ["logfile"]):
        says(args, "Command not supported. Valid commands are:\ncheck", "\nquota-soft", status=3)
    equal(control("quota", "77"), (3, "", "Error 2 when trying to execute command.\n"),
          "xenstore-control quota of a domain that is not known")
    equal(control()[0], 2, "xenstore-control without a command")


def xenstore_control_of_ours():
    """What Debian's daemon has not, or has in other words."""
    if harness.options.peer or not control_is_there():
        return
    d = server()
    equal([line.split()[0] for line in says(["help"], "").splitlines() if line],
          ["check", "log", "live-update", "logfile", "memreport", "print", "quota", "quota-soft", "status", "sync",
           "help"], "help lists the commands and nothing else")
    tool("write", "/control/a", "v")
    tool("chmod", "/control/a", "n9")
    for name in ("nodes", "watches", "outstanding", "memory", "transactions", "transaction-nodes", "node-permissions", "path-max",
                 "node-size"):
        text = says(["quota", "9"], "Domain 9:\n", f"\n{name:17}: ")
        check(re.search(rf"^{name} *: +\d+ \(max +\d+\)$", text, re.M), f"quota 9: {name} has a highest value", text)
        says(["quota", "max"], "Max. seen accounting values:\n", f"\n{name:17}: ")
    says(["quota", "9"], f"nodes            : {1:8} (max {1:8})")
    says(["quota", "max", "-r"], "Max. seen accounting values:\n")
    says(["quota", "x"], "Command not supported", status=3)
    says(["print", "a word"], "OK")
    check("control: a word" in d.log_text(), "print: it is in the log", d.log_tail)
    equal(control("sync"), (0, "OK\n", ""), "xenstore-control sync")
    check("/control" in subprocess.run(["git", "--git-dir", d.repo, "log", "-5", "--format=%B"], check=True,
                                       capture_output=True, text=True).stdout, "after sync it is in git")
    text = says(["status"], " : ")
    check(all(re.fullmatch(r"[^:]+: .*", line) for line in text.splitlines() if line), "status: names and values", text)
    tool("rm", "/control")


def xenstore_control_files():
    """log, logfile and memreport: a file that cannot be opened is named, and is not \"Command not supported\"."""
    if harness.options.peer or not control_is_there():
        return
    d = server()
    trace, report = os.path.join(d.dir, "trace"), os.path.join(d.dir, "report")
    says(["log"], "Log switch settings:\nobj     : on\nio      : on\nwrl     : off\n",
         "acc     : off (writes nothing here)\n", "tdb     : off (writes nothing here)\n")
    says(["log", "on"], "there is no trace file: name one with logfile")
    says(["memreport"], "there is no trace file to write to: name a file")
    says(["logfile", "/nonexistent/t"], "cannot open /nonexistent/t: No such file or directory; nothing is traced")
    says(["log", "on"], "cannot open /nonexistent/t: No such file or directory")
    equal(control("logfile", trace), (0, "OK\n", ""), "xenstore-control logfile")
    says(["logfile", "/nonexistent/t"], "the trace goes on in the file before")
    tool("write", "/control/b", "v")
    with open(trace, encoding="latin-1") as f:
        check("WRITE (/control/b v)" in f.read(), "the trace file has the request")
    equal(control("memreport"), (0, "OK\n", ""), "xenstore-control memreport, into the trace file")
    equal(control("memreport", report), (0, "OK\n", ""), "xenstore-control memreport into a file")
    for name in (trace, report):
        with open(name, encoding="latin-1") as f:
            check("<malloc version=" in f.read(), "the allocator's report is in it")
    says(["memreport", "/nonexistent/r"], "cannot open /nonexistent/r: No such file or directory")
    equal(control("log", "+wrl"), (0, "OK\n", ""), "xenstore-control log +wrl")
    says(["log"], "\nwrl     : on\n")
    says(["log", "+none"], "Command not supported", status=3)
    equal(control("log", "off"), (0, "OK\n", ""), "xenstore-control log off")
    equal(control("log", "on"), (0, "OK\n", ""), "xenstore-control log on, the file being known")
    control("log", "off")
    tool("rm", "/control")


def xenstore_control_live_update():
    if harness.options.peer or not control_is_there():
        return
    status, out, err = control("live-update", "/bin/true")
    check(status != 0 and "xsgit-service update" in out + err, "xenstore-control live-update tells what to do instead",
          f"status {status}: {out!r} {err!r}")
    equal(tool("write", "/control/c", "v"), (0, ""), "and the daemon goes on")
    tool("rm", "/control")


def pyxs_client():
    try:
        import pyxs
    except ImportError as e:
        harness.fail("pyxs is installed (python3-pyxs)", e)
        return
    with pyxs.Client(unix_socket_path=server().socket) as c:
        c.write(b"/pyxs/a", b"1")
        equal(c.read(b"/pyxs/a"), b"1", "pyxs writes and reads")
        equal(c.list(b"/pyxs"), [b"a"], "pyxs lists")
        c.set_perms(b"/pyxs/a", [b"r0"])
        equal(c.get_perms(b"/pyxs/a"), [b"r0"], "pyxs sets permissions")
        check(c.exists(b"/pyxs/a") and not c.exists(b"/pyxs/b"), "pyxs asks what exists")
        c.transaction()
        c.write(b"/pyxs/b", b"2")
        c.write(b"/pyxs/c", b"3")
        check(c.commit() is True, "pyxs commits a transaction")
        equal(c.read(b"/pyxs/b"), b"2", "the transaction's values are there")
        c.transaction()
        value = c.read(b"/pyxs/b")
        with server().client() as other:
            other.write("/pyxs/b", "9")
        c.write(b"/pyxs/c", value)
        check(c.commit() is False, "pyxs is told of a conflict")
        equal(c.get_domain_path(5), b"/local/domain/5", "pyxs gets a domain's path")
        monitor = c.monitor()
        monitor.watch(b"/pyxs/w", b"token")
        events = monitor.wait()
        equal(tuple(next(events)), (b"/pyxs/w", b"token"), "pyxs gets the first event")
        with server().client() as other:
            other.write("/pyxs/w/x", "9")
        equal(tuple(next(events)), (b"/pyxs/w/x", b"token"), "pyxs gets an event")
        c.delete(b"/pyxs")
        check(not c.exists(b"/pyxs/a"), "pyxs deletes")


harness.main(xenstore_write_read, xenstore_list_ls, xenstore_rm_exists, xenstore_chmod, xenstore_watch,
             test_xenstore, xenstore_control, xenstore_control_of_ours, xenstore_control_files,
             xenstore_control_live_update, pyxs_client, peer=True)
