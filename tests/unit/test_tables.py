"""Every number comes from one table, and nothing can drop out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from patchbench.errors import BadInput, InfraFault
from patchbench.plan.campaign import Campaign
from patchbench.plan.cohorts import Member
from patchbench.records import Block, Evidence, GradedRun, Metrics, Task
from patchbench.report.tables import collect, read_records
from patchbench.report.tables.collect import Inconsistent, assert_closed
from patchbench.report.tables.columns import SCHEMAS, OutcomeRow
from patchbench.system.files import read_json, write_json
from tests.unit import make, synthetic
from tests.unit.synthetic import A, B, C, D


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    monkeypatch.chdir(tmp_path)
    return synthetic.plan(tmp_path)


@pytest.fixture
def found(planned: Campaign) -> dict[str, list[dict[str, Any]]]:
    synthetic.fill(planned)
    return {name: table.to_pylist() for name, table in collect.tables(planned).items()}


def outcomes(rows: dict[str, list[dict[str, Any]]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["commit"][0], row["arm"]): row for row in rows["outcomes"]}


def test_every_planned_arm_has_one_outcome(found, planned: Campaign) -> None:
    keys = [(row["commit"], row["arm"]) for row in found["outcomes"]]
    assert keys == [(commit, arm) for commit in planned.commits for arm in planned.arms]


def test_outcomes_say_what_became_of_each_patch(found, planned: Campaign) -> None:
    rows = outcomes(found)
    assert {key: (row["status"], row["verdict"]) for key, row in rows.items()} == {
        ("a", "baseline"): ("measured", "not measured"),
        ("a", "human"): ("measured", "faster"),
        ("a", "alba"): ("measured", "faster"),
        ("a", "brio"): ("measured", "same"),
        ("b", "baseline"): ("measured", "not measured"),
        ("b", "human"): ("measured", "same"),
        ("b", "alba"): ("failed", "not measured"),
        ("b", "brio"): ("failed", "not measured"),
        **{("c", arm): ("pending", "not measured") for arm in planned.arms},
        **{("d", arm): ("excluded", "not measured") for arm in planned.arms},
    }
    crash = rows["b", "alba"]
    known = {"cause": "server.crash", "blame": "agent", "stage": "server_start"}
    assert crash.items() >= known.items()
    assert (crash["evidence"], crash["evidence_line"]) == (synthetic.CRASH, 42)
    assert (rows["b", "brio"]["cause"], rows["b", "brio"]["blame"]) == ("patch.missing", "agent")


def test_tasks_are_planned_excluded_or_pending(found, planned: Campaign) -> None:
    statuses = {row["commit"]: row["status"] for row in found["tasks"]}
    assert statuses == {A: "planned", B: "planned", C: "planned", D: "excluded"}
    Path(planned.results, "tasks", f"{C}.json").unlink()
    again = collect.tables(planned)["tasks"].to_pylist()
    assert {row["commit"]: row["status"] for row in again}[C] == "pending"


def test_patches_are_listed_with_their_source_and_what_was_stripped(found) -> None:
    rows = {(row["commit"][0], row["arm"]): row for row in found["patches"]}
    assert rows["a", "human"]["source"] == "git"
    assert rows["a", "alba"]["flags"] == "edits_benchmark"
    assert rows["a", "alba"]["stripped"] == "bench/client.py"
    assert rows["a", "brio"]["flags"] is None
    assert (rows["b", "brio"]["cause"], rows["b", "brio"]["source"]) == ("patch.missing", None)
    assert "baseline" not in {row["arm"] for row in found["patches"]}


def test_runs_have_a_row_per_metric_with_its_unit_and_direction(found) -> None:
    mine = [r for r in found["runs"] if r["commit"] == A and r["arm"] == "alba" and r["block"] == 2]
    assert {row["metric"]: (row["unit"], row["direction"]) for row in mine} == {
        "ttft_median_ms": ("ms", "lower"),
        "completed": ("requests", "check"),
    }
    failed = [r for r in found["runs"] if r["commit"] == B and r["arm"] == "alba"]
    assert [(row["metric"], row["value"], row["cause"]) for row in failed] == [
        (None, None, "server.crash")
    ] * 5


def test_comparisons_hold_ratio_interval_and_verdict(found) -> None:
    rows = {(r["commit"][0], r["arm"], r["role"]): r for r in found["comparisons"]}
    assert set(rows) == {
        ("a", "human", "primary"), ("a", "alba", "primary"), ("a", "brio", "primary"),
        ("a", "alba", "human"), ("a", "brio", "human"), ("a", "baseline-aa", "aa"),
        ("b", "human", "primary"),
    }  # fmt: skip
    alba = rows["a", "alba", "primary"]
    assert alba["low"] < 1.4 < alba["high"]
    assert (alba["pairs"], alba["unit"], alba["at_least_human"]) == (5, "ms", True)
    assert (alba["level"], alba["blocks"]) == (pytest.approx(0.955), 5)
    assert (alba["margin"], alba["scatter_pairs"], alba["widened"]) == (0.02, 1, 1.0)
    assert alba["scatter"] > 0
    assert rows["a", "brio", "primary"]["at_least_human"] is False


def test_tasks_say_if_the_humans_gain_was_seen(found) -> None:
    rows = {row["commit"][0]: row["reference"] for row in found["tasks"]}
    assert rows == {"a": "reproduced", "b": "not reproduced", "c": None, "d": None}


def measured_again(planned: Campaign, **values: list[float]) -> list[GradedRun]:
    """Runs of all arms of a commit, steady where nothing else is said."""
    arms = dict.fromkeys(planned.arms, synthetic.STEADY)
    return synthetic.measured(arms | values)


def test_a_task_whose_human_failed_has_no_reference(planned: Campaign) -> None:
    synthetic.fill(planned)
    runs = [run for run in measured_again(planned) if run.arm != "human"]
    runs += [make.run("human", block, cause="server.crash") for block in range(1, 6)]
    synthetic.metrics(planned, B, runs)
    rows = {row["commit"]: row for row in collect.tables(planned)["tasks"].to_pylist()}
    assert rows[B]["reference"] == "not measured"


def test_gains_to_be_reviewed_are_marked_with_the_reason(planned: Campaign) -> None:
    synthetic.fill(planned)
    gains = {"human": synthetic.times(1.1), "alba": synthetic.times(1.5)}
    synthetic.metrics(planned, B, measured_again(planned, **gains))
    rows = outcomes({n: t.to_pylist() for n, t in collect.tables(planned).items()})
    marked = {"verdict": "faster", "review": "5.0 times the human's gain"}
    assert rows["b", "alba"].items() >= marked.items()
    assert rows["a", "alba"]["review"] is None


def test_windows_stand_beside_the_one_value_of_their_launch(planned: Campaign) -> None:
    synthetic.fill(planned)
    runs = [
        msgspec.structs.replace(
            run, windows=tuple({synthetic.METRIC: 100.0 * factor} for factor in (0.8, 1.25))
        )
        if run.arm == "alba"
        else run
        for run in measured_again(planned)
    ]
    synthetic.metrics(planned, B, runs)
    rows = [r for r in collect.tables(planned)["runs"].to_pylist() if r["commit"] == B]
    shown = {(r["arm"], r["metric"]): r for r in rows if r["block"] == 2}
    mine = shown["alba", synthetic.METRIC]
    assert (mine["value"], mine["windows"]) == (pytest.approx(100.0), [80.0, 125.0])
    assert shown["baseline", synthetic.METRIC]["windows"] is None
    assert shown["alba", "completed"]["windows"] is None


def test_launches_of_finished_blocks_are_shown_before_their_task_is_done(
    planned: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic.fill(planned)
    record = Path(planned.results, "metrics", f"{A}.json")
    whole = read_json(record, Metrics)
    record.unlink()
    asked: list[int] = []

    def parse(_task: Task, blocks: list[Block], _arms: list[str], _least: int) -> Metrics:
        asked.extend(block.block for block in blocks)
        return whole

    monkeypatch.setattr(read_records, "grade_commit", parse)
    for number, made_for in ((1, planned.block_digest(A)), (2, "another patch")):
        block = Block(
            commit=A, block=number, digest=made_for, order=("baseline",), runs=(), status="done"
        )
        write_json(Path(planned.results, "runs", A, f"block-{number}", "block.json"), block)
    rows = {name: table.to_pylist() for name, table in collect.tables(planned).items()}
    assert asked == [1]
    assert {r["arm"] for r in rows["runs"] if r["commit"] == A} == {
        "baseline", "baseline-aa", "human", "alba", "brio",
    }  # fmt: skip
    shown = {"status": "pending", "verdict": "not measured", "blocks_measured": 5}
    assert outcomes(rows)["a", "alba"].items() >= shown.items()
    assert not [row for row in rows["comparisons"] if row["commit"] == A]


def test_metrics_of_another_patch_are_not_shown_as_this_ones(planned: Campaign) -> None:
    synthetic.fill(planned)
    Path("patches/alba", f"{A[:8]}.diff").write_text("another patch")
    rows = collect.tables(synthetic.planned_again(Path()))["outcomes"].to_pylist()
    statuses = {row["status"] for row in rows if row["commit"] == A}
    assert statuses == {"pending"}
    assert {row["status"] for row in rows if row["commit"] == B} == {"measured", "failed"}


def test_a_record_that_can_not_be_read_is_named(planned: Campaign) -> None:
    path = Path(planned.results, "metrics", f"{A}.json")
    write_json(path, {"commit": A, "surprise": 1})
    with pytest.raises(BadInput, match="surprise") as caught:
        collect.tables(planned)
    assert str(path) in str(caught.value)


# --- closed arithmetic ----------------------------------------------------------------------------


def rows_of(found) -> list[OutcomeRow]:
    return [OutcomeRow(**row) for row in found["outcomes"]]


def replaced(rows: list[OutcomeRow], key: tuple[str, str], **more: Any) -> list[OutcomeRow]:
    """The rows with fields of one of them replaced."""
    at = [(row.commit, row.arm) for row in rows].index(key)
    return [*rows[:at], msgspec.structs.replace(rows[at], **more), *rows[at + 1 :]]


@pytest.mark.parametrize("arm", ["baseline", "human", "alba", "brio"])
def test_a_lost_row_is_noticed(found, planned: Campaign, arm: str) -> None:
    rows = [row for row in rows_of(found) if (row.commit, row.arm) != (B, arm)]
    with pytest.raises(Inconsistent, match=f"16 outcomes planned, 15 there.*{arm}"):
        assert_closed(planned, rows)


def test_a_row_too_many_and_an_unknown_status_are_noticed(found, planned: Campaign) -> None:
    rows = rows_of(found)
    with pytest.raises(Inconsistent):
        assert_closed(planned, [*rows, rows[2]])
    with pytest.raises(Inconsistent, match="alba"):
        assert_closed(planned, replaced(rows, (A, "alba"), status="vanished"))


def test_no_table_is_made_from_what_does_not_add_up(
    planned: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = collect.outcome_row

    def forgetful(*args: Any) -> OutcomeRow:
        return msgspec.structs.replace(real(*args), status="forgotten")

    monkeypatch.setattr(collect, "outcome_row", forgetful)
    with pytest.raises(Inconsistent):
        collect.tables(planned)


@pytest.mark.parametrize("column", ["cause", "blame"])
def test_a_failure_without_cause_or_blame_is_noticed(found, planned: Campaign, column) -> None:
    with pytest.raises(Inconsistent, match="bbbbbbbb alba"):
        assert_closed(planned, replaced(rows_of(found), (B, "alba"), **{column: None}))


def test_a_row_that_took_anothers_place_is_noticed(found, planned: Campaign) -> None:
    with pytest.raises(Inconsistent):
        assert_closed(planned, replaced(rows_of(found), (B, "alba"), commit=A))


# --- Parquet --------------------------------------------------------------------------------------


def test_tables_come_back_from_disk_with_types_and_units(planned: Campaign, tmp_path) -> None:
    synthetic.fill(planned)
    made = collect.tables(planned)
    for name, table in made.items():
        assert table.schema == SCHEMAS[name]
        collect.write(table, tmp_path / "t" / f"{name}.parquet")
    back = {name: pq.read_table(tmp_path / "t" / f"{name}.parquet") for name in made}
    assert back == made
    assert back["patches"].schema.field("size").metadata == {b"unit": b"bytes"}


def test_a_table_that_can_not_be_written_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").mkdir()
    with pytest.raises(InfraFault, match=r"x\.parquet"):
        collect.write(SCHEMAS["tasks"].empty_table(), tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == [tmp_path / "x.parquet"]


def test_a_task_stays_done_after_an_agent_was_taken_out(planned: Campaign) -> None:
    """The agent had a cohort, and blocks, of its own: nothing of the others is pending for it."""
    synthetic.fill(planned)
    path = Path(planned.results, "metrics", f"{A}.json")
    metrics = read_json(path, Metrics)
    gone = Member(cohort=1, fingerprints={A: "x"})
    now = msgspec.structs.replace(planned, members={**planned.members, "corso": gone})
    last = metrics.runs[-1]
    more = [msgspec.structs.replace(last, block=101, arm=arm) for arm in ("baseline", "corso")]
    digests = tuple(sorted(now.remembered_digests(A)))
    assert len(digests) == 2
    write_json(path, msgspec.structs.replace(metrics, digests=digests, runs=(*metrics.runs, *more)))
    rows = {name: table.to_pylist() for name, table in collect.tables(now).items()}
    shown = [row for row in rows["outcomes"] if row["commit"] == A]
    usual = [row for row in collect.tables(planned)["outcomes"].to_pylist() if row["commit"] == A]
    assert {row["status"] for row in usual} == {"pending"}
    assert {row["arm"]: row["status"] for row in shown}.items() >= {"alba": "measured"}.items()
    assert not [row for row in rows["runs"] if row["block"] == 101 or row["arm"] == "corso"]


def test_paths_lead_into_a_results_folder_that_was_moved(planned: Campaign) -> None:
    synthetic.fill(planned)
    metrics = read_json(Path(planned.results, "metrics", f"{A}.json"), Metrics)
    old = f"/old/place/runs/{A}/block-1/alba"
    evidence = Evidence(text="t", file=f"{old}/server.stderr.zst")
    run = msgspec.structs.replace(metrics.runs[0], folder=old, evidence=evidence)
    arm = msgspec.structs.replace(metrics.arms[0], log=old, evidence=evidence)
    given = msgspec.structs.replace(metrics, runs=(run,), arms=(arm,))
    here = read_records.moved(given, Path("new"))
    below = f"new/runs/{A}/block-1/alba"
    assert (here.runs[0].folder, here.arms[0].log) == (below, below)
    assert here.runs[0].evidence.file == here.arms[0].evidence.file == f"{below}/server.stderr.zst"
