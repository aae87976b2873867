"""The benchmark that simulates a campaign works with the rules as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.project import ROOT

pytestmark = pytest.mark.workflow

# Two GPUs, three commits, one agent; launches of 0.15 s. Its shares and times are not looked at.
PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import simulation
made = simulation.simulate(Path(sys.argv[2]), 2, 3, 1, 600.0)
print(made.peak_commits, made.slots, made.least_free_gb > 0, 0 < made.launching <= made.held <= 1)
"""


def test_a_small_campaign_is_simulated_within_the_disks_bound(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ROOT / "benchmarks" / "pipeline", tmp_path / "made"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    commits, slots, *good = done.stdout.split()
    assert int(commits) <= int(slots)
    assert good == ["True", "True"]
