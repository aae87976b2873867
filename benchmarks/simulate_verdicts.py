"""How often the rule of docs/verdicts.md is wrong, found by simulation.

    .venv/bin/python benchmarks/simulate_verdicts.py [--repetitions 5000] [--seed 1] [--only NAME]

Prints the tables of docs/verdicts-appendix.md. Launches of a baseline, a human's and agents' arms
follow each other in the order of the pipeline's own blocks; a launch is the mean of its windows.
Decisions are those of the package on whole arrays (``decisions``): bounds, p-values over looks and
corrections are its own functions, and tests/unit/test_simulations.py holds the rest against
``compare_all``, repetition by repetition.

Limits: identical code is called faster in at most 2.5 %, intervals cover in 94 to 96 % (more with
noise that is not normal), a gain of 2 % is found in 95 % on an H200 with five blocks and in 90 % on
an H100 with ten, false discoveries are at most 5 %. A row beyond its limit by more than the
simulation's own error (two standard errors) is marked; exit code 1 then.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special, stats

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from patchbench.benchmark.order import block_order  # noqa: E402
from patchbench.config import Protocol, VerdictRules  # noqa: E402
from patchbench.verdicts.identical import Sample, scatter  # noqa: E402
from patchbench.verdicts.looks import Looks  # noqa: E402
from patchbench.verdicts.rule import SIGNIFICANT  # noqa: E402
from patchbench.verdicts.statistics import shrunk  # noqa: E402

RULES = VerdictRules()
RECORDED = ROOT / "../shared/data/vllm-h100/aa-launches.csv"
RECORDED_METRICS = ("output_throughput", "median_ttft_ms", "median_tpot_ms")
FALSE_LIMIT, COVERED, DISCOVERIES = 0.025, 0.94, 0.05

Array = np.ndarray
Generator = np.random.Generator
# Logarithms of what launches are off by, of shape (repetitions, launches in their order).
Noise = Callable[[Generator, tuple[int, int]], Array]


# --- noise ----------------------------------------------------------------------------------------


def normal(sigma: float) -> Noise:
    return lambda rng, shape: rng.normal(0, sigma, shape)


def heavy(sigma: float) -> Noise:
    """Student's t with 3 degrees of freedom, scaled to this standard deviation."""
    return lambda rng, shape: rng.standard_t(3, shape) * sigma / math.sqrt(3)


def drifting(sigma: float, drift: float = 0.03) -> Noise:
    """Normal noise on a line that rises or falls by ``drift`` over 20 launches."""

    def draw(rng: Generator, shape: tuple[int, int]) -> Array:
        slope = rng.choice([-1, 1], (shape[0], 1)) * drift / 20
        return rng.normal(0, sigma, shape) + slope * np.arange(shape[1])

    return draw


def two_modes(sigma: float) -> Noise:
    """Three launches of ten are slower by four times what the others scatter by; sigma is the
    standard deviation of all."""
    inner = sigma / math.sqrt(1 + 16 * 0.3 * 0.7)
    return lambda rng, shape: rng.normal(0, inner, shape) - 4 * inner * (rng.random(shape) < 0.3)


def correlated(sigma: float, rho: float = 0.6) -> Noise:
    """Each launch takes over a part of what the launch before was off by."""

    def draw(rng: Generator, shape: tuple[int, int]) -> Array:
        steps = rng.normal(0, sigma, shape)
        steps[:, 1:] *= math.sqrt(1 - rho**2)
        for place in range(1, shape[1]):
            steps[:, place] += rho * steps[:, place - 1]
        return steps

    return draw


def recorded(values: list[float]) -> Noise:
    """Launches drawn from recorded ones."""
    logs = np.log(values)
    return lambda rng, shape: rng.choice(logs, shape)


NOISES: dict[str, Callable[[float], Noise]] = {
    "normal": normal,
    "heavy tails": heavy,
    "drift 3 %": drifting,
    "two modes": two_modes,
    "correlated": correlated,
}


def launch_sigma(window: float, launch: float, windows: int = 8) -> float:
    """Return the standard deviation of a launch's value from those of a window and a launch."""
    return math.hypot(launch, window / math.sqrt(windows))


# --- the decision, on whole arrays ----------------------------------------------------------------


class Decisions(NamedTuple):
    """Of each repetition and look (one more axis: blocks from the first look on): the mean of d,
    the half width of its interval, and p over all looks."""

    mean: Array
    half: Array
    p: Array

    def faster(self, margin: float, p: Array | None = None) -> Array:
        """Return True where the rule says faster, by these p-values adjusted over the table."""
        significant = (self.p if p is None else p) < SIGNIFICANT
        worth = self.mean >= math.log1p(margin)
        return (self.mean - self.half > 0) & worth & significant

    def same(self, margin: float) -> Array:
        return np.abs(self.mean) + self.half <= math.log1p(margin)

    def covers(self, truth: float) -> Array:
        return np.abs(self.mean - truth) <= self.half


def gains(noise: Noise, rng: Generator, repetitions: int, blocks: int, arms: int = 4) -> Array:
    """Return d of each arm but the baseline, of shape (repetitions, arms - 1, blocks); no gain is
    real. The order of launches is the pipeline's."""
    names = [f"arm{place}" for place in range(arms)]
    names[0] = "baseline"
    plan = Protocol(blocks=blocks, aa_blocks=0)
    orders = [block_order(names, block, plan) for block in range(1, blocks + 1)]
    launches = noise(rng, (repetitions, arms * blocks)).reshape(repetitions, blocks, arms)
    at = np.array([[order.index(name) for name in names] for order in orders])
    values = np.take_along_axis(launches, at[None], axis=2)
    return (values[:, :, 1:] - values[:, :, :1]).transpose(0, 2, 1)


def decisions(d: Array, looks: Looks, at: tuple[int, ...]) -> Decisions:
    """Return what the rule sees at each look, from d with blocks on the last axis."""
    count = np.arange(1, d.shape[-1] + 1)
    mean = np.cumsum(d, axis=-1) / count
    squares = np.cumsum(d**2, axis=-1) - count * mean**2
    error = np.sqrt(np.maximum(squares, 0) / np.maximum(count - 1, 1) / count)
    taken = [block - 1 for block in at]
    mean, error = mean[..., taken], error[..., taken]
    free = np.array(at) - 1
    level = np.array([looks.level(block, RULES.confidence) for block in at])
    factor = np.array([looks.p(1e-9, block) / 1e-9 for block in at])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(error > 0, 2 * special.stdtr(free, -np.abs(mean) / error), 1.0)
    return Decisions(
        mean, error * special.stdtrit(free, (1 + level) / 2), np.minimum(1.0, p * factor)
    )


# --- how often it errs ----------------------------------------------------------------------------

# Plans by name: what holds at the first look, and the blocks at which one looks. ``beyond`` are the
# looks that a person takes.
PLANS: dict[str, tuple[Looks, tuple[int, ...]]] = {
    "5": (Looks(5, 5), (5,)),
    "5 to 10": (Looks(5, 10), tuple(range(5, 11))),
    "5, raised to 6, 7, ... 14 by hand": (Looks(5, 5, tuple(range(6, 15))), tuple(range(5, 15))),
}


class Errors(NamedTuple):
    """Shares of repetitions: identical code called faster at any look, and all intervals looked at
    cover."""

    faster: float
    covered: float


def errors(noise: Noise, plan: str, repetitions: int, seed: int) -> Errors:
    """Return how often identical code comes out as faster, over the looks of a plan."""
    looks, at = PLANS[plan]
    d = gains(noise, np.random.default_rng(seed), repetitions, max(at))[:, 0]
    seen = decisions(d, looks, at)
    return Errors(
        float(seen.faster(RULES.margin).any(axis=-1).mean()),
        float(seen.covers(0.0).all(axis=-1).mean()),
    )


def error_table(repetitions: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Lines on identical code, each with whether it keeps its limit."""
    yield "| noise | sigma | blocks | called faster | all intervals cover |", True
    yield "|---|---:|---|---:|---:|", True
    most = FALSE_LIMIT + slack(FALSE_LIMIT, repetitions)
    least = COVERED - slack(COVERED, repetitions)
    for name, noise in NOISES.items():
        for sigma in (0.005, 0.03):
            for plan in PLANS:
                found = errors(noise(sigma), plan, repetitions, seed)
                yield (
                    (
                        f"| {name} | {percent(sigma, 1)} | {plan} | {percent(found.faster)} | "
                        f"{percent(found.covered, 1)} |"
                    ),
                    found.faster <= most and found.covered >= least,
                )


def recorded_table(path: Path, repetitions: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Lines on five real launches of vLLM on an H100, drawn anew."""
    if not path.is_file():
        yield f"({path.name}: no such file; recorded launches are left out)", True
        return
    yield "| recorded launches | blocks | called faster | a single pair differs by 5 % |", True
    yield "|---|---|---:|---:|", True
    most = FALSE_LIMIT + slack(FALSE_LIMIT, repetitions)
    for name, values in read_launches(path).items():
        old = single_pair(values, repetitions, seed)
        for plan in PLANS:
            found = errors(recorded(values), plan, repetitions, seed).faster
            yield f"| {name} | {plan} | {percent(found)} | {percent(old, 0)} |", found <= most


def single_pair(values: list[float], repetitions: int, seed: int) -> float:
    """The predecessor's rule on the same launches: one run of each arm, different from 5 % on."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(values, 2, replace=False) for _ in range(repetitions)]
    return float(np.mean([abs(b / a - 1) > 0.05 for a, b in drawn]))


def read_launches(path: Path) -> dict[str, list[float]]:
    """Recorded launches of identical code, by metric."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {name: [float(row[name]) for row in rows] for name in RECORDED_METRICS}


# --- what it finds, and which bounds --------------------------------------------------------------


def mixture(blocks: int, error: float = 0.05, weight: float = 0.1) -> float:
    """Return the bound on t after so many blocks of a sequence that is valid at any time: the
    t-test's e-value with a normal prior on the effect, of ``weight`` blocks, reaches 1 / error."""
    share = weight / (weight + blocks)
    target = (1 / error / math.sqrt(share)) ** (2 / blocks)
    if target * share >= 1:
        return math.inf
    return math.sqrt((blocks - 1) * (target - 1) / (1 - target * share))


# Ways to bound t at each number of blocks from 5 to 10.
BOUNDS: dict[str, Callable[[int], float]] = {
    "spending (used)": lambda n: t_bound(n, 1 - Looks(5, 10).level(n)),
    "always valid (t mixture)": mixture,
    "two looks, half each": lambda n: t_bound(n, 0.025) if n in (5, 10) else math.inf,
    "95 % at each look (wrong)": lambda n: t_bound(n, 0.05),
}
# Windows of 0.75 % on launches of 0.2 %, and windows of 1.8 % on launches of 0.2 %.
MACHINES = {"H200": launch_sigma(0.0075, 0.002), "H100": launch_sigma(0.018, 0.002)}


def t_bound(blocks: int, level: float) -> float:
    return float(special.stdtrit(blocks - 1, 1 - level / 2))


def found(
    noise: Noise, gain: float, bound: Callable[[int], float], repetitions: int, seed: int
) -> tuple[float, float, float]:
    """Return the shares of repetitions in which a gain is called faster after five blocks and by
    the tenth, and the mean number of blocks until then."""
    at = np.arange(5, 11)
    d = gains(noise, np.random.default_rng(seed), repetitions, 10)[:, 0] + math.log1p(gain)
    plain = decisions(d, Looks(5, 10), tuple(at))
    error = plain.half / np.array([BOUNDS["spending (used)"](n) for n in at])
    said = (plain.mean - np.array([bound(n) for n in at]) * error > 0) & (
        plain.mean >= math.log1p(RULES.margin)
    )
    blocks = np.where(said.any(axis=1), at[said.argmax(axis=1)], 10)
    return float(said[:, 0].mean()), float(said.any(axis=1).mean()), float(blocks.mean())


def bounds_table(repetitions: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Lines on what a gain of 2 % needs under each kind of bounds."""
    yield "| bounds | false at 5 to 10 | machine | 2 % found at 5 | by 10 | blocks |", True
    yield "|---|---:|---|---:|---:|---:|", True
    for name, bound in BOUNDS.items():
        d = gains(normal(0.01), np.random.default_rng(seed), repetitions, 10)[:, 0]
        seen = decisions(d, Looks(5, 10), tuple(range(5, 11)))
        error = seen.half / np.array([BOUNDS["spending (used)"](n) for n in range(5, 11)])
        limit = np.array([bound(n) for n in range(5, 11)])
        outside = float((np.abs(seen.mean) > limit * error).any(axis=1).mean())
        for machine, sigma in MACHINES.items():
            five, ten, blocks = found(normal(sigma), 0.02, bound, repetitions, seed)
            good = name != "spending (used)" or (five >= 0.95 if machine == "H200" else ten >= 0.9)
            yield (
                (
                    f"| {name} | {percent(outside, 1)} | {machine} | {percent(five, 1)} | "
                    f"{percent(ten, 1)} | {blocks:.1f} |"
                ),
                good,
            )


# --- many agents on one baseline ------------------------------------------------------------------


def by_yekutieli(p: Array) -> Array:
    return stats.false_discovery_control(p, axis=-1, method="by")


def by_hochberg(p: Array) -> Array:
    return stats.false_discovery_control(p, axis=-1, method="bh")


def holm(p: Array) -> Array:
    order = np.argsort(p, axis=-1)
    times = np.arange(p.shape[-1], 0, -1)
    scaled = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * times, axis=-1)
    out = np.empty_like(p)
    np.put_along_axis(out, order, np.minimum(1.0, scaled), axis=-1)
    return out


CORRECTIONS: dict[str, Callable[[Array], Array]] = {
    "none": lambda p: p,
    "Benjamini-Hochberg (used)": by_hochberg,
    "Benjamini-Yekutieli": by_yekutieli,
    "Holm": holm,
}


class Discoveries(NamedTuple):
    """The mean share of false ones among what is called faster (0 if nothing is), the share of
    repetitions with any false one, and the share of real gains found."""

    false: float
    any: float
    found: float


def discoveries(
    agents: int, real: float, noise: Noise, correction: str, repetitions: int, seed: int,
    gain: float = 0.02, tasks: int = 1,
) -> Discoveries:  # fmt: skip
    """Return the error rates of a campaign in which a share ``real`` of the agents' patches gains
    2 %, and the human's does; all arms of a task share one baseline."""
    rng = np.random.default_rng(seed)
    many = [gains(noise, rng, repetitions, 5, agents + 2) for _ in range(tasks)]
    d = np.concatenate(many, axis=1)
    true = np.zeros((tasks, agents + 1), dtype=bool)
    true[:, 0] = True
    true[:, 1 : 1 + round(real * agents)] = True
    true = true.ravel() if real else np.zeros(tasks * (agents + 1), dtype=bool)
    d = d + math.log1p(gain) * true[None, :, None]
    seen = decisions(d, Looks(5, 5), (5,))
    one = Decisions(*(part[..., 0] for part in seen))
    said = one.faster(RULES.margin, CORRECTIONS[correction](one.p))
    wrong = said & ~true
    share = wrong.sum(axis=1) / np.maximum(said.sum(axis=1), 1)
    hits = float(said[:, true].mean()) if true.any() else math.nan
    return Discoveries(float(share.mean()), float(wrong.any(axis=1).mean()), hits)


def discoveries_table(repetitions: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Lines on false discoveries, with 3 to 20 agents on one baseline."""
    yield "| agents | real gains | noise | correction | false discoveries | real ones found |", True
    yield "|---:|---:|---|---|---:|---:|", True
    most = DISCOVERIES + slack(DISCOVERIES, repetitions)
    for agents in (3, 10, 20):
        for real in (0.0, 0.3):
            for name in ("normal", "correlated"):
                for correction in CORRECTIONS:
                    rates = discoveries(
                        agents, real, NOISES[name](0.01), correction, repetitions, seed
                    )
                    kept = "used" not in correction or rates.false <= most
                    hits = "" if math.isnan(rates.found) else percent(rates.found, 0)
                    yield (
                        (
                            f"| {agents} | {percent(real, 0)} | {name} | {correction} | "
                            f"{percent(rates.false)} | {hits} |"
                        ),
                        kept,
                    )


# --- what was chosen because it is large ----------------------------------------------------------


class Chosen(NamedTuple):
    """Of gains that are called faster: the share of their plain intervals that miss the truth, the
    false coverage rate of their selected ones (mean share per campaign), and the mean excess of the
    gains as measured and shrunk (logarithms)."""

    missed: float
    missed_selected: float
    excess: float
    excess_shrunk: float


def chosen(tasks: int, spread: float, noise: Noise, repetitions: int, seed: int) -> Chosen:
    """Return what choosing does to one agent's gains on some tasks; true gains are normal around
    0.5 % with this standard deviation."""
    rng = np.random.default_rng(seed)
    d = gains(noise, rng, repetitions * tasks, 5, 3)[:, 0]
    truth = rng.normal(0.005, spread, len(d))
    seen = decisions(d + truth[:, None], Looks(5, 5), (5,))
    one = Decisions(*(part[:, 0].reshape(repetitions, tasks) for part in seen))
    truth = truth.reshape(repetitions, tasks)
    said = one.faster(RULES.margin, by_hochberg(one.p))
    level = 1 - Looks(5, 5).level(5)
    shares = said.sum(axis=1, keepdims=True) / tasks
    error = one.half / t_bound(5, level)
    wide = error * special.stdtrit(4, 1 - level * np.maximum(shares, 1 / tasks) / 2)
    drawn = np.array(
        [shrunk(list(m), list(e)) for m, e in zip(one.mean[:400], error[:400], strict=True)]
    )
    off, few = np.abs(one.mean - truth), said[:400]
    count = np.maximum(said.sum(axis=1), 1)
    return Chosen(
        float((said & (off > one.half)).sum() / max(1, said.sum())),
        float(((said & (off > wide)).sum(axis=1) / count).mean()),
        float((one.mean - truth)[said].mean()),
        float((drawn - truth[:400])[few].mean()),
    )


def chosen_table(repetitions: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Lines on the intervals and means of gains that are called faster."""
    yield "| sigma | true gains | plain intervals miss | selected ones | excess | shrunk |", True
    yield "|---:|---|---:|---:|---:|---:|", True
    for sigma in (0.003, 0.01, 0.02):
        for spread in (0.01, 0.02):
            found = chosen(30, spread, normal(sigma), min(repetitions, 2000), seed)
            yield (
                (
                    f"| {percent(sigma, 1)} | 0.5 % ± {percent(spread, 0)} | "
                    f"{percent(found.missed, 1)} | {percent(found.missed_selected, 1)} | "
                    f"{percent(found.excess)} | {percent(found.excess_shrunk)} |"
                ),
                found.missed_selected <= 0.06,
            )


# --- whose spread ---------------------------------------------------------------------------------


def whose_spread(
    noise: Noise, louder: float, pooled: bool, blocks: int, repetitions: int, seed: int
) -> tuple[float, float, float]:
    """Return how often an arm with the baseline's code is called faster, how often its interval
    covers, and the median of half of it, if the arm's launches scatter ``louder`` times as much as
    the others', by the arm's own spread or by that of all four arms (residual mean square of arms
    and blocks)."""
    rng = np.random.default_rng(seed)
    d = gains(noise, rng, repetitions, blocks)
    base = np.zeros((repetitions, 1, blocks))
    values = np.concatenate([base, d], axis=1)  # each block less its baseline: residuals are same
    values[:, 2] += math.sqrt(louder**2 - 1) * noise(rng, (repetitions, blocks))
    own = values[:, 2] - values[:, 0]
    free = blocks - 1
    error = own.std(axis=1, ddof=1) / math.sqrt(blocks)
    if pooled:
        rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=2, keepdims=True)
        rest += values.mean(axis=(1, 2), keepdims=True)
        free = 3 * (blocks - 1)
        error = np.sqrt(2 * (rest**2).sum(axis=(1, 2)) / free / blocks)
    half = error * t_bound(free + 1, 1 - Looks(blocks, blocks).level(blocks))
    mean = own.mean(axis=1)
    false = (mean - half > 0) & (mean >= math.log1p(RULES.margin))
    return float(false.mean()), float((np.abs(mean) <= half).mean()), float(np.median(half))


def spread_table(repetitions: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Lines on the spread of an arm's own blocks and on that of all arms."""
    yield "| noise | spread | blocks | called faster | covers | half width |", True
    yield "|---|---|---:|---:|---:|---:|", True
    for name, noise, louder in (
        ("normal", normal(0.03), 1.0),
        ("correlated", correlated(0.03), 1.0),
        ("the arm 2 times as loud", normal(0.01), 2.0),
        ("the arm 4 times as loud", normal(0.01), 4.0),
    ):
        for pooled in (False, True):
            for blocks in (3, 5):
                false, covered, half = whose_spread(
                    noise, louder, pooled, blocks, repetitions, seed
                )
                yield (
                    (
                        f"| {name} | {'of all arms' if pooled else 'its own (used)'} | {blocks} | "
                        f"{percent(false)} | {percent(covered, 1)} | {percent(half, 1)} |"
                    ),
                    pooled or false <= FALSE_LIMIT + slack(FALSE_LIMIT, repetitions),
                )


# --- the test of the intervals --------------------------------------------------------------------


def widened(
    more: float, noise: Noise, tasks: int, repetitions: int, seed: int
) -> tuple[float, float]:
    """Return how often one A/A pair on each of some tasks widens the intervals, and by how much in
    the mean, if identical code scatters ``more`` times as much as the arms' own blocks show."""
    rng = np.random.default_rng(seed)
    factors = []
    for _ in range(repetitions):
        d = gains(noise, rng, tasks, 5)
        aa = gains(noise, rng, tasks, 1, 2)[:, 0, 0] * more
        variances = d.var(axis=-1, ddof=1).mean(axis=-1)
        samples = [Sample([float(a)], float(v), 4) for a, v in zip(aa, variances, strict=True)]
        factors.append(scatter(samples).widen)
    wide = np.array(factors)
    return float((wide > 1).mean()), float(wide.mean())


def widened_table(repetitions: int, seed: int) -> Iterator[tuple[str, bool]]:
    yield "| identical code scatters | noise | tasks | intervals widened | mean factor |", True
    yield "|---:|---|---:|---:|---:|", True
    for more in (1.0, 2.0):
        for name in ("normal", "heavy tails"):
            for tasks in (5, 50):
                often, factor = widened(
                    more, NOISES[name](0.01), tasks, min(repetitions, 1000), seed
                )
                line = (
                    f"| {more:.0f} times | {name} | {tasks} | {percent(often, 1)} | {factor:.2f} |"
                )
                yield line, True


# --- printing -------------------------------------------------------------------------------------


def slack(share: float, repetitions: int) -> float:
    """Two standard errors of a simulated share."""
    return 2 * math.sqrt(share * (1 - share) / repetitions)


def percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


TABLES: dict[str, Callable[[int, int], Iterator[tuple[str, bool]]]] = {
    "errors": error_table,
    "bounds": bounds_table,
    "discoveries": discoveries_table,
    "spread": spread_table,
    "chosen": chosen_table,
    "widened": widened_table,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=5000, help="per row (default 5000)")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--only", choices=[*TABLES, "recorded"], help="one table")
    parser.add_argument("--launches", type=Path, default=RECORDED, help="CSV of recorded launches")
    args = parser.parse_args()
    started = time.monotonic()
    tables = {name: table(args.repetitions, args.seed) for name, table in TABLES.items()}
    tables["recorded"] = recorded_table(args.launches, args.repetitions, args.seed)
    kept = True
    for name, table in tables.items():
        if args.only in (None, name):
            for line, good in table:
                kept &= good
                print(line if good else f"{line} BEYOND ITS LIMIT", flush=True)
            print(flush=True)
    today = datetime.datetime.now(datetime.UTC).date()
    seconds = time.monotonic() - started
    print(f"{today}, {args.repetitions} repetitions per row, seed {args.seed}, {seconds:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
