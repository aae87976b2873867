"""Moments of a run at which a fault can strike: an event that shows in its files, and a delay."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.workflow.project import Project


class Moment(NamedTuple):
    """The moment to strike: ``delay`` seconds after ``there`` holds."""

    name: str
    there: Callable[[Project], bool]
    delay: float

    def __str__(self) -> str:
        return f"{self.name} + {self.delay:.2f} s"


def _events(project: Project, event: str) -> int:
    return sum(e["event"] == event for e in project.journal())


def _start(draw: random.Random, launches: int) -> Moment:
    return Moment("start", lambda _: True, draw.uniform(0.5, 3.5))


def _fetch(draw: random.Random, launches: int) -> Moment:
    return Moment("fetch", lambda p: any(p.results.glob("tasks/*.json")), draw.uniform(0, 1.5))


def _build(draw: random.Random, launches: int) -> Moment:
    return Moment(
        "build", lambda p: any(p.results.glob("logs/build_image/*/*")), draw.uniform(0, 3)
    )


def _launch(draw: random.Random, launches: int) -> Moment:
    number = draw.randint(1, launches)
    return Moment(
        f"launch {number}", lambda p: _events(p, "run_started") >= number, draw.uniform(0, 1)
    )


def _between(draw: random.Random, launches: int) -> Moment:
    number = draw.randint(1, launches - 1)
    return Moment(
        f"end of launch {number}",
        lambda p: _events(p, "run_finished") >= number,
        draw.uniform(0, 0.3),
    )


def _grading(draw: random.Random, launches: int) -> Moment:
    return Moment("grading", lambda p: any(p.results.glob("metrics/*.json")), draw.uniform(0, 2))


MOMENTS: dict[str, Callable[[random.Random, int], Moment]] = {
    "start": _start,
    "fetch": _fetch,
    "build": _build,
    "launch": _launch,
    "between": _between,
    "grading": _grading,
}
# Launches are most of a real run, so faults strike there most often.
ANY = ("start", "fetch", "build", "launch", "launch", "launch", "between", "grading")
WORKING = ("build", "launch", "launch", "between")
LAUNCHING = ("launch",)
# Later than some results, earlier than the end.
AMID = ("launch", "between")


def drawn(name: str, seed: int, among: tuple[str, ...], launches: int, attempt: int) -> Moment:
    """The moment of a case in a run of so many launches: always the same for the same fault, seed
    and attempt."""
    draw = random.Random(f"{name}-{seed}-{attempt}")
    return MOMENTS[draw.choice(among)](draw, launches)
