"""Pull requests of known effect against tinyserve, by the command that people use. The broken one
in every run of the tests; those whose verdict rests on figures with PATCHBENCH_SLOW."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patchbench.pull_request.comment import MOST_LINES
from tests.workflow import requests
from tests.workflow.project import LONG

pytestmark = pytest.mark.workflow
slow = pytest.mark.skipif(
    not os.environ.get("PATCHBENCH_SLOW"), reason="PATCHBENCH_SLOW is not set"
)
WORKLOAD = (
    "python -m tinybench throughput --model tiny --num-prompts 8 --input-len 16 --output-len 32 "
    "--max-num-seqs 8"
)


def judge(folder: Path, base: str, head: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Judge a pull request in a folder of no project."""
    repo = requests.make(folder)
    program = Path(sys.executable).with_name("patchbench")
    words = ["pr", "--repo", repo, "--base", base, "--head", head, "--workload", WORKLOAD]
    done = subprocess.run(
        [program, *words, *options], cwd=folder, capture_output=True, text=True, timeout=LONG
    )
    sys.stderr.write(done.stderr[-4000:] + done.stdout)
    return done


def test_broken_head_is_told_with_its_cause(tmp_path: Path) -> None:
    done = judge(tmp_path, "main", "broken", "--blocks", "3", "--comment", "c.md")
    assert done.returncode == 3
    assert done.stdout.startswith("### patchbench: head broken\n")
    assert "charged to the change: `RuntimeError: no step today` (`runs/" in done.stdout
    assert len(done.stdout.splitlines()) <= MOST_LINES
    assert (tmp_path / "c.md").read_text() == done.stdout
    report = next((tmp_path / "results").glob("pr-*/report.md")).read_text()
    assert "head" in report


@slow
@pytest.mark.parametrize(
    ("base", "head", "code", "verdict"),
    [("main", "fast", 0, "faster"), ("main", "slow", 1, "slower"), ("main", "comment", 0, "same")],
)
def test_known_effect_is_judged_rightly(
    tmp_path: Path, base: str, head: str, code: int, verdict: str
) -> None:
    done = judge(tmp_path, base, head, "--margin", "0.1")
    assert done.returncode == code
    assert done.stdout.startswith(f"### patchbench: {verdict}, ")
