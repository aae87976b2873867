"""GPU hours and verdicts of the published campaign: five blocks of all arms against the plan that
weighs what further blocks decide.

    .venv/bin/python benchmarks/simulate_plan.py [--repetitions 400] [--start 26] [--seed 1]

The tasks are those of config/isobench.yaml that one GPU can run, with the load that the judge sends
and the rough costs of its windows (grading/default_noise.py: an H200's). True gains are drawn, task
by task, from the published ones of the human's commit and of the three agents (one row of
baseline_deltas_per_commit.csv per task, with the same kind of metric); an arm without a figure has
no patch that runs, and is launched in --caught blocks. Windows and launches scatter as measured on
an H200. Intervals, looks, margin and the rule for further blocks are the code's; p is adjusted over
the whole table. Rows marked "moderated" are not the code's rule: they mix an arm's own spread with
that of the campaign's other tasks, which counts for 8 degrees of freedom (Smyth 2004), to show what
that would save.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from scipy import special, stats

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "../shared/data/isobench"
sys.path[:0] = [str(ROOT / "src")]

from patchbench.grading.default_noise import default_costs, default_noise  # noqa: E402
from patchbench.grading.launch_noise import Costs, Noise  # noqa: E402
from patchbench.plan import campaign, config_file  # noqa: E402
from patchbench.records import Task  # noqa: E402
from patchbench.verdicts.looks import Looks  # noqa: E402
from patchbench.verdicts.open_arms import TABLE  # noqa: E402
from patchbench.verdicts.power import Design, chance_to_decide  # noqa: E402
from patchbench.verdicts.rule import SIGNIFICANT  # noqa: E402
from patchbench.verdicts.worth import LEAST_CHANCE  # noqa: E402

ARMS = ("human_pct", "trae_sonnet", "codex", "trae_gpt5")
KINDS = {"ttft_median_ms": "ttft", "total_tps": "throughput"}
PRIOR = 8  # degrees of freedom of the other tasks' spread
MARGIN, CONFIDENCE = 0.01, 0.95
LARGEST = 1.0  # log ratios


class Priced(NamedTuple):
    """One task: windows per launch, noise, standard deviation of a launch's value, seconds of a
    start and a window."""

    kind: str
    windows: int
    noise: Noise
    sd: float
    costs: Costs

    @property
    def launch(self) -> float:
        """Seconds of a launch."""
        return self.costs.of_launch(self.windows)


def tasks(start: float, auto: bool) -> list[Priced]:
    """Return the tasks that one GPU can run, with one window per launch or as many as pay."""
    config = config_file.read_yaml(ROOT / "config/isobench.yaml")
    mapping = str(DATA / "benchmark_mode_mapping.json")
    config |= {"parents": [], "trust_patches": True, "tasks_without_patches": "measure"}
    config["tasks"] = [{"file": mapping, "subject": "vllm"}]
    config["data_sets"]["sharegpt"]["file"] = str(ROOT / "README.md")
    config["protocol"]["windows"] = "auto" if auto else 1
    for key in ("subjects", "recipes"):
        config[key] = str(ROOT / {"subjects": "config/subjects", "recipes": "envs/images"}[key])
    planned = campaign.load(config, "config/isobench.yaml")
    return [_priced(task, start) for c, task in planned.tasks.items() if planned.gpus(c)]


def _priced(task: Task, start: float) -> Priced:
    noise = default_noise(task.primary_metric)
    costs = msgspec.structs.replace(default_costs(task.workload.load), start=start)  # type: ignore[union-attr]
    windows = task.protocol.windows
    sd = noise.of_ratio(windows) / math.sqrt(2)
    return Priced(KINDS.get(task.primary_metric, "latency"), windows, noise, sd, costs)


def _fewer(one: Priced, start: float) -> Priced:
    """Return a task with no more windows than take a fifth of a start."""
    windows = max(1, min(one.windows, int(0.2 * start / one.costs.window)))
    return one._replace(windows=windows, sd=one.noise.of_ratio(windows) / math.sqrt(2))


def published() -> dict[str, np.ndarray]:
    """Return published gains as log ratios by kind of metric: a row per commit, a column per arm;
    nan for an arm without a figure."""
    found: dict[str, list[list[float]]] = {}
    with (DATA / "baseline_deltas_per_commit.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            higher = row["metric"] == "throughput"
            logs = [_log(row[arm], higher) for arm in ARMS]
            if not math.isnan(logs[0]):
                found.setdefault(row["metric"], []).append(logs)
    return {kind: np.array(rows) for kind, rows in found.items()}


def _log(percent: str, higher: bool) -> float:
    """Return a published change as log ratio: of a rate it is a gain, of a time the part saved."""
    if not percent:
        return math.nan
    change = float(percent) / 100
    ratio = max(1 + change, 1e-3) if higher else 1 / max(1 - change, 1e-3)
    return max(-LARGEST, min(LARGEST, math.log(ratio)))


class Outcome(NamedTuple):
    """What one plan came to, by repetition: GPU hours, and verdicts reached by arms."""

    hours: np.ndarray
    decided: np.ndarray
    tasks: np.ndarray
    false: np.ndarray


def run(
    priced: list[Priced],
    gains: np.ndarray,
    looks: Looks,
    fund: float,
    seed: int,
    *,
    caught: int = 0,
    moderated: bool = False,
) -> Outcome:
    """Simulate a plan. ``gains`` has the shape (repetitions, tasks, arms), ``fund`` is the budget
    in hours, infinite for none; ``caught`` the blocks in which an arm that
    fails is launched."""
    rng = np.random.default_rng(seed)
    repetitions, count, arms = gains.shape
    seconds = np.zeros(repetitions)
    p = np.ones((repetitions, count, arms))
    same = np.zeros((repetitions, count, arms), bool)
    mean = np.zeros((repetitions, count, arms))
    wide = np.zeros((repetitions, count, arms))
    rates = np.zeros((repetitions, count))
    needs = np.zeros((repetitions, count))
    extra = np.zeros(repetitions)
    first_cost = sum(_block_cost(one, arms) * looks.first + one.launch for one in priced)
    for number, one in enumerate(priced):
        alive = ~np.isnan(gains[:, number])
        base = rng.normal(0, one.sd, (repetitions, looks.last, 1))
        own = rng.normal(0, one.sd, (repetitions, looks.last, arms))
        d = np.where(alive, gains[:, number], 0.0)[:, None, :] + own - base
        failed = (~alive).sum(axis=1)
        blocks = min(caught, looks.first)
        seconds += looks.first * _block_cost(one, arms) + one.launch
        seconds -= (looks.first - blocks) * failed * one.launch
        n = np.full((repetitions, arms), looks.first)
        open_ = alive.copy()
        for blocks in range(looks.first, looks.last + 1):
            looked = open_ & (n == blocks)
            spread, free = _spread(d[:, :blocks], math.sqrt(2) * one.sd if moderated else None)
            m, sd, level_p, inside, low = _look(d[:, :blocks], spread, free, looks, blocks)
            mean[:, number] = np.where(looked, m, mean[:, number])
            wide[:, number] = np.where(looked, low, wide[:, number])
            p[:, number] = np.where(looked, level_p, p[:, number])
            same[:, number] = np.where(looked, inside, same[:, number])
            sure = (TABLE * level_p < SIGNIFICANT) & low & (np.abs(m) >= math.log1p(MARGIN))
            open_ &= ~(looked & (sure | inside))
            if blocks == looks.last:
                break
            wanted, rate, need = _worth(one, m, sd, open_ & (n == blocks), blocks, looks)
            rates[:, number], needs[:, number] = rate, need
            if fund < math.inf:
                better = (needs[:, :number] * (rates[:, :number] >= rate[:, None])).sum(axis=1)
                free = (fund * 3600 - first_cost) * (number + 1) / count
                wanted &= ((need + better <= free) & (extra + need <= free))[:, None]
            cost = np.where(
                wanted.any(axis=1), _block_cost(one, 1) + wanted.sum(axis=1) * one.launch, 0.0
            )
            seconds += cost
            extra += cost
            open_ &= wanted
            n = np.where(open_, blocks + 1, n)
    adjusted = stats.false_discovery_control(p.reshape(repetitions, -1), axis=1).reshape(p.shape)
    different = (adjusted < SIGNIFICANT) & (wide > 0) & (np.abs(mean) >= math.log1p(MARGIN))
    decided = different | same
    wrong = different & (np.sign(mean) != np.sign(np.nan_to_num(gains)))
    return Outcome(
        seconds / 3600,
        decided.sum(axis=(1, 2)),
        (decided | np.isnan(gains)).all(axis=2).sum(axis=1),
        wrong.sum(axis=(1, 2)),
    )


def _block_cost(one: Priced, arms: int) -> float:
    """Seconds of a block: baseline, arms, and a start to score the answers."""
    return (1 + arms) * one.launch + one.costs.start


def _spread(d: np.ndarray, others: float | None) -> tuple[np.ndarray, int]:
    """Return each arm's spread of log ratios, mixed with that of other tasks, and its degrees of
    freedom."""
    own, free = d.var(axis=1, ddof=1), d.shape[1] - 1
    if others is None:
        return np.sqrt(own), free
    return np.sqrt((PRIOR * others**2 + free * own) / (PRIOR + free)), PRIOR + free


def _look(
    d: np.ndarray, sd: np.ndarray, free: int, looks: Looks, blocks: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, spread, p over all looks, whether the interval lies within the margin, and
    whether it leaves out 1, of each arm."""
    mean, error = d.mean(axis=1), sd / math.sqrt(blocks)
    reach = special.stdtrit(free, (1 + looks.level(blocks, CONFIDENCE)) / 2) * error
    p = 2 * special.stdtr(free, -np.abs(mean) / error)
    slope = looks.p(1e-9, blocks) / 1e-9
    inside = np.abs(mean) + reach <= math.log1p(MARGIN)
    return mean, sd, np.minimum(1.0, p * slope), inside, np.abs(mean) > reach


def _worth(
    one: Priced, mean: np.ndarray, sd: np.ndarray, open_: np.ndarray, blocks: int, looks: Looks
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the arms that get further blocks, and rate and seconds of those (verdicts.worth)."""
    after = np.stack(
        [
            chance_to_decide(mean, sd, blocks, Design(n, looks, MARGIN, CONFIDENCE, TABLE))
            for n in range(blocks + 1, looks.last + 1)
        ]
    )
    fair = open_ & (after.max(axis=0) >= LEAST_CHANCE)
    verdicts = (after * fair).sum(axis=2)
    steps = np.arange(1, len(after) + 1)[:, None]
    best = np.argmax(verdicts / steps, axis=0)
    each = _block_cost(one, 1) + fair.sum(axis=1) * one.launch
    gained = np.take_along_axis(verdicts, best[None], axis=0)[0]
    need = np.where(fair.any(axis=1), (best + 1) * each, 0.0)
    rate = np.divide(gained, need, out=np.zeros_like(gained), where=need > 0)
    return fair, rate, need


def drawn(priced: list[Priced], repetitions: int, seed: int) -> np.ndarray:
    """Return true gains (repetitions, tasks, arms), each task's from one published commit."""
    rng = np.random.default_rng(seed)
    rows = published()
    picked = [rows[one.kind][rng.integers(0, len(rows[one.kind]), repetitions)] for one in priced]
    return np.stack(picked, axis=1)


def lines(repetitions: int, start: float, caught: int, seed: int) -> Iterator[str]:
    """Yield the lines of the table."""
    single, chosen = tasks(start, auto=False), tasks(start, auto=True)
    few = [_fewer(one, start) for one in chosen]
    gains = drawn(single, repetitions, seed)
    fixed = run(single, gains, Looks(5, 5), math.inf, seed, caught=caught)
    hours = float(fixed.hours.mean())
    plans = [("5 blocks, 1 window", fixed)]
    for name, which in (("auto", chosen), ("few windows", few)):
        plans.append(
            (f"5 blocks, {name}", run(which, gains, Looks(5, 5), math.inf, seed, caught=caught))
        )
        for looks in (Looks(3, 5), Looks(3, 10), Looks(5, 10)):
            blocks = f"{looks.first} to {looks.last} blocks, {name}"
            plans.append((blocks, run(which, gains, looks, math.inf, seed, caught=caught)))
            within = run(which, gains, looks, hours * 2 / 3, seed, caught=caught)
            plans.append((f"{blocks}, budget two thirds", within))
    for looks in (Looks(3, 5), Looks(3, 10)):
        blocks = f"{looks.first} to {looks.last} blocks, few windows, moderated"
        plans.append(
            (blocks, run(few, gains, looks, math.inf, seed, caught=caught, moderated=True))
        )
    yield "| plan | GPU hours | of the first | arms decided | tasks decided | wrong way |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, one in plans:
        yield (
            f"| {name} | {one.hours.mean():.1f} | {one.hours.mean() / hours:.0%} | "
            f"{one.decided.mean():.1f} | {one.tasks.mean():.1f} | {one.false.mean():.2f} |"
        )
    today = datetime.datetime.now(datetime.UTC).date()
    arms = int((~np.isnan(gains)).sum() / repetitions)
    yield (
        f"\n{today}: {len(single)} tasks, {arms} arms that work, {repetitions} repetitions, a "
        f"start takes {start:g} s, seed {seed}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--start", type=float, default=26.0, help="seconds of stop and start")
    parser.add_argument("--caught", type=int, default=0, help="blocks that launch a failing arm")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for line in lines(args.repetitions, args.start, args.caught, args.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
