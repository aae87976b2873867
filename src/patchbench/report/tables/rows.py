"""Make rows of the tables from records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from msgspec import structs

from patchbench.failures.attribution import WRONG_OUTPUT
from patchbench.grading.judged import record_of
from patchbench.parsing.names import METRICS
from patchbench.plan.campaign import Campaign
from patchbench.plan.translation.words import load_in_words
from patchbench.records import (
    AnswerCheck,
    Evidence,
    Exclusion,
    GradedRun,
    Outcome,
    Record,
    Task,
)
from patchbench.report.tables.columns import (
    SCHEMAS,
    FindingRow,
    OutcomeRow,
    PatchRow,
    RunRow,
    TaskRow,
    table,
)
from patchbench.report.tables.read_records import Records
from patchbench.verdicts.comparisons import Comparison, reproduced
from patchbench.verdicts.launch_values import value_of

# Fields of Validated that are lists and share one cell.
LISTS = ("normalised", "stripped", "flags", "warnings")
# Facts about the place of a run, by their keys in its provenance.
PLACE = (
    *("host", "node", "slurm_job", "runtime", "gpu_slot", "load_1min"),
    *("gpu_model", "gpu_driver", "gpu_throttle"),
)
GPU_FIGURES = (
    *("gpu_working", "gpu_sm_mhz", "gpu_memory_mhz", "gpu_power_w", "gpu_temperature_c"),
    "gpu_memory_mib",
)


def _same(record: Record, row: type[Record], *without: str) -> dict[str, Any]:
    """Return the fields that a record and a row have in common."""
    names = set(row.__struct_fields__) - set(without)
    return {name: getattr(record, name) for name in record.__struct_fields__ if name in names}


def _evidence(evidence: Evidence | None) -> dict[str, Any]:
    if evidence is None:
        return {}
    return {
        "evidence": evidence.text,
        "evidence_file": evidence.file,
        "evidence_line": evidence.line,
    }


def _joined(texts: Iterable[str]) -> str | None:
    return "; ".join(texts) or None


def task_row(
    campaign: Campaign, records: Records, human: Comparison | None, commit: str
) -> TaskRow:
    spec, task = campaign.tasks[commit], records.tasks.get(commit)
    row = TaskRow(
        commit=commit,
        title=spec.title,
        subject=spec.subject.name,
        perf_command=spec.perf_command,
        status="pending",
    )
    if task is None:
        return row
    return structs.replace(
        row,
        **_same(task, TaskRow, "subject", "warnings", "exclusion", "title", "perf_command"),
        type=task.workload.type if task.workload else None,
        load=load_in_words(task.workload.load) if task.workload and task.workload.load else None,
        status="excluded" if task.exclusion else "planned",
        exclusion=task.exclusion.reason if task.exclusion else None,
        exclusion_evidence=task.exclusion.evidence if task.exclusion else None,
        warnings=_joined((*task.warnings, *task.contradictions)),
        reference=_reference(task, human) if commit in records.metrics else None,
        measured_by=_measured_by(task),
    )


def _reference(task: Task, human: Comparison | None) -> str | None:
    """Say if the human's commit showed its gain here. A task without that gain stays in the table
    with a mark: its agents' results say little."""
    if task.exclusion:
        return None
    if human is None:
        return "not measured"
    return "reproduced" if reproduced(human) else "not reproduced"


def _measured_by(task: Task) -> str | None:
    if task.workload is None:
        return None
    return "own" if task.workload.load is None else "judge"


def finding_rows(task: Task, run: GradedRun) -> Iterator[FindingRow]:
    """Yield a row for each finding of a launch."""
    for finding in run.findings:
        file = record_of(Path(run.folder), finding)
        yield FindingRow(
            commit=task.commit, arm=run.arm, block=run.block, file=file, **structs.asdict(finding)
        )


def patch_row(records: Records, commit: str, arm: str) -> PatchRow:
    key = (commit, arm)
    row = PatchRow(commit=commit, arm=arm, status="pending")
    if fetched := records.fetched.get(key):
        path = fetched.candidates[0].path if fetched.candidates else None
        row = structs.replace(row, **_of_stage(fetched), path=path)
    if validated := records.validated.get(key):
        row = structs.replace(
            row,
            **_of_stage(validated),
            measured_sha256=validated.patch_sha256,
            files=len(validated.files),
            **{name: _joined(getattr(validated, name)) for name in LISTS},
        )
    if built := records.built.get(key):
        row = structs.replace(
            row, status=built.status, stage=built.stage, cause=built.cause,
            evidence=built.evidence.text if built.evidence else None, build_seconds=built.seconds,
        )  # fmt: skip
    return row


def _of_stage(record: Outcome) -> dict[str, Any]:
    text = record.evidence.text if record.evidence else None
    return _same(record, PatchRow, "files", "evidence", *LISTS) | {"evidence": text}


def _answers(check: AnswerCheck | None) -> dict[str, Any]:
    if check is None:
        return {}
    used = check.status != "not_usable"
    return {
        "answers_status": check.status,
        "answers_rule": check.rule or None,
        "answers_reason": check.reason or None,
        "answers_scored": check.answers,
        "answers_gap": check.mean_gap if used else None,
        "answers_baseline_gap": check.baseline_gap if used else None,
    }


def run_table(runs: Sequence[tuple[Task, GradedRun]]) -> pa.Table:
    """Return the table of runs: a row per metric of each launch. The columns that all metrics of a
    launch share are made once and repeated."""
    launches = table("runs", [_run_row(task, run) for task, run in runs])
    place: list[int] = []
    metrics: list[dict[str, Any]] = []
    for at, (_, run) in enumerate(runs):
        for name in sorted(run.metrics):
            place.append(at)
            metrics.append(_metric(run, name))
        if not run.metrics:
            place.append(at)
            metrics.append({})
    out = launches.take(pa.array(place, pa.int64()))
    for name in ("metric", "value", "unit", "direction", "windows"):
        field = SCHEMAS["runs"].field(name)
        column = pa.array([metric.get(name) for metric in metrics], field.type)
        out = out.set_column(out.schema.get_field_index(name), field, column)
    return out


def _metric(run: GradedRun, name: str) -> dict[str, Any]:
    windows = [window[name] for window in run.windows if name in window]
    return {
        "metric": name,
        "value": value_of(run, name),
        "unit": METRICS[name].unit,
        "direction": METRICS[name].direction,
        "windows": windows or None,
    }


def _run_row(task: Task, run: GradedRun) -> RunRow:
    where = run.provenance
    versions = (
        f"{name.partition('.')[2]} {value}"
        for name, value in where.items()
        if name.startswith("version.")
    )
    figures: dict[str, Any] = {name: float(where[name]) for name in GPU_FIGURES if name in where}
    texts: dict[str, Any] = {name: where.get(name) or None for name in PLACE}
    return RunRow(
        commit=task.commit,
        workload_id=task.workload_id,
        versions=", ".join(versions) or None,
        windows_left_out=len(run.left_out) if run.counted_by else None,
        **_same(run, RunRow, "evidence", "windows"),
        **(_evidence(run.evidence) if run.cause else {}),
        **texts,
        **figures,
    )


def _excluded(row: OutcomeRow, exclusion: Exclusion) -> OutcomeRow:
    """Return the outcome of an arm of an excluded task that is not graded yet."""
    text = f"{exclusion.reason}: {exclusion.evidence}"
    return structs.replace(row, status="excluded", stage="resolve_task", evidence=text)


def outcome_row(records: Records, primary: Comparison | None, commit: str, arm: str) -> OutcomeRow:
    task, metrics = records.tasks.get(commit), records.metrics.get(commit)
    row = OutcomeRow(
        commit=commit,
        arm=arm,
        type=task.workload.type if task and task.workload else None,
        status="pending",
    )
    known = metrics or records.partly.get(commit)
    result = next((r for r in known.arms if r.arm == arm), None) if known else None
    if result is None:
        return _excluded(row, task.exclusion) if task and task.exclusion else row
    blocks = {"blocks_measured": result.blocks_measured, "blocks_failed": result.blocks_failed}
    if metrics is None:
        return structs.replace(row, **blocks)  # some blocks are measured: nothing is concluded yet
    row = structs.replace(
        row,
        **_same(result, OutcomeRow, "evidence"),
        **_evidence(result.evidence),
        **_answers(result.answers),
    )
    if primary:
        return structs.replace(
            row,
            verdict=primary.verdict,
            at_least_human=primary.at_least_human,
            review=primary.review,
        )
    wrong = result.cause in WRONG_OUTPUT
    return structs.replace(row, verdict="wrong output") if wrong else row
