"""An image is never made from a diff that was damaged after it was checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.patches import applied_diff
from patchbench.records import Validated
from patchbench.system.files import digest, write_json

TWO_FILES = (
    b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"
    b"diff --git a/b.py b/b.py\n--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-b = 1\n+b = 2\n"
)


def written(folder: Path, sha: str) -> Path:
    record = Validated(
        stage="validate_patch", commit="c" * 40, arm="alba", status="ok", applied_sha256=sha
    )
    write_json(folder / applied_diff.RECORD, record)
    diff = folder / "applied.diff"
    diff.write_bytes(TWO_FILES)
    return diff


def test_a_whole_diff_is_taken(tmp_path: Path) -> None:
    applied_diff.check(written(tmp_path, digest(TWO_FILES)))


def test_a_diff_cut_between_two_files_is_refused_by_name(tmp_path: Path) -> None:
    diff = written(tmp_path, digest(TWO_FILES))
    diff.write_bytes(TWO_FILES[: len(TWO_FILES) // 2])
    with pytest.raises(BadInput, match=r"applied\.diff: damaged.*delete the file and run again"):
        applied_diff.check(diff)
    diff.unlink()
    with pytest.raises(BadInput, match=r"applied\.diff: No such file"):
        applied_diff.check(diff)


def test_a_record_that_does_not_say_is_believed(tmp_path: Path) -> None:
    diff = written(tmp_path, "")
    diff.write_bytes(b"")
    applied_diff.check(diff)
