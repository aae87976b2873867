"""Time the rendering of a large campaign's report, and measure the memory it takes.

    .venv/bin/python benchmarks/render_report.py [--commits 1000] [--agents 20] [--folder DIR]

Synthetic tables of that many commits and agents (5 blocks, 12 metrics a launch: over a million rows
of runs), journals and disk events are written into a folder; rendering is a process of its own,
from start to exit. Printed are its seconds, its peak memory and the sizes of what it wrote.
Bounds: 60 s and 1.5 GB (issue 6). With --folder the report is kept there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src")]

from patchbench.failures.causes import CAUSES  # noqa: E402
from patchbench.records import AA, BASELINE, HUMAN  # noqa: E402
from patchbench.report import about  # noqa: E402
from patchbench.report.tables import collect  # noqa: E402
from patchbench.report.tables.columns import SCHEMAS  # noqa: E402

SECONDS, MEGABYTES = 60.0, 1536.0
BLOCKS, FLOOR = 5, 0.03
METRICS = (
    *("ttft_median_ms", "ttft_mean_ms", "ttft_p99_ms", "tpot_median_ms", "tpot_mean_ms"),
    *("itl_median_ms", "itl_p99_ms", "request_rate_rps", "output_tps", "total_tps"),
    *("completed", "duration_s"),
)
FAILURES = (
    *("patch.rejected", "patch.syntax", "patch.import", "patch.empty", "server.crash"),
    *("server.crash_under_load", "bench.no_metrics", "bench.wrong_output", "infra.gpu"),
    *("image.dependency", "unknown"),
)
RENDER = """
import re, sys, time
began = time.perf_counter()
from pathlib import Path
from patchbench.report import about, render
results = Path(sys.argv[1])
render.write(about.read(results), results / "tables", results / "report.md", results / "figures")
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(time.perf_counter() - began, int(peak) / 1024)
"""


class Campaign:
    """A campaign that never was. Every draw comes from one seed."""

    def __init__(self, commits: int, agents: int) -> None:
        self.draw = np.random.default_rng(6)
        self.commits = [f"{i:08x}" + "c" * 32 for i in range(commits)]
        self.agents = [f"agent-{i:02d}" for i in range(agents)]
        self.arms = [BASELINE, HUMAN, *self.agents]
        self.start = datetime(2026, 1, 1, tzinfo=UTC)
        excluded = self.draw.random(commits) < 0.05
        self.excluded = dict(zip(self.commits, excluded, strict=True))
        self.ends = {
            (commit, arm): self.end(commit, arm) for commit in self.commits for arm in self.arms
        }

    def end(self, commit: str, arm: str) -> str:
        """How an arm ends: measured, a cause, excluded or pending."""
        if self.excluded[commit]:
            return "excluded"
        chance = self.draw.random()
        if arm in (BASELINE, HUMAN):
            return "measured" if chance < 0.99 else "image.dependency"
        if chance < 0.55:
            return "measured"
        if chance < 0.62:
            return "patch.missing"
        return "pending" if chance > 0.995 else str(self.draw.choice(FAILURES))

    def tasks(self) -> list[dict[str, Any]]:
        """One row per commit."""
        return [
            {
                "commit": commit,
                "title": f"[Perf] Make part {i} of the engine faster",
                "subject": "engine",
                "type": "serving",
                "parent_origin": "git rev-parse COMMIT^",
                "primary_metric": METRICS[0],
                "workload_id": f"w{i}",
                "status": "excluded" if self.excluded[commit] else "planned",
                "exclusion": "needs_gpus:8" if self.excluded[commit] else None,
                "reference": None if self.excluded[commit] else "reproduced",
            }
            for i, commit in enumerate(self.commits)
        ]

    def outcomes(self) -> list[dict[str, Any]]:
        """One row per commit and arm."""
        rows = []
        for (commit, arm), end in self.ends.items():
            status = end if end in ("measured", "excluded", "pending") else "failed"
            verdict = "not measured"
            if status == "measured" and arm != BASELINE:
                verdict = str(self.draw.choice(["faster", "same", "inconclusive", "slower"]))
            row = {"commit": commit, "arm": arm, "type": "serving", "status": status}
            row |= {"verdict": verdict, "blocks_measured": BLOCKS * (status == "measured")}
            row |= {"blocks_failed": 0, "at_least_human": verdict == "faster"}
            if status == "failed":
                folder = f"results/runs/{commit}/block-1/{arm}"
                row |= {"cause": end, "blame": CAUSES[end].blame, "stage": CAUSES[end].stage}
                row |= {"evidence": f"RuntimeError: part of the engine failed with code {end}"}
                row |= {"evidence_file": f"{folder}/server.stderr", "evidence_line": 42}
            rows.append(row)
        return rows

    def patches(self) -> list[dict[str, Any]]:
        """One row per patch."""
        return [
            {
                "commit": commit,
                "arm": arm,
                "source": None if end == "patch.missing" else "folder",
                "status": "failed" if end.startswith("patch.") else "ok",
                "stage": CAUSES[end].stage if end in CAUSES else "build_image",
                "cause": end if end.startswith("patch.") else None,
                "measured_sha256": "s" * 64,
                "build_seconds": 3.0,
            }
            for (commit, arm), end in self.ends.items()
            if arm != BASELINE
        ]

    def comparisons(self, outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the baseline on the primary and a guard metric, and with the human."""
        rows = []
        ratio_of = {"faster": 1.2, "same": 1.0, "inconclusive": 1.03, "slower": 0.85}
        for row in outcomes:
            if row["verdict"] == "not measured":
                continue
            ratio = ratio_of[row["verdict"]] * float(np.exp(self.draw.normal(0, 0.02)))
            roles = ("primary", "guard") if row["arm"] == HUMAN else ("primary", "guard", "human")
            for role in roles:
                found = {"commit": row["commit"], "arm": row["arm"], "role": role, "ratio": ratio}
                found |= {"low": ratio / 1.03, "high": ratio * 1.03, "verdict": row["verdict"]}
                found |= {"metric": METRICS[0], "unit": "ms", "pairs": BLOCKS, "value": 80.0}
                found |= {"reference_value": 100.0, "p": 0.01, "p_adjusted": 0.02, "floor": FLOOR}
                found |= {"level": 0.95, "floor_pairs": 900, "floor_source": "A/A pairs"}
                rows.append(found)
        return rows

    def runs(self) -> pa.Table:
        """One row per metric of each launch, made column by column."""
        keys = [
            (commit, arm, block)
            for commit in self.commits
            if not self.excluded[commit]
            for block in range(1, BLOCKS + 1)
            for arm in (*self.arms, *((AA,) if block == 1 else ()))
        ]
        ends = [self.ends.get((commit, arm), "measured") for commit, arm, _ in keys]
        launched = [end == "measured" or not end.startswith("patch.") for end in ends]
        many = np.array([len(METRICS) if end == "measured" else 1 for end in ends])
        which = np.repeat(np.arange(len(keys)), many)
        names = np.concatenate([METRICS if n > 1 else ("",) for n in many])
        times = [self.start + timedelta(seconds=30 * i) for i in range(len(keys))]
        ended = [time + timedelta(seconds=28) for time in times]
        columns: dict[str, list[Any]] = {
            "commit": [key[0] for key in keys],
            "arm": [key[1] for key in keys],
            "block": [key[2] for key in keys],
            "launched": launched,
            "status": ["measured" if end == "measured" else "failed" for end in ends],
            "cause": [None if end == "measured" else end for end in ends],
            "blame": [None if end == "measured" else "agent" for end in ends],
            "started": [time.isoformat(timespec="milliseconds") for time in times],
            "ended": [time.isoformat(timespec="milliseconds") for time in ended],
            "folder": [f"results/runs/{c}/block-{b}/{a}" for c, a, b in keys],
            "gpu_slot": [str(i % 8) for i in range(len(keys))],
        }
        same = {"host": "node", "runtime": "docker", "versions": "engine 1.0", "load_1min": "0.5"}
        table = {name: pa.array(values).take(which) for name, values in columns.items()}
        table |= {name: pa.repeat(value, len(which)) for name, value in same.items()}
        values = pa.array(np.where(names == "", np.nan, 100 + self.draw.random(len(which))))
        table |= {"metric": pa.array([n or None for n in names.tolist()]), "value": values}
        table |= {"unit": pa.repeat("ms", len(which)), "direction": pa.repeat("lower", len(which))}
        table |= {"agreement": pa.repeat(1.0, len(which))}
        schema = SCHEMAS["runs"]
        return pa.table(
            [
                table[f.name].cast(f.type) if f.name in table else pa.nulls(len(which), f.type)
                for f in schema
            ],
            schema=schema,
        )

    def write(self, results: Path) -> int:
        """Write tables, journals and disk events. Returns the rows of runs."""
        outcomes = self.outcomes()
        rows = {"tasks": self.tasks(), "patches": self.patches(), "outcomes": outcomes}
        rows |= {"comparisons": self.comparisons(outcomes)}
        for name, found in rows.items():
            table = pa.Table.from_pylist(found, schema=SCHEMAS[name])
            collect.write(table, results / "tables" / f"{name}.parquet")
        runs = self.runs()
        pq.write_table(runs, results / "tables" / "runs.parquet", compression="zstd")
        about.write(
            about.About(
                name="synthetic",
                agents={name: name.capitalize() for name in self.agents},
                subjects=("An engine",),
                results="results",
                runtime="docker",
            ),
            results,
        )
        self.events(results)
        return int(runs.num_rows)

    def events(self, results: Path) -> None:
        """Journals of all blocks and some of the disk's events."""
        at = self.start
        disk = []
        for commit in self.commits:
            folder = results / "journal" / commit
            folder.mkdir(parents=True)
            for block in range(1, BLOCKS + 1):
                lines = []
                for arm in self.arms:
                    for event in ("run_started", "run_finished"):
                        line = {"event": event, "at": at.isoformat(), "commit": commit}
                        line |= {"block": block, "digest": "d", "arm": arm, "seconds": 28.0}
                        lines.append(json.dumps(line))
                (folder / f"block-{block}.jsonl").write_text("\n".join(lines) + "\n")
            for event in ("build", "built", "released"):
                at += timedelta(minutes=10)
                line = {"at": at.isoformat(), "event": event, "commit": commit, "images": 66}
                line |= {"engine_free": 3 << 40, "engine_total": 4 << 40, "results_free": 1 << 40}
                disk.append(json.dumps(line | {"commits": 3}))
        (results / "disk.jsonl").write_text("\n".join(disk) + "\n")


def measure(results: Path) -> tuple[float, float]:
    """Render in a process of its own: seconds with its start and end, and peak megabytes."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", RENDER, str(results)],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
    )
    seconds = time.perf_counter() - began
    return seconds, float(done.stdout.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="keep tables and report here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = args.folder or Path(scratch) / "results"
        (results / "tables").mkdir(parents=True)
        rows = Campaign(args.commits, args.agents).write(results)
        print(f"{args.commits} commits x {args.agents} agents, {rows:,} rows of runs")
        seconds, megabytes = measure(results)
        print(f"rendered in {seconds:.1f} s, peak {megabytes:.0f} MB")
        for name in ("report.md", "report.html", "report.json"):
            print(f"  {name:<12} {(results / name).stat().st_size / 2**20:6.1f} MiB")
    if seconds > SECONDS or megabytes > MEGABYTES:
        sys.exit(f"beyond the bounds of {SECONDS:.0f} s and {MEGABYTES:.0f} MB")


if __name__ == "__main__":
    main()
