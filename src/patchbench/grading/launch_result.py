"""Judging one run from its raw files: what it measured, or what happened and the line that
shows it. Blame is not decided here (see failures.attribution): that needs the baseline."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.failures import explanation, tracebacks
from patchbench.failures.causes import CAUSES
from patchbench.grading.launch_value import launch_metrics
from patchbench.grading.run_folder import ANSWERS, BENCH_LOGS, LOGS, SERVER_LOGS, window_files
from patchbench.parsing.grade import Grade, grade
from patchbench.records import Evidence, GradedRun, Phase, Run, Task
from patchbench.system import raw_logs


class Found(NamedTuple):
    """A cause and its evidence; ``logs`` are those of the processes that may have to do with it,
    the likeliest first."""

    cause: str
    evidence: Evidence | None
    logs: tuple[str, ...] = ()


def grade_run(task: Task, run: Run, folder: Path) -> GradedRun:
    """Metrics or cause of one run, from its facts and raw files alone."""
    if run.upstream is not None:
        upstream = run.upstream
        return _graded(run, cause=upstream.cause, stage=upstream.stage, evidence=upstream.evidence)
    found = phase_failure(run, folder)
    graded = Grade({})
    if found is None:
        assert task.workload is not None
        windows = grade_windows(task, run, folder)
        failed = next((at for at, one in enumerate(windows) if one.cause is not None), None)
        if failed is None:
            return _graded(run, windows=windows)
        graded = windows[failed]
        serving = task.workload.type == "serving"
        logs = (*window_files(failed + 1).logs, *(SERVER_LOGS if serving else ()))
        found = Found(graded.cause or "unknown", graded.evidence, logs)
    own = [folder / name for name in found.logs]
    shown = explanation.launch_causes(task, run, found.cause, own, [folder / name for name in LOGS])
    (cause, evidence), *others = [*shown, (found.cause, found.evidence)]
    stage = CAUSES[cause].stage
    if evidence:  # where the arm's tree lay is of no interest to a reader
        text = evidence.text.replace(explanation.tree(task, run), "")
        there = raw_logs.find(Path(evidence.file)) if evidence.file else None
        evidence = msgspec.structs.replace(evidence, text=text, file=str(there or evidence.file))
    return _graded(
        run,
        cause=cause,
        stage=CAUSES[found.cause].stage if stage == "any" else stage,
        evidence=evidence,
        others=tuple(dict.fromkeys(name for name, _ in others if name != cause)),
        traceback=explanation.traceback(task, run, own),
        grade_=graded,
    )


def grade_windows(task: Task, run: Run, folder: Path) -> list[Grade]:
    """Metrics or cause of each measured window, as many as were launched."""
    assert task.workload is not None
    launched = max(1, sum(phase.name == "benchmark" for phase in run.phases))
    return [
        grade(
            task.workload.type,
            folder / f"{names.bench}.stdout",
            folder / names.result,
            primary=task.primary_metric,
            requests=task.workload.requests,
            stderr=folder / f"{names.bench}.stderr",
        )
        for names in map(window_files, range(1, launched + 1))
    ]


def _graded(
    run: Run,
    *,
    windows: list[Grade] | None = None,
    grade_: Grade | None = None,
    cause: str | None = None,
    stage: str | None = None,
    evidence: Evidence | None = None,
    others: tuple[str, ...] = (),
    traceback: tuple[str, ...] = (),
) -> GradedRun:
    windows = windows or []
    grade_ = windows[0] if windows else grade_
    several = tuple(one.metrics for one in windows) if len(windows) > 1 else ()
    return GradedRun(
        arm=run.arm,
        block=run.block,
        position=run.position,
        status="failed" if cause else "measured",
        metrics=launch_metrics(several) or (windows[0].metrics if windows else {}),
        windows=several,
        format=grade_.format if grade_ else "",
        cause=cause,
        stage=stage or (CAUSES[cause].stage if cause else None),
        evidence=evidence,
        other_causes=others,
        traceback=traceback,
        phase_seconds={phase.name: phase.seconds for phase in run.phases},
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
        logs = _logs(phase, serving)
        if limit := explanation.reported_limit(phase.flags, folder / logs[0]):
            return Found(limit.cause, limit.evidence, logs)
        return Found(cause, _evidence(phase, folder, logs), logs)
    return None


def _logs(phase: Phase, serving: bool) -> tuple[str, ...]:
    """Logs of the processes that a failed phase is about: a client that waits for ever, or fails
    beside a living server, may have its reason in the server's."""
    if not serving:
        return BENCH_LOGS
    return (*BENCH_LOGS, *SERVER_LOGS) if phase.name == "benchmark" else SERVER_LOGS


PHASE_CAUSES: dict[tuple[str, str], str] = {
    ("server_start", "failed"): "server.crash",
    ("server_start", "timeout"): "server.timeout",
    ("output_check", "failed"): "check.failed",
    ("output_check", "timeout"): "bench.timeout",
    ("server_died", "failed"): "server.crash_under_load",
    ("benchmark", "failed"): "bench.client_failed",
    ("benchmark", "timeout"): "bench.timeout",
}


def _evidence(phase: Phase, folder: Path, logs: tuple[str, ...]) -> Evidence:
    """The line that shows why: the exception that ended the process, else its last words."""
    shown = tracebacks.ending(folder / name for name in logs[:2])
    if shown and shown[0].exception and phase.status == "failed":
        ending, log = shown
        assert ending.exception is not None
        text = ending.exception.text[: raw_logs.MAX_LINE]
        return Evidence(text=text, file=str(log), line=ending.exception.number)
    return tracebacks.with_last_line(f"{phase.name}: {phase.detail}", folder / logs[0])


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
