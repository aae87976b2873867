"""What becomes of each arm over all blocks of a task."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.grading import commit
from patchbench.grading.run_folder import read_block
from patchbench.records import Block, GradedRun, Metrics
from patchbench.system.files import write_json
from tests.unit import make


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch):
    """Metrics of a task from graded runs, as if they had been read from their folders."""

    def parse(runs: list[GradedRun]) -> Metrics:
        found = {f"runs/{make.COMMIT}/block-{r.block}/{r.arm}": r for r in runs}
        monkeypatch.setattr(commit, "grade_folder", lambda _, folder: found[str(folder)])
        block = Block(
            commit=make.COMMIT, block=1, digest="d", order=(), runs=tuple(found), status="done"
        )
        return commit.grade_commit(make.task(), [block], ["baseline", "human"], 3)

    return parse


def arm(blocks: range, name: str, **more: object) -> list[GradedRun]:
    return [make.run(name, block, folder=str(Path("runs") / name), **more) for block in blocks]


def test_a_baseline_that_fails_beside_nothing_but_itself_takes_no_verdict_away(parsed) -> None:
    both = [*arm(range(1, 6), "baseline"), *arm(range(1, 6), "human")]
    pairs = [*arm(range(6, 8), "baseline", cause="bench.timeout"), *arm(range(6, 8), "baseline-aa")]
    (baseline, human) = parsed([*both, *pairs]).arms
    assert (baseline.status, baseline.blocks_measured, baseline.blocks_failed) == ("measured", 5, 0)
    assert (human.status, human.blocks_measured) == ("measured", 5)
    assert len(parsed([*both, *pairs]).runs) == 14


def test_a_baseline_that_fails_beside_arms_does(parsed) -> None:
    both = [*arm(range(1, 6), "baseline", cause="bench.timeout"), *arm(range(1, 6), "human")]
    assert parsed(both).arms[0].status == "failed"


def test_a_task_of_pairs_alone_has_a_baseline_too(parsed) -> None:
    (baseline,) = parsed([*arm(range(1, 6), "baseline"), *arm(range(1, 6), "baseline-aa")]).arms
    assert (baseline.status, baseline.blocks_measured) == ("measured", 5)


def test_a_blocks_launches_lie_beside_its_record_wherever_that_was_moved(tmp_path: Path) -> None:
    folder = tmp_path / "moved/runs/c/block-1"
    old = ("results/runs/c/block-1/baseline", "/elsewhere/runs/c/block-1/alba")
    block = Block(commit="c", block=1, digest="d", order=(), runs=old, status="done")
    write_json(folder / "block.json", block)
    assert read_block(folder / "block.json").runs == (f"{folder}/baseline", f"{folder}/alba")


def test_a_damaged_record_of_a_launch_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(BadInput, match=r"run\.json.*next: delete the file"):
        commit.grade_folder(make.task(), tmp_path)
