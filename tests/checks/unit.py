# SPDX-License-Identifier: MIT
"""Runs the tests that meson knows in a build folder and prints verdicts.

  unit.py BUILD                 one verdict per doctest case
  unit.py BUILD --by-program    one per program (and one per case that failed)
  unit.py BUILD --only=A,B      these tests; a name that is none is a failure

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


class Report:
    """doctest's XML report: `cases` as (name, passed), `details` of what failed; `whole` if it
    was not cut off."""

    def __init__(self, path):
        self.cases, self.details, self.whole = [], [], True
        try:
            for _, element in ET.iterparse(path):
                if element.tag == "TestCase" and element.get("skipped") != "true":
                    self.add(element)
        except (ET.ParseError, OSError):
            self.whole = False

    def add(self, element):
        result = element.find("OverallResultsAsserts")
        ok = result is not None and result.get("test_case_success") == "true"
        self.cases.append((" ".join(element.get("name", "?").split()), ok))
        if ok:
            return
        for part in element.iter():
            text = " ".join(" ".join(part.itertext()).split())
            if part.tag in ("Expression", "Exception", "Message", "Info"):
                self.details.append(f"{part.get('filename', '')}:{part.get('line', '')}: {part.tag} {text}")


def run(test, tmp):
    """(cases, text of what went wrong with the program itself or "", its output)"""
    report = os.path.join(tmp, "report.xml")
    command = list(test["cmd"])
    doctest = is_doctest(command[0])
    if doctest:
        command += ["--reporters=xml", "--out=" + report]
    limit = 10 * (test["timeout"] or 30)  # meson's limits are for builds without sanitizers
    env = {**os.environ, **test["env"]}
    try:
        done = subprocess.run(command, cwd=test["workdir"], env=env, timeout=limit, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as e:
        return [], f"not done after {limit} s", (e.output or b"").decode(errors="replace")
    output = done.stdout.decode(errors="replace")[-20000:]
    if not doctest:
        return [], "" if done.returncode == 0 else f"status {done.returncode}", output
    result = Report(report)
    trouble = ""
    if done.returncode < 0:
        trouble = f"killed by signal {-done.returncode}"
    elif done.returncode != 0 and all(ok for _, ok in result.cases):
        trouble = f"status {done.returncode}"
    elif not result.whole:
        trouble = "its report cannot be read"
    elif not result.cases:
        trouble = "ran no test case"
    return result.cases, trouble, "\n".join([output, *result.details])


def main():
    build, by_program = sys.argv[1], "--by-program" in sys.argv[2:]
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", build]))
    failed = False
    only = next((a[7:].split(",") for a in sys.argv[2:] if a.startswith("--only=")), None)
    if only:
        for name in set(only) - {t["name"] for t in tests}:
            failed = True
            print(f"FAIL: {name}: no such test")
        tests = [t for t in tests if t["name"] in only]
    for test in sorted(tests, key=lambda t: t["name"]):
        name = test["name"]
        with tempfile.TemporaryDirectory() as tmp:
            cases, trouble, output = run(test, tmp)
        bad = [case for case, ok in cases if not ok]
        if bad or trouble:
            failed = True
            print(output)
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
