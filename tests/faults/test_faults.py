"""One case of the fault campaign, or six with PATCHBENCH_SLOW; `make faults` runs all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.conftest import can_start_engines  # noqa: F401  (a fixture)
from tests.faults import rows
from tests.faults.kinds import FAMILIES
from tests.workflow.project import ROOT

pytestmark = pytest.mark.engine

ALL = [kind.name for kinds in FAMILIES.values() for kind in kinds]
# Those that have found most.
SHORT = ("disk-full-all",)
SLOW = (*SHORT, "sigterm-run", "sigkill-group", "sigkill-dockerd", "json-task", "stdout-closed")


def test_there_are_forty_kinds_of_faults_each_with_a_name_of_its_own() -> None:
    assert len(ALL) == len(set(ALL)) >= 40
    assert set(SLOW) <= set(ALL)


@pytest.mark.usefixtures("can_start_engines")
def test_no_fault_loses_a_result_or_charges_an_agent(tmp_path: Path) -> None:
    names = SLOW if os.environ.get("PATCHBENCH_SLOW") else SHORT
    which = [word for name in names for word in ("--one", name)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--out", str(tmp_path), "--seed", "1", *which],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    print(done.stdout)
    recorded = rows.read(tmp_path / "rows.jsonl")
    assert not [f"{row.fault} {row.seed}: {row.says()}" for row in recorded if not row.good]
    assert done.returncode == 0, done.stderr[-2000:]
    assert {row.fault for row in recorded} == set(names)
