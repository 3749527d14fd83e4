# SPDX-License-Identifier: MIT
"""Stock git on the daemon's repository, and the tree that git sees, as xenstore paths."""
import os
import re
import subprocess

from .daemon import wait_for
from .wire import HANG

# Whatever the user has configured must not matter.
ENV = dict({k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
           GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", HOME="/nonexistent", LC_ALL="C", TZ="UTC",
           GIT_AUTHOR_NAME="t", GIT_AUTHOR_EMAIL="t@t", GIT_COMMITTER_NAME="t", GIT_COMMITTER_EMAIL="t@t")


class GitError(Exception):
    pass


def run(repo, *args, check=True, text=True, timeout=HANG * 5, stdin=None):
    """Output of `git -C repo args`; with check=False (status, output, errors). `repo` may be a mount.Elsewhere."""
    enter, inside = getattr(repo, "enter", []), getattr(repo, "inside", repo)
    p = subprocess.run([*enter, "git", "-c", "safe.directory=*", "-C", inside, *args], capture_output=True, env=ENV,
                       timeout=timeout, input=stdin)
    out = p.stdout.decode("utf-8", "replace") if text else p.stdout
    err = p.stderr.decode("utf-8", "replace")
    if not check:
        return p.returncode, out, err
    if p.returncode != 0:
        raise GitError(f"git {' '.join(args)}: status {p.returncode}: {(out if text else '')[-600:]} {err.strip()[-600:]}")
    return out


def rev(repo, name="main"):
    return run(repo, "rev-parse", "--verify", name).strip()


def fsck(repo):
    """What fsck finds, '' if nothing. Dangling objects are no fault. A daemon at work unlinks packs that it has merged into
    others; fsck, which lists the packs once and opens them much later, complains of those. Then it is run again."""
    for _ in range(8):
        status, out, err = run(repo, "fsck", "--full", "--strict", "--no-dangling", "--no-progress", check=False)
        lines = [l for l in (out + err).splitlines() if l.strip()]
        vanished = [l for l in lines if re.search(r"index not opened|cannot be accessed|cannot be opened", l)
                    and not os.path.exists(os.path.join(repo, "objects/pack", (re.findall(r"pack-[0-9a-f]+\.pack", l) or ["."])[0]))]
        if not vanished:
            break
    for bad in re.findall(r"broken link from +commit ([0-9a-f]{40})", "\n".join(lines))[:1]:
        lines += run(repo, "cat-file", "-p", bad, check=False)[1].splitlines()  # who wrote such a thing?
    text = "\n".join(lines)
    if len(text) > 1500:
        text = f"{text[:1000]}\n… {len(lines)} lines …\n{text[-400:]}"
    return text or ("" if status == 0 else f"status {status}")


def trailers(message):
    """{'Seq': '12', …} of a commit message."""
    last = message.strip().split("\n\n")[-1]
    return dict(re.findall(r"^([A-Z][A-Za-z-]*): (.*)$", last, re.M))


def beginning(repo):
    """Where history begins. A daemon at work moves that when it drops the oldest; git, which looks once, then walks into
    what is gone."""
    try:
        with open(os.path.join(repo, "shallow"), encoding="ascii") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def commits(repo, ref="main", *options):
    """First-parent history, oldest first: dicts with id, parents, tree, author, email, subject, body, and trailers."""
    for left in reversed(range(8)):
        begins = beginning(repo)
        try:
            out = run(repo, "log", "--first-parent", "--reverse", "--date-order", "-z",
                      "--format=%H%x01%P%x01%T%x01%an%x01%ae%x01%s%x01%B", *options, ref)
            break
        except GitError:
            if not left or beginning(repo) == begins:
                raise
    result = []
    for record in out.split("\0"):
        if not record:
            continue
        f = record.split("\x01", 6)
        result.append(dict(id=f[0], parents=f[1].split(), tree=f[2], author=f[3], email=f[4], subject=f[5],
                           body=f[6], trailers=trailers(f[6])))
    return result


def seq_breaks(history):
    """Where numbers are missing or come twice in `history`, of commits(), and no gap commit says so."""
    def first(c):
        return int(c["trailers"].get("Gap", c["trailers"]["Seq"]))
    return [(a["trailers"]["Seq"], b["subject"]) for a, b in zip(history, history[1:])
            if first(b) != int(a["trailers"]["Seq"]) + 1]


def main_seqs(repo, ref="main"):
    """Seq trailers of first-parent history, oldest first."""
    return [int(c["trailers"]["Seq"]) for c in commits(repo, ref)]


def _node_path(git_path):
    """xenstore path and kind ('value', 'perms') of a git path: buckets (%4, %a) go away."""
    parts = git_path.split(b"/")
    last = parts[-1]
    names = [p for p in parts if not p.startswith(b"%")]
    if parts[0] == b"%special":
        return None, None
    path = b"/" + b"/".join(names)
    if last == b"%value":
        return path, "value"
    if last == b"%perms":
        return path, "perms"
    return path, "value"


def tree(repo, ref="main"):
    """The store as git shows it: {xenstore path: value}; directories without a %value are empty."""
    listing = run(repo, "ls-tree", "-r", "-t", "-z", "--full-tree", ref, text=False)
    values = {b"/": b""}
    blobs = []
    for entry in listing.split(b"\0"):
        if not entry:
            continue
        meta, path = entry.split(b"\t", 1)
        _, kind, oid = meta.split()
        if kind == b"tree":
            if path.split(b"/")[0] != b"%special" and not path.split(b"/")[-1].startswith(b"%"):
                values.setdefault(_node_path(path)[0], b"")
            continue
        node, what = _node_path(path)
        if what == "value":
            blobs.append((node, oid))
    data = cat(repo, [oid for _, oid in blobs])
    for (node, _), value in zip(blobs, data):
        values[node] = value
    return values


def cat(repo, oids):
    """Contents of blobs, in order."""
    if not oids:
        return []
    out = run(repo, "cat-file", "--batch", text=False, stdin=b"".join(o + b"\n" for o in oids))
    result, at = [], 0
    for _ in oids:
        end = out.index(b"\n", at)
        size = int(out[at:end].split()[2])
        result.append(out[end + 1:end + 1 + size])
        at = end + 1 + size + 1
    return result


def settle(daemon, value=None):
    """Returns when git sees everything that was acknowledged before. Costs a commit of its own: a write to
    /settled, of something new or `value`."""
    value = value or os.urandom(8).hex()
    with daemon.client() as c:
        c.write("/settled", value)
    wait_for(lambda: run(daemon.repo, "show", "main:settled", check=False)[1] == value, "git to see a write")
