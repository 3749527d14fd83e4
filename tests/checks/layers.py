# SPDX-License-Identifier: MIT
"""Rules about the sources that no compiler checks. One verdict per rule.

  layers.py               judge the files that git knows or would
  layers.py --self-test   let each rule see a breach, silently; non-zero if one misses it
"""
import os
import re
import subprocess
import sys

SOURCE = r"\.(cpp|hpp)$"
# Headers by which a library would do I/O, keep time or start threads.
IO = (r"<(unistd\.h|fcntl\.h|poll\.h|pthread\.h|signal\.h|time\.h|sys/[^>]*|thread|mutex|condition_variable|"
      r"future|atomic|random|chrono|filesystem|fstream|iostream|cstdio|stdio\.h)>")
PRINTS = r"\bfmt::print\(|\b(std::)?(printf|puts|fprintf|fputs|perror)\(|\b(std::|_)?exit\("


def include(what):
    return r"^\s*#\s*include\s+" + what


class Rule:
    """No line of the files of `where`, but for those of `but`, may match `pattern`."""

    def __init__(self, name, where, pattern, breach, but="$^"):
        self.name, self.where, self.pattern, self.breach, self.but = name, where, pattern, breach, but

    def broken_by(self, path, text):
        """The places in the file that break the rule."""
        if not re.search(SOURCE, path) or not re.search(self.where, path) or re.search(self.but, path):
            return []
        return [f"{path}{place}" for place in self.places(text)]

    def places(self, text):
        # comments may name what code may not use
        return [f":{n}: {line.strip()}" for n, line in enumerate(text.split("\n"), 1)
                if re.search(self.pattern, line.split("//")[0])]


class Needs(Rule):
    """Each file must match `pattern`."""

    def places(self, text):
        return [] if re.search(self.pattern, text) else [""]


class Length(Rule):
    """No file may have more lines than `pattern`."""

    def places(self, text):
        lines = text.count("\n")
        return [f": {lines} lines"] if lines > self.pattern else []


RULES = [
    Rule("xsgit/ includes nothing above it", "^xsgit/", include('"(server|inspect|bisect|tests)/'),
         ("xsgit/a.cpp", '#include "server/engine/state.hpp"')),
    Rule("the engine includes nothing above it", "^server/engine/",
         include('"((inspect|bisect|tests)/|server/(?!engine/))'),
         ("server/engine/a.hpp", '#include "server/daemon/store.hpp"')),
    Rule("the engine knows no git", "^server/engine/", include('"xsgit/git/'),
         ("server/engine/a.cpp", '#include "xsgit/git/oid.hpp"')),
    Rule("the engine does no I/O, reads no clock, has no threads", "^server/engine/", include(IO),
         ("server/engine/a.cpp", "#include <sys/socket.h>")),
    Rule("server/ includes no tools", "^server/", include('"(inspect|bisect|tests)/'),
         ("server/daemon/a.cpp", '#include "inspect/log.hpp"')),
    Rule("the store includes nothing of the daemon", "^server/store/", include('"server/daemon/'),
         ("server/store/a.cpp", '#include "server/daemon/slot.hpp"')),
    Rule("inspect/ includes only xsgit/, the engine and the store", "^inspect/",
         include('"((bisect|tests)/|server/(?!engine/|store/))'),
         ("inspect/a.cpp", '#include "server/daemon/store.hpp"')),
    Rule("bisect/ includes nothing of the daemon but local sockets", "^bisect/",
         include(r'"(tests/|server/(?!engine/|store/|daemon/(unique_fd|local_socket|peer)\.hpp))'),
         ("bisect/a.cpp", '#include "server/daemon/slot.hpp"')),
    Rule("libgit2 only behind xsgit/git/repository.hpp and oid.hpp, and in inspect/", ".", include("[<\"]git2"),
         ("xsgit/git/pack_store.cpp", "#include <git2.h>"),
         but=r"^(xsgit/git/((repository|oid)\.cpp|(git_handle|memory_backend|repository_create)\.[ch]pp)|inspect/.*|tests/.*)$"),
    Rule("Xen's headers only in server/, not in the engine", ".", include(r"<(xen[a-z]*\.h|xen/.*)>"),
         ("server/engine/a.cpp", "#include <xenevtchn.h>"), but=r"^(server/(?!engine/)|tests/)"),
    Rule("libraries never print and never exit", "^(xsgit|server/engine|bisect/[a-z]+)/", PRINTS,
         ("xsgit/a.cpp", "    std::fprintf(stderr, text);")),
    Rule("no iostream", ".", include("<(iostream|regex)>"), ("server/daemon/a.cpp", "#include <iostream>")),
    Needs("headers have #pragma once", r"\.hpp$", r"(?m)^#pragma once$", ("xsgit/a.hpp", "#ifndef A_HPP")),
    Needs("files begin with the licence", ".", r"\A// SPDX-License-Identifier: MIT\n",
          ("xsgit/a.cpp", "#include <string>")),
    Needs("headers say what they are", r"\.hpp$", r"\A// SPDX-License-Identifier: MIT\n// \S",
          ("xsgit/a.hpp", "// SPDX-License-Identifier: MIT\n#pragma once")),
    Length("no file over 700 lines (tests may be longer)", ".", 700, ("xsgit/a.cpp", "\n" * 701), but="^tests/"),
]


def self_test():
    missed = [rule.name for rule in RULES if not rule.broken_by(*rule.breach)]
    fine = ("server/engine/a.cpp",
            '// SPDX-License-Identifier: MIT\n// Text.\n#include "xsgit/tree/tree.hpp"\n#include <string>\n')
    wrong = [rule.name for rule in RULES if rule.broken_by(*fine)]
    for name in missed:
        print(f"FAIL: layers.py does not see a breach of: {name}")
    for name in wrong:
        print(f"FAIL: layers.py sees a breach where there is none: {name}")
    return 1 if missed or wrong else 0


def judge():
    listing = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], text=True)
    files = []
    for path in sorted(set(listing.split("\0"))):
        if re.search(SOURCE, path) and os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as f:
                files.append((path, f.read()))
    failed = False
    for rule in RULES:
        broken = [line for path, text in files for line in rule.broken_by(path, text)]
        for line in broken:
            print(line)
        failed = failed or bool(broken)
        print(f"{'FAIL' if broken else 'PASS'}: layers: {rule.name}")
    return 1 if failed or not files else 0


sys.exit(self_test() if "--self-test" in sys.argv[1:] else judge())
