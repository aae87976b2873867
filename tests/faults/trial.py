"""Runs one case from its start to its verdict."""

from __future__ import annotations

import re
import subprocess
import time
from datetime import UTC, datetime

from tests.faults import survey
from tests.faults.bed import Bed
from tests.faults.case import AGAIN_SECONDS, Case, Missed
from tests.faults.kind import Kind
from tests.faults.rows import Row
from tests.workflow.project import ROOT

ATTEMPTS = 6
# No run may print one of ours.
TRACEBACK = "Traceback (most recent call last):"
# Those of Snakemake's own process, on a disk that it can't write to, name no file of ours.
OURS = re.compile(r"/src/patchbench/")


def run(bed: Bed, kind: Kind, seed: int) -> tuple[Row, str]:
    """Run one case; return its row and all that its runs printed. A moment that came too late is
    drawn again."""
    for attempt in range(ATTEMPTS):
        case = Case(bed, kind, seed, attempt)
        try:
            return _run(case), case.output
        except Missed as error:
            output = case.output
            print(f"  {case.name}: {case.moment} missed{error}: {output[-300:]!r}", flush=True)
        finally:
            case.close()
    return _unfit(kind, seed), output


def _run(case: Case) -> Row:
    began = time.monotonic()
    kind = case.kind
    kind.prepare(case)
    case.start()
    case.await_moment()
    kind.strike(case)
    in_time = case.await_end()
    case.remember()
    output = case.output
    left = case.settle()
    charged = survey.charged(case)
    named = _named(case, output)
    kind.repair(case)
    done = _again(case)
    finished = in_time and done is not None and done.returncode == 0
    finished = finished and (case.project.results / "report.md").is_file()
    notes = [case.note] if case.note else []
    if not in_time:
        notes.append(f"no end within {kind.seconds:.0f} s of the fault")
    if done is None or done.returncode:
        notes.append(f"the repeat: {_end_of(case, done)}")
    seen = traceback(output)
    if seen:
        notes.append(f"a traceback was printed: {seen[:1500]}")
    return Row(
        fault=kind.name,
        seed=case.seed,
        runtime=kind.runtime,
        moment=str(case.moment),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version(),
        finished=finished,
        repeated=survey.repeated(case.project, case.files, case.destroyed),
        lost=survey.lost(case.project, case.files, case.destroyed) + survey.harmed(case),
        blame=charged + (survey.wrong_endings(case) if finished else []),
        leftovers=[*left, *(survey.leftovers(case) if finished else [])],
        named=False if seen else named,
        seconds=round(time.monotonic() - began, 1),
        note=" | ".join(notes),
    )


def traceback(output: str) -> str:
    """Return the first traceback through our code, or an empty string."""
    for part in output.split(TRACEBACK)[1:]:
        frames = re.match(r"(?:\s.*\n|\n)*", part)
        if frames and OURS.search(frames[0]):
            return part
    return ""


def _unfit(kind: Kind, seed: int) -> Row:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Row(
        fault=kind.name, seed=seed, runtime=kind.runtime, moment="none", at=now, version=version(),
        finished=False, note=f"the run ended before each of {ATTEMPTS} moments that were drawn",
    )  # fmt: skip


def _named(case: Case, output: str) -> bool | None:
    says = case.kind.says
    if says is None:
        return None
    return bool(re.search(says, output)) if isinstance(says, str) else says(case)


def _again(case: Case) -> subprocess.CompletedProcess[str] | None:
    """Give the same command again; returns None if it did not end."""
    try:
        return case.again(AGAIN_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _end_of(case: Case, done: subprocess.CompletedProcess[str] | None) -> str:
    return (
        f"no end within {AGAIN_SECONDS:.0f} s" if done is None else f"exit code {done.returncode}"
    )


def version() -> str:
    """Return the commit under test, with a + if there are uncommitted changes."""
    output = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    )
    return output.stdout.strip()
