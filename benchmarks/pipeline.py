"""Measure what planning a campaign costs and how busy the pipeline keeps GPUs; print one table.

    .venv/bin/python benchmarks/pipeline.py [--quick] [--only planning,gpus] [--write FILE]

- planning: dry runs of a new campaign (without its list of jobs) and of a finished one, and a run
- gpus: campaigns whose launches sleep; the share of the time in which blocks hold the GPUs

Both work off the campaigns of tests/idle.py. CPU seconds count all processes of a run. ``--quick``
takes small campaigns, ``--write`` puts the table between its marks in a page.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests import idle  # noqa: E402
from tests.workflow.conftest import copy_project  # noqa: E402
from tests.workflow.project import Project  # noqa: E402

Row = tuple[str, str, str]
# Commits and agents: CPU seconds that planning may take.
PLANS = {(96, 3): 4.0, (200, 20): 20.0}
# GPUs: commits, and the share of the time in which blocks must hold them.
SHARES = {1: (6, 0.90), 2: (12, 0.90)}
# Seconds of a simulated launch. A real one takes a minute or more, so what a job costs beside its
# launches weighs a dozen times more here.
LAUNCH_SECONDS = 4.0
MARKS = ("<!-- pipeline: begin -->", "<!-- pipeline: end -->")


class Usage(NamedTuple):
    """What a command cost, seconds, and what it printed."""

    cpu: float
    wall: float
    output: str


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small campaigns")
    parser.add_argument("--only", default="planning,gpus")
    parser.add_argument("--write", type=Path, help="a page with marks for the table")
    args = parser.parse_args()
    parts = {"planning": planning, "gpus": gpus}
    lines = ["| what | measured | bound |", "| --- | --- | --- |"]
    for name in args.only.split(","):
        with tempfile.TemporaryDirectory(prefix=f"patchbench-{name}-") as folder:
            for row in parts[name](Path(folder), args.quick):
                lines.append(f"| {' | '.join(row)} |")
                print(lines[-1], file=sys.stderr, flush=True)
    table = f"{setting(args.quick)}\n\n" + "\n".join(lines) + "\n"
    print(table)
    if args.write:
        replace(args.write, table)


def planning(folder: Path, quick: bool) -> Iterator[Row]:
    """Plan campaigns of several sizes, new and finished."""
    for (commits, agents), bound in list(PLANS.items())[: 1 if quick else None]:
        project = copy_project(folder / f"{commits}x{agents}")
        names = {f"agent{number:02}": idle.BASELINE + number for number in range(1, agents + 1)}
        options = idle.make(project, names, commits=commits)
        # The table of jobs alone: listing thousands of jobs is no planning.
        new = run(project, "-n", *options, "--quiet", "rules", "progress")
        finish(project, options)
        size = f"{commits} commits x {agents} agents"
        for what, used in (
            ("`snakemake -n -q rules progress`, nothing done", new),
            ("`snakemake -n`, all done", run(project, "-n", *options)),
            ("`snakemake`, all done", run(project, *options)),
        ):
            if "all done" in what and "Nothing to be done" not in used.output:
                raise SystemExit(f"{size}: something was left to do:\n{used.output[-2000:]}")
            yield f"{what}: {size}", f"{used.cpu:.1f} s CPU, {used.wall:.1f} s", f"{bound:.0f} s"


def finish(project: Project, options: list[str]) -> None:
    """Make a finished campaign without running it: all files that Snakemake would write, of one
    moment. Its own notes on them are missing, as after a move of the results folder."""
    now = time.time()
    for line in run(project, "--summary", *options).output.splitlines():
        name, tab, _ = line.partition("\t")
        path = project.folder / name
        if tab and name != "output_file" and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}\n")
            os.utime(path, (now, now))


def gpus(folder: Path, quick: bool) -> Iterator[Row]:
    """Work off campaigns whose launches sleep, on one and on two GPUs."""
    for count, (commits, bound) in SHARES.items():
        commits = max(2, commits // 3) if quick else commits
        project = copy_project(folder / f"gpus-{count}")
        names = {"alba": 1200, "brio": 1100, "corso": 1001}
        options = idle.make(project, names, commits=commits, seconds=LAUNCH_SECONDS, gpus=count)
        options[1] = str(count + 4)
        used = run(project, *options)
        yield (
            f"GPUs held by blocks: {count} GPU(s), {commits} commits x {len(names)} agents",
            f"{project.busy_share() / count:.1%} of {used.wall:.0f} s, {used.cpu:.0f} s CPU",
            f"{bound:.0%}",
        )


def run(project: Project, *options: str) -> Usage:
    """Run Snakemake to its end. Exits if it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = project.snakemake(*options, timeout=7200)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    output = done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(f"snakemake {' '.join(options)}: {output[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Usage(cpu, wall, output)


def setting(quick: bool) -> str:
    """Return date, machine, versions and load of a measurement."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, Snakemake {version('snakemake')}, load {load} "
        f"(of 1, 5, 15 minutes at the end){', small campaigns' if quick else ''}"
    )


def replace(page: Path, table: str) -> None:
    """Replace the table between a page's marks. Exits if there are none."""
    before, first, rest = page.read_text().partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not last:
        sys.exit(f"patchbench: {page}: no place for the table between {' and '.join(MARKS)}")
    page.write_text(f"{before}{first}\n{table}{last}{after}")


if __name__ == "__main__":
    main()
