"""The parse stage: all runs of one commit, judged from their raw files and held against the
baseline of the same block. Needs no GPU and no engine, so it can be done again at any time."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchbench.failures.attribution import arm_result, attribute
from patchbench.grading import launch_result
from patchbench.grading.run_folder import ANSWERS, RUN_RECORD, results_folder
from patchbench.records import (
    AA,
    AA_PAIR,
    BASELINE,
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


def parse(task: Task, blocks: list[Block], arms: list[str], min_blocks: int) -> Metrics:
    """Grade every run of a task's blocks and say what became of each arm."""
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
    graded = [_grade(task, Path(folder)) for block in blocks for folder in block.runs]
    runs = attribute(check_output(task, graded), patched_files(task, blocks, arms))
    # A baseline that fails beside nothing but itself takes no arm's verdict away.
    compared = {run.block for run in runs if run.arm not in AA_PAIR}
    results = [
        arm_result(arm, mine, min_blocks)
        for arm in arms
        if (mine := [r for r in runs if r.arm == arm and (r.block in compared or not compared)])
    ]
    return Metrics(commit=task.commit, digests=digests, runs=tuple(runs), arms=tuple(results))


def patched_files(task: Task, blocks: list[Block], arms: list[str]) -> dict[str, tuple[str, ...]]:
    """Files that each arm's patch changed, by its validation record: tracebacks are held against
    them."""
    runs = [folder for block in blocks for folder in block.runs]
    if not runs:
        return {}
    folder = results_folder(Path(runs[0])) / "patches" / task.commit
    records = {arm: folder / arm / "validation.json" for arm in arms}
    return {arm: read_json(p, Validated).files for arm, p in records.items() if p.is_file()}


def _grade(task: Task, folder: Path) -> GradedRun:
    run = msgspec.json.decode((folder / RUN_RECORD).read_bytes(), type=Run)
    return launch_result.grade_run(task, run, folder)


def check_output(task: Task, runs: list[GradedRun]) -> list[GradedRun]:
    """Compare each launch's answers with those of the baseline. An answer is right if any launch
    of the baseline gave it, and no more agreement is asked of an arm than the baseline's launches
    have with each other: some engines don't repeat themselves."""
    check = task.subject.output_check
    found = {index: launch_result.answers(Path(run.folder)) for index, run in enumerate(runs)}
    own = [a for i, a in found.items() if a and runs[i].arm in (BASELINE, AA)]
    if check is None or not own:
        return runs
    wanted = min([check.min_agreement, *_own_agreement(own)])
    accepted = [set(answers) for answers in zip(*own, strict=False)]
    return [_checked(run, found[i], accepted, wanted) for i, run in enumerate(runs)]


def _own_agreement(own: list[list[str]]) -> list[float]:
    """How far each launch of the baseline agrees with the others."""
    shares = []
    for at, answers in enumerate(own):
        others = own[:at] + own[at + 1 :]
        if others:
            shares.append(
                launch_result.agreement(answers, [set(a) for a in zip(*others, strict=False)])
            )
    return shares


def _checked(
    run: GradedRun, mine: list[str] | None, accepted: list[set[str]], wanted: float
) -> GradedRun:
    if run.arm in (BASELINE, AA) or run.status != "measured":
        return run
    share = launch_result.agreement(mine or [], accepted)
    if mine and share >= wanted:
        return msgspec.structs.replace(run, agreement=share)
    wrong = [(n, a, good) for n, (a, good) in enumerate(zip(mine or [], accepted, strict=False), 1)]
    first = next(((n, a, min(good)) for n, a, good in wrong if a not in good), None)
    text = f"{share:.0%} of the answers equal the baseline's, {wanted:.0%} wanted"
    if first:
        text += f"; prompt {first[0]}: {first[1]!r} instead of {first[2]!r}"
    return msgspec.structs.replace(
        run,
        status="failed",
        metrics={},
        cause="bench.wrong_output" if mine else "check.failed",
        stage="output_check",
        agreement=share,
        evidence=Evidence(text=text[:400], file=str(Path(run.folder) / ANSWERS)),
    )
