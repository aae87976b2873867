"""A block over its interruptions: what is launched again, and where A/A pairs come from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from patchbench.benchmark import block
from patchbench.benchmark.context import BlockContext
from patchbench.config import Protocol
from patchbench.ledger import journal
from patchbench.ledger.progress import count
from patchbench.records import Block, Built
from patchbench.system.processes import Guard
from tests.unit import make
from tests.unit.test_resume import COMMIT, PLACE, finish

ARMS = ("baseline", "human", "alba")
PAIR = ["baseline", "baseline-aa"]


class Bed:
    """Blocks whose launches end at once. ``place`` is where they are made; ``cut`` ends the job
    before its launch of that arm."""

    def __init__(self, results: Path, guard: Guard) -> None:
        self.results, self.guard = results, guard
        self.place = dict(PLACE)
        self.cut: str | None = None
        self.launched: list[str] = []

    def measure(
        self, number: int, protocol: Protocol, arms: tuple[str, ...] = ARMS
    ) -> Block | None:
        """Work off a block; None if it was cut. ``launched`` is what it launched."""
        self.launched.clear()
        runtime = SimpleNamespace(
            name="process",
            using=lambda *_: nullcontext(),
            disks=list,
            clean=list,
            exists=lambda _: True,
        )
        images = {
            arm: Built(commit=COMMIT, arm=arm, stage="build_image", status="ok", image=arm)
            for arm in arms
        }
        try:
            return block.measure(
                BlockContext(
                    task=make.task(protocol=protocol),
                    block=number,
                    digest="d",
                    images=images,
                    results=self.results,
                    slots=1,
                    runtime=runtime,  # type: ignore[arg-type]
                    guard=self.guard,
                    rebuild=lambda _: None,
                    on_finished=lambda _: None,
                )
            )
        except KeyboardInterrupt:
            return None

    def passed_on(self, number: int, *arms: str) -> None:
        """Arms of a block whose images were missing."""
        for arm in arms:
            finish(self.results, arm, number, "passed_on", status="passed_on")

    def launch_arm(self, context: BlockContext, arm: str, position: int, slot: object) -> None:
        if arm == self.cut:
            self.cut = None
            raise KeyboardInterrupt
        self.launched.append(arm)
        finish(self.results, arm, context.block, provenance=self.place, position=position)


@pytest.fixture
def bed(tmp_path: Path, locks: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch) -> Bed:
    made = Bed(tmp_path, guard)
    monkeypatch.setattr(block.arm_launch, "launch_arm", made.launch_arm)
    monkeypatch.setattr(block, "provenance", lambda *_: made.place)
    return made


def elsewhere(bed: Bed) -> None:
    bed.place = {**PLACE, "gpu_slot": "1"}


def stays(_: Bed) -> None:
    pass


@pytest.mark.parametrize("move", [stays, elsewhere])
def test_a_block_that_is_over_gets_no_pair_later(bed: Bed, move: Callable[[Bed], None]) -> None:
    """Its second launch would lie days after the first one."""
    bed.measure(1, Protocol(aa_blocks=0))
    assert bed.launched == list(ARMS)
    move(bed)
    found = bed.measure(1, Protocol(aa_blocks=1))
    assert found is not None
    assert (bed.launched, found.order) == ([], ARMS)
    assert count(bed.results, Protocol(aa_blocks=1)) == (3, 0.0, -1)


@pytest.mark.parametrize("arms", [ARMS, ("baseline",)])
def test_a_block_cut_short_before_its_pair_gets_it(bed: Bed, arms: tuple[str, ...]) -> None:
    bed.cut = "baseline-aa"
    assert bed.measure(1, Protocol(), arms) is None
    bed.measure(1, Protocol(), arms)
    assert bed.launched == ["baseline-aa"]


@pytest.mark.parametrize("arms", [ARMS, ("baseline",)])
def test_on_another_gpu_it_is_measured_anew(bed: Bed, arms: tuple[str, ...]) -> None:
    bed.cut = "baseline-aa"
    bed.measure(1, Protocol(), arms)
    elsewhere(bed)
    bed.measure(1, Protocol(), arms)
    assert bed.launched == [*arms, "baseline-aa"]


def test_a_pair_that_was_measured_stays_when_fewer_are_asked_for(bed: Bed) -> None:
    bed.measure(1, Protocol())
    found = bed.measure(1, Protocol(aa_blocks=0))
    assert found is not None
    assert (bed.launched, found.order) == ([], (*ARMS, "baseline-aa"))
    assert count(bed.results, Protocol(aa_blocks=0)) == (4, 0.0, 1)


def test_a_block_that_no_arm_needs_holds_the_pair_alone(bed: Bed) -> None:
    bed.measure(7, Protocol(aa_blocks=8), ("baseline",))
    assert bed.launched == PAIR
    assert count(bed.results, Protocol(aa_blocks=8)) == (2, 0.0, 0)


def test_a_block_begun_and_given_up_leaves_nothing_to_wait_for(bed: Bed) -> None:
    plan = Protocol(blocks=5, max_blocks=9)
    bed.cut = "human"
    bed.measure(6, plan)
    assert count(bed.results, plan).more == 3
    found = block.skip(make.task(), 6, "d", bed.results)
    assert found.status == "not_needed"
    assert count(bed.results, plan) == (0, 0.0, 0)
    assert not journal.path(bed.results, COMMIT, 9).exists()
    block.skip(make.task(), 9, "d", bed.results)
    assert not journal.path(bed.results, COMMIT, 9).exists()


def test_an_image_that_has_come_since_is_launched(bed: Bed) -> None:
    bed.passed_on(1, "human", "alba")
    bed.measure(1, Protocol(aa_blocks=0))
    assert bed.launched == list(ARMS)
    bed.measure(1, Protocol(aa_blocks=0))
    assert bed.launched == []


def test_what_is_launched_late_brings_no_pair_along(bed: Bed) -> None:
    bed.passed_on(1, "human")
    bed.measure(1, Protocol(aa_blocks=0))  # human's image is there in this bed
    assert bed.launched == list(ARMS)
    bed.passed_on(1, "human")
    bed.measure(1, Protocol(aa_blocks=1))
    assert bed.launched == ["human"]


def test_a_block_of_which_nothing_was_launched_gets_its_pair(bed: Bed) -> None:
    bed.passed_on(1, *ARMS)
    bed.measure(1, Protocol(aa_blocks=1))
    assert bed.launched == [*ARMS, "baseline-aa"]


def test_images_that_come_are_launches_to_wait_for(bed: Bed) -> None:
    bed.passed_on(1, "human", "alba")
    plan = Protocol(aa_blocks=0)
    assert count(bed.results, plan).runs == 2  # passed on for another reason
    folder = bed.results / "images" / COMMIT
    folder.mkdir(parents=True)
    for arm in ("human", "alba"):
        finish(bed.results, arm, 1, "passed_on", "image.missing", status="passed_on")
    (folder / "human.json").write_text('{"cause": "image.missing"}')
    assert count(bed.results, plan).runs == 1


def test_what_lies_beyond_the_plan_does_not_count(bed: Bed) -> None:
    bed.cut = "baseline-aa"
    bed.measure(7, Protocol(aa_blocks=7), ("baseline",))
    assert count(bed.results, Protocol(aa_blocks=7)) == (1, 0.0, 0)
    assert count(bed.results, Protocol(aa_blocks=1)) == (0, 0.0, 0)
