"""What git can't do for the machine's sake is never said of a patch."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.errors import InfraFault
from patchbench.failures import signatures
from patchbench.patches import git
from tests.unit.history import run_git


def test_a_parent_that_cannot_be_read_says_nothing_about_a_patch(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q", "--bare", "repo.git")
    with (
        pytest.raises(InfraFault, match=r"^infra\.repository .* git read-tree 0{12}: .*next:"),
        git.scratch_index(tmp_path / "repo.git", "0" * 40),
    ):
        pass


def test_gits_own_words_for_a_full_disk_are_known() -> None:
    said = "fatal: sha1 file '/tmp/x/index.lock' write error. Out of diskspace"
    assert signatures.machine_fault([said]) == "infra.disk_full"
