"""Grade of a launch that the judge measured: metrics and findings of its windows' records.

Only records count; nothing that a patched process printed is a figure. A record that is torn or
missing although the judge ended well is nothing that the server did.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from patchbench.errors import EXIT_INFRA, BadInput
from patchbench.failures import tracebacks
from patchbench.failures.causes import CAUSES
from patchbench.grading.costs import energy
from patchbench.grading.failure import Failure
from patchbench.grading.run_folder import BENCH_ERR, SERVER_LOGS, SUSPENDED, window_files
from patchbench.judge.audit import audit_window
from patchbench.judge.ends import EXIT_LATE, EXIT_REFUSED
from patchbench.judge.findings import FAILED
from patchbench.judge.metrics import is_complete, window_metrics
from patchbench.judge.record import Window, read_window
from patchbench.judge.tokens import FileTokenizer, Tokenizer, count_tokens
from patchbench.load import request_count
from patchbench.records import CountedBy, Evidence, Finding, Phase, Run, Task

TOKENIZER = "tokenizer.json"
JUDGE_FAILED, SATURATED = "harness.judge_failed", "harness.judge_saturated"
JUDGE_STOPPED = "harness.judge_stopped"
TORN, REFUSED = "harness.torn_record", "bench.refused"
# The judge's exit status -> the cause.
EXITS = {EXIT_REFUSED: REFUSED, EXIT_LATE: "bench.timeout"}
# Types whose metric is the time of the whole pass.
WHOLE_PASS = {"prefix_caching": "cost_time_s"}


class JudgedLaunch(NamedTuple):
    """What the records of a launch show: the metrics of each window that counts, those of the whole
    launch, findings, what tokens were counted by, windows in which the judge was late."""

    windows: tuple[dict[str, float], ...] = ()
    costs: Mapping[str, float] = MappingProxyType({})
    findings: tuple[Finding, ...] = ()
    counted_by: CountedBy = ""
    left_out: tuple[int, ...] = ()
    failure: Failure | None = None


def grade_records(task: Task, run: Run, folder: Path) -> JudgedLaunch:
    """Return the metrics of a launch's windows, or its failure. Other faults than failed requests
    stand in the findings alone: only beside the baseline's launch do they become causes."""
    try:
        records = read_records(task, run.block, folder)
    except BadInput as error:
        evidence = Evidence(text=str(error).replace(f"{folder}/", ""), file=str(folder / BENCH_ERR))
        return JudgedLaunch(failure=Failure(TORN, evidence, ()))
    tokenizer = tokenizer_of(task)
    found = tuple(
        msgspec.structs.replace(finding, window=window.window)
        for window in records
        for finding in audit_window(window, tokenizer)
    )
    counting = [window for window in records if not window.saturated]
    metrics = tuple(_metrics(task, window, tokenizer) for window in counting)
    judged = JudgedLaunch(
        windows=metrics,
        costs=energy(folder, counting, metrics),
        findings=found,
        counted_by=counted_by(records, tokenizer),
        left_out=tuple(window.window for window in records if window.saturated),
    )
    return judged._replace(failure=_failure(task, folder, judged, records))


def read_records(task: Task, block: int, folder: Path) -> list[Window]:
    """Return the records of all windows of a launch of a block. Raises BadInput for one that is
    missing, torn, or of another block or number of requests."""
    load = task.workload.load if task.workload else None
    assert load is not None
    requests = request_count(load.shape)
    return [
        read_record(folder / window_files(number).record, block, number, requests)
        for number in range(1, task.protocol.windows + 1)
    ]


def read_record(path: Path, block: int, number: int, requests: int) -> Window:
    """Return the record of one window. Raises BadInput."""
    window = read_window(path)
    if (window.block, window.window) != (block, number):
        raise BadInput(f"{path}: the record is of block {window.block}, window {window.window}")
    if len(window.answers) != requests:
        raise BadInput(f"{path}: {len(window.answers)} requests, not {requests}")
    return window


def tokenizer_of(task: Task) -> Tokenizer | None:
    """Return the tokenizer in the folder of the task's model; None if there is none, or the library
    is not installed: then chunks stand for the tokens of a server that streams no ids."""
    model = Path(task.workload.model) if task.workload else Path()
    return _tokenizer(model / TOKENIZER)


@lru_cache(maxsize=4)
def _tokenizer(path: Path) -> Tokenizer | None:
    try:
        return FileTokenizer(path) if path.is_file() else None
    except BadInput:
        return None


def counted_by(records: list[Window], tokenizer: Tokenizer | None) -> CountedBy:
    """Return what the output tokens of a launch were counted by; the weakest if windows differ."""
    complete = (answer for window in records for answer in window.answers if is_complete(answer))
    sources = {count_tokens(answer, tokenizer).source for answer in complete}
    weakest: tuple[CountedBy, ...] = ("chunks", "text", "ids")
    return next((source for source in weakest if source in sources), "chunks")


def judge_end(phase: Phase, folder: Path) -> Failure:
    """Return the failure of a benchmark phase in which the judge did not exit with 0. Its log
    quotes the server, so no line of it is a signature of anything."""
    log = folder / BENCH_ERR
    evidence = tracebacks.with_last_line(f"{phase.name}: {phase.detail}", log)
    if SUSPENDED in phase.flags:
        return Failure(JUDGE_STOPPED, evidence, ())
    if phase.status == "timeout":
        return Failure("bench.timeout", evidence, SERVER_LOGS)
    if phase.exit_code == -signal.SIGKILL:
        return Failure("killed", evidence, ())
    if phase.exit_code == EXIT_INFRA:
        named = next((name for name in CAUSES if f"judge: {name} |" in evidence.text), JUDGE_FAILED)
        return Failure(named, evidence, ())
    cause = EXITS.get(phase.exit_code or 0, JUDGE_FAILED)
    return Failure(cause, evidence, SERVER_LOGS if cause in EXITS.values() else ())


def located(finding: Finding) -> str:
    """Return a finding as text, its place first."""
    window = f"window {finding.window}" if finding.window else ""
    request = "" if finding.request is None else f"request {finding.request}"
    place = ", ".join(filter(None, (window, request)))
    more = f" ({finding.requests} requests)" if finding.requests > 1 else ""
    return f"{place}: {finding.text}{more}" if place else f"{finding.text}{more}"


def record_of(folder: Path, finding: Finding) -> str:
    """Return the path of the record that shows a finding."""
    return str(folder / window_files(max(1, finding.window)).record)


def _metrics(task: Task, window: Window, tokenizer: Tokenizer | None) -> dict[str, float]:
    assert task.workload is not None
    metrics = window_metrics(window, tokenizer)
    if (name := WHOLE_PASS.get(task.workload.type)) and "duration_s" in metrics:
        metrics[name] = metrics["duration_s"]
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _failure(
    task: Task, folder: Path, judged: JudgedLaunch, records: list[Window]
) -> Failure | None:
    return next(_failures(task, folder, judged, records), None)


def _failures(
    task: Task, folder: Path, judged: JudgedLaunch, records: list[Window]
) -> Iterator[Failure]:
    for finding in judged.findings:
        if finding.cause == FAILED:
            evidence = Evidence(text=located(finding), file=record_of(folder, finding))
            yield Failure(FAILED, evidence, SERVER_LOGS)
    if not judged.windows:
        first = records[0]
        text = f"in every window; window {first.window}: {first.saturated}"
        file = str(folder / window_files(first.window).record)
        yield Failure(SATURATED, Evidence(text=text, file=file), ())
    for number, metrics in zip(_counting(judged, records), judged.windows, strict=True):
        if not metrics.get(task.primary_metric, 0.0) > 0:
            present = ", ".join(sorted(metrics))
            text = f"window {number}: no value for {task.primary_metric}; there is: {present}"
            file = str(folder / window_files(number).record)
            yield Failure("bench.partial", Evidence(text=text, file=file), ())


def _counting(judged: JudgedLaunch, records: list[Window]) -> list[int]:
    return [window.window for window in records if window.window not in judged.left_out]
