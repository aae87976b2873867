"""report.json follows its schema, and holds the whole report."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from patchbench.plan.reference import json_schema
from patchbench.report import render
from patchbench.report.model import Report
from tests.unit import reports
from tests.unit.reports import small_rows
from tests.unit.test_compare_campaigns import compare


@pytest.fixture
def document(tmp_path: Path) -> bytes:
    render.write_json(reports.small(), tmp_path / "report.json")
    return (tmp_path / "report.json").read_bytes()


def test_reports_are_valid_by_the_schema(document: bytes) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(Report, "Report"))
    validator.check_schema(validator.schema)
    validator.validate(json.loads(document))
    compared = msgspec.structs.replace(reports.small(), compared_with=compare(small_rows()))
    validator.validate(json.loads(msgspec.json.encode(compared)))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(json.loads(document) | {"surprise": 1})


def test_json_holds_the_whole_report(document: bytes) -> None:
    assert msgspec.json.decode(document, type=Report) == reports.small()
