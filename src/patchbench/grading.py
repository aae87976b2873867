"""Judging one run from its raw files: what it measured, or what happened and the line that
shows it. Blame is not decided here (see failures.attribution): that needs the baseline."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.failures import signatures
from patchbench.failures.causes import CAUSES
from patchbench.parsing.grade import Grade, grade
from patchbench.records import Evidence, GradedRun, Phase, Run, Task

# Names of the files in a run's folder.
SERVER_OUT, SERVER_ERR = "server.stdout", "server.stderr"
BENCH_OUT, BENCH_ERR = "benchmark.stdout", "benchmark.stderr"
RESULT, ANSWERS, RUN_FILE = "result.json", "answers.json", "run.json"
LOGS = (SERVER_ERR, SERVER_OUT, BENCH_ERR, BENCH_OUT)


class Found(NamedTuple):
    """A cause and its evidence."""

    cause: str
    evidence: Evidence | None


def grade_run(task: Task, run: Run, folder: Path) -> GradedRun:
    """Metrics or cause of one run, from its facts and raw files alone."""
    if run.upstream is not None:
        upstream = run.upstream
        return _graded(run, cause=upstream.cause, stage=upstream.stage, evidence=upstream.evidence)
    infra = signatures.search(folder / name for name in LOGS)
    found = phase_failure(run, folder)
    graded = Grade({})
    if found is None:
        assert task.workload is not None
        graded = grade(
            task.workload.type,
            folder / BENCH_OUT,
            folder / RESULT,
            primary=task.primary_metric,
            requests=task.workload.requests,
        )
        if graded.cause is None:
            return _graded(run, grade_=graded)
        found = Found(graded.cause, graded.evidence)
    if infra:
        cause, evidence = infra[0]
        others = (found.cause, *(name for name, _ in infra[1:]))
        return _graded(run, cause=cause, evidence=evidence, others=others)
    return _graded(run, cause=found.cause, evidence=found.evidence, grade_=graded)


def _graded(
    run: Run,
    *,
    grade_: Grade | None = None,
    cause: str | None = None,
    stage: str | None = None,
    evidence: Evidence | None = None,
    others: tuple[str, ...] = (),
) -> GradedRun:
    metrics = grade_.metrics if grade_ and cause is None else {}
    return GradedRun(
        arm=run.arm,
        block=run.block,
        position=run.position,
        status="failed" if cause else "measured",
        metrics=metrics,
        format=grade_.format if grade_ else "",
        cause=cause,
        stage=stage or (CAUSES[cause].stage if cause else None),
        evidence=evidence,
        other_causes=others,
        launched=run.status == "launched",
        started=run.started,
        ended=run.ended,
        folder=run.folder,
        image=run.image,
        patch_sha256=run.patch_sha256,
        provenance=run.provenance,
    )


def phase_failure(run: Run, folder: Path) -> Found | None:
    """What the first failed phase means, or None if every phase went through."""
    phases = {phase.name: phase for phase in run.phases}
    serving = "server_start" in phases
    died = phases.get("server_died")
    for phase in run.phases:
        if phase.status == "ok":
            continue
        # A client that fails because its server is gone shows an effect, not the cause.
        if died is not None and phase.name in ("benchmark", "output_check"):
            phase = died
        cause = PHASE_CAUSES[phase.name, phase.status]
        if phase.name == "benchmark" and phase.status == "failed" and not serving:
            cause = "bench.crash"
        # We end processes only after their phase: a SIGKILL inside it came from elsewhere, most
        # often from the kernel short of memory, and no log can say whose fault that is.
        if phase.exit_code == -signal.SIGKILL:
            cause = "killed"
        return Found(cause, _evidence(phase, folder, serving, run.image))
    return None


PHASE_CAUSES: dict[tuple[str, str], str] = {
    ("server_start", "failed"): "server.crash",
    ("server_start", "timeout"): "server.timeout",
    ("output_check", "failed"): "check.failed",
    ("output_check", "timeout"): "bench.timeout",
    ("server_died", "failed"): "server.crash_under_load",
    ("benchmark", "failed"): "bench.client_failed",
    ("benchmark", "timeout"): "bench.timeout",
}


def _evidence(phase: Phase, folder: Path, serving: bool, image: str) -> Evidence:
    """The line that shows why: the last exception in the log of the process that failed."""
    server = serving and phase.name != "benchmark"
    tree = f"{Path(image).resolve()}/"  # where the arm's tree lay is of no interest to a reader
    for name in (SERVER_ERR, SERVER_OUT) if server else (BENCH_ERR, BENCH_OUT):
        shown = signatures.last_exception(folder / name)
        if shown and phase.status == "failed":
            return msgspec.structs.replace(shown, text=shown.text.replace(tree, ""))
    log = folder / (SERVER_ERR if server else BENCH_ERR)
    last = signatures.last_line(log)
    said = f"; the log ends: {last.text}" if last else ""
    return Evidence(
        text=f"{phase.name}: {phase.detail}{said}",
        file=str(log),
        line=last.line if last else None,
    )


def answers(folder: Path) -> list[str] | None:
    """The arm's answers to the fixed prompts, or None if there are none."""
    path = folder / ANSWERS
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]])["answers"]
    except (OSError, msgspec.MsgspecError, KeyError):
        return None


def agreement(mine: list[str], accepted: list[set[str]]) -> float:
    """Share of the fixed prompts whose answer is among the accepted ones, 0 to 1."""
    if len(mine) != len(accepted) or not accepted:
        return 0.0
    return sum(answer in good for answer, good in zip(mine, accepted, strict=True)) / len(mine)
