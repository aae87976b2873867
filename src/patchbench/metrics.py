"""The parse stage: all runs of one commit, judged from their raw files and held against the
baseline of the same block. Needs no GPU and no engine, so it can be done again at any time."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchbench import grading
from patchbench.failures.attribution import arm_result, attribute
from patchbench.grading import RUN_FILE
from patchbench.records import (
    AA,
    BASELINE,
    ArmResult,
    Block,
    Evidence,
    GradedRun,
    Metrics,
    Run,
    Task,
)

# Fewer measured blocks than this and an arm counts as failed rather than measured.
MIN_BLOCKS = 3


def parse(task: Task, blocks: list[Block], arms: list[str]) -> Metrics:
    """Grade every run of a task's blocks and say what became of each arm."""
    if task.exclusion is not None:
        text = f"{task.exclusion.reason}: {task.exclusion.evidence}"
        excluded = tuple(
            ArmResult(
                arm=arm, status="excluded", stage="resolve_task", evidence=Evidence(text=text)
            )
            for arm in arms
        )
        return Metrics(commit=task.commit, runs=(), arms=excluded)
    runs: list[GradedRun] = []
    for block in blocks:
        graded = [_grade(task, Path(folder)) for folder in block.runs]
        runs += check_output(task, graded)
    runs = attribute(runs)
    results = [
        arm_result(arm, mine, MIN_BLOCKS)
        for arm in arms
        if (mine := [run for run in runs if run.arm == arm])
    ]
    return Metrics(commit=task.commit, runs=tuple(runs), arms=tuple(results))


def _grade(task: Task, folder: Path) -> GradedRun:
    run = msgspec.json.decode((folder / RUN_FILE).read_bytes(), type=Run)
    return grading.grade_run(task, run, folder)


def check_output(task: Task, runs: list[GradedRun]) -> list[GradedRun]:
    """Compare each arm's answers with the baseline's of the same block. What two launches of the
    baseline itself don't agree on is asked of nobody."""
    check = task.subject.output_check
    answers = {run.arm: grading.answers(Path(run.folder)) for run in runs if run.launched}
    reference = answers.get(BASELINE)
    if check is None or not reference:
        return runs
    own = grading.agreement(answers.get(AA), reference)
    wanted = check.min_agreement if own is None else min(check.min_agreement, own)
    return [_checked(run, answers.get(run.arm), reference, wanted) for run in runs]


def _checked(
    run: GradedRun, mine: list[str] | None, reference: list[str], wanted: float
) -> GradedRun:
    if run.arm in (BASELINE, AA) or run.status != "measured":
        return run
    share = grading.agreement(mine, reference)
    if share is None or share >= wanted:
        return msgspec.structs.replace(run, agreement=share)
    assert mine is not None
    pairs = list(zip(mine, reference, strict=False))
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    shown = f"prompt {at + 1}: {pairs[at][0]!r} instead of {pairs[at][1]!r}" if pairs else ""
    return msgspec.structs.replace(
        run,
        status="failed",
        cause="bench.wrong_output",
        stage="output_check",
        agreement=share,
        evidence=Evidence(
            text=f"{share:.0%} of the answers equal the baseline's, {wanted:.0%} wanted; {shown}"[
                :400
            ],
            file=str(Path(run.folder) / grading.ANSWERS),
        ),
    )
