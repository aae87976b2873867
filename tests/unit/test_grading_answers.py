"""A gain counts only with the baseline's answers; a whole commit, parsed from raw files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchbench.grading import run_folder
from patchbench.grading.commit import grade_commit
from patchbench.records import Block, Exclusion, Metrics
from patchbench.subject import OutputCheck
from patchbench.system.files import write_json
from tests.unit import make, outputs
from tests.unit.make import launch, phase

ARMS = ["baseline", "human", "alba"]
RIGHT = ["one", "two", "three", "four"]


def a_block(folder: Path, number: int, answers: dict[str, list[str] | None], **more) -> Block:
    """Raw files of one block: every arm measured, with these answers."""
    runs = []
    for arm, given in answers.items():
        place = folder / f"block-{number}" / arm
        place.mkdir(parents=True)
        failed = more.get(arm)
        phases = (phase("server_start"), phase("benchmark", *((failed,) if failed else ())))
        write_json(place / "run.json", launch(place, *phases, arm=arm, block=number))
        (place / run_folder.BENCH_OUT).write_text(outputs.V3.text)
        if given is not None:
            write_json(place / run_folder.ANSWERS, {"answers": given})
        runs.append(str(place))
    return Block(
        commit=make.COMMIT,
        block=number,
        digest="d1",
        order=tuple(answers),
        runs=tuple(runs),
        status="done",
    )


def checked(*found: Block, agreement: float = 1.0) -> Metrics:
    check = OutputCheck(prompts=("a", "b", "c", "d"), min_agreement=agreement)
    task = make.task(subject=make.subject(output_check=check), workload=make.workload(requests=250))
    return grade_commit(task, list(found), ARMS, 3)


def status(found: Metrics) -> dict[str, str]:
    return {arm.arm: arm.cause or arm.status for arm in found.arms}


def test_equal_answers_are_measured(tmp_path: Path) -> None:
    found = checked(*(a_block(tmp_path, n, dict.fromkeys(ARMS, RIGHT)) for n in (1, 2, 3)))
    assert status(found) == dict.fromkeys(ARMS, "measured")
    assert {run.agreement for run in found.runs if run.arm == "alba"} == {1.0}
    assert found.digests == ("d1",)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Metrics) == found


def test_another_answer_is_wrong_and_quoted_and_its_metrics_are_gone(tmp_path: Path) -> None:
    answers = {"baseline": RIGHT, "human": RIGHT, "alba": ["one", "2", "three", "four"]}
    found = checked(*(a_block(tmp_path, n, answers) for n in (1, 2, 3)))
    alba = next(arm for arm in found.arms if arm.arm == "alba")
    assert (alba.cause, alba.blame, alba.stage) == ("bench.wrong_output", "agent", "output_check")
    assert "75%" in alba.evidence.text
    assert "prompt 2: '2' instead of 'two'" in alba.evidence.text
    assert all(run.metrics == {} for run in found.runs if run.arm == "alba")


def test_a_wrong_answer_of_the_human_is_the_tasks(tmp_path: Path) -> None:
    answers = {"baseline": RIGHT, "human": RIGHT[::-1], "alba": RIGHT}
    found = checked(*(a_block(tmp_path, n, answers) for n in (1, 2, 3)))
    human = next(arm for arm in found.arms if arm.arm == "human")
    assert (human.cause, human.blame) == ("bench.wrong_output", "task")


def test_no_answers_where_the_baseline_gave_some_are_no_measurement(tmp_path: Path) -> None:
    answers = {"baseline": RIGHT, "human": RIGHT, "alba": None}
    found = checked(*(a_block(tmp_path, n, answers) for n in (1, 2, 3)))
    assert status(found)["alba"] == "check.failed"


def test_nothing_is_asked_where_the_baseline_gave_no_answers(tmp_path: Path) -> None:
    answers = {"baseline": None, "human": RIGHT, "alba": RIGHT[::-1]}
    found = checked(*(a_block(tmp_path, n, answers) for n in (1, 2, 3)))
    assert status(found) == dict.fromkeys(ARMS, "measured")
    assert {run.agreement for run in found.runs} == {None}


def test_what_the_baseline_does_not_repeat_itself_is_asked_of_nobody_in_any_block(
    tmp_path: Path,
) -> None:
    """What the baseline's launches show holds for the other blocks too."""
    shaky, mine = [*RIGHT[:3], "4"], [*RIGHT[:3], "IV"]
    shakier = [*RIGHT[:3], "4.0"]
    found = checked(
        a_block(tmp_path, 1, {"baseline": RIGHT, "alba": mine, "baseline-aa": shaky}),
        a_block(tmp_path, 2, {"baseline": shakier, "alba": mine}),
        a_block(tmp_path, 3, {"baseline": RIGHT, "alba": mine}),
    )
    assert status(found)["alba"] == "measured"
    worse = ["1", "2", *mine[2:]]
    found = checked(
        a_block(tmp_path / "b", 1, {"baseline": RIGHT, "alba": worse, "baseline-aa": shaky}),
        a_block(tmp_path / "b", 2, {"baseline": shakier, "alba": worse}),
        a_block(tmp_path / "b", 3, {"baseline": RIGHT, "alba": worse}),
    )
    assert status(found)["alba"] == "bench.wrong_output"


GARBAGE = ["?", "??", "???", "????"]


def test_one_odd_launch_of_the_baseline_switches_no_check_off(tmp_path: Path) -> None:
    right = {"baseline": RIGHT, "human": RIGHT, "alba": RIGHT[::-1]}
    odd = {**right, "baseline": GARBAGE}
    blocks = [a_block(tmp_path, n, odd if n == 2 else right) for n in (1, 2, 3)]
    assert status(checked(*blocks))["alba"] == "bench.wrong_output"
    assert status(checked(*blocks))["human"] == "measured"


def test_a_failed_launch_of_the_baseline_gives_no_right_answer(tmp_path: Path) -> None:
    right = {"baseline": RIGHT, "alba": GARBAGE}
    blocks = [a_block(tmp_path, n, right) for n in (1, 2)]
    failed = a_block(tmp_path, 3, {"baseline": GARBAGE, "alba": GARBAGE}, baseline="timeout")
    assert status(checked(*blocks, failed))["alba"] == "bench.wrong_output"


def test_a_baseline_that_hardly_repeats_itself_is_no_check(tmp_path: Path) -> None:
    blocks = [
        a_block(tmp_path, n, {"baseline": [f"{n}{a}" for a in RIGHT], "alba": GARBAGE})
        for n in (1, 2, 3)
    ]
    found = checked(*blocks)
    assert status(found)["alba"] == "measured"
    assert {run.agreement for run in found.runs} == {None}  # the report calls it unchecked


def test_less_agreement_may_be_enough_for_a_subject(tmp_path: Path) -> None:
    answers = {"baseline": RIGHT, "alba": ["one", "2", "three", "four"]}
    three = [a_block(tmp_path, n, answers) for n in (1, 2, 3)]
    assert status(checked(*three, agreement=0.75))["alba"] == "measured"
    assert status(checked(*three, agreement=0.8))["alba"] == "bench.wrong_output"


def test_an_arm_that_failed_for_another_reason_keeps_it(tmp_path: Path) -> None:
    answers = {"baseline": RIGHT, "alba": RIGHT[::-1]}
    three = [a_block(tmp_path, n, answers, alba="timeout") for n in (1, 2, 3)]
    found = checked(*three)
    assert status(found)["alba"] == "bench.timeout"


def test_an_excluded_task_has_no_runs_and_its_reason(tmp_path: Path) -> None:
    task = make.task(exclusion=Exclusion(reason="needs_gpus:8", evidence="-tp 8"))
    empty = Block(commit=make.COMMIT, block=1, digest="d1", order=(), runs=(), status="excluded")
    found = grade_commit(task, [empty], ARMS, 3)
    assert [arm.status for arm in found.arms] == ["excluded"] * 3
    assert found.arms[0].evidence.text == "needs_gpus:8: -tp 8"
    assert found.runs == ()


def test_runs_are_judged_again_from_raw_files_alone(tmp_path: Path) -> None:
    """A mended parser needs no GPU: what the launch said of itself is not asked."""
    block = a_block(tmp_path, 1, dict.fromkeys(ARMS, RIGHT))
    before = checked(block)
    place = tmp_path / "block-1" / "alba"
    (place / run_folder.BENCH_OUT).write_text(outputs.V3.text.replace("190.25", "95.00"))
    after = checked(block)
    values = [
        next(run.metrics["ttft_median_ms"] for run in found.runs if run.arm == "alba")
        for found in (before, after)
    ]
    assert values == [190.25, 95.0]
