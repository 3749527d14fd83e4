#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The conversations in operations/*.txt, over the socket."""
import glob
import os

from lib import daemon, harness, script


def play_all():
    d = daemon.daemon()
    here = os.path.dirname(os.path.abspath(__file__))
    for name in sorted(glob.glob(os.path.join(here, "operations", "*.txt"))):
        with open(name, encoding="utf-8") as f:
            cases = script.parse(f.read(), os.path.basename(name))
        for case in cases:
            problem = ""
            try:
                script.Player(d.socket, harness.options.peer).play(case)
            except Exception as e:  # Closed, a timeout: a failed case, not the end
                problem = f"{type(e).__name__}: {e}" if not isinstance(e, script.Mismatch) else str(e)
            if harness.options.peer and case.peer:
                # A difference that is none any more would make the table lie.
                harness.check(problem, f"{case.title} (differs: {case.peer})", f"{case.where}: does not differ")
            else:
                harness.check(not problem, case.title, f"{case.where}: {problem}")


harness.main(play_all, peer=True)
