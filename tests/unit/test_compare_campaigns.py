"""Two campaigns compared: what changed, and whether it is noise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

from patchbench.errors import BadInput
from patchbench.report import about as abouts
from patchbench.report import render
from patchbench.report.compare_campaigns import (
    CHANGED,
    NOISE,
    OTHER_PATCH,
    OTHER_WORKLOAD,
    SAME,
    compare_campaigns,
    welch,
)
from patchbench.report.model import CampaignChanges, Cell, Change
from patchbench.verdicts.statistics import paired
from tests.unit import reports
from tests.unit.reports import COMMITS, comparison, outcome, small_rows, task

A, B = COMMITS[:2]


def changed(rows: reports.Rows, table: str, commit: str, arm: str, **new: Any) -> reports.Rows:
    """The rows with one arm's row of a table changed."""
    found = [
        row | new
        if (row["commit"], row["arm"], row.get("role", "primary")) == (commit, arm, "primary")
        else row
        for row in rows[table]
    ]
    assert found != rows[table]
    return rows | {table: found}


def compare(now: reports.Rows, before: reports.Rows | None = None) -> CampaignChanges:
    return compare_campaigns(
        reports.built(now), reports.built(small_rows() if before is None else before, name="before")
    )


def only(found: CampaignChanges) -> Change:
    (change,) = found.changes
    return change


# --- the test -------------------------------------------------------------------------------------


def cell(logs: np.ndarray[Any, Any], level: float = 0.95) -> Cell:
    result = paired(list(logs), level)
    interval = {name: getattr(result, name) for name in ("ratio", "low", "high", "pairs")}
    said = {"arm": "alba", "status": "measured", "verdict": "same", "mark": "="}
    return Cell(level=level, **said, **interval)


def test_the_test_is_welchs_read_back_from_intervals() -> None:
    draw = np.random.default_rng(1)
    for level in (0.95, 0.975):
        first, second = draw.normal(0.1, 0.02, 5), draw.normal(0.16, 0.05, 8)
        found = welch(cell(first, level), cell(second, level))
        known = stats.ttest_ind(second, first, equal_var=False)
        span = known.confidence_interval(0.95)
        assert found is not None
        assert math.log(found.factor) == pytest.approx(second.mean() - first.mean())
        assert found.p == pytest.approx(known.pvalue, rel=1e-6)
        assert (math.log(found.low), math.log(found.high)) == pytest.approx((span.low, span.high))


def test_intervals_without_a_width_or_without_bounds_are_no_reason_to_crash() -> None:
    point = msgspec.structs.replace(cell(np.array([0.1, 0.1, 0.1])), low=1.1, high=1.1, ratio=1.1)
    assert welch(point, point) is not None
    assert welch(point, point).p == 1.0  # type: ignore[union-attr]
    wide = msgspec.structs.replace(point, low=0.0, high=math.inf)
    assert welch(point, wide) is None
    assert welch(point, msgspec.structs.replace(point, pairs=1)) is None


# --- what changed ---------------------------------------------------------------------------------


def test_a_campaign_against_itself_changed_in_nothing() -> None:
    found = compare(small_rows())
    assert found.changes == ()
    # brio's patch for B never came: an outcome all the same.
    assert (found.common, found.equal) == (8, 8)
    assert found.compared == 3
    assert {row.conclusion for row in found.rates} == {SAME}


def test_a_ratio_beyond_both_spreads_and_the_margin_has_changed() -> None:
    now = changed(small_rows(), "comparisons", A, "alba", ratio=2.0, low=1.95, high=2.05)
    change = only(compare(now))
    assert (change.commit, change.arm, change.conclusion) == (A, "alba", CHANGED)
    assert change.factor == pytest.approx(2.0 / 1.4)
    assert (change.before, change.now) == ("faster 1.40x", "faster 2.00x")


def test_other_words_for_ratios_that_noise_explains_are_noise() -> None:
    now = changed(small_rows(), "comparisons", A, "alba", ratio=1.36, low=1.2, high=1.5)
    now = changed(now, "outcomes", A, "alba", verdict="inconclusive")
    change = only(compare(now))
    assert change.conclusion == NOISE
    assert change.p_adjusted is not None
    assert change.p_adjusted > 0.05


def test_a_sure_difference_within_the_margin_is_noise() -> None:
    sharp = {"low": 1.3999, "high": 1.4001}
    before = changed(small_rows(), "comparisons", A, "alba", **sharp)
    now = changed(small_rows(), "comparisons", A, "alba", ratio=1.41, low=1.4099, high=1.4101)
    assert compare(now, before).changes == ()
    wide = changed(now, "comparisons", A, "alba", margin=0.001)
    before = changed(before, "comparisons", A, "alba", margin=0.001)
    for name in ("human", "brio"):
        wide = changed(wide, "comparisons", A, name, margin=0.001)
        before = changed(before, "comparisons", A, name, margin=0.001)
    assert only(compare(wide, before)).conclusion == CHANGED


def test_a_patch_that_works_now_and_did_not_before_has_changed() -> None:
    now = changed(small_rows(), "outcomes", B, "alba", status="measured", cause=None, blame=None)
    now = changed(now, "outcomes", B, "alba", verdict="same", evidence_file=None)
    change = only(compare(now))
    assert (change.before, change.now, change.conclusion) == ("server.crash", "measured", CHANGED)


def test_a_fault_of_the_machine_is_no_change_of_the_patch() -> None:
    now = changed(small_rows(), "outcomes", B, "alba", cause="infra.gpu", blame="infra")
    assert only(compare(now)).conclusion == "not the patch's: infra"


def test_other_patches_and_other_workloads_are_not_compared() -> None:
    before = changed(small_rows(), "patches", A, "alba", measured_sha256="1" * 64)
    now = changed(small_rows(), "patches", A, "alba", measured_sha256="2" * 64)
    now = changed(now, "comparisons", A, "alba", ratio=2.0)
    now = changed(now, "outcomes", A, "alba", verdict="suspicious")
    change = only(compare(now, before))
    assert (change.conclusion, change.factor) == (OTHER_PATCH, None)
    now = small_rows()
    now["tasks"] = [task(A, workload_id="another"), task(B)]
    now = changed(now, "comparisons", A, "alba", ratio=2.0)
    now = changed(now, "outcomes", A, "alba", verdict="suspicious")
    found = compare(now)
    assert {change.conclusion for change in found.changes} == {OTHER_WORKLOAD}
    assert found.compared == 0


def test_pending_outcomes_and_tasks_of_one_side_are_left_out() -> None:
    now = changed(small_rows(), "outcomes", B, "alba", status="pending", cause=None, blame=None)
    assert compare(now).changes == ()
    assert compare(now).common == 7
    now = small_rows()
    now["tasks"].append(task(COMMITS[2]))
    now["outcomes"] += [outcome(COMMITS[2], arm) for arm in ("baseline", "human", "alba", "brio")]
    now["patches"] += [
        {"commit": COMMITS[2], "arm": arm, "status": "ok"} for arm in ("human", "alba", "brio")
    ]
    found = compare(now)
    assert (found.tasks_only_here, found.tasks_only_there) == (1, 0)


def test_agents_of_one_side_are_named_and_settings_that_differ_are_said() -> None:
    now = small_rows()
    now["runs"] = [
        {"commit": A, "arm": "alba", "block": 1, "launched": True, "status": "measured"}
        | {"host": "here", "started": "2026-01-01T10:00:00+00:00"}
        | {"ended": "2026-01-01T10:00:09+00:00"}
    ]
    before = now | {"runs": [now["runs"][0] | {"host": "there"}]}
    found = compare_campaigns(reports.built(now), reports.built(before, agents={"alba": "Alba"}))
    assert found.agents_only_here == ("Brio",)
    assert found.agents_only_there == ()
    assert found.settings[0].startswith("Other hosts: there then, here now.")


def many(successes: int, whole: int = 20) -> reports.Rows:
    rows: reports.Rows = {"tasks": [], "outcomes": [], "patches": [], "comparisons": []}
    for place in range(whole):
        commit = f"{place:040x}"
        rows["tasks"].append(task(commit))
        good = place < successes
        end = "measured" if good else "server.crash"
        rows["outcomes"].append(outcome(commit, "alba", end, verdict="faster" if good else "x"))
        rows["patches"].append({"commit": commit, "arm": "alba", "status": "ok"})
        if good:
            rows["comparisons"].append(comparison(commit, "alba", 1.5))
    return rows


def test_a_rate_changed_if_the_split_of_its_commits_is_beyond_chance() -> None:
    alba = {"agents": {"alba": "Alba"}}
    found = compare_campaigns(reports.built(many(18), **alba), reports.built(many(4), **alba))
    rates = {row.rate: row for row in found.rates}
    assert (rates["success"].won, rates["success"].lost) == (14, 0)
    assert rates["success"].before.part, rates["success"].now.part == (4, 18)
    assert rates["success"].conclusion == CHANGED
    found = compare_campaigns(reports.built(many(6), **alba), reports.built(many(4), **alba))
    assert {row.conclusion for row in found.rates} == {NOISE}
    assert {row.won for row in found.rates} == {2}


# --- in the report --------------------------------------------------------------------------------


def test_the_report_says_what_changed(tmp_path: Path) -> None:
    now = changed(small_rows(), "comparisons", A, "alba", ratio=2.0, low=1.95, high=2.05)
    here, there = tmp_path / "here", tmp_path / "there"
    reports.write(now, here / "tables")
    reports.write(small_rows(), there / "tables")
    abouts.write(reports.about(name="before", results="there"), there)
    out = here / "report.md"
    found = render.write(reports.about(), here / "tables", out, here / "figures", other=there)
    text = out.read_text(encoding="utf-8")
    part = text[text.index("## Compared with before") : text.index("## Infrastructure")]
    assert "8 outcomes stand in both campaigns (`there`)" in part
    assert reports.row(part, "| aaaaaaaa")["Conclusion"] == CHANGED
    assert "- Against before: of 8 outcomes in both, 1 differ, 1 of them beyond noise." in text
    assert found.compared_with is not None
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert 'id="compared-changes"' in page


def test_a_folder_that_nobody_rendered_is_known_by_its_tables(tmp_path: Path) -> None:
    reports.write(small_rows(), tmp_path / "old" / "tables")
    found = abouts.read(tmp_path / "old")
    assert (found.name, dict(found.agents)) == ("old", {"alba": "alba", "brio": "brio"})


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no results folder with tables \| next: "):
        abouts.read(tmp_path)
