"""Grade of one launch: its metrics, or a cause with the line that shows it.

Only the launch's record and raw files count. Blame needs the baseline of the same block and is
decided later (see ``failures.attribution``).
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from patchbench.failures import explanation, tracebacks
from patchbench.failures.causes import CAUSES
from patchbench.grading import costs
from patchbench.grading.failure import Failure
from patchbench.grading.judged import (
    JUDGE_FAILED,
    JUDGE_STOPPED,
    SATURATED,
    TORN,
    JudgedLaunch,
    grade_records,
    judge_end,
)
from patchbench.grading.launch_value import launch_metrics
from patchbench.grading.run_folder import (
    BENCH_LOGS,
    LOGS,
    PROBE_BROKE,
    SERVER_LOGS,
    SUSPENDED,
    window_files,
)
from patchbench.parsing.read_output import ParsedOutput, read_output
from patchbench.records import Evidence, GradedRun, Phase, Run, Task
from patchbench.system import raw_logs

RECORD = "record"  # the format of figures from the judge's records

# A phase and how it ended -> the cause, if no log explains it better.
PHASE_CAUSES: dict[tuple[str, str], str] = {
    ("server_start", "failed"): "server.crash",
    ("server_start", "timeout"): "server.timeout",
    ("output_check", "failed"): "check.failed",
    ("output_check", "timeout"): "bench.timeout",
    ("server_died", "failed"): "server.crash_under_load",
    ("benchmark", "failed"): "bench.client_failed",
    ("benchmark", "timeout"): "bench.timeout",
}
# Failures of the judge itself: no log of the server explains them.
OWN_FAILURES = (JUDGE_FAILED, JUDGE_STOPPED, SATURATED, TORN)


def grade_launch(task: Task, run: Run, folder: Path) -> GradedRun:
    """Return the metrics or the cause of one launch, wherever its folder lies now."""
    run = msgspec.structs.replace(run, folder=str(folder))
    if run.upstream is not None:
        upstream = run.upstream
        return _graded(
            run, [], cause=upstream.cause, stage=upstream.stage, evidence=upstream.evidence
        )
    judged = task.workload is not None and task.workload.load is not None
    failure, outputs = phase_failure(run, folder, judged=judged), list[ParsedOutput]()
    records = JudgedLaunch()
    if failure is None and judged:
        records = grade_records(task, run, folder)
        outputs = [ParsedOutput(metrics, RECORD) for metrics in records.windows]
        failure = records.failure
    elif failure is None:
        outputs = read_windows(task, run, folder)
        failure = window_failure(task, outputs)
    if failure is None:
        assert task.workload is not None
        values = [output.metrics for output in outputs]
        times = records.costs if judged else costs.own_times(task.workload, run, values)
        more = {**costs.launch_costs(run, folder), **times}
        return _with_records(_graded(run, outputs, more), records)
    return _with_records(_failed(task, run, folder, failure, outputs), records)


def _failed(
    task: Task, run: Run, folder: Path, failure: Failure, outputs: Sequence[ParsedOutput]
) -> GradedRun:
    """Return a failed launch with the cause that its logs show. The judge's log explains nothing:
    it quotes the server."""
    own = [folder / name for name in failure.logs]
    judged = task.workload is not None and task.workload.load is not None
    every = [folder / name for name in (SERVER_LOGS if judged else LOGS)]
    if failure.cause in OWN_FAILURES:
        every = []
    explanations = explanation.launch_causes(task, run, failure.cause, own, every)
    (cause, evidence), *others = [*explanations.causes, (failure.cause, failure.evidence)]
    stage = CAUSES[cause].stage
    if evidence:  # a reader does not need the folder of the arm's tree
        text = evidence.text.replace(explanation.tree(task, run), "")
        stored = raw_logs.find(Path(evidence.file)) if evidence.file else None
        evidence = msgspec.structs.replace(evidence, text=text, file=str(stored or evidence.file))
    return _graded(
        run,
        [output for output in outputs if output.cause][:1],
        cause=cause,
        stage=CAUSES[failure.cause].stage if stage == "any" else stage,
        evidence=evidence,
        other_causes=tuple(dict.fromkeys(name for name, _ in others if name != cause)),
        suspected=tuple(dict.fromkeys(name for name, _ in explanations.suspected)),
        traceback=explanation.traceback(task, run, own),
    )


def _with_records(run: GradedRun, records: JudgedLaunch) -> GradedRun:
    return msgspec.structs.replace(
        run,
        findings=records.findings,
        counted_by=records.counted_by,
        left_out=records.left_out,
    )


def read_windows(task: Task, run: Run, folder: Path) -> list[ParsedOutput]:
    """Return the metrics or the cause of each window that was launched."""
    assert task.workload is not None
    launched = max(1, sum(phase.name == "benchmark" for phase in run.phases))
    return [
        read_output(
            task.workload.type,
            folder / f"{files.bench}.stdout",
            folder / files.result,
            primary=task.primary_metric,
            requests=task.workload.requests,
            stderr=folder / f"{files.bench}.stderr",
        )
        for files in map(window_files, range(1, launched + 1))
    ]


def window_failure(task: Task, outputs: list[ParsedOutput]) -> Failure | None:
    """Return the failure of the first window without metrics, or None."""
    assert task.workload is not None
    server_logs = SERVER_LOGS if task.workload.type == "serving" else ()
    for window, output in enumerate(outputs, 1):
        if output.cause is not None:
            logs = (*window_files(window).logs, *server_logs)
            return Failure(output.cause, output.evidence, logs)
    return None


def phase_failure(run: Run, folder: Path, *, judged: bool = False) -> Failure | None:
    """Return the failure of the first phase that did not end well, or None. ``judged`` says that
    the process of the benchmark phase was the judge."""
    phases = {phase.name: phase for phase in run.phases}
    serving = "server_start" in phases
    phase = next((phase for phase in run.phases if phase.status != "ok"), None)
    if phase is None:
        return None
    # A client that fails because its server is gone shows an effect, not the cause.
    if "server_died" in phases and phase.name in ("benchmark", "output_check"):
        phase = phases["server_died"]
    if judged and phase.name == "benchmark":
        return judge_end(phase, folder)
    cause = PHASE_CAUSES[phase.name, phase.status]
    if phase.name == "benchmark" and phase.status == "failed" and not serving:
        cause = "bench.crash"
    # We end processes only after their phase: a SIGKILL within it came from elsewhere, most often
    # from the kernel short of memory, and no log shows the cause.
    if phase.exit_code == -signal.SIGKILL:
        cause = "killed"
    # A client runs from the baseline's image: whatever held it, the arm did not.
    if SUSPENDED in phase.flags and serving:
        cause = JUDGE_STOPPED
    logs = _logs(phase, serving)
    if PROBE_BROKE in phase.flags:
        return Failure("harness.probe", Evidence(text=phase.detail), logs)
    if limit := explanation.reported_limit(phase.flags, folder / logs[0]):
        return Failure(limit.cause, limit.evidence, logs)
    return Failure(cause, _evidence(phase, folder, logs), logs)


def _logs(phase: Phase, serving: bool) -> tuple[str, ...]:
    """Return the names of the logs that may explain a failed phase. If a client hangs or fails
    beside a living server, the reason may stand in the server's log."""
    if not serving:
        return BENCH_LOGS
    return (*BENCH_LOGS, *SERVER_LOGS) if phase.name == "benchmark" else SERVER_LOGS


def _evidence(phase: Phase, folder: Path, logs: tuple[str, ...]) -> Evidence:
    """Return the exception that ended the process, else the phase's end and the log's last line."""
    end_of_log = tracebacks.ending(folder / name for name in logs[:2])
    if end_of_log and end_of_log[0].exception and phase.status == "failed":
        ending, log = end_of_log
        assert ending.exception is not None
        if tracebacks.is_native(ending.exception.text):
            return tracebacks.with_last_line(f"{phase.name}: {phase.detail}", log)
        text = ending.exception.text[: raw_logs.MAX_LINE]
        return Evidence(text=text, file=str(log), line=ending.exception.number)
    return tracebacks.with_last_line(f"{phase.name}: {phase.detail}", folder / logs[0])


def _graded(
    run: Run,
    outputs: Sequence[ParsedOutput],
    more: dict[str, float] | None = None,
    *,
    cause: str | None = None,
    stage: str | None = None,
    evidence: Evidence | None = None,
    other_causes: tuple[str, ...] = (),
    suspected: tuple[str, ...] = (),
    traceback: tuple[str, ...] = (),
) -> GradedRun:
    metrics = tuple(output.metrics for output in outputs)
    windows = metrics if len(metrics) > 1 else ()
    return GradedRun(
        arm=run.arm,
        block=run.block,
        position=run.position,
        status="failed" if cause else "measured",
        metrics={**(launch_metrics(windows) or (metrics[0] if metrics else {})), **(more or {})},
        windows=windows,
        format=outputs[0].format if outputs else "",
        cause=cause,
        stage=stage or (CAUSES[cause].stage if cause else None),
        evidence=evidence,
        other_causes=other_causes,
        suspected=suspected,
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
