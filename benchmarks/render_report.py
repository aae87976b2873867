"""Time the rendering of a large campaign's report, and measure the memory it takes.

    .venv/bin/python benchmarks/render_report.py [--commits 1000] [--agents 20] [--folder DIR]

The tables of docs/examples/h100 are repeated for that many commits and agents and rendered in a
process of its own, from start to exit. Printed are its seconds, its peak memory and the sizes of
what it wrote. Bounds: 60 s and 1.5 GB. With --folder the report is kept there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src")]

from patchbench.records import AA, BASELINE, HUMAN  # noqa: E402
from patchbench.report import about  # noqa: E402

EXAMPLE = ROOT / "docs" / "examples" / "h100" / "tables"
SECONDS, MEGABYTES = 60.0, 1536.0
RENDER = """
import re, sys
from pathlib import Path
from patchbench.report import about, render
results = Path(sys.argv[1])
render.write(about.read(results), results / "tables", results / "report.md", results / "figures")
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


def repeated(frame: pd.DataFrame, commits: dict[str, str], arms: dict[str, str]) -> pd.DataFrame:
    """Return the rows once for each new name of their commit and arm. ``commits`` and ``arms`` are
    the example's names by the new ones."""
    made = pd.concat(
        frame[frame["commit"] == old].assign(commit=new) for new, old in commits.items()
    )
    if "arm" not in frame.columns:
        return made
    return pd.concat(made[made["arm"] == old].assign(arm=new) for new, old in arms.items())


def write(results: Path, commits: int, agents: int) -> int:
    """Write the tables of a large campaign, and return the number of rows of runs."""
    rows = 0
    arms = pq.read_table(EXAMPLE / "outcomes.parquet").to_pandas()
    known = sorted(set(arms["commit"]))
    own = [name for name in dict.fromkeys(arms["arm"]) if name not in (BASELINE, HUMAN)]
    new_commits = {f"{i:08x}" + "c" * 32: known[i % len(known)] for i in range(commits)}
    new_arms = {name: name for name in (BASELINE, AA, HUMAN)}
    new_arms |= {f"agent-{i:02d}": own[i % len(own)] for i in range(agents)}
    for path in EXAMPLE.glob("*.parquet"):
        table = pq.read_table(path)
        frame = repeated(table.to_pandas(types_mapper=pd.ArrowDtype), new_commits, new_arms)
        made = pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)
        pq.write_table(made, results / "tables" / path.name, compression="zstd")
        rows = made.num_rows if path.stem == "runs" else rows
    names = {f"agent-{i:02d}": f"Agent {i}" for i in range(agents)}
    about.write(about.About(name="large", agents=names, results="results"), results)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="keep tables and report here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = args.folder or Path(scratch) / "results"
        (results / "tables").mkdir(parents=True)
        rows = write(results, args.commits, args.agents)
        print(f"{args.commits} commits x {args.agents} agents, {rows:,} rows of runs")
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", RENDER, str(results)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        )
        seconds, megabytes = time.perf_counter() - began, float(done.stdout)
        print(f"rendered in {seconds:.1f} s, peak {megabytes:.0f} MB")
        for name in ("report.md", "report.html", "report.json"):
            print(f"  {name:<12} {(results / name).stat().st_size / 2**20:6.1f} MiB")
    if seconds > SECONDS or megabytes > MEGABYTES:
        sys.exit(f"beyond the bounds of {SECONDS:.0f} s and {MEGABYTES:.0f} MB")


if __name__ == "__main__":
    main()
