"""Disks: full, out of inodes, read-only, slow."""

from __future__ import annotations

import shutil
import subprocess
import time

from tests.engine.engines import SmallDisk
from tests.faults.case import Case
from tests.faults.kind import Kind, Step, unless_survived
from tests.faults.moments import ANY, WORKING

FULL = r"infra\.disk_full|[Nn]o space left on device"
FROZEN_SECONDS, FREE_SECONDS, FREEZES = 2.0, 0.7, 5


def _disk(case: Case, name: str) -> SmallDisk:
    return case.bed.disks[name]


def _fill(*names: str) -> Step:
    def strike(case: Case) -> None:
        for name in names:
            ballast = _disk(case, name).fill()
            case.undo.append(lambda b=ballast: b.unlink(missing_ok=True))

    return strike


def _undo(case: Case) -> None:
    while case.undo:
        case.undo.pop()()


def _crumbs(name: str) -> Step:
    def strike(case: Case) -> None:
        folder = _disk(case, name).path / "crumbs"
        folder.mkdir()
        case.undo.append(lambda: shutil.rmtree(folder))
        number = 0
        try:
            while True:
                (folder / str(number)).touch()
                number += 1
        except OSError:
            return

    return strike


def _disk_error(case: Case) -> None:
    disk = _disk(case, "results")
    disk.fail()
    case.undo.append(disk.mend)


def _power_cut(case: Case) -> None:
    """Stop the machine at once: all that has not reached the results' disk is lost."""
    case.kill()
    case.remember()
    disk = _disk(case, "results")
    disk.cut_power()
    disk.mend()
    case.start()


def _slow(case: Case) -> None:
    """Hold the disk up most of the time: every write waits."""
    place = str(_disk(case, "results").path)
    for _ in range(FREEZES):
        subprocess.run(["fsfreeze", "-f", place], check=True)
        time.sleep(FROZEN_SECONDS)
        subprocess.run(["fsfreeze", "-u", place], check=True)
        time.sleep(FREE_SECONDS)


KINDS = (
    Kind("disk-full-engine", "the engine's disk is full", _fill("engine"), FULL,
         repair=_undo, moments=("fetch", "build", "build")),
    Kind("disk-full-results", "the results' disk is full", _fill("results"), FULL,
         repair=_undo, moments=WORKING),
    Kind("disk-full-snakemake", "the disk of `.snakemake` is full", _fill("snakemake"), FULL,
         repair=_undo, moments=WORKING),
    Kind("disk-full-tmp", "the disk of temporary files is full", _fill("tmp"),
         unless_survived(FULL), repair=_undo, moments=ANY),
    Kind("disk-full-all", "engine's, results' and temporary disk are full",
         _fill("engine", "results", "tmp"), FULL, repair=_undo, moments=WORKING),
    Kind("inodes-results", "no inodes left for results", _crumbs("results"), FULL,
         repair=_undo, moments=WORKING),
    Kind("inodes-engine", "no inodes left for the engine", _crumbs("engine"), FULL,
         repair=_undo, moments=("fetch", "build", "build")),
    Kind("read-only-results", "an error makes the results' disk read-only", _disk_error,
         r"infra\.read_only|[Rr]ead-only file system", repair=_undo, moments=WORKING),
    Kind("power-cut", "the power fails: all that the results' disk has not written yet is gone",
         _power_cut, moments=("between",), runtime="process"),
    Kind("slow-disk", "the results' disk stands still for 2 s, five times", _slow),
)  # fmt: skip
