"""Audit of launches beside the baseline's of the same block: which faults are the arm's own.

What the baseline's launch shows as well is the task's, and a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.failures.causes import CAUSES
from patchbench.grading.judged import (
    REFUSED,
    TORN,
    located,
    read_records,
    record_of,
    tokenizer_of,
)
from patchbench.judge.pairs import compare_windows
from patchbench.judge.record import Dialect, Window
from patchbench.records import BASELINE, Evidence, Finding, GradedRun, Task

# Results by themselves that a fault explains better.
EXPLAINED = ("bench.partial",)
SHARED = "; the baseline's launch shows it too"


def audited(task: Task, runs: Sequence[GradedRun]) -> list[GradedRun]:
    """Return the launches of a commit, those with a fault of their own as failed. Launches that the
    judge did not measure stay as they are."""
    judged = [run for run in runs if run.counted_by]
    baselines = {r.block: r for r in judged if r.arm == BASELINE and r.status == "measured"}
    return [
        _audited(task, run, baselines.get(run.block)) if run.counted_by else run for run in runs
    ]


def _audited(task: Task, run: GradedRun, baseline: GradedRun | None) -> GradedRun:
    if run is baseline:
        notes = (msgspec.structs.replace(f, severity="note") for f in run.findings)
        return msgspec.structs.replace(run, findings=tuple(notes))
    if run.status == "failed" and run.cause not in EXPLAINED:
        return run
    if baseline is None:
        return _charged(run, run.findings)
    try:
        folders = Path(run.folder), Path(baseline.folder)
        more = compared(task, *(read_records(task, run.block, folder) for folder in folders))
    except (BadInput, ValueError, KeyError) as error:
        text = f"the record can't be compared with the baseline's: {error}"
        return _failed(run, TORN, Evidence(text=text, file=run.folder))
    shared = {finding.cause for finding in baseline.findings}
    return _charged(run, [*more, *_own(run.findings, shared)])


def compared(task: Task, windows: Sequence[Window], baseline: Sequence[Window]) -> list[Finding]:
    """Return what only a comparison with the baseline's launch shows. Raises ValueError, KeyError
    if the two were not sent the same requests."""
    tokenizer = tokenizer_of(task)
    return [
        *lost_words(windows[0].dialect, baseline[0].dialect),
        *(
            msgspec.structs.replace(finding, window=own.window)
            for own, other in zip(windows, baseline, strict=True)
            for finding in compare_windows(own, other, tokenizer)
        ),
    ]


def lost_words(own: Dialect, baseline: Dialect) -> Iterator[Finding]:
    """Yield a fault for each word of the API that the baseline accepts and an arm refuses: so the
    arm would choose to be checked less. More than the baseline is no fault."""
    lost: list[str] = [name for name in baseline.fields if name not in own.fields]
    if baseline.ids_prompt and not own.ids_prompt:
        lost.append("prompts as token ids")
    if baseline.ids_stream and not own.ids_stream:
        lost.append("token ids in the stream")
    for name in lost:
        yield Finding(
            cause=REFUSED,
            severity="fault",
            request=None,
            requests=0,
            text=f"the server refuses {name}, which the baseline accepts",
        )


def _own(findings: Sequence[Finding], shared: set[str]) -> list[Finding]:
    """Return findings with those that the baseline shows too as notes."""
    return [
        msgspec.structs.replace(finding, severity="note", text=f"{finding.text}{SHARED}")
        if finding.severity == "fault" and finding.cause in shared
        else finding
        for finding in findings
    ]


def _charged(run: GradedRun, findings: Sequence[Finding]) -> GradedRun:
    """Return a launch with its findings; its first fault becomes its cause."""
    run = msgspec.structs.replace(run, findings=tuple(findings))
    faults = [finding for finding in findings if finding.severity == "fault"]
    if not faults:
        return run
    file = record_of(Path(run.folder), faults[0])
    others = (*(f.cause for f in faults[1:]), *filter(None, [run.cause]))
    failed = _failed(run, faults[0].cause, Evidence(text=located(faults[0]), file=file))
    causes = dict.fromkeys(name for name in others if name != failed.cause)
    return msgspec.structs.replace(failed, other_causes=tuple(causes))


def _failed(run: GradedRun, cause: str, evidence: Evidence) -> GradedRun:
    return msgspec.structs.replace(
        run,
        status="failed",
        metrics={},
        windows=(),
        cause=cause,
        stage=CAUSES[cause].stage,
        evidence=evidence,
    )
