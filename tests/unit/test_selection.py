"""The choice of a campaign's tasks, the owner of its results folder, and files of no task."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from patchbench.errors import BadInput
from patchbench.patches.sources.folder import stray_files
from patchbench.plan import campaign, results_folder
from patchbench.plan.campaign import Campaign
from patchbench.report.tables import collect
from tests.unit import synthetic
from tests.unit.history import History

DIFF = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The synthetic campaign's files; alba has a patch for commit A alone."""
    monkeypatch.chdir(tmp_path)
    synthetic.plan(tmp_path)
    Path(f"patches/alba/{synthetic.A[:8]}.diff").write_text(DIFF)
    return tmp_path


def load(**changes: Any) -> Campaign:
    return campaign.load(synthetic.CONFIG | changes)


def test_a_task_without_any_patch_is_excluded_unless_asked_for(folder: Path) -> None:
    found = load(tasks_without_patches="skip")
    reasons = {c: t.exclusion and t.exclusion.reason for c, t in found.tasks.items()}
    assert reasons == {synthetic.A: None, **dict.fromkeys(found.commits[1:], "no_patch")}
    evidence = found.tasks[synthetic.B].exclusion
    assert evidence and evidence.evidence == "none of the 2 agents has a patch for it"
    # Baseline, human, two agents and the A/A launch of one task.
    assert found.launches == 4 * 5 + 1
    assert load().launches == 4 * found.launches


def test_a_patch_that_came_later_brings_its_task_back(folder: Path) -> None:
    Path(f"patches/brio/{synthetic.B[:12]}.patch").write_text(DIFF)
    found = load(tasks_without_patches="skip")
    assert [c for c, t in found.tasks.items() if t.exclusion is None] == [synthetic.A, synthetic.B]


def test_without_any_patch_a_warning_says_that_nothing_can_be_measured(folder: Path) -> None:
    Path(f"patches/alba/{synthetic.A[:8]}.diff").unlink()
    (warning,) = load(tasks_without_patches="skip").warnings
    assert warning == "config: nothing can be measured: all 4 tasks are out (no_patch)"


def test_only_names_commits_by_their_beginnings(folder: Path) -> None:
    assert load(only=[synthetic.C[:8], synthetic.A]).commits == [synthetic.A, synthetic.C]


def test_a_name_of_no_task_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(BadInput) as refused:
        load(only=["aaaaaab"])
    assert str(refused.value) == (
        "config: only.0: 'aaaaaab' is no commit of the lists; did you mean aaaaaaaa?"
    )


def test_too_few_blocks_for_a_verdict_are_told_beforehand(folder: Path) -> None:
    (warning,) = load(protocol={"blocks": 2}).warnings
    assert warning.startswith("config: protocol.blocks: 2 planned, but no verdict is given on")
    assert not load(protocol={"blocks": {"min": 2, "max": 3}}).warnings


# --- files of no task -----------------------------------------------------------------------------


def test_files_of_no_task_are_named_with_the_mistake(tmp_path: Path) -> None:
    commit = "e4bb744" + "8" * 33
    for name in (
        *("e4bb7448.diff", f"{commit}.patch", "README.md", "notes.txt"),
        *("e4bb7449.diff", "e4bb7448.txt", "e4bb744888.diff", "fix.diff"),
    ):
        (tmp_path / name).touch()
    (tmp_path / "deadbeef").mkdir()
    assert stray_files(tmp_path, [commit]) == [
        "e4bb7448.txt (neither .diff nor .patch)",
        "e4bb744888.diff (name it e4bb7448.diff)",
        "e4bb7449.diff (did you mean e4bb7448?)",
        "fix.diff",
    ]


def test_a_plan_warns_of_them_also_beside_only(folder: Path) -> None:
    Path("patches/brio/aaaaaaab.diff").touch()
    Path("patches/brio/bbbbbbbb.diff").touch()
    (warning,) = load(only=[synthetic.A]).warnings
    assert warning == (
        "config: agents.brio.patches: 1 file matches no task: aaaaaaab.diff (did you mean "
        "aaaaaaaa?)"
    )


# --- the owner of a results folder ----------------------------------------------------------------


def test_a_results_folder_refuses_another_campaign_in_one_line(folder: Path) -> None:
    results_folder.claim(Path("results"), "demo")
    with pytest.raises(BadInput) as refused:
        load()
    assert str(refused.value) == (
        "config: results: results belongs to campaign demo, and this one is synthetic | next: give "
        "it a folder of its own (results: results/synthetic); if demo was only renamed: echo "
        "synthetic > results/campaign"
    )
    Path("results/campaign").write_text("synthetic\n")
    assert load().name == "synthetic"


def test_the_owner_of_a_folder_without_its_file_stands_beside_the_tables(tmp_path: Path) -> None:
    assert results_folder.owner(tmp_path) == ""
    (tmp_path / "about.json").write_text('{"name": "old", "agents": {}}')
    assert results_folder.owner(tmp_path) == "old"
    results_folder.claim(tmp_path, "old")
    assert (tmp_path / "campaign").read_text() == "old\n"


# --- a repository of one's own --------------------------------------------------------------------


def test_a_repository_takes_the_place_of_the_subjects(folder: Path, history: History) -> None:
    found = load(repositories={"small": str(history.repo)})
    source = found.tasks[synthetic.A].subject.source
    assert (source.repo, source.prepare) == (str(history.repo), ())
    with pytest.raises(BadInput, match=r"repositories\.small: no git repository at nowhere"):
        load(repositories={"small": "nowhere"})


def test_tables_show_tasks_without_patches_as_excluded_before_any_record(folder: Path) -> None:
    tables = collect.tables(load(tasks_without_patches="skip"))
    tasks = {row["commit"]: row for row in tables["tasks"].to_pylist()}
    assert [tasks[c]["status"] for c in (synthetic.A, synthetic.B)] == ["pending", "excluded"]
    assert tasks[synthetic.B]["exclusion"] == "no_patch"
    assert tasks[synthetic.B]["exclusion_evidence"] == "none of the 2 agents has a patch for it"
    outcomes = Counter(row["status"] for row in tables["outcomes"].to_pylist())
    assert outcomes == {"pending": 4, "excluded": 12}
