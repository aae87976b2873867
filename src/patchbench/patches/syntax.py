"""Syntax of Python files under the Python that will run them.

That is the subject's interpreter if it is on this machine, and ours if arms are plain processes.
The Python inside an image is not here: of it only the versions that the parent accepts are known.
A file is refused then only if no such version can accept it.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from patchbench.patches.refusal import printable
from patchbench.records import Task

COMPILE = "import sys; compile(sys.stdin.buffer.read(), sys.argv[1], 'exec', dont_inherit=True)"
AT_LINE = re.compile(r"^  File .*, line (\d+)$")
COMPILE_SECONDS = 60.0
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
OURS = sys.version_info[1]
NEWEST = 99  # as if without limit; of Python 3, as all versions here
OLDEST_JUDGED = 7  # feature_version of ast.parse
# Syntax that came with a version, by the line at which an older one stops (docs.python.org,
# "What's New In Python 3.12" and "3.14"); an error inside an f-string may be its new grammar.
NEWER = (
    (12, re.compile(r"\b[rRbB]?[fF][rR]?[\"']")),
    (12, re.compile(r"^\s*type\s+\w+")),
    (12, re.compile(r"^\s*(async\s+def|def|class)\s+\w+\s*\[")),
    (14, re.compile(r"^\s*except\b[^(:]*,")),
    (14, re.compile(r"\b[rR]?[tT][rR]?[\"']")),
)
AT_LEAST = re.compile(r">=?\s*3\.(\d+)")
AT_MOST = re.compile(r"(<=?|==|~=)\s*3\.(\d+)")


class Mistake(NamedTuple):
    """A reason why a file may not compile, with the line; not ``certain`` if some Python that the
    parent accepts takes it."""

    text: str
    line: int | None = None
    certain: bool = True


Judge = Callable[[bytes, str], Mistake | None]


class Versions(NamedTuple):
    """The minor versions of Python 3 that may run a file, both included."""

    oldest: int
    newest: int

    @classmethod
    def accepted(cls, specifiers: str) -> Versions:
        """Return the versions that specifiers (PEP 440) accept, e.g. those of ">=3.9,<3.13"."""
        least = [int(minor) for minor in AT_LEAST.findall(specifiers)]
        most = [int(minor) - (sign == "<") for sign, minor in AT_MOST.findall(specifiers)]
        return cls(max(least, default=OLDEST_JUDGED), min(most, default=NEWEST))


def judge_of(task: Task) -> Judge:
    """Return the function that judges a task's files (content, path)."""
    python = task.subject.python
    if python is not None and shutil.which(python):  # it may exist only inside an image
        return partial(_by_interpreter, python)
    if task.runtime == "process":
        return _by_ours
    accepted = task.facts.python if task.facts else ""
    # Of a parent that names no version nothing is known of older ones than ours.
    versions = Versions.accepted(accepted) if accepted else Versions(OURS, NEWEST)
    return partial(_by_versions, versions)


def _by_interpreter(python: str, content: bytes, path: str) -> Mistake | None:
    command = [python, "-I", "-S", "-c", COMPILE, printable(path)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired:
        return Mistake(f"{path}: compiling it took longer than {COMPILE_SECONDS:.0f} s")
    if done.returncode == 0:
        return None
    output = done.stderr.decode(errors="replace").strip().splitlines()
    lines = [int(match[1]) for match in map(AT_LINE.search, output) if match]
    text = output[-1] if output else str(done.returncode)
    return Mistake(f"{path}: {text}", lines[-1] if lines else None)


def _by_ours(content: bytes, path: str) -> Mistake | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(content, path, "exec", dont_inherit=True)
    except UNREADABLE as error:
        line = getattr(error, "lineno", None)
        message = getattr(error, "msg", None) or str(error)
        return Mistake(f"{path}:{line}: {type(error).__name__}: {message}", line)
    return None


def _by_versions(versions: Versions, content: bytes, path: str) -> Mistake | None:
    mistake = _by_ours(content, path)
    if mistake is not None:
        since = newer_syntax(content, mistake)
        if since is None or since > versions.newest:
            return mistake
        text = f"{mistake.text}: perhaps syntax of Python 3.{since}, which the parent accepts"
        return Mistake(text, mistake.line, certain=False)
    for minor in dict.fromkeys((min(versions.newest, OURS), versions.oldest)):
        error = _error_under(minor, content) if OLDEST_JUDGED <= minor < OURS else None
        if error is not None:
            place = f"{path}:{error.lineno}: {error.msg}"
            text = f"{place} (Python 3.{minor}, which the parent accepts)"
            return Mistake(text, error.lineno, certain=minor == versions.newest)
    return None


def _error_under(minor: int, content: bytes) -> SyntaxError | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(content, feature_version=(3, minor))
    except SyntaxError as error:
        return error
    except UNREADABLE:
        return None
    return None


def newer_syntax(content: bytes, mistake: Mistake) -> int | None:
    """Return the version of Python 3, newer than ours, whose syntax the line of a mistake may be;
    None if it is a mistake in any version."""
    lines = content.decode("utf-8", "replace").splitlines()
    at = mistake.line or 0
    line = lines[at - 1] if 0 < at <= len(lines) else ""
    found = [since for since, pattern in NEWER if since > OURS and pattern.search(line)]
    if "f-string" in mistake.text and OURS < 12:
        found.append(12)
    return min(found, default=None)
