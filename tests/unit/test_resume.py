"""What a block may take over from earlier launches."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.benchmark import resume, superseded
from patchbench.config import Protocol
from patchbench.grading.run_folder import block_folder, read_run
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.records import Run
from patchbench.system.files import write_json
from tests.unit import make
from tests.unit.make import launch, phase

COMMIT = make.COMMIT
PLACE = {"host": "here", "machine": "x86_64", "gpu_slot": "0", "version.numpy": "2.0"}
CRASHED = (phase("server_start", "failed", 1, "exit code 1"),)


def finish(
    results: Path, arm: str, block: int = 1, result: str = "measured", cause: str = "", **more
) -> Run:
    """A launch that came to its end: facts in its folder, a line in the journal."""
    folder = block_folder(results, COMMIT, block) / arm
    fields = {"provenance": PLACE, **more}
    phases = CRASHED if cause else ()
    run = launch(folder, *phases, arm=arm, block=block, **fields)
    write_json(folder / "run.json", run)
    event = Event(
        event="run_finished",
        at=journal.now(),
        commit=COMMIT,
        block=block,
        digest=run.block_digest,
        arm=arm,
        result=result,
        cause=cause,
    )
    journal.write(journal.path(results, COMMIT, block), event)
    return run


def test_a_launch_counts_if_journal_and_facts_agree(tmp_path: Path) -> None:
    for arm in ("baseline", "human", "alba", "brio", "corso"):
        finish(tmp_path, arm)
    folder = block_folder(tmp_path, COMMIT, 1)
    (folder / "human" / "run.json").unlink()
    (folder / "alba" / "run.json").write_text('{"commit": "c0')
    write_json(folder / "brio" / "run.json", launch(folder / "brio", block_digest="another"))
    assert set(resume.finished_launches(tmp_path, COMMIT, 1, "d")) == {"baseline", "corso"}
    assert resume.finished_launches(tmp_path, COMMIT, 1, "another") == {}
    assert resume.finished_launches(tmp_path, COMMIT, 2, "d") == {}


@pytest.mark.parametrize("name", ["host", "machine", "gpu_slot", "version.numpy"])
def test_a_launch_elsewhere_is_of_another_place(tmp_path: Path, name: str) -> None:
    run = finish(tmp_path, "alba")
    assert resume.place_changes(run, {**PLACE, "load_1min": "9.0"}) == []
    assert resume.place_changes(run, {**PLACE, name: "other"}) == [
        f"{name} was {PLACE[name]}, is other"
    ]


def test_a_new_version_in_sight_makes_another_place(tmp_path: Path) -> None:
    run = finish(tmp_path, "alba")
    assert resume.place_changes(run, {**PLACE, "version.torch": "3"}) == [
        "version.torch was unknown, is 3"
    ]


@pytest.mark.parametrize("name", ["gpu_uuid", "gpu_driver"])
def test_another_gpu_is_another_place_where_both_are_known(tmp_path: Path, name: str) -> None:
    """Rented machines may all have one name: seen on three H100 machines called vm."""
    run = finish(tmp_path, "alba", provenance={**PLACE, name: "GPU-1"})
    assert not resume.place_changes(run, {**PLACE, name: "GPU-1"})
    assert resume.place_changes(run, {**PLACE, name: "GPU-2"})
    assert not resume.place_changes(run, PLACE)
    assert not resume.place_changes(finish(tmp_path, "brio"), {**PLACE, name: "GPU-2"})


def test_what_launched_nothing_was_made_nowhere(tmp_path: Path) -> None:
    run = finish(tmp_path, "alba", status="passed_on")
    assert not resume.place_changes(run, {"host": "elsewhere"})


def test_what_does_not_count_is_removed_if_torn_and_moved_if_finished(tmp_path: Path) -> None:
    for arm in ("baseline", "human"):
        finish(tmp_path, arm)
    folder = block_folder(tmp_path, COMMIT, 1)
    (folder / "alba").mkdir()
    (folder / "alba" / "server.stderr").write_text("cut short")
    (folder / "block.json").write_text("not a launch")
    resume.set_aside(tmp_path, COMMIT, 1, {"baseline"})
    assert sorted(path.name for path in folder.iterdir()) == ["baseline", "block.json"]
    moved = list((tmp_path / "superseded" / COMMIT / "block-1").iterdir())
    assert [path.name.split("-")[0] for path in moved] == ["human"]
    assert (moved[0] / "run.json").is_file()


def test_setting_aside_twice_keeps_both(tmp_path: Path) -> None:
    for ended in ("2026-01-01T10:00:05.000+00:00", "2026-01-02T10:00:05.000+00:00"):
        finish(tmp_path, "human", ended=ended)
        resume.set_aside(tmp_path, COMMIT, 1, set())
    assert len(list((tmp_path / "superseded" / COMMIT / "block-1").iterdir())) == 2
    resume.set_aside(tmp_path, COMMIT, 7, set())


# --- arms that need not be launched again ---------------------------------------------------------


def again(results: Path, arm: str = "alba", block: int = 5, **protocol: int):
    task = make.task(protocol=Protocol(**{"blocks": 5, "arm_failures": 2, **protocol}))
    return resume.known_failure(task, results, block, arm, "d")


def crash(results: Path, block: int, arm: str = "alba", cause: str = "server.crash") -> None:
    finish(results, arm, block, "failed", cause)


def test_an_arm_that_failed_twice_in_the_same_way_is_not_launched_again(tmp_path: Path) -> None:
    for block in (1, 2):
        finish(tmp_path, "baseline", block)
        crash(tmp_path, block)
    outcome = again(tmp_path)
    assert (outcome.status, outcome.cause, outcome.stage) == (
        "failed",
        "server.crash",
        "server_start",
    )
    assert outcome.evidence.text.endswith("(blocks 1, 2; not launched again)")
    assert again(tmp_path, arm_failures=3) is None
    assert again(tmp_path, "brio") is None


def test_failures_in_different_ways_are_tried_again(tmp_path: Path) -> None:
    for block, cause in ((1, "server.crash"), (2, "server.timeout")):
        finish(tmp_path, "baseline", block)
        crash(tmp_path, block, cause=cause)
    assert again(tmp_path) is None


def test_an_arm_that_once_worked_is_tried_again(tmp_path: Path) -> None:
    for block in (1, 2, 3):
        finish(tmp_path, "baseline", block)
        crash(tmp_path, block)
    finish(tmp_path, "alba", 4)
    assert again(tmp_path) is None


def test_failures_beside_a_baseline_that_failed_do_not_count(tmp_path: Path) -> None:
    finish(tmp_path, "baseline", 1)
    crash(tmp_path, 1)
    crash(tmp_path, 2, "baseline")
    crash(tmp_path, 2)
    crash(tmp_path, 3)
    assert again(tmp_path) is None


def test_beside_a_baseline_that_is_given_up_no_failing_arm_is_launched_again(
    tmp_path: Path,
) -> None:
    for block in (1, 2):
        crash(tmp_path, block, "baseline")
        crash(tmp_path, block)
        finish(tmp_path, "brio", block)
    assert again(tmp_path).cause == "server.crash"
    assert again(tmp_path, "baseline-aa") is None  # has not failed
    assert again(tmp_path, "brio") is None  # works: that is worth knowing


def test_the_baselines_own_failures_count(tmp_path: Path) -> None:
    for block in (1, 2):
        crash(tmp_path, block, "baseline")
    assert again(tmp_path, "baseline").cause == "server.crash"


def test_a_blocks_own_earlier_failure_is_no_earlier_block(tmp_path: Path) -> None:
    for block in (1, 2):
        finish(tmp_path, "baseline", block)
        crash(tmp_path, block)
    assert again(tmp_path, block=2) is None


# --- launches that count again --------------------------------------------------------------------


def stands(results: Path) -> dict[str, str]:
    """The digests of the launches in the block's folder, by arm."""
    folder = block_folder(results, COMMIT, 1)
    return {path.name: read_run(path).block_digest for path in folder.iterdir() if path.is_dir()}


def test_superseded_launches_whose_digest_fits_again_are_taken_back(tmp_path: Path) -> None:
    arms = ("baseline", "human", "alba")
    for arm in arms:
        finish(tmp_path, arm)
    resume.set_aside(tmp_path, COMMIT, 1, ())
    for arm in arms[:2]:  # alba's patch is away
        later = "2026-02-01T10:00:05.000+00:00"
        finish(tmp_path, arm, block_digest="without", ended=later)
    assert superseded.take_back(tmp_path, COMMIT, 1, "d") == sorted(arms)
    assert stands(tmp_path) == dict.fromkeys(arms, "d")
    assert set(resume.finished_launches(tmp_path, COMMIT, 1, "d")) == set(arms)
    assert superseded.take_back(tmp_path, COMMIT, 1, "d") == []
    assert superseded.take_back(tmp_path, COMMIT, 1, "without") == ["baseline", "human"]
    assert stands(tmp_path) == dict.fromkeys(arms[:2], "without")


def test_older_launches_of_another_place_stay_aside(tmp_path: Path) -> None:
    for arm in ("baseline", "alba"):
        finish(tmp_path, arm)
    resume.set_aside(tmp_path, COMMIT, 1, ())
    finish(tmp_path, "baseline", provenance={**PLACE, "host": "elsewhere"})
    assert superseded.take_back(tmp_path, COMMIT, 1, "d") == []
    assert stands(tmp_path) == {"baseline": "d"}


def test_the_latest_of_superseded_launches_is_taken_back(tmp_path: Path) -> None:
    for day in (2, 1):
        finish(tmp_path, "human", ended=f"2026-01-0{day}T10:00:05.000+00:00", position=day)
        resume.set_aside(tmp_path, COMMIT, 1, ())
    assert superseded.take_back(tmp_path, COMMIT, 1, "d") == ["human"]
    assert read_run(block_folder(tmp_path, COMMIT, 1) / "human").position == 2


def test_what_never_finished_or_was_never_set_aside_is_not_taken_back(tmp_path: Path) -> None:
    assert superseded.take_back(tmp_path, COMMIT, 1, "d") == []
    finish(tmp_path, "alba", block_digest="other")
    resume.set_aside(tmp_path, COMMIT, 1, ())
    assert superseded.take_back(tmp_path, COMMIT, 1, "d") == []
