"""How often the rule of docs/verdicts.md is wrong, found by simulation with the code that decides.

    .venv/bin/python benchmarks/simulate_verdicts.py [--repetitions 5000] [--seed 1]

Prints one table. Each repetition is one task: launches of a baseline, a human's and two agents'
arms in the order of the pipeline's own blocks, graded runs made of them, blocks added for as long
as ``extension.undecided`` asks for them, and the verdict that ``compare_all`` gives on one of the
arms. Launches differ by normal or heavy-tailed noise (Student's t with 3 degrees of freedom) with
the standard deviation sigma on the log scale, on top of a linear drift of random sign over the
first five blocks, or they are drawn from recorded launches of identical code (--launches).

Two floors: the one that the task's own launches set, as in a campaign of a single task, and the
smallest one, as if the floor never rose (the hardest case for the rest of the rule).
Rows "a look after each" show what stopping at the first verdict would cost, and "one pair, 5 %" is
the predecessor's rule: one run of each arm, different from 5 % on.

The last rows say how often A/A pairs, judged as a patch would be, come out as same: with the floor
of these very pairs, and with the floor that very many pairs would have.

Limits: identical code is called faster in at most 2.5 %, recorded launches are called different in
at most 2.5 %, and a gain of 5 % is found in at least 95 % where sigma is 1 %. A row beyond its
limit by more than the simulation's own error (two standard errors) is marked; exit code 1 then.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.unit import make  # noqa: E402

from patchbench.benchmark.order import block_order  # noqa: E402
from patchbench.config import Protocol  # noqa: E402
from patchbench.records import ArmResult, GradedRun, Metrics, Task  # noqa: E402
from patchbench.verdicts.comparisons import Question, compare, compare_all  # noqa: E402
from patchbench.verdicts.noise_floor import Floor, noise_floor  # noqa: E402
from patchbench.verdicts.open_arms import undecided  # noqa: E402
from patchbench.verdicts.rule import decide, is_same  # noqa: E402
from patchbench.verdicts.statistics import blocks_to_narrow, paired  # noqa: E402

AGENT, METRIC = "alba", "output_tps"
ARMS = ["baseline", "human", AGENT, "brio"]
FIRST, LAST = 5, 10
FALSE_LIMIT, POWER_LIMIT = 0.025, 0.95
RECORDED = ROOT / "../shared/data/vllm-h100/aa-launches.csv"
RECORDED_METRICS = ("output_throughput", "median_ttft_ms", "median_tpot_ms")

Generator = np.random.Generator
# A block's noise: logarithms of what each of so many launches is off by.
Noise = Callable[[Generator, int], np.ndarray]


class Case(NamedTuple):
    """One row of the table: the noise of a launch, the drift over the first five blocks, the true
    gain, and whether blocks may be added."""

    noise: str
    draw: Noise
    drift: float = 0.0
    gain: float = 0.0
    extended: bool = False

    @property
    def protocol(self) -> Protocol:
        return Protocol(blocks=FIRST, max_blocks=LAST if self.extended else 0)


class Rates(NamedTuple):
    """Shares of repetitions that ended as faster or slower, and the mean number of blocks."""

    faster: float
    slower: float
    blocks: float

    @property
    def different(self) -> float:
        return self.faster + self.slower


def normal(sigma: float) -> Noise:
    """Normal noise."""
    return lambda rng, launches: rng.normal(0, sigma, launches)


def heavy(sigma: float) -> Noise:
    """Student's t with 3 degrees of freedom, scaled to the same standard deviation."""
    return lambda rng, launches: rng.standard_t(3, launches) * sigma / math.sqrt(3)


def recorded(values: list[float]) -> Noise:
    """Launches of one block drawn without replacement from recorded ones."""
    logs = np.log(values)
    return lambda rng, launches: rng.choice(logs, launches, replace=False)


def session(case: Case, rng: Generator) -> Iterator[list[GradedRun]]:
    """The blocks of one task, one after another."""
    at, slope = 0, rng.choice([-1, 1]) * math.log1p(case.drift) / (FIRST * len(ARMS))
    for block in range(1, LAST + 1):
        order = block_order(ARMS, block, case.protocol)
        off = case.draw(rng, len(order))
        runs = []
        for position, arm in enumerate(order):
            true = math.log1p(case.gain) if arm == AGENT else 0.0
            value = 1000 * math.exp(true + slope * at + float(off[position]))
            runs.append(make.run(arm, block, position=position, metrics={METRIC: value}))
            at += 1
        yield runs


def verdict(case: Case, rng: Generator, task: Task, own_floor: bool) -> tuple[str, int]:
    """What the pipeline says of the agent's arm, and after how many blocks."""
    floor = None if own_floor else Floor(make.RULES.min_floor)
    blocks = session(case, rng)
    runs = [run for _ in range(FIRST) for run in next(blocks)]
    while undecided(task, runs, [AGENT], make.RULES, floor):
        runs += next(blocks)
    arms = tuple(ArmResult(arm=arm, status="measured") for arm in ("baseline", AGENT))
    found = {task.commit: Metrics(commit=task.commit, digests=(), runs=tuple(runs), arms=arms)}
    noise = None if floor is None else {(task.commit, METRIC): floor}
    rows = compare_all({task.commit: task}, found, [AGENT], make.RULES, noise)
    (row,) = (row for row in rows if row.arm == AGENT)
    return row.verdict, max(run.block for run in runs)


def rates(case: Case, repetitions: int, seed: int, *, own_floor: bool = True) -> Rates:
    """Repeat a case; the same seed gives the same rates."""
    rng = np.random.default_rng(seed)
    task = make.task(primary_metric=METRIC, protocol=case.protocol)
    return summed([verdict(case, rng, task, own_floor) for _ in range(repetitions)])


def impatient(case: Case, repetitions: int, seed: int) -> Rates:
    """What a look after each block, at 95 % each, would make of the same blocks."""
    rng = np.random.default_rng(seed)
    task = make.task(primary_metric=METRIC)  # a single look is planned: nothing is spent on more
    question, rules = Question(AGENT, "baseline", METRIC, "primary"), make.RULES
    noise = {(task.commit, METRIC): Floor(rules.min_floor)}
    ended = []
    for _ in range(repetitions):
        runs: list[GradedRun] = []
        word, done = "inconclusive", 0
        for block, new in enumerate(session(case, rng), 1):
            runs += new
            if block < FIRST:
                continue
            row = compare(task, runs, question, rules, noise)
            word, done = decide(row.paired, p_adjusted=row.p, floor=row.floor, min_blocks=3), block
            narrow = blocks_to_narrow(row.paired, row.floor, row.level) is None
            if word != "inconclusive" or narrow:
                break
        ended.append((word, done))
    return summed(ended)


def summed(ended: list[tuple[str, int]]) -> Rates:
    """Rates of verdicts, each with the blocks that it took."""
    words = [word for word, _ in ended]
    return Rates(
        faster=words.count("faster") / len(words),
        slower=words.count("slower") / len(words),
        blocks=float(np.mean([blocks for _, blocks in ended])),
    )


def same(pairs: int, repetitions: int, seed: int) -> tuple[float, float]:
    """How often so many A/A pairs come out as same: by their own floor, and by the true one."""
    rng = np.random.default_rng(seed)
    sigma = 0.03  # any would do: all that is compared grows with it
    true = math.expm1(1.96 * sigma)
    by_own = by_true = 0
    for _ in range(repetitions):
        logs = rng.normal(0, sigma, pairs).tolist()
        found = paired(logs, make.RULES.confidence)
        by_own += is_same(found, noise_floor(logs, 0.0))
        by_true += is_same(found, true)
    return by_own / repetitions, by_true / repetitions


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


def cases(gain: float) -> Iterator[tuple[Case, float]]:
    """Every kind of noise at 1, 2 and 3 % (the second value), with and without extension."""
    for extended in (False, True):
        for sigma in (0.01, 0.02, 0.03):
            name = f"{100 * sigma:.0f} %"
            for noise, draw, drift in (
                (f"normal {name}", normal(sigma), 0.0),
                (f"normal {name}, drift 3 %", normal(sigma), 0.03),
                (f"heavy tails {name}", heavy(sigma), 0.0),
            ):
                yield Case(noise, draw, drift, gain, extended), sigma


def error(share: float, repetitions: int) -> float:
    """Two standard errors of a simulated share."""
    return 2 * math.sqrt(share * (1 - share) / repetitions)


HEAD = """\
| noise of a launch | true gain | blocks | says | own floor | blocks used | floor 2 % |
|---|---:|---|---|---:|---:|---:|"""


def table(repetitions: int, seed: int, launches: Path) -> Iterator[tuple[str, bool]]:
    """Lines of the table, each with whether it keeps its limit."""
    most = FALSE_LIMIT + error(FALSE_LIMIT, repetitions)
    least = POWER_LIMIT - error(POWER_LIMIT, repetitions)
    yield HEAD, True
    for gain in (0.0, 0.05):
        for case, sigma in cases(gain):
            own = rates(case, repetitions, seed)
            fixed = rates(case, repetitions, seed, own_floor=False)
            line = _line(case, "faster", own.faster, own.blocks, fixed.faster)
            if gain:
                yield line, sigma > 0.01 or min(own.faster, fixed.faster) >= least
            else:
                yield line, max(own.faster, fixed.faster) <= most
    for sigma in (0.02, 0.03):
        case = Case(f"normal {100 * sigma:.0f} %", normal(sigma), extended=True)
        found = impatient(case, repetitions, seed)
        plan = f"{FIRST} to {LAST}, a look after each"
        yield _line(case, "faster", None, found.blocks, found.faster, plan), True
    if not launches.is_file():
        yield f"({launches.name}: no such file; recorded launches are left out)", True
        return
    for name, values in read_launches(launches).items():
        for extended in (False, True):
            case = Case(f"recorded {name}", recorded(values), extended=extended)
            own = rates(case, repetitions, seed)
            line = _line(case, "different", own.different, own.blocks, None)
            yield line, own.different <= most
        old = single_pair(values, repetitions, seed)
        yield _line(case, "different", old, 1, None, "one pair, 5 %"), True


def pairs_table(repetitions: int, seed: int) -> Iterator[str]:
    """Lines of the table of A/A pairs."""
    yield "| A/A pairs | same, own floor | same, floor of very many pairs |\n|---:|---:|---:|"
    for pairs in range(3, 11):
        own, true = same(pairs, repetitions, seed)
        yield f"| {pairs} | {100 * own:.0f} % | {100 * true:.0f} % |"


def _line(
    case: Case, says: str, own: float | None, blocks: float, fixed: float | None, plan: str = ""
) -> str:
    plan = plan or (f"{FIRST} to {LAST}" if case.extended else f"{FIRST}")
    shares = ["" if share is None else f"{100 * share:.2f} %" for share in (own, fixed)]
    gain = f"{100 * case.gain:.0f} %"
    return f"| {case.noise} | {gain} | {plan} | {says} | {shares[0]} | {blocks:.1f} | {shares[1]} |"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=5000, help="per row (default 5000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--launches", type=Path, default=RECORDED, help="CSV of recorded launches")
    args = parser.parse_args()
    started = time.monotonic()
    kept = True
    for line, good in table(args.repetitions, args.seed, args.launches):
        kept &= good
        print(line if good else f"{line} BEYOND ITS LIMIT", flush=True)
    print("\n" + "\n".join(pairs_table(args.repetitions, args.seed)), flush=True)
    today = datetime.datetime.now(datetime.UTC).date()
    seconds = time.monotonic() - started
    print(f"\n{today}, {args.repetitions} repetitions per row, seed {args.seed}, {seconds:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
