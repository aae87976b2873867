"""Logs of all kinds through the command line: the cause, the blame, the kind of log.

tests/fixtures/logs/cases.json holds logs in the words of the programs that write them, and what
`patchbench classify --arm agent --baseline worked` must say of each. more_cases.json holds five
sets that were written one after the other, each before the table of signatures was looked at for
it; the table was mended after each. Read rightly at first: 99 of 117 logs, 68 of 101, 61 of 67, 41
of 57 (odd faults of the machine alone), 40 of 42.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchbench.failures.causes import CAUSES
from patchbench.failures.signatures import Signature, table
from tests.unit.conftest import ROOT
from tests.unit.test_cli_classify import as_json, run


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log: one of the causes must be named, with one of the blames. ``log`` is in its title."""

    name: str
    causes: list[str]
    blames: list[str]
    lines: list[str]
    log: str = ""


FILE = ROOT / "tests" / "fixtures" / "logs" / "cases.json"
CASES = msgspec.json.decode(FILE.read_bytes(), type=list[Case])
MORE = msgspec.json.decode(FILE.with_name("more_cases.json").read_bytes(), type=list[Case])


def write(case: Case, folder: Path, encoding: str = "utf-8") -> Path:
    log = folder / "job-4711.txt"
    log.write_bytes("".join(f"{line}\n" for line in case.lines).encode(encoding))
    return log


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_log_of_this_kind(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "--baseline", "worked", write(case, tmp_path))
    assert found["cause"] in case.causes, found
    assert found["blame"] in case.blames, found
    assert case.log in str(found["log"]).partition(", with")[0]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_without_a_baseline_no_agent_is_charged(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert as_json(capsys, write(case, tmp_path))["blame"] != "agent"
    assert as_json(capsys, "--baseline", "failed", write(case, tmp_path))["blame"] != "agent"


@pytest.mark.parametrize("case", MORE, ids=[case.name for case in MORE])
def test_a_log_that_the_table_was_not_made_for(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write(case, tmp_path)
    alone = as_json(capsys, log)
    assert alone["cause"] in case.causes and alone["blame"] != "agent", alone
    assert case.log in str(alone["log"]).partition(", with")[0]
    beside = as_json(capsys, "--baseline", "worked", log)
    # A baseline that worked from the same image, with the same model, refutes that they are broken.
    refuted = CAUSES[str(alone["cause"])].shared and beside["blame"] == "agent"
    right = beside["cause"] in case.causes and beside["blame"] in case.blames
    assert right or (refuted and "task" in case.blames), beside


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["enospc", "flag", "own-import", "slurm-time"])
def test_a_log_in_another_encoding(
    name: str, encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in CASES if case.name == name)
    found = as_json(capsys, "--baseline", "worked", write(case, tmp_path, encoding))
    assert found["cause"] in case.causes


@pytest.mark.parametrize("name", ["enospc", "own-import", "docker-gpu"])
def test_a_log_between_other_bytes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in CASES if case.name == name)
    log = write(case, tmp_path)
    log.write_bytes(b"\x00\xff\xfe\x80\n" + log.read_bytes() + b"\xf0\x28")
    assert as_json(capsys, "--baseline", "worked", log)["cause"] in case.causes


@pytest.mark.parametrize("row", table(), ids=lambda row: f"{row.cause}-{row.text[:30]}")
def test_every_rows_example_is_recognised_by_the_command(
    row: Signature, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that no command asks can't exist."""
    log = tmp_path / "job-4711.txt"
    log.write_text(f"{row.example}\n")
    words = [f"--version={row.engine}={row.since}"] if row.since else []
    found = as_json(capsys, *words, log)
    assert found["cause"] == row.cause, found
    beside = as_json(capsys, *words, "--baseline", "worked", log)
    if row.cause.startswith(("infra.", "harness.")):
        assert beside["cause"] == row.cause
        assert beside["blame"] == row.cause.partition(".")[0]
        built = as_json(capsys, *words, "--stage", "build_image", "--baseline", "worked", log)
        assert built["blame"] == row.cause.partition(".")[0]


def test_a_person_is_told_that_a_line_alone_is_a_suspicion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "server.log"
    log.write_text("OSError: [Errno 28] No space left on device\n")
    assert "believe  a suspicion" in run(capsys, log)
    assert "believe" not in run(capsys, "--arm", "baseline", log)
