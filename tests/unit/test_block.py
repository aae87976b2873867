"""A block over its interruptions: what is launched again, and where A/A pairs come from."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from patchbench.benchmark import block, block_slot
from patchbench.benchmark.context import BlockContext
from patchbench.config import Limits, Protocol
from patchbench.ledger import journal, progress
from patchbench.ledger.progress import count
from patchbench.records import Block, Built
from patchbench.system import gpu_slots
from patchbench.system.gpu_slots import Slot
from patchbench.system.processes import Guard
from tests.unit import make
from tests.unit.test_resume import COMMIT, PLACE, finish

ARMS = ("baseline", "human", "alba")
PAIR = ["baseline", "baseline-aa"]


class Bed:
    """Blocks whose launches end at once. ``place`` is where they are made, ``slots`` is the number
    of GPU slots there; ``cut`` ends the job before its launch of that arm."""

    def __init__(self, results: Path, guard: Guard) -> None:
        self.results, self.guard = results, guard
        self.place = dict(PLACE)
        self.slots = 1
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
                    slots=self.slots,
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

    def provenance(self, _: BlockContext, slot: Slot | None) -> dict[str, str]:
        return {**self.place, "gpu_slot": slot.name if slot else ""}

    def launch_arm(self, context: BlockContext, arm: str, position: int, slot: Slot | None) -> None:
        if arm == self.cut:
            self.cut = None
            raise KeyboardInterrupt
        self.launched.append(arm)
        place = self.provenance(context, slot)
        finish(self.results, arm, context.block, provenance=place, position=position)

    def events(self, kind: str) -> list[str]:
        """Details of the first block's events of a kind."""
        file = journal.path(self.results, COMMIT, 1)
        return [event.detail for event in journal.read(file) if event.event == kind]


@pytest.fixture
def bed(tmp_path: Path, locks: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch) -> Bed:
    made = Bed(tmp_path, guard)
    monkeypatch.setattr(block.arm_launch, "launch_arm", made.launch_arm)
    monkeypatch.setattr(block_slot, "provenance", made.provenance)
    return made


def elsewhere(bed: Bed) -> None:
    bed.place = {**PLACE, "host": "there"}


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
def test_on_another_machine_it_is_measured_anew(bed: Bed, arms: tuple[str, ...]) -> None:
    bed.cut = "baseline-aa"
    bed.measure(1, Protocol(), arms)
    elsewhere(bed)
    bed.measure(1, Protocol(), arms)
    assert bed.launched == [*arms, "baseline-aa"]
    assert bed.events("launches_superseded") == ["host was here, is there"]


def test_a_first_measurement_supersedes_nothing(bed: Bed) -> None:
    bed.measure(1, Protocol())
    assert bed.events("slot_taken") == ["0"]
    assert bed.events("launches_superseded") == []
    assert not (bed.results / progress.LOG).exists()


# --- the slot of an interrupted block ------------------------------------------------------------


@pytest.fixture
def torn(bed: Bed) -> Bed:
    """A block that was cut short on the second of two slots."""
    bed.slots, bed.cut = 2, "baseline-aa"
    with gpu_slots.slot(2, 1, 0, bed.guard):
        assert bed.measure(1, Protocol()) is None
    assert bed.events("slot_taken") == ["1"]
    return bed


def patient(seconds: float) -> Protocol:
    """A protocol in which an interrupted block waits so long for its GPU."""
    return Protocol(limits=Limits(gpu_return=seconds))


def test_an_interrupted_block_goes_on_at_its_slot(torn: Bed) -> None:
    torn.measure(1, Protocol())
    assert torn.launched == ["baseline-aa"]
    assert torn.events("slot_taken") == ["1", "1"]
    assert torn.events("launches_superseded") == []


def test_it_waits_until_its_slot_is_free(torn: Bed) -> None:
    with ExitStack() as other:
        other.enter_context(gpu_slots.slot(2, 1, 0, torn.guard, only="1"))
        timer = threading.Timer(0.3, other.close)
        timer.start()
        torn.measure(1, patient(600))
        timer.join()
    assert torn.launched == ["baseline-aa"]
    assert torn.events("slot_taken") == ["1", "1"]
    line = (torn.results / progress.LOG).read_text()
    assert f"block 1 of {COMMIT[:8]}: waits up to 600 s for GPU 1" in line
    assert f"(gpu1 by {os.getpid()})" in line


def test_if_its_slot_stays_busy_it_is_measured_anew_and_says_so(torn: Bed) -> None:
    with gpu_slots.slot(2, 1, 0, torn.guard, only="1"):
        torn.measure(1, patient(0.2))
    assert torn.launched == [*ARMS, "baseline-aa"]
    assert torn.events("slot_taken") == ["1", "0"]
    (why,) = torn.events("launches_superseded")
    assert why == f"gpu_slot was 1, is 0; waited 0 s (gpu1 by {os.getpid()})"
    assert f"are made again: {why}" in (torn.results / progress.LOG).read_text()


def test_it_waits_for_no_slot_that_it_can_not_get(torn: Bed) -> None:
    torn.slots = 1
    torn.measure(1, patient(600))
    assert torn.launched == [*ARMS, "baseline-aa"]
    (why,) = torn.events("launches_superseded")
    assert why == "gpu_slot was 1, is 0; this job may use GPU 0 only"


def test_it_waits_for_no_slot_of_another_machine(torn: Bed) -> None:
    elsewhere(torn)
    with gpu_slots.slot(2, 1, 0, torn.guard, only="1"):
        torn.measure(1, patient(600))
    assert torn.launched == [*ARMS, "baseline-aa"]


def test_in_a_slurm_job_the_slot_is_known_by_its_number_on_the_node(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_STEP_GPUS", "5,7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    bed.slots, bed.cut = 2, "baseline-aa"
    with gpu_slots.slot(2, 1, 0, bed.guard):
        bed.measure(1, Protocol())
    bed.cut = "baseline-aa"
    bed.measure(1, Protocol())
    assert (bed.launched, bed.events("slot_taken")) == ([], ["7", "7"])
    # Requeued, the job gets another GPU of the node.
    monkeypatch.setenv("SLURM_STEP_GPUS", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    bed.measure(1, patient(600))
    assert bed.launched == [*ARMS, "baseline-aa"]
    assert bed.events("launches_superseded") == [
        "gpu_slot was 7, is 5; this job may use GPU 5 only"
    ]


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
