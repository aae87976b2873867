"""Measure the pipeline's own speed and print one table.

    .venv/bin/python benchmarks/pipeline [--quick] [--only stages,planning,simulation]
        [--scale 60] [--write FILE]

- stages: CPU of each stage's job, and how much of it is more than a job of a bare workflow with
  the same files that does nothing
- planning: `snakemake -n` of a new campaign, and a run that finds everything done
- simulation: a campaign whose launches sleep: how busy the GPUs are, what lies on the disk

CPU seconds are those of all processes of a run. On a busy machine they grow too, to twice and more
beside several other programs; makespans and GPU shares are worth nothing there. ``--quick`` takes
a tenth of the time and says so; ``--write`` puts the table between its marks in a page as well.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import campaigns
import simulation
from planning import Planning, planning
from simulation import Simulated
from stages import Stage, stages

Row = tuple[str, str, str]
# A job of a cheap stage may cost so many CPU milliseconds more than a bare one. What runs once per
# campaign, or is the measurement itself, is no such stage.
CHEAP = 60.0
ONCE = ("aggregate", "render_report")
# Commits and agents: CPU seconds and MiB that planning may take.
PLANS = {(96, 3): (4.0, 1536.0), (1000, 20): (60.0, 1536.0)}
# GPUs: commits, and the share of the time in which blocks must hold them. The work per GPU is the
# same, so that each takes as long.
SHARES = {1: (12, 0.97), 2: (24, 0.95), 8: (96, 0.93)}
SCALE = 60.0
# Between these the table stands in a page.
MARKS = ("<!-- pipeline: begin -->", "<!-- pipeline: end -->")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small campaigns")
    parser.add_argument("--only", default="stages,planning,simulation")
    parser.add_argument("--scale", type=float, default=SCALE, help="simulation: time is divided")
    parser.add_argument("--write", type=Path, help="a page with marks for the table")
    args = parser.parse_args()
    parts: dict[str, Callable[[Path], Iterator[Row]]] = {
        "stages": lambda folder: _stages(folder, 6 if args.quick else 16),
        "planning": lambda folder: _plans(folder, args.quick),
        "simulation": lambda folder: _simulations(folder, args.quick, args.scale),
    }
    head = ("what", "measured", "bound")
    rows: list[Row] = []
    for name in args.only.split(","):
        folder = Path(tempfile.mkdtemp(prefix=f"patchbench-{name}-"))
        try:
            for row in parts[name](folder):
                print(*row, sep=" | ", file=sys.stderr, flush=True)
                rows.append(row)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    lines = [" | ".join(row) for row in (head, ("---",) * 3, *rows)]
    table = f"{_setting(args.quick)}\n\n" + "\n".join(f"| {line} |" for line in lines) + "\n"
    print(table)
    if args.write:
        _put(args.write, table)


def _put(page: Path, table: str) -> None:
    """Put the table in the place of the one that a page has between its marks."""
    before, first, rest = page.read_text().partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not last:
        sys.exit(f"patchbench: {page}: no place for the table between {' and '.join(MARKS)}")
    page.write_text(f"{before}{first}\n{table}{last}{after}")


def _setting(quick: bool) -> str:
    """When, with what, and beside what was measured."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, Snakemake {version('snakemake')}, load {load} "
        f"(of 1, 5, 15 minutes at the end){', small campaigns' if quick else ''}"
    )


def _stages(folder: Path, commits: int) -> Iterator[Row]:
    campaign = campaigns.make(folder / "campaign", commits, 3)
    for stage in stages(campaign):
        bound = "" if stage.name in (*ONCE, "run_benchmark") else f"{CHEAP:.0f} ms above bare"
        yield _stage(stage), f"{stage.above:.0f} ms CPU above a bare job's {stage.bare:.0f}", bound


def _stage(stage: Stage) -> str:
    what = "once" if stage.name in ONCE else f"per job, {stage.jobs} jobs"
    if stage.name == "run_benchmark":
        what += " of 4 to 5 launches that take no time"
    return f"{stage.name}, {what}"


def _plans(folder: Path, quick: bool) -> Iterator[Row]:
    for (commits, agents), (seconds, megabytes) in PLANS.items():
        if quick and commits > 100:
            continue
        made = campaigns.make(folder / f"{commits}x{agents}", commits, agents)
        yield from _plan(planning(made), seconds, megabytes)


def _plan(plan: Planning, seconds: float, megabytes: float) -> Iterator[Row]:
    size = f"{plan.commits} commits x {plan.agents} agents, {plan.jobs} jobs"
    bound = f"{seconds:.0f} s, {megabytes:.0f} MiB"
    for name, used in (
        ("`snakemake -n`, nothing done", plan.dry_run),
        ("`snakemake -n`, all done", plan.resume_dry_run),
        ("`snakemake`, all done", plan.resume),
    ):
        found = f"{used.cpu:.1f} s CPU, {used.wall:.1f} s, {used.peak_mb:.0f} MiB"
        yield f"{name}: {size}", found, bound


def _simulations(folder: Path, quick: bool, scale: float) -> Iterator[Row]:
    for gpus, (commits, share) in SHARES.items():
        few = max(3, commits // 8) if quick else commits
        made = simulation.simulate(folder / f"gpus-{gpus}", gpus, few, 3, scale)
        yield from _simulated(made, share)


def _simulated(made: Simulated, share: float) -> Iterator[Row]:
    size = f"{made.gpus} GPU(s), {made.commits} commits x {made.agents} agents x 5 blocks"
    found = (
        f"{made.held:.1%} (launches alone {made.launching:.1%}): {made.makespan:.0f} s, physical "
        f"limit {made.limit:.0f} s, one after the other {made.sequential:.0f} s"
    )
    yield (
        f"GPUs held by blocks, first to last: {size}; time / {made.scale:.0f}",
        found,
        f"{share:.0%}",
    )
    yield (
        f"disk: {made.gpus} GPU(s)",
        f"at most {made.peak_commits} commits, at least {made.least_free_gb:.0f} GB free",
        f"{made.slots} commits, {simulation.RESERVE_GB} GB",
    )
    yield (
        f"the run: {made.gpus} GPU(s)",
        f"{made.usage.cpu:.0f} s CPU, Snakemake {made.usage.peak_mb:.0f} MiB",
        "",
    )


if __name__ == "__main__":
    main()
