# SPDX-License-Identifier: MIT
"""Runs the tests that meson knows in a build folder and prints verdicts.

  unit.py BUILD                 one verdict per doctest case
  unit.py BUILD --by-program    one per program (and one per case that failed)

A test that is no doctest program is one case, judged by its exit status. A program that
dies, runs out of time or runs no case at all is a failure of its own.
"""
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET


def is_doctest(program):
    try:
        with open(program, "rb") as f:
            return b"[doctest]" in f.read()
    except OSError:
        return False


def cases_of(report):
    """(name, passed) of each case in doctest's XML report, which may be cut off."""
    cases = []
    try:
        for _, element in ET.iterparse(report):
            if element.tag == "TestCase" and element.get("skipped") != "true":
                result = element.find("OverallResultsAsserts")
                ok = result is not None and result.get("test_case_success") == "true"
                cases.append((" ".join(element.get("name", "?").split()), ok))
    except ET.ParseError:
        pass  # the program died; its exit status tells
    return cases


def run(test, tmp):
    """(cases, text of what went wrong with the program itself or "", its output)"""
    report = os.path.join(tmp, "report.xml")
    command = list(test["cmd"])
    doctest = is_doctest(command[0])
    if doctest:
        command += ["--reporters=xml,console", "--out=" + report, "--no-colors"]
        if os.path.exists(report):
            os.unlink(report)
    limit = 10 * (test["timeout"] or 30)  # meson's limits are for builds without sanitizers
    env = {**os.environ, **test["env"]}
    try:
        done = subprocess.run(command, cwd=test["workdir"], env=env, timeout=limit, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as e:
        return [], f"not done after {limit} s", e.output or b""
    if not doctest:
        return [], "" if done.returncode == 0 else f"status {done.returncode}", done.stdout
    cases = cases_of(report) if os.path.exists(report) else []
    trouble = ""
    if done.returncode < 0:
        trouble = f"killed by signal {-done.returncode}"
    elif done.returncode != 0 and all(ok for _, ok in cases):
        trouble = f"status {done.returncode}"
    elif not cases:
        trouble = "ran no test case"
    return cases, trouble, done.stdout


def main():
    build, by_program = sys.argv[1], "--by-program" in sys.argv[2:]
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", build]))
    failed = False
    for test in sorted(tests, key=lambda t: t["name"]):
        name = test["name"]
        with tempfile.TemporaryDirectory() as tmp:
            cases, trouble, output = run(test, tmp)
        bad = [case for case, ok in cases if not ok]
        if bad or trouble:
            failed = True
            sys.stdout.write(output.decode(errors="replace")[-20000:] + "\n")
        for case, ok in cases:
            if not (ok and by_program):
                print(f"{'PASS' if ok else 'FAIL'}: {name}: {case}")
        if trouble:
            print(f"FAIL: {name}: {trouble}")
        elif not bad and (by_program or not cases):
            print(f"PASS: {name}" + (f" ({len(cases)} cases)" if cases else ""))
        sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
