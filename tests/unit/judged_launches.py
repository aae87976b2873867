"""Folders of launches that the judge measured, with answers that a test may spoil."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from patchbench.config import Protocol
from patchbench.grading import run_folder
from patchbench.grading.commit import grade_commit
from patchbench.judge.record import Answer, Window, write_window
from patchbench.judge.scores import LaunchScores, Score, Scores
from patchbench.load import AllAtOnce, Load
from patchbench.records import ArmResult, Block, GradedRun, Metrics, Phase, Task
from patchbench.system.files import write_json
from tests.unit import make
from tests.unit.judge_make import answer, make_load, window
from tests.unit.make import launch, phase

REQUESTS = 24
LOAD = make_load(AllAtOnce(requests=REQUESTS))
ARMS = ["baseline", "human", "alba"]
PHASES = (phase("server_start"), phase("benchmark"), phase("stop"))
# Gaps as on an H200: nats of the tokens that are not the first choice, and how many those are.
HONEST, WRONG = (0.11, 0.14), (0.5, 0.8)

Spoil = Callable[[Answer], Answer]


def task(load: Load = LOAD, windows: int = 1, **more: Any) -> Task:
    """A serving task that the judge measures."""
    workload = make.workload(load=load, **more.pop("workload", {}))
    return make.task(workload=workload, protocol=Protocol(windows=windows), **more)


def answers(spoil: Spoil = lambda a: a, count: int = REQUESTS, late: int = 0) -> list[Answer]:
    """Complete answers of a window, each spoilt; ``late`` milliseconds are added to the chunks."""
    made = []
    for index in range(count):
        plain = answer(index)
        at = tuple(t + late * 1_000_000 for t in plain.at)
        made.append(spoil(msgspec.structs.replace(plain, at=at)))
    return made


def a_launch(
    place: Path,
    arm: str,
    block: int = 1,
    records: Iterable[Window] | None = None,
    *,
    phases: Sequence[Phase] = PHASES,
    **more: Any,
) -> Path:
    """The folder of one launch with its records."""
    folder = place / f"block-{block}" / arm
    folder.mkdir(parents=True)
    run = launch(folder, *phases, arm=arm, block=block, **more)
    write_json(folder / run_folder.RUN_RECORD, run)
    for record in records if records is not None else [window(answers(), block=block)]:
        write_window(folder / run_folder.window_files(record.window).record, record)
    return folder


def scores(
    folder: Path,
    kind: tuple[float, float] = HONEST,
    seed: int = 0,
    count: int = REQUESTS,
    **more: Any,
) -> None:
    """Write a launch's scores: ``count`` answers of 64 tokens."""
    draw = random.Random(f"{folder}{seed}")
    off, gap = kind
    made = [
        Score(
            index=n,
            gaps=tuple(
                draw.expovariate(1 / gap) if draw.random() < off else 0.0 for _ in range(64)
            ),
            distinct=40,
        )
        for n in range(count)
    ]
    whole = Scores(block=1, window=1, form="prompt_logprobs", scores=tuple(made), **more)
    write_json(folder / run_folder.SCORES, LaunchScores(scores=(whole,)))


def graded(task_: Task, place: Path, arms: Sequence[str] = ARMS) -> Metrics:
    """All launches below a folder, graded."""
    blocks = []
    for folder in sorted(place.glob("block-*")):
        number = int(folder.name.partition("-")[2])
        runs = tuple(str(path) for path in sorted(folder.iterdir()))
        order = tuple(Path(run).name for run in runs)
        blocks.append(
            Block(
                commit=make.COMMIT, block=number, digest="d", order=order, runs=runs, status="done"
            )
        )
    return grade_commit(task_, blocks, [*arms], 3)


def run_of(found: Metrics, arm: str, block: int = 1) -> GradedRun:
    """The one launch of an arm in a block."""
    (run,) = (run for run in found.runs if (run.arm, run.block) == (arm, block))
    return run


def result_of(found: Metrics, arm: str) -> ArmResult:
    """An arm's result."""
    (result,) = (result for result in found.arms if result.arm == arm)
    return result
