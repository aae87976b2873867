"""Where patches come from, and what is written down of it."""

from __future__ import annotations

from pathlib import Path

from patchbench.patches import excluded, passed_on
from patchbench.patches.sources import fetch, find_patch
from patchbench.records import Built, Evidence, Exclusion, Fetched, Validated
from patchbench.system.files import digest
from tests.unit import make
from tests.unit.history import History, run_git

COMMIT = make.COMMIT


def test_a_patch_is_found_by_its_whole_hash_before_a_shorter_one(tmp_path: Path) -> None:
    for stem in (COMMIT, COMMIT[:12], COMMIT[:8]):
        (tmp_path / f"{stem}.diff").touch()
    assert find_patch(tmp_path, COMMIT) == tmp_path / f"{COMMIT}.diff"
    (tmp_path / f"{COMMIT}.diff").unlink()
    assert find_patch(tmp_path, COMMIT) == tmp_path / f"{COMMIT[:12]}.diff"


def test_both_suffixes_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / f"{COMMIT[:8]}.patch").touch()
    assert find_patch(tmp_path, COMMIT) == tmp_path / f"{COMMIT[:8]}.patch"
    assert find_patch(tmp_path, "d" * 40) is None
    assert find_patch(tmp_path / "no-folder", COMMIT) is None


def test_a_found_patch_is_recorded_with_its_hash_and_size(tmp_path: Path) -> None:
    (tmp_path / f"{COMMIT[:8]}.diff").write_bytes(b"--- a\n")
    record, data = fetch(make.task(), "alba", tmp_path, None)
    assert data == b"--- a\n"
    assert (record.status, record.cause, record.source) == ("ok", None, "folder")
    assert (record.sha256, record.size) == (digest(b"--- a\n"), 6)
    assert [c.found for c in record.candidates] == [True]


def test_no_file_and_no_folder_are_both_missing_and_say_which(tmp_path: Path) -> None:
    record, data = fetch(make.task(), "alba", tmp_path, None)
    assert (record.status, record.cause, data) == ("failed", "patch.missing", b"")
    assert "no such file" in record.evidence.text
    assert record.source is None
    record, _ = fetch(make.task(), "alba", tmp_path / "gone", None)
    assert record.cause == "patch.missing"
    assert "no folder" in record.evidence.text


def test_an_empty_file_is_no_missing_one(tmp_path: Path) -> None:
    for content in (b"", b" \n\n"):
        (tmp_path / f"{COMMIT[:8]}.diff").write_bytes(content)
        record, _ = fetch(make.task(), "alba", tmp_path, None)
        assert (record.status, record.cause) == ("failed", "patch.empty")
        assert record.source == "folder"


def test_the_humans_patch_is_gits_diff_with_binary_files(history: History) -> None:
    task = make.task(history.human, parent=history.parent)
    record, data = fetch(task, "human", None, history.repo)
    assert (record.status, record.source) == ("ok", "git")
    assert b"GIT binary patch" in data
    assert data == run_git(history.repo, "diff", "--binary", history.parent, history.human)


def test_a_later_stage_passes_on_what_happened_before() -> None:
    first = Fetched(
        stage="fetch_patch",
        commit=COMMIT,
        arm="alba",
        status="failed",
        cause="patch.missing",
        evidence=Evidence(text="no such file"),
        size=3,
    )
    later = passed_on(passed_on(first, Validated), Built)
    assert isinstance(later, Built)
    assert (later.stage, later.cause, later.arm) == ("fetch_patch", "patch.missing", "alba")
    assert later.evidence == first.evidence


def test_an_excluded_tasks_record_says_why() -> None:
    task = make.task(exclusion=Exclusion(reason="needs_gpus:8", evidence="asks for 8"))
    record = excluded(task, "alba", Built)
    assert (record.status, record.stage, record.cause) == ("excluded", "resolve_task", None)
    assert record.evidence.text == "needs_gpus:8: asks for 8"
