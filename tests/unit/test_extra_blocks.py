"""What blocks beyond the first ones launch: what is open, A/A pairs, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchbench.benchmark import extra_blocks
from patchbench.benchmark.extra_blocks import plan_extra_block
from patchbench.config import Protocol
from patchbench.grading.run_folder import block_folder
from patchbench.ledger import looks
from patchbench.records import AA, Block, Metrics
from patchbench.system.files import write_json
from tests.unit import make
from tests.unit.test_extension import CLEAR, FLAT, LIKELY, STEADY, runs
from tests.unit.test_resume import COMMIT, finish

ARMS = ["baseline", "human", "alba", "brio"]
PLAN = Protocol(blocks=5, max_blocks=10)
STEADY_AA = {AA: [1.001, 0.999, 1.0, 1.002, 0.998]}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Asks for a block of a task whose first five blocks had these gains."""

    def ask(block: int, protocol: Protocol = PLAN, **gains: list[float]) -> extra_blocks.ExtraBlock:
        for before in range(1, block):
            record = Block(
                commit=COMMIT, block=before, digest="d", order=(), runs=(), status="done"
            )
            write_json(block_folder(tmp_path, COMMIT, before) / "block.json", record)
        graded = Metrics(
            commit=COMMIT, digests=("d",), runs=tuple(runs(5, **gains, **STEADY_AA)), arms=()
        )
        monkeypatch.setattr(extra_blocks, "grade_commit", lambda *_: graded)
        task = make.task(protocol=protocol, primary_metric="ttft_median_ms")
        return plan_extra_block(task, block, "d", ARMS, tmp_path, make.RULES)

    return ask


def test_only_open_arms_are_launched_beside_the_baseline_and_the_human(asked) -> None:
    found = asked(6, human=CLEAR, alba=LIKELY, brio=FLAT)
    assert found.arms == ("baseline", "human", "alba")
    assert found.reason == "alba open after 5 blocks"


def test_each_look_stands_in_the_journal_once(asked, tmp_path: Path) -> None:
    asked(6, human=CLEAR, alba=LIKELY, brio=FLAT)
    asked(7, human=CLEAR, alba=LIKELY, brio=FLAT)
    asked(7, human=CLEAR, alba=LIKELY, brio=FLAT)
    taken = looks.read(tmp_path, COMMIT)
    assert [(look.blocks, look.first, look.last) for look in taken] == [(5, 5, 10), (6, 5, 10)]


def test_no_arm_needs_a_block_if_all_is_decided(asked) -> None:
    assert asked(6, human=CLEAR, alba=CLEAR, brio=FLAT) == ((), "")


def test_beyond_what_arms_may_get_there_are_only_pairs(asked) -> None:
    plan = Protocol(blocks=5, max_blocks=7, aa_blocks=9)
    gains = {"human": CLEAR, "alba": LIKELY, "brio": FLAT}
    assert asked(7, plan, **gains).arms == ("baseline", "human", "alba")
    assert asked(8, plan, **gains) == (("baseline",), "an A/A pair")
    assert asked(10, plan, **gains) == ((), "")


def test_what_was_measured_once_stays_in_its_block(asked, tmp_path: Path) -> None:
    for arm in ("baseline", "human", "brio"):
        finish(tmp_path, arm, 6)
    assert asked(6, human=CLEAR, alba=CLEAR, brio=FLAT) == (("baseline", "human", "brio"), "")
    open_ = asked(6, human=CLEAR, alba=LIKELY, brio=FLAT)
    assert open_.arms == ("baseline", "human", "alba", "brio")
    assert open_.reason


def test_a_launch_without_its_baseline_makes_no_block(asked, tmp_path: Path) -> None:
    finish(tmp_path, "brio", 6)
    assert asked(6, human=CLEAR, alba=CLEAR, brio=FLAT) == ((), "")


def test_the_baseline_is_steady_here() -> None:
    assert max(STEADY) / min(STEADY) < 1.03  # what the cases above rest on


def test_an_arm_without_a_fair_chance_gets_no_block(asked) -> None:
    wild = [1.3, 0.8, 1.1, 0.9, 1.0] * 2
    assert asked(6, human=CLEAR, alba=wild, brio=FLAT) == ((), "")


def test_a_budget_that_is_spent_gives_no_block(asked) -> None:
    plan = msgspec.structs.replace(PLAN, budget_gpu_hours=1.0)
    assert asked(6, plan, human=CLEAR, alba=LIKELY, brio=FLAT) == ((), "")
