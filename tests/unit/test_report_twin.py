"""The machine-readable twins: JSON by its schema, CSV that a spreadsheet reads as text."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.plan.config_schema import SCHEMAS as SCHEMA_FOLDER
from patchbench.report import exports
from patchbench.report.model import Report
from tests.unit import reports
from tests.unit.reports import HOSTILE, small_rows
from tests.unit.test_report_against import compare, made
from tests.unit.test_report_markdown import hostile

SCHEMA = SCHEMA_FOLDER / "report.schema.json"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    tables = reports.write(small_rows(), tmp_path / "tables")
    report = reports.small()
    exports.write_json(report, tmp_path / "report.json")
    exports.write_csv(report, tables, tmp_path / "csv")
    return tmp_path


def test_the_schema_in_the_repository_is_that_of_the_structs() -> None:
    assert json.loads(SCHEMA.read_text()) == exports.schema(), (
        f"write it anew: python -m patchbench.report.exports > {SCHEMA.name} (in workflow/schemas)"
    )


def test_reports_are_valid_by_the_schema(written: Path) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    validator.check_schema(validator.schema)
    document = json.loads((written / "report.json").read_text())
    validator.validate(document)
    compared = msgspec.structs.replace(made(small_rows()), against=compare(small_rows()))
    validator.validate(json.loads(msgspec.json.encode(compared)))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document | {"surprise": 1})


def test_json_holds_the_whole_report(written: Path) -> None:
    found = msgspec.json.decode((written / "report.json").read_bytes(), type=Report)
    assert found == reports.small()


def test_csv_has_every_table(written: Path) -> None:
    assert {path.name for path in (written / "csv").iterdir()} == {
        *(f"{name}.csv" for name in ("tasks", "patches", "outcomes", "comparisons", "runs")),
        *(
            f"report_{name}.csv"
            for name in (
                *("agents", "types", "excluded", "failures", "coverage", "speedups", "pairs"),
                *("aa", "identical", "floors"),
            )
        ),
    }
    agents = {row["arm"]: row for row in read(written / "csv" / "report_agents.csv")}
    assert (agents["alba"]["measured"], agents["alba"]["success_whole"]) == ("1", "2")
    speedups = read(written / "csv" / "report_speedups.csv")
    assert len(speedups) == 8
    alba = next(row for row in speedups if row["arm"] == "alba" and row["ratio"])
    assert float(alba["ratio"]) == 1.4
    assert len(read(written / "csv" / "outcomes.csv")) == 8


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_no_cell_is_a_formula(word: str, tmp_path: Path) -> None:
    rows = small_rows()
    rows["outcomes"][5] |= {"evidence": word}
    tables = reports.write(rows, tmp_path / "tables")
    exports.write_csv(hostile(word), tables, tmp_path / "csv")
    for path in (tmp_path / "csv").iterdir():
        for row in read(path):
            for value in row.values():
                assert not value.startswith(("=", "+", "@", "\t")), (path.name, value)


@given(st.text(max_size=20))
def test_text_is_changed_only_where_a_spreadsheet_would_run_it(word: str) -> None:
    found = exports.quoted(word)
    assert found in (word, f"'{word}")
    assert not found.startswith(exports.FORMULA)


def test_numbers_are_no_formulas() -> None:
    assert exports.quoted(-0.5) == -0.5


def test_nested_fields_stand_side_by_side() -> None:
    row: dict[str, Any] = {"a": {"b": {"c": 1}, "d": 2}, "e": [1, 2], "f": None}
    assert exports.flat(row) == {"a_b_c": 1, "a_d": 2, "e": "1 2", "f": None}


def test_runs_beyond_what_a_spreadsheet_takes_stay_in_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_RUNS", 3)
    tables = reports.write(small_rows(), tmp_path / "tables")
    exports.write_csv(reports.small(), tables, tmp_path / "csv")
    names = {path.name for path in (tmp_path / "csv").iterdir()}
    assert "tasks.csv" in names
    assert "outcomes.csv" not in names
