"""Excerpts of logs and patches: bounded, and never from outside the results folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.report.excerpts import AFTER, BEFORE, PATCH_LINES, WIDTH, around, beginning


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "log").write_text("".join(f"line {n}\n" for n in range(1, 101)), encoding="utf-8")
    return folder


def test_the_lines_around_the_evidence_are_numbered(results: Path) -> None:
    found = around(results, "log", 50)
    assert [line.number for line in found] == list(range(50 - BEFORE, 50 + AFTER + 1))
    assert [line.text for line in found if line.shown] == ["line 50"]
    assert [line.number for line in around(results, "log", 1)] == list(range(1, 2 + AFTER))
    assert around(results, "log", 100)[-1].shown


@pytest.mark.parametrize(("link", "line"), [("log", 101), ("log", None), ("", 3), ("none", 3)])
def test_without_such_a_line_there_is_no_excerpt(
    results: Path, link: str, line: int | None
) -> None:
    assert around(results, link, line) == ()


@pytest.mark.parametrize("link", ["../secret", "runs/link", "a\0b"])
def test_nothing_outside_the_results_is_read(results: Path, link: str) -> None:
    (results.parent / "secret").write_text("secret\n", encoding="utf-8")
    (results / "runs").mkdir()
    (results / "runs" / "link").symlink_to(results.parent / "secret")
    assert around(results, link, 1) == ()
    assert beginning(results, link).lines == ()


def test_long_lines_and_long_patches_are_cut(results: Path) -> None:
    (results / "long").write_bytes(b"x" * 1000 + b"\xff\n" + b"y\n" * (PATCH_LINES + 4))
    found = beginning(results, "long")
    assert len(found.lines) == PATCH_LINES
    assert found.left == 5
    assert found.lines[0] == "x" * (WIDTH - 1) + "…"
