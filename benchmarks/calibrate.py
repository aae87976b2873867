"""How often verdicts are right, from a campaign whose agents are patches of known effect.

    .venv/bin/python benchmarks/calibrate.py RESULTS [--blocks 5] [--write FOLDER]

An agent `wait-N` makes each of the engine's steps N % longer, so its times are N % longer (and its
rates lower by as much), and the A/A launches and `wait-0` have no effect. Campaigns of the planned
size are drawn from the measured blocks without replacement, and judged by the code that judges
every campaign, with a table of one comparison. The rule is symmetric: what is said of losses holds
for gains. Prints a Markdown page; with --write it also writes it as calibration.md, with a figure.
"""

from __future__ import annotations

import argparse
import datetime
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from patchbench.config import VerdictRules
from patchbench.grading.finished import finished
from patchbench.grading.noise_estimate import squares_of
from patchbench.records import AA, BASELINE, GradedRun, Task
from patchbench.verdicts.comparisons import Comparison, Question, compare
from patchbench.verdicts.looks import Looks
from patchbench.verdicts.pilot import pilot_of
from patchbench.verdicts.power import Design, chances
from patchbench.verdicts.rule import decide

DRAWN = 1000  # campaigns per arm
SPIKE = re.compile(r"wait-(\d+(?:\.\d+)?)$")
SHOWN = ("tpot_median_ms", "output_tps", "e2e_median_ms")


class Arm(NamedTuple):
    """One arm's calibration on one metric. ``truth`` is its known log ratio, > 0 is better,
    ``whole`` the comparison over all blocks. Shares are of drawn campaigns: those whose interval
    holds the truth, that call it slower, the same and faster; ``promised`` is the chance of slower
    that the noise promises, ``disjoint`` the number of campaigns that share no block and
    ``wrong`` how many of them called something that is not there."""

    name: str
    truth: float
    whole: Comparison
    covered: float
    slower: float
    same: float
    faster: float
    promised: float
    disjoint: int
    wrong: int

    @property
    def bound(self) -> float:
        """Upper 95 % bound of the share of wrong calls (Clopper and Pearson 1934)."""
        if self.wrong >= self.disjoint:
            return 1.0
        return float(stats.beta.ppf(0.95, self.wrong + 1, self.disjoint - self.wrong))


def truth_of(arm: str) -> float | None:
    """Return the known effect of an arm as a log ratio, > 0 is better; None if it is not known."""
    if arm == AA:
        return 0.0
    found = SPIKE.fullmatch(arm)
    return -math.log1p(float(found[1]) / 100) if found else None


def calibrate(
    task: Task, runs: Sequence[GradedRun], metric: str, blocks: int, rules: VerdictRules, seed: int
) -> Iterator[Arm]:
    """Yield the calibration of every arm of known effect that has enough blocks."""
    rng, looks = np.random.default_rng(seed), Looks(blocks, blocks)
    noise = squares_of(runs, metric)
    sd = math.sqrt(2 * noise.between / max(1, noise.between_freedom))
    by_block: dict[int, list[GradedRun]] = {}
    for run in runs:
        by_block.setdefault(run.block, []).append(run)
    for arm in dict.fromkeys(run.arm for run in runs):
        truth = truth_of(arm)
        question = Question(arm, BASELINE, metric, "primary")
        both = [
            number
            for number, of in by_block.items()
            if {arm, BASELINE} <= {run.arm for run in of if run.status == "measured"}
        ]
        if truth is None or len(both) < blocks:
            continue

        def judged(chosen: Sequence[int], question: Question = question) -> Comparison:
            part = [run for number in chosen for run in by_block[number]]
            row = compare(task, part, question, rules, looks)
            assert row is not None
            return row

        def verdict(row: Comparison) -> str:
            least = rules.min_blocks
            return decide(row.paired, p_adjusted=row.p, margin=row.margin, min_blocks=least)

        rows = [judged(rng.choice(both, blocks, replace=False)) for _ in range(DRAWN)]
        words = [verdict(row) for row in rows]
        mixed = list(rng.permutation(both))
        apart = [mixed[at : at + blocks] for at in range(0, len(mixed) - blocks + 1, blocks)]
        ends = [verdict(judged(chosen)) for chosen in apart]
        allowed = {"slower", "inconclusive"} if truth else {"same", "inconclusive"}
        if -truth <= math.log1p(rules.margin):
            allowed.add("same")
        yield Arm(
            name=arm,
            truth=truth,
            whole=judged(both),
            covered=float(np.mean([row.low <= math.exp(truth) <= row.high for row in rows])),
            slower=words.count("slower") / DRAWN,
            same=words.count("same") / DRAWN,
            faster=words.count("faster") / DRAWN,
            promised=chances(math.expm1(-truth), sd, Design(blocks, looks, rules.margin)).faster,
            disjoint=len(apart),
            wrong=sum(word not in allowed for word in ends),
        )


def page(results: Path, blocks: int, seed: int) -> Iterator[str]:
    """Yield the lines of the page."""
    rules = VerdictRules()
    for task, runs in finished(results):
        known = pilot_of([(task, runs)]).known(task)
        launches = sum(run.launched for run in runs)
        yield f"## {task.title} ({task.subject.title}), {task.commit[:8]}\n"
        yield (
            f"{launches} launches of {task.protocol.windows} window(s), {known.costs.start:.1f} s "
            f"for a start and {known.costs.window:.1f} s for a window; {blocks} blocks per drawn "
            f"campaign, margin {rules.margin:.0%}.\n"
        )
        for metric in [m for m in SHOWN if any(m in run.metrics for run in runs)]:
            yield from table(task, runs, metric, blocks, rules, seed)
    today = datetime.datetime.now(datetime.UTC).date()
    yield f"{today}, `benchmarks/calibrate.py`, {DRAWN} campaigns drawn per arm, seed {seed}"


def table(
    task: Task, runs: Sequence[GradedRun], metric: str, blocks: int, rules: VerdictRules, seed: int
) -> Iterator[str]:
    """Yield the lines on one metric."""
    sums = squares_of(runs, metric)
    if not sums.between_freedom:
        return
    launch = math.sqrt(sums.between / sums.between_freedom)
    window = math.sqrt(sums.within / sums.within_freedom) if sums.within_freedom else math.nan
    yield f"`{metric}`: windows of a launch scatter by {window:.2%}, launches by {launch:.2%}.\n"
    yield (
        "| arm | true | all blocks | interval holds the truth | slower (promised) | same | faster "
        "| wrong in disjoint campaigns (at most, 95 %) |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for arm in calibrate(task, runs, metric, blocks, rules, seed):
        whole = arm.whole
        yield (
            f"| {arm.name} | {math.expm1(arm.truth):+.1%} | {whole.ratio - 1:+.2%} "
            f"[{whole.low - 1:+.2%}, {whole.high - 1:+.2%}], {whole.pairs} | {arm.covered:.1%} | "
            f"{arm.slower:.1%} ({arm.promised:.1%}) | {arm.same:.1%} | {arm.faster:.1%} | "
            f"{arm.wrong} of {arm.disjoint} ({arm.bound:.0%}) |"
        )
    yield ""


def draw(results: Path, blocks: int, seed: int, folder: Path) -> None:
    """Draw the shares of campaigns that find each effect, and the shares promised."""
    import matplotlib as mpl

    from patchbench.report.figures import style

    rules = VerdictRules()
    with mpl.rc_context(style.STYLE):
        figure = style.new(5.0, 3.2)
        axes = figure.subplots()
        for number, (task, runs) in enumerate(finished(results)):
            metric, looks = task.primary_metric, Looks(blocks, blocks)
            arms = sorted(
                calibrate(task, runs, metric, blocks, rules, seed), key=lambda a: -a.truth
            )
            if not arms:
                continue
            sums = squares_of(runs, metric)
            sd = math.sqrt(2 * sums.between / sums.between_freedom)
            colour, mark = style.PALETTE[number], style.MARKERS[number]
            most = max(0.02, *(math.expm1(-arm.truth) for arm in arms))
            gains = np.linspace(0, 1.1 * most, 60)
            design = Design(blocks, looks, rules.margin)
            promised = [100 * chances(float(gain), sd, design).faster for gain in gains]
            axes.plot(100 * gains, promised, color=colour, lw=1.2, label=f"{metric}: promised")
            axes.plot(
                [100 * math.expm1(-arm.truth) for arm in arms],
                [100 * arm.slower for arm in arms],
                mark, color=colour, ms=6, label=f"{metric}: drawn campaigns",
            )  # fmt: skip
        axes.set_xlabel("true effect (%)")
        axes.set_ylabel(f"found in {blocks} blocks (%)")
        axes.set_ylim(-2, 102)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        style.save(figure, folder, "calibration", "Effects that are found")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="results folder of the calibration campaign")
    parser.add_argument("--blocks", type=int, default=5, help="of a drawn campaign (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write page and figure there")
    args = parser.parse_args()
    lines = [*page(args.results, args.blocks, args.seed)]
    if len(lines) < 2:
        sys.exit(f"calibrate: {args.results}: no finished task | next: run the campaign first")
    print("\n".join(lines))
    if args.write:
        args.write.mkdir(parents=True, exist_ok=True)
        (args.write / "calibration.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        draw(args.results, args.blocks, args.seed, args.write)


if __name__ == "__main__":
    main()
