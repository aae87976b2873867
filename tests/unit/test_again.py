"""What the same command asks again."""

from __future__ import annotations

from pathlib import Path

from patchbench.images.missing import forget_missing
from patchbench.records import Built, Evidence
from patchbench.system.files import write_json
from patchbench.system.locks import release, try_lock

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
    missing = record(tmp_path, "baseline", "image.missing")
    kept = [
        record(tmp_path, "human", None),
        record(tmp_path, "alba", "image.build_failed", 'it said "image.missing"'),
    ]
    torn = tmp_path / "images" / COMMIT / "brio.json"
    torn.write_text('{"cause": "image.missing"')
    assert forget_missing(tmp_path) == 1
    assert not missing.exists()
    assert all(path.exists() for path in (*kept, torn))
    assert forget_missing(tmp_path) == 0


def test_nothing_is_forgotten_under_a_run_that_goes_on(tmp_path: Path) -> None:
    missing = record(tmp_path, "baseline", "image.missing")
    held = try_lock(tmp_path / ".lock")
    assert held is not None
    try:
        assert forget_missing(tmp_path) == 0
    finally:
        release(held)
    assert missing.exists()
    assert forget_missing(tmp_path) == 1


def test_without_results_there_is_nothing_to_forget(tmp_path: Path) -> None:
    assert forget_missing(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()
