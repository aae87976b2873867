"""The environment of a run: home, temporary files, limits, variables, interpreters."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.faults.case import Case
from tests.faults.kind import Kind, Step, nothing, unless_survived
from tests.faults.kinds.disks import FULL
from tests.faults.moments import AMID
from tests.workflow.project import ROOT

TINY = "64k"
ODD = {
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "7",
    "http_proxy": "http://proxy.invalid:1",
    "https_proxy": "http://proxy.invalid:1",
    "COLUMNS": "1",
    "TERM": "dumb",
    "HOME": "/dev/null",
    "MPLBACKEND": "TkAgg",
    "OMP_NUM_THREADS": "1",
    "TZ": "Pacific/Kiritimati",
}
GIT = {
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "diff.noprefix",
    "GIT_CONFIG_VALUE_0": "true",
    "GIT_CONFIG_KEY_1": "diff.external",
    "GIT_CONFIG_VALUE_1": "/bin/false",
    "GIT_CONFIG_KEY_2": "core.autocrlf",
    "GIT_CONFIG_VALUE_2": "true",
    "GIT_DIFF_OPTS": "-u0",
    "GIT_DIR": "/nonexistent",
    "GIT_INDEX_FILE": "/nonexistent",
}


def _variables(**variables: str) -> Step:
    """Set variables for the struck run; the same command again is without them."""

    def prepare(case: Case) -> None:
        before = dict(case.project.env)
        case.undo.append(lambda: (case.project.env.clear(), case.project.env.update(before)))
        case.project.env.update(variables)

    return prepare


def _bare(case: Case) -> None:
    _variables()(case)
    for name in ("HOME", "TMPDIR", "USER", "LOGNAME", "XDG_CACHE_HOME"):
        case.project.env.pop(name, None)
    case.prefix = ("sh", "-c", 'umask 077; exec "$@"', "sh")


def _limit(words: str) -> Step:
    def prepare(case: Case) -> None:
        case.prefix = ("sh", "-c", f'{words}; exec "$@"', "sh")

    return prepare


def _tiny_tmp(case: Case) -> None:
    # (No name of a model: a folder of that name would be taken for it.)
    place = case.project.folder / "of-64-kib"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={TINY},nr_inodes=8", "tmpfs", str(place)]
    subprocess.run(words, check=True)
    _variables(TMPDIR=str(place))(case)
    case.undo.insert(0, lambda: subprocess.run(["umount", "-l", str(place)]))


def _no_tmp(case: Case) -> None:
    _variables(TMPDIR=str(case.project.folder / "not-there"))(case)


def _undo(case: Case) -> None:
    case.prefix = ()
    while case.undo:
        case.undo.pop()()


# --- another version of Python ---------------------------------------------------------------


def _program(version: str) -> Path:
    # Made by `make test-pythons`.
    return ROOT / f".venv-python{version}" / "bin" / "snakemake"


def _with(version: str) -> Step:
    def prepare(case: Case) -> None:
        case.program = _program(version)

    return prepare


def _interpreter(version: str) -> Kind:
    return Kind(
        f"python-{version}",
        f"SIGKILL to a run under Python {version}; the same command again under another",
        lambda case: case.kill(), prepare=_with(version), moments=AMID, runtime="process",
        why_not=lambda: None if _program(version).is_file() else f"no {_program(version)}",
    )  # fmt: skip


P = "process"
KINDS = (
    Kind("no-home-no-tmp", "HOME, TMPDIR, USER are not set, and the umask is 077", nothing,
         prepare=_bare, repair=_undo, moments=("start",), runtime=P),
    Kind("odd-environment", "another locale, encoding, time zone, proxies; warnings are errors",
         nothing, prepare=_variables(**ODD), repair=_undo, moments=("start",), runtime=P),
    Kind("git-environment", "variables tell git to show and convert otherwise", nothing,
         prepare=_variables(**GIT), repair=_undo, moments=("start",), runtime=P),
    Kind("tmp-tiny", f"the folder of temporary files has {TINY} and few inodes", nothing,
         unless_survived(FULL), prepare=_tiny_tmp, repair=_undo, moments=("start",), runtime=P),
    Kind("tmp-not-there", "TMPDIR names a folder that is not there", nothing,
         unless_survived("not-there"), prepare=_no_tmp, repair=_undo, moments=("start",),
         runtime=P),
    Kind("few-files", "a process may open 64 files", nothing,
         unless_survived(r"[Tt]oo many open files|infra\.limits"), prepare=_limit("ulimit -n 64"),
         repair=_undo, moments=("start",), runtime=P),
    Kind("small-files", "a file may have 8 MiB", nothing,
         unless_survived(r"[Ff]ile too large"), prepare=_limit("ulimit -f 16384"), repair=_undo,
         moments=("start",), runtime=P),
    _interpreter("3.12"),
    _interpreter("3.13"),
)  # fmt: skip
