"""The endings that the demo's patches are meant to have, with tolerance for a noisy machine.

A patch that fails must fail by its own cause. For one that is measured only the interval counts:
which word it gets depends on what else the machine does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from patchbench.verdicts.rule import GAINED
from tests.workflow.project import ROOT, Project

# The cause of each ending of examples/tinyserve/expected.yaml that is a failure.
FAILURES = {
    "empty": "patch.empty",
    "missing": "patch.missing",
    "other_base": "patch.other_base",
    "syntax_error": "patch.syntax",
    "import_error": "patch.import",
    "crash_at_start": "server.crash",
    "crash_under_load": "server.crash_under_load",
    "hang": "bench.timeout",
    "quits_under_load": "server.crash_under_load",
    "wrong_output": "bench.wrong_output",
    "edits_client": "patch.forbidden_path",
    "outside_tree": "patch.outside_tree",
}
# For each ending that is measured, a range of ratios to the baseline that the interval must meet.
MEASURED = {
    "no_effect": (0.7, 1.4),
    "slower": (0.2, 0.9),
    "as_good_as_human": (1.3, 12.0),
    "better_than_human": (1.3, 20.0),
}
HUMAN = (1.3, 12.0)

Key = tuple[str, str]


def expected() -> dict[Key, str]:
    """Return the ending of each patch, by the commit's first eight characters and agent."""
    cells = yaml.safe_load((ROOT / "examples/tinyserve/expected.yaml").read_text())["cells"]
    return {(cell["commit"], cell["agent"]): cell["ending"] for cell in cells}


def check(project: Project, wanted: Iterable[tuple[Key, str]]) -> None:
    """Hold a project's outcomes and comparisons against endings. Raises AssertionError."""
    outcomes = {(r["commit"][:8], r["arm"]): r for r in project.table("outcomes")}
    compared = {
        (r["commit"][:8], r["arm"]): r
        for r in project.table("comparisons")
        if r["role"] == "primary"
    }
    for key, ending in wanted:
        outcome = outcomes[key]
        if ending == "excluded":
            assert outcome["status"] == ending, outcome
        elif ending in FAILURES:
            assert (outcome["status"], outcome["cause"]) == ("failed", FAILURES[ending]), outcome
            assert outcome["blame"] == "agent", outcome
            assert outcome["evidence"], outcome
        else:
            meets(outcome, compared[key], MEASURED[ending])
            assert ending not in ("no_effect", "slower") or outcome["verdict"] not in GAINED
    for key, outcome in outcomes.items():
        if key[1] == "human" and outcome["status"] != "excluded":
            meets(outcome, compared[key], HUMAN)


def meets(outcome: dict[str, Any], row: dict[str, Any], truth: tuple[float, float]) -> None:
    """Raise AssertionError if the interval lies wholly beside the truth, or an honest patch is
    called suspicious."""
    assert outcome["status"] == "measured", outcome
    assert outcome["verdict"] != "suspicious", outcome
    assert row["low"] < truth[1] and row["high"] > truth[0], row
