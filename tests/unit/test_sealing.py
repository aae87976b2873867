"""The secret of a block: sealed before the first launch, kept by a resumed block, then opened."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from patchbench.benchmark import block, block_slot
from patchbench.benchmark.context import BlockContext
from patchbench.grading.run_folder import SCORES, SCORING
from patchbench.judge.draws import commitment
from patchbench.judge.record import Dialect, read_window
from patchbench.judge.scores import LaunchScores
from patchbench.ledger import journal
from patchbench.records import Run
from patchbench.runtimes.process import ProcessRuntime
from patchbench.system.files import read_json, write_json
from patchbench.system.processes import Guard
from tests.unit import judged, make
from tests.unit.test_resume import PLACE, finish

ARMS = ("baseline", "alba", "brio")


class Bed:
    """A judged block whose launches end at once. ``cut`` ends the job before that arm, or before
    the scoring; ``scoring`` is what the baseline's server offers."""

    def __init__(self, folder: Path, guard: Guard) -> None:
        self.folder, self.guard = folder, guard
        self.scoring = "echo"
        self.cut = ""
        self.did: list[str] = []
        self.secrets: set[bytes] = set()
        self.damage: dict[str, str] = {}

    def context(self, number: int = 1, digest: str = "d") -> BlockContext:
        images = {arm: self.folder / arm for arm in ARMS}
        for image in images.values():
            image.mkdir(exist_ok=True)
        return judged.block(self.folder, self.guard, images, block=number, digest=digest)

    def measure(self, number: int = 1, digest: str = "d") -> list[str]:
        """Work off a block; returns what was launched and scored."""
        self.did.clear()
        try:
            block.measure(self.context(number, digest))
        except KeyboardInterrupt:
            self.cut = ""
        return list(self.did)

    def launch_arm(self, context: BlockContext, arm: str, position: int, slot: object) -> None:
        self.step(context, arm)
        folder = context.folder / arm
        write_json(folder / "dialect.json", Dialect(scoring=self.scoring))  # type: ignore[arg-type]
        (folder / "window-1.judge").touch()
        facts = {"block_digest": context.digest, "ended": journal.now()}
        finish(context.results, arm, context.block, provenance=PLACE, **facts)

    def score_answers(self, context: BlockContext, arms: Collection[str], slot: object) -> None:
        self.step(context, f"score {' '.join(arms)}")
        (context.folder / SCORING).mkdir(exist_ok=True)
        for arm in arms:
            (context.folder / arm / SCORES).touch()

    def step(self, context: BlockContext, what: str) -> None:
        if self.cut and what.startswith(self.cut):
            raise KeyboardInterrupt
        self.did.append(what)
        self.secrets.add(context.secret.read_bytes())

    def seals(self, number: int = 1) -> list[tuple[str, str]]:
        events = self.context(number).events()
        return [(e.event, e.detail) for e in events if e.event in ("block_sealed", "block_opened")]


@pytest.fixture
def bed(tmp_path: Path, locks: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch) -> Bed:
    made = Bed(tmp_path, guard)
    monkeypatch.setattr(block.arm_launch, "launch_arm", made.launch_arm)
    monkeypatch.setattr(block.scoring, "score_answers", made.score_answers)
    monkeypatch.setattr(block_slot, "provenance", lambda *_: PLACE)
    damage = lambda _, run, *more: made.damage.get(run.arm, "")  # noqa: E731
    monkeypatch.setattr(block.resume, "damage", damage)
    return made


ALL = [*ARMS, f"score {' '.join(ARMS)}"]


def test_the_hash_comes_before_the_first_launch_and_the_secret_after_the_last(bed: Bed) -> None:
    bed.cut = "baseline"
    bed.measure()
    ((event, digest),) = bed.seals()
    assert event == "block_sealed"
    assert bed.measure() == ALL
    (secret,) = bed.secrets
    assert bed.seals() == [("block_sealed", digest), ("block_opened", secret.hex())]
    assert commitment(secret) == digest
    assert not bed.context().secret.exists()


@pytest.mark.parametrize("cut", ["alba", "score"])
def test_a_resumed_block_keeps_its_secret(bed: Bed, cut: str) -> None:
    bed.cut = cut
    before = bed.measure()
    assert before + bed.measure() == ALL
    assert len(bed.secrets) == 1 and len(bed.seals()) == 2


def test_after_a_kill_before_the_scores_nothing_is_launched_again(bed: Bed) -> None:
    bed.cut = "score"
    assert bed.measure() == list(ARMS)
    assert bed.measure() == ALL[-1:]
    assert bed.measure() == []
    assert (bed.context().folder / SCORING).is_dir()


def test_blocks_and_digests_have_secrets_of_their_own(bed: Bed) -> None:
    for number, digest in ((1, "d"), (2, "d"), (1, "new")):
        bed.measure(number, digest)
    assert len(bed.secrets) == 3


def test_launches_of_another_digest_keep_their_secret_too(bed: Bed) -> None:
    """A patch is away for a while: what was measured with it counts again when it is back."""
    bed.cut = "brio"
    bed.measure(digest="with")
    bed.measure(digest="without")
    assert len(bed.secrets) == 2
    assert bed.measure(digest="with") == ["brio", ALL[-1]]
    bed.measure(digest="without")
    assert len(bed.secrets) == 2


def test_an_opened_block_goes_on_with_the_same_secret(bed: Bed) -> None:
    """An image came late: the arm gets the prompts of the others, and all are scored by one
    server."""
    finish(bed.context().results, "brio", 1, "passed_on", status="passed_on")
    bed.measure()
    folder = bed.context().folder
    (folder / "brio" / "run.json").unlink()
    assert bed.measure() == ["brio", ALL[-1]]
    assert len(bed.secrets) == 1 and len(bed.seals()) == 2
    assert not bed.context().secret.exists()


def test_launches_whose_secret_is_lost_are_made_again(bed: Bed) -> None:
    bed.cut = "brio"
    bed.measure()
    bed.context().secret.unlink()
    assert bed.measure() == ALL
    assert again(bed) == ["the block's secret is lost"]
    assert len(bed.secrets) == 2
    sealed = [detail for event, detail in bed.seals() if event == "block_sealed"]
    assert sorted(sealed) == sorted(map(commitment, bed.secrets))


def again(bed: Bed) -> list[str]:
    """Return the reasons for which finished launches were made again."""
    return [e.detail for e in bed.context().events() if e.event == "launches_superseded"]


def test_a_launch_whose_record_was_damaged_since_is_made_again_alone(bed: Bed) -> None:
    bed.cut = "brio"
    assert bed.measure() == ["baseline", "alba"]
    bed.damage["alba"] = "window-1.judge: not a whole record"
    assert bed.measure()[:2] == ["alba", "brio"]
    assert again(bed) == ["window-1.judge: not a whole record"]
    assert len(bed.secrets) == 1


def test_without_scoring_on_the_baselines_server_nothing_is_scored(bed: Bed) -> None:
    bed.scoring = "none"
    assert bed.measure() == list(ARMS)
    assert [event for event, _ in bed.seals()] == ["block_sealed", "block_opened"]


def test_without_a_load_there_is_no_secret(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    own = make.task(protocol=judged.task().protocol)
    context = bed.context()._replace(task=own)
    monkeypatch.setattr(bed, "step", lambda *_: None)
    block.measure(context)
    assert bed.seals() == [] and not context.secret.exists()


# --- for real --------------------------------------------------------------------------------


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launches count as measured: grading is another matter."""

    def grade_launch(task: object, run: Run, folder: object) -> Any:
        return make.run(run.arm)

    monkeypatch.setattr(block.arm_launch, "grade_launch", grade_launch)


class OneFolder(ProcessRuntime):
    """Files of the judge need names of their own, as in a container, where they share a folder."""

    def start_judge(self, words: Any, *, place: Any, **files: Any) -> Any:
        names = [path.name for path in (*place.reads, *place.writes)]
        assert len(set(names)) == len(names), names
        return super().start_judge(words, place=place, **files)


@pytest.mark.usefixtures("works")
def test_a_block_is_measured_and_scored(tmp_path: Path, locks: Path, guard: Guard) -> None:
    honest = judged.tree(tmp_path / "baseline")
    images = {"baseline": honest, "alba": judged.tree(tmp_path / "alba", cheat="wrong_under_load")}
    runtime = OneFolder(tmp_path, tmp_path / "results")
    context = judged.block(tmp_path, guard, images, runtime=runtime)
    block.measure(context)
    names = [event.event for event in context.events()]
    assert names[:4] == ["block_begun", "slot_taken", "block_sealed", "run_started"]
    assert names[-2:] == ["run_finished", "block_opened"]
    secret = bytes.fromhex(context.events()[-1].detail)
    gaps: dict[str, float] = {}
    for arm in images:
        windows = [read_window(context.folder / arm / f"window-{n}.judge") for n in (1, 2)]
        assert {window.commitment for window in windows} == {commitment(secret)}
        launch = scores(context, arm)
        assert (launch.why, [s.window for s in launch.scores]) == ("", [1, 2])
        tokens = [gap for of in launch.scores for one in of.scores for gap in one.gaps]
        gaps[arm] = sum(tokens) / len(tokens)
    assert gaps["alba"] > 100 * gaps["baseline"] > 0
    logs = {path.name for path in (context.folder / SCORING).iterdir()}
    assert {"server.stderr", "judge.stdout"} <= logs

    # A record that was whole is not any more: that launch is made again.
    no_record(context)
    assert block.measure(context).status == "done"
    assert [s.window for s in scores(context, "alba").scores] == [1, 2]
    assert [e.arm for e in context.events() if e.event == "run_started"] == [*images, "alba"]

    # What can't be scored has a reason, and fails no block.
    for spoil, why, baselines in (
        (no_server, "the baseline's server: server process exit code 5 before", 0),
        (no_secret, "the block's secret is lost", 0),
    ):
        (context.folder / "alba" / SCORES).unlink()
        spoil(context)
        assert block.measure(context).status == "done"
        alba = scores(context, "alba")
        assert (alba.scores, why in alba.why) == ((), True)
        assert len(scores(context, "baseline").scores) == baselines


def scores(context: BlockContext, arm: str) -> LaunchScores:
    return read_json(context.folder / arm / SCORES, LaunchScores)


def no_record(context: BlockContext) -> None:
    (context.folder / "alba" / "window-1.judge").write_bytes(b"torn")


def no_server(context: BlockContext) -> None:
    (Path(context.image("baseline").image) / "server.py").write_text("raise SystemExit(5)")


def no_secret(context: BlockContext) -> None:
    lines = context.journal.read_text().splitlines(keepends=True)
    context.journal.write_text("".join(line for line in lines if "block_opened" not in line))
