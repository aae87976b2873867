"""What was finished stands in the journal, whatever ended the process that wrote it."""

from __future__ import annotations

from pathlib import Path

from patchbench.ledger import journal
from tests.unit.make import event


def test_events_come_back_in_their_order(tmp_path: Path) -> None:
    file = journal.path(tmp_path, "c" * 40, 3)
    events = [event("baseline", "run_started"), event("baseline", seconds=1.5), event("human")]
    for one in events:
        journal.write(file, one)
    assert journal.read(file) == events
    assert file == tmp_path / "journal" / ("c" * 40) / "block-3.jsonl"


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "gone") == []


def test_a_line_cut_short_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    journal.write(file, event("baseline"))
    whole = file.read_bytes()
    for length in range(1, len(whole)):
        file.write_bytes(whole + whole[:length])
        expected = 2 if length == len(whole) - 1 else 1
        assert len(journal.read(file)) == expected


def test_a_line_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    journal.write(file, event("baseline"))
    with file.open("ab") as rest:
        rest.write(b'{"event": "run_fin')
    journal.write(file, event("human"))
    assert [one.arm for one in journal.read(file)] == ["baseline", "human"]


def test_a_line_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"event": "moon_landing", "at": "now"}\n\xff\xfe\n\n[]\n')
    journal.write(file, event("human"))
    assert [one.arm for one in journal.read(file)] == ["human"]


def test_finished_are_runs_of_this_digest_that_came_to_their_end() -> None:
    events = [
        event("baseline"),
        event("human", "run_started"),
        event("alba", "run_spoilt", cause="infra.gpu"),
        event("brio", digest="d0"),
        event("corso", result="failed"),
        event("corso", result="measured"),
    ]
    done = journal.finished(events, "d1")
    assert set(done) == {"baseline", "corso"}
    assert done["corso"].result == "measured"


def test_the_present_moment_is_utc_with_milliseconds() -> None:
    assert journal.now().endswith("+00:00")
    assert len(journal.now()) == len("2026-01-01T10:00:00.000+00:00")
