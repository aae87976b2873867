"""Record launches of identical code on a machine that gets slower, for benchmarks/drift.py.

    .venv/bin/python benchmarks/record_drift.py OUT [--blocks 25] [--load 0.3]

Runs the pipeline itself, in a copy of the project: one commit of tinyserve whose human and agent
only count (COUNT = 0), measured in so many blocks, while a load generator beside it takes a share
of every core that grows from nothing to ``--load``. The launches are written to OUT in the form
that drift.py reads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.engine import many  # noqa: E402
from tests.workflow.conftest import copy_project  # noqa: E402

METRIC = "latency_avg_s"
SLICE_SECONDS = 0.05
# So many that a launch measures a second of work.
TOKENS, SECONDS_PER_LAUNCH = 400, 1.6


def load(share: float, seconds: float) -> None:
    """Take a share of one core that grows linearly to ``share`` over so many seconds."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < 2 * seconds:
        busy = SLICE_SECONDS * share * min(1.0, passed / seconds)
        until = time.monotonic() + busy
        while time.monotonic() < until:
            pass
        time.sleep(SLICE_SECONDS - busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--blocks", type=int, default=25)
    parser.add_argument("--load", type=float, default=0.3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="patchbench-drift-") as folder:
        project = copy_project(Path(folder) / "project")
        options = many.make(project, 1, runtime="process", blocks=args.blocks, tokens=TOKENS)
        seconds = 3 * args.blocks * SECONDS_PER_LAUNCH
        cores = [
            multiprocessing.Process(target=load, args=(args.load, seconds), daemon=True)
            for _ in range(os.cpu_count() or 1)
        ]
        for core in cores:
            core.start()
        done = project.snakemake(*options, timeout=3600)
        for core in cores:
            core.kill()
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        command = [sys.executable, str(ROOT / "benchmarks/drift.py"), str(args.out)]
        subprocess.run(
            [*command, "--from-metrics", str(project.results / "metrics"), "--metric", METRIC],
            check=False,
        )


if __name__ == "__main__":
    main()
