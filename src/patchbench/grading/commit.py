"""Parse stage: all launches of one commit, graded from their raw files and attributed beside the
baseline of the same block. It needs no GPU and no engine, so it can be repeated at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from patchbench.failures.attribution import arm_result, attribute
from patchbench.grading import scored
from patchbench.grading.answers import check_answers
from patchbench.grading.beside_baseline import audited
from patchbench.grading.launch import grade_launch
from patchbench.grading.run_folder import RUN_RECORD, results_folder
from patchbench.ledger.blocks import cohort_of
from patchbench.records import (
    AA_PAIR,
    AnswerCheck,
    ArmResult,
    Block,
    Evidence,
    GradedRun,
    Metrics,
    Run,
    Task,
    Validated,
)
from patchbench.system.files import read_json


def grade_commit(task: Task, blocks: list[Block], arms: list[str], min_blocks: int) -> Metrics:
    """Grade the launches of a task's blocks and return them with each arm's result. Raises
    BadInput if a launch's record can't be read."""
    digests = tuple(sorted({block.digest for block in blocks}))
    if task.exclusion is not None:
        text = f"{task.exclusion.reason}: {task.exclusion.evidence}"
        excluded = tuple(
            ArmResult(
                arm=arm, status="excluded", stage="resolve_task", evidence=Evidence(text=text)
            )
            for arm in arms
        )
        return Metrics(commit=task.commit, digests=digests, runs=(), arms=excluded)
    graded = [grade_folder(task, Path(folder)) for block in blocks for folder in block.runs]
    graded = audited(task, graded)
    checks = scored.check_arms(task, graded)
    alike = [arm for arm, checked in checks.items() if checked.check.status == "like_baseline"]
    graded = scored.failed(check_answers(task, graded, alike), checks)
    runs = attribute(graded, patched_files(task, blocks, arms))
    answers = {arm: checked.check for arm, checked in checks.items()}
    results = arm_results(runs, arms, min_blocks, answers)
    return Metrics(commit=task.commit, digests=digests, runs=tuple(runs), arms=results)


def arm_results(
    runs: Sequence[GradedRun],
    arms: Iterable[str],
    min_blocks: int,
    answers: Mapping[str, AnswerCheck | None],
) -> tuple[ArmResult, ...]:
    """Return the result of each arm that has a launch, with the check of its answers. Blocks that
    hold only A/A pairs are compared with no arm, so their failures take no verdict."""
    compared = {run.block for run in runs if run.arm not in AA_PAIR} or {r.block for r in runs}
    by_arm = {arm: [r for r in runs if r.arm == arm and r.block in compared] for arm in arms}
    return tuple(
        msgspec.structs.replace(
            arm_result(arm, own, min_blocks, cohort_of), answers=answers.get(arm)
        )
        for arm, own in by_arm.items()
        if own
    )


def patched_files(task: Task, blocks: list[Block], arms: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the files that each arm's patch changes, to recognise them in tracebacks."""
    launches = [folder for block in blocks for folder in block.runs]
    if not launches:
        return {}
    folder = results_folder(Path(launches[0])) / "patches" / task.commit
    records = {arm: folder / arm / "validation.json" for arm in arms}
    return {arm: read_json(p, Validated).files for arm, p in records.items() if p.is_file()}


def grade_folder(task: Task, folder: Path) -> GradedRun:
    """Grade the launch in a folder. Raises BadInput."""
    return grade_launch(task, read_json(folder / RUN_RECORD, Run), folder)
