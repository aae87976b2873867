"""Images that were missing are asked for again by the same command."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.images import missing
from patchbench.records import Built, Evidence
from patchbench.system.files import write_json

COMMIT = "c" * 40


def record(results: Path, arm: str, cause: str | None, text: str = "shown") -> Path:
    path = results / "images" / COMMIT / f"{arm}.json"
    built = Built(
        stage="build_image",
        commit=COMMIT,
        arm=arm,
        status="failed" if cause else "ok",
        cause=cause,
        evidence=Evidence(text=text),
    )
    write_json(path, built)
    return path


def test_only_images_that_were_missing_are_asked_for_again(tmp_path: Path) -> None:
    gone = record(tmp_path, "baseline", "image.missing")
    others = [
        record(tmp_path, "human", None),
        record(tmp_path, "alba", "image.build_failed", 'it said "image.missing"'),
    ]
    torn = tmp_path / "images" / COMMIT / "brio.json"
    torn.write_text('{"cause": "image.missing"')
    assert missing.missing(tmp_path) == [gone]
    asked = missing.counts(tmp_path)
    assert asked == {f"{COMMIT}/baseline": 1}
    assert gone.exists()  # counting changes nothing
    assert missing.ask_again(tmp_path, asked) == 1
    assert not gone.exists()
    assert all(path.exists() for path in (*others, torn))


def test_the_count_stays_until_the_image_is_missing_again(tmp_path: Path) -> None:
    record(tmp_path, "alba", "image.missing")
    missing.ask_again(tmp_path, missing.counts(tmp_path))
    # The run that asks, and one that finds the image there now.
    assert missing.counts(tmp_path) == {f"{COMMIT}/alba": 1}
    record(tmp_path, "alba", None)
    assert missing.counts(tmp_path) == {f"{COMMIT}/alba": 1}
    assert missing.ask_again(tmp_path, missing.counts(tmp_path)) == 0
    record(tmp_path, "alba", "image.missing")
    assert missing.counts(tmp_path) == {f"{COMMIT}/alba": 2}
    assert missing.recall(tmp_path) == {f"{COMMIT}/alba": 1}


def test_touch_removes_no_record_and_the_next_run_asks(tmp_path: Path) -> None:
    gone = record(tmp_path, "alba", "image.missing")
    asked = missing.counts(tmp_path)
    assert missing.ask_again(tmp_path, asked, touch=True) == 0
    assert gone.exists()
    # --touch notes the params of this run: the next one has others.
    assert missing.counts(tmp_path) == {f"{COMMIT}/alba": 2}


def test_a_damaged_memory_names_its_file(tmp_path: Path) -> None:
    (tmp_path / missing.FILE).write_text("{")
    with pytest.raises(BadInput, match=r"asked\.json: .* delete it"):
        missing.recall(tmp_path)


def test_a_record_that_is_removed_meanwhile_is_not_missing(tmp_path: Path) -> None:
    gone = record(tmp_path, "alba", "image.missing")
    gone.with_name("brio.json").symlink_to("nowhere")
    assert missing.missing(tmp_path) == [gone]


def test_without_results_nothing_is_missing(tmp_path: Path) -> None:
    assert missing.counts(tmp_path / "none") == {}
    assert missing.ask_again(tmp_path / "none", {}) == 0
    assert not (tmp_path / "none").exists()
