"""The judge runs where there is only Python, this package and three libraries."""

from __future__ import annotations

import subprocess
import sys

# the last two come with httptools, and with msgspec if they are installed
ALLOWED = {"patchbench", "msgspec", "zstandard", "httptools", "cython_runtime", "typing_extensions"}
LIST = """
import sys
before = set(sys.modules)
import patchbench.judge.__main__, patchbench.judge.audit, patchbench.judge.answers
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(n for n in names if n not in sys.stdlib_module_names and not n.startswith("_")))
"""


def test_three_libraries_are_enough() -> None:
    run = [sys.executable, "-c", LIST]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= ALLOWED


def test_nothing_of_the_rooms_above_is_imported() -> None:
    code = LIST + "print(*sorted(n for n in sys.modules if n.startswith('patchbench.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.splitlines()[-1].split()}
    assert rooms <= {"judge", "system", "records", "errors", "subject", "config", "load"}
