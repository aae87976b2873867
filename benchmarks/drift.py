"""Does the order of launches protect a verdict from a machine that drifts? On recorded launches.

    .venv/bin/python benchmarks/drift.py RECORDINGS [--drift 0.10] [--blocks 5] [--repetitions 200]

RECORDINGS is a folder of CSV files, one per recorded run of blocks in which every arm is the same
code, with a row per launch:

    block,position,arm,start,value
    1,0,baseline,2026-01-01T10:00:00+00:00,1021.4
    1,1,alba,2026-01-01T10:00:31+00:00,1018.9

``position`` counts a block's launches from 0, ``start`` is UTC in ISO 8601, ``value`` is any metric
above 0. Lines that start with # are remarks. --from-metrics results/metrics --metric NAME first
writes such files from the records of a campaign whose patches change nothing.

Each repetition lays recorded blocks out as one session, adds a linear drift over it (of random
sign, equal steps from launch to launch), and decides by the rule of docs/verdicts.md whether an
arm differs from the baseline. It does so twice with the very same launches: labelled in the
pipeline's rotated order, and arm after arm (all of the baseline, then all of the next); each with
the floor that the rotated launches set, and with the smallest one, which is all that arm after arm
has: it knows no pairs of identical code.

Exit code 1 if rotated blocks with their floor are called different in more than 5 %, or if arm
after arm with the smallest floor is not: then the recording is too noisy for so small a drift to
show.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.unit import make  # noqa: E402

from patchbench.benchmark.order import block_order  # noqa: E402
from patchbench.config import Protocol  # noqa: E402
from patchbench.errors import BadInput  # noqa: E402
from patchbench.records import BASELINE, HUMAN, GradedRun, Metrics, Task  # noqa: E402
from patchbench.system.files import read_json, write_bytes  # noqa: E402
from patchbench.verdicts.comparisons import Asked, compare  # noqa: E402
from patchbench.verdicts.noise_floor import Floor, floors, value_of  # noqa: E402
from patchbench.verdicts.rule import decide  # noqa: E402
from patchbench.workflow import stage  # noqa: E402

COLUMNS = ("block", "position", "arm", "start", "value")
LIMIT = 0.05
SMALLEST = Floor(make.RULES.min_floor)
METRIC = "output_tps"  # what recorded values are passed off as: it has a direction


class Launch(NamedTuple):
    """One recorded launch."""

    block: int
    position: int
    arm: str
    start: datetime.datetime
    value: float


class Shares(NamedTuple):
    """How often two arms of identical code were called different, by order and floor."""

    rotated: float
    rotated_smallest_floor: float
    arm_after_arm: float
    arm_after_arm_smallest_floor: float


def read_recording(path: Path) -> list[list[float]]:
    """Values of each block's launches in the order in which they ran, all blocks cut to the length
    of the shortest (only the first holds a second baseline). Raises BadInput with file and line.
    """
    launches: dict[int, list[Launch]] = defaultdict(list)
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    for number, row in enumerate(rows, 1):
        try:
            start = datetime.datetime.fromisoformat(row["start"])
            found = Launch(
                int(row["block"]), int(row["position"]), row["arm"], start, float(row["value"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"{path}: row {number}: {error} | columns: {', '.join(COLUMNS)}"
            ) from error
        if start.tzinfo is None or not (found.value > 0 and math.isfinite(found.value)):
            raise BadInput(f"{path}: row {number}: start needs a UTC offset, value must be above 0")
        launches[found.block].append(found)
    blocks = [sorted(block, key=lambda one: one.position) for block in launches.values()]
    for block in blocks:
        if [one.start for one in block] != sorted(one.start for one in block):
            raise BadInput(f"{path}: block {block[0].block}: positions contradict start times")
    if len(blocks) < 2 or min(map(len, blocks)) < 2:
        raise BadInput(f"{path}: {len(blocks)} block(s); at least 2 blocks of 2 launches needed")
    blocks.sort(key=lambda block: block[0].start)
    return [[one.value for one in block[: min(map(len, blocks))]] for block in blocks]


def labelled(values: list[list[float]], labels: list[list[str]]) -> list[GradedRun]:
    """Recorded values as runs of the arms that they are passed off as."""
    return [
        make.run(arm, number, position=at, metrics={METRIC: value})
        for number, (block, arms) in enumerate(zip(values, labels, strict=True), 1)
        for at, (value, arm) in enumerate(zip(block, arms, strict=True))
    ]


def different(task: Task, runs: list[GradedRun], arm: str, floor: Floor) -> bool:
    """Whether the rule tells an arm from the baseline."""
    asked = Asked(arm, BASELINE, METRIC, "primary")
    row = compare(task, runs, asked, make.RULES, {(task.commit, METRIC): floor})
    assert row is not None
    found = decide(row.paired, p_adjusted=row.p, floor=row.floor, min_blocks=make.RULES.min_blocks)
    return found in ("faster", "slower")


def own_floor(task: Task, runs: list[GradedRun]) -> Floor:
    """The floor that the launches set by themselves."""
    found = {task.commit: Metrics(commit=task.commit, digests=(), runs=tuple(runs), arms=())}
    return floors({task.commit: task}, found, SMALLEST.change)[task.commit, METRIC]


def shares(
    recordings: list[list[list[float]]], *, drift: float, blocks: int, repetitions: int, seed: int
) -> Shares:
    """Repeat the decision; the same seed gives the same shares. ``drift`` is a change (0.10)."""
    rng = np.random.default_rng(seed)
    task = make.task(primary_metric=METRIC)
    counted = np.zeros(4)
    for _ in range(repetitions):
        recording = recordings[rng.integers(len(recordings))]
        drawn = [recording[at] for at in rng.integers(len(recording), size=blocks)]
        length = len(drawn[0])
        slope = rng.choice([-1, 1]) * math.log1p(drift) / (blocks * length - 1)
        session = [
            [value * math.exp(slope * (i * length + at)) for at, value in enumerate(block)]
            for i, block in enumerate(drawn)
        ]
        arms = [BASELINE, HUMAN, *(f"agent-{i}" for i in range(2, length))]
        asked = arms[rng.integers(1, length)]
        order = [block_order(arms, i, Protocol(aa_blocks=0)) for i in range(1, blocks + 1)]
        flat = [value for block in session for value in block]
        turned = [[flat[arm * blocks + i] for arm in range(length)] for i in range(blocks)]
        rotated = labelled(session, order)
        floor = own_floor(task, rotated)
        for place, (runs, given) in enumerate(
            (runs, given)
            for runs in (rotated, labelled(turned, [arms] * blocks))
            for given in (floor, SMALLEST)
        ):
            counted[place] += different(task, runs, asked, given)
    return Shares(*(counted / repetitions).tolist())


def from_metrics(folder: Path, metric: str, out: Path) -> None:
    """Write one recording for each commit whose records have the metric. Raises BadInput if none
    has."""
    written = 0
    for path in sorted(folder.glob("*.json")):
        found = read_json(path, Metrics)
        rows = [
            f"{run.block},{run.position},{run.arm},{run.started},{value!r}"
            for run in found.runs
            if (value := value_of(run, metric)) is not None
        ]
        if rows:
            text = "\n".join([f"# {metric} of {found.commit}", ",".join(COLUMNS), *rows, ""])
            write_bytes(out / f"{path.stem}.csv", text.encode())
            written += 1
    if not written:
        raise BadInput(f"{folder}: no record has the metric {metric}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="folder of CSV files")
    parser.add_argument("--drift", type=float, default=0.10, help="over a session (default 0.10)")
    parser.add_argument("--blocks", type=int, default=5, help="blocks of a session (default 5)")
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from-metrics", type=Path, help="write recordings from these records")
    parser.add_argument("--metric", default="ttft_median_ms", help="of --from-metrics")
    args = parser.parse_args()
    if args.from_metrics:
        from_metrics(args.from_metrics, args.metric, args.recordings)
    recordings = [read_recording(path) for path in sorted(args.recordings.glob("*.csv"))]
    if not recordings:
        raise BadInput(f"{args.recordings}: no recording (*.csv); see --help for the format")
    found = shares(
        recordings,
        drift=args.drift,
        blocks=args.blocks,
        repetitions=args.repetitions,
        seed=args.seed,
    )
    print(
        f"{len(recordings)} recording(s), sessions of {args.blocks} blocks, drift of "
        f"{100 * args.drift:.0f} %, {args.repetitions} repetitions: identical code is called "
        "different in\n"
        "| order | floor of the launches | smallest floor |\n|---|---:|---:|\n"
        f"| rotated blocks | {_percent(found.rotated)} | "
        f"{_percent(found.rotated_smallest_floor)} |\n"
        f"| arm after arm | {_percent(found.arm_after_arm)} | "
        f"{_percent(found.arm_after_arm_smallest_floor)} |"
    )
    if found.rotated > LIMIT or found.arm_after_arm_smallest_floor <= LIMIT:
        sys.exit(1)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    stage.run(main)
