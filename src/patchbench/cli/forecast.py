"""What a campaign will cost and what gains it can see, before it runs."""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from patchbench.cli.words import counted
from patchbench.errors import BadInput
from patchbench.grading.finished import begun, finished
from patchbench.grading.launch_noise import best_windows
from patchbench.plan.campaign import Campaign
from patchbench.plan.windows import LONGEST
from patchbench.records import AA_PAIR, Task
from patchbench.system.files import read_json, write_json
from patchbench.verdicts.looks import planned
from patchbench.verdicts.open_arms import TABLE
from patchbench.verdicts.pilot import Known, Pilot, PilotTask, pilot_of
from patchbench.verdicts.power import Design, visible_gain

CHANCES = (0.8, 0.95)
HOUR = 3600.0
MARK = "*"  # of defaults


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what the forecast rests on."""
    parser.add_argument(
        "--history",
        type=Path,
        action="append",
        default=[],
        help="an earlier campaign on this machine, whose noise and costs the forecast takes: its "
        "results folder, or a file that --save-noise wrote",
    )
    parser.add_argument(
        "--save-noise", type=Path, metavar="FILE", help="write the noise and costs known"
    )


def pilot(campaign: Campaign, history: Sequence[Path], save: Path | None = None) -> Pilot:
    """Return the noise and costs known: of the campaign itself so far, and of its history. Raises
    BadInput if a history holds none."""
    tasks = [*_read(Path(campaign.results))]
    for place in history:
        more = read_json(place, Pilot).tasks if place.is_file() else _read(place)
        if not more:
            raise BadInput(f"--history {place}: no finished launch | next: name a results folder")
        tasks += more
    if save:
        write_json(save, Pilot(tasks=tuple(tasks)))
    return Pilot(tasks=tuple(tasks))


def _read(results: Path) -> tuple[PilotTask, ...]:
    return pilot_of(chain(finished(results), begun(results))).tasks


class Cost(NamedTuple):
    """Launches and GPU hours."""

    launches: int
    hours: float


class Forecast(NamedTuple):
    """The plan of one task after its first blocks and after all planned ones (``blocks``): costs,
    if all arms get them, and the gains that are found with each of ``CHANCES``. ``best`` are the
    windows per launch that tell most per second."""

    task: Task
    known: Known
    blocks: tuple[int, ...]
    costs: tuple[Cost, ...]
    gains: tuple[tuple[float, ...], ...]
    best: int

    @property
    def windows(self) -> int:
        """Windows per launch."""
        return self.task.protocol.windows

    @property
    def lines(self) -> Iterator[str]:
        """Yield the forecast in words."""
        mark = MARK if self.known.is_default else " "
        launches = _range([cost.launches for cost in self.costs])
        hours = _range([cost.hours for cost in self.costs], ".2f")
        windows = counted(self.windows, "window")
        yield f"{mark} {launches} launches of {windows}, {hours} GPU hours"
        gains = (
            f"{' or '.join(map(_percent, gains))} in {blocks}"
            for blocks, gains in zip(self.blocks, self.gains, strict=True)
        )
        yield f"  finds {', '.join(gains)} blocks"


def forecasts(campaign: Campaign, known: Pilot) -> list[Forecast]:
    """Return the forecast of every task that can be run."""
    return [
        forecast(campaign, task, known.known(task))
        for commit, task in campaign.tasks.items()
        if campaign.gpus(commit)
    ]


def forecast(campaign: Campaign, task: Task, known: Known) -> Forecast:
    """Return the forecast of one task."""
    rules, looks = campaign.statistics, planned(campaign.protocol)
    blocks = tuple(dict.fromkeys((looks.first, looks.last)))
    sd = known.noise.of_ratio(task.protocol.windows)
    margin = rules.margin_of(task.primary_metric)
    designs = [Design(count, looks, margin, rules.confidence, TABLE) for count in blocks]
    return Forecast(
        task=task,
        known=known,
        blocks=blocks,
        costs=tuple(cost(campaign, task, known, count) for count in blocks),
        gains=tuple(
            tuple(visible_gain(sd, design, chance) or math.inf for chance in CHANCES)
            for design in designs
        ),
        best=best_windows(known.noise, known.costs, LONGEST),
    )


def cost(campaign: Campaign, task: Task, known: Known, blocks: int) -> Cost:
    """Return what a number of blocks of all arms costs, A/A pairs and scoring included."""
    pairs = campaign.protocol.aa_blocks
    aa = min(pairs, blocks) + len(AA_PAIR) * max(0, pairs - blocks)
    launches = sum(len(campaign.arms_of(cohort)) * blocks + aa for cohort in campaign.cohorts)
    # The baseline's server starts once more in each block, to score the answers.
    judged = task.workload is not None and task.workload.load is not None
    scored = blocks * len(campaign.cohorts) if judged and task.answers == "checked" else 0
    seconds = launches * known.costs.of_launch(task.protocol.windows)
    seconds += scored * known.costs.start
    return Cost(launches, campaign.gpus(task.commit) * seconds / HOUR)


def total(campaign: Campaign, found: Sequence[Forecast], known: Pilot) -> Iterator[str]:
    """Yield the lines on the whole campaign, each within 80 columns."""
    if not found:
        return
    looks = planned(campaign.protocol)
    yield f"\nForecast, from {_origin(found, known)}:"
    yield f"  {looks.first} blocks of all arms: {_sum(one.costs[0] for one in found)}"
    if looks.last > looks.first:
        yield f"  up to {looks.last} for open arms: at most {_sum(one.costs[-1] for one in found)}"
        yield f"  in comparison, {FIXED} blocks of all arms: {_fixed(campaign, found)}"
    yield from _gains(found)
    now, best = sorted(one.windows for one in found), sorted(one.best for one in found)
    if now != best:
        yield (
            f"  windows per launch: {_range([now[0], now[-1]])}; most per GPU minute would tell "
            f"{_range([best[0], best[-1]])}"
        )
    if any(one.known.is_default for one in found):
        yield f"  {MARK} rests on an H200's figures: measure a block here, or name --history"


def _gains(found: Sequence[Forecast]) -> Iterator[str]:
    """Yield a table of the gains that are found, by metric: of the task that sees least."""
    groups: dict[str, list[Forecast]] = defaultdict(list)
    for one in found:
        groups[one.task.primary_metric].append(one)
    shares = " or ".join(f"{100 * chance:.0f}" for chance in CHANCES)
    heads = (f"in {blocks} blocks" for blocks in found[0].blocks)
    yield _row(f"gain found in {shares} % of cases", *heads)
    for metric, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        worst = max(group, key=lambda one: one.gains)
        mark = MARK if worst.known.noise_from == "default" else " "
        cells = (" or ".join(map(_percent, gains)) for gains in worst.gains)
        yield _row(f"{mark} {metric} ({counted(len(group), 'task')})", *cells)


def _row(head: str, *cells: str) -> str:
    return f"  {head:<36}" + "".join(f"{cell:>20}" for cell in cells)


FIXED = 5


def _fixed(campaign: Campaign, found: Sequence[Forecast]) -> str:
    return _sum(cost(campaign, one.task, one.known, FIXED) for one in found)


def _sum(costs: Iterator[Cost]) -> str:
    every = [*costs]
    hours = sum(cost.hours for cost in every)
    return f"{sum(cost.launches for cost in every)} launches, {hours:.1f} GPU hours"


def unreachable(campaign: Campaign) -> str:
    """Return the reason why this configuration can't reach a verdict, empty if it can."""
    last, least = campaign.protocol.last_block, campaign.statistics.min_blocks
    if last >= least:
        return ""
    return (
        f"protocol.blocks: {last} can't reach a verdict, which takes at least {least} "
        "(statistics.min_blocks) | next: plan 5 blocks, or {min: 3, max: 10}"
    )


def _origin(found: Sequence[Forecast], known: Pilot) -> str:
    if not any(one.known.costs_from != "default" for one in found):
        return "an H200's figures, for nothing is measured here yet"
    return f"{counted(len(known.tasks), 'measured task')} on {', '.join(known.machines)}"


def _percent(gain: float) -> str:
    return f"{100 * gain:.1f} %" if gain < math.inf else "none"


def _range(values: Sequence[float], form: str = "") -> str:
    return " to ".join(dict.fromkeys(format(value, form) for value in values))
