"""Who is charged: an agent only where its log shows it and the baseline worked."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.failures.attribution import (
    CHANCE,
    PLACE,
    arm_result,
    attribute,
    blame,
    kind,
    normalised,
)
from patchbench.failures.causes import CAUSES
from patchbench.ledger.blocks import cohort_of
from patchbench.records import Evidence, GradedRun
from tests.unit.make import run

WORKED = run("baseline", metrics={"ttft_median_ms": 1.0})
CRASHED = run("baseline", cause="server.crash")
NOT_LAUNCHED = run("baseline", cause="image.smoke_failed", stage="build_image", launched=False)
OWN = sorted(name for name, cause in CAUSES.items() if cause.blame == "agent")
SHARED = sorted(name for name, cause in CAUSES.items() if cause.shared)
OTHERS = sorted(
    name for name, cause in CAUSES.items() if cause.blame != "agent" and not cause.shared
)
AT_LAUNCH = [
    name for name in OWN if CAUSES[name].stage in ("server_start", "benchmark", "output_check")
]


# 1. A cause of infrastructure or harness stays with it, whichever arm it struck.


@pytest.mark.parametrize("cause", OTHERS)
@pytest.mark.parametrize("arm", ["baseline", "human", "alba"])
@pytest.mark.parametrize("baseline", [WORKED, CRASHED, None], ids=["worked", "crashed", "none"])
def test_what_is_no_agents_cause_is_never_charged_to_one(cause, arm, baseline) -> None:
    assert blame(run(arm, cause=cause), baseline) == CAUSES[cause].blame


# 2. A fault of what all arms share can't be what it looks like beside a baseline that worked.


@pytest.mark.parametrize("cause", SHARED)
def test_a_shared_fault_stays_what_it_is_unless_the_baseline_worked(cause: str) -> None:
    failed = run("alba", cause=cause, stage="server_start", other_causes=("server.crash",))
    for baseline in (CRASHED, NOT_LAUNCHED, None):
        assert blame(failed, baseline) == CAUSES[cause].blame
    assert blame(failed, WORKED) == "agent"


@pytest.mark.parametrize("cause", SHARED)
@pytest.mark.parametrize("arm", ["baseline", "baseline-aa", "human"])
def test_a_shared_fault_of_the_tasks_own_arms_is_not_refuted(cause: str, arm: str) -> None:
    assert blame(run(arm, cause=cause, stage="server_start"), WORKED) == CAUSES[cause].blame


def test_a_refuted_cause_gives_way_to_what_the_launch_showed() -> None:
    runs = [
        WORKED,
        run(
            "alba",
            cause="image.dependency",
            stage="server_start",
            other_causes=("task.bad_flag", "server.crash"),
        ),
    ]
    alba = attribute(runs)[1]
    assert (alba.cause, alba.blame) == ("server.crash", "agent")
    assert alba.other_causes == ("image.dependency", "task.bad_flag")
    assert alba.evidence == runs[1].evidence


def test_a_refuted_cause_without_another_keeps_its_name() -> None:
    alba = attribute([WORKED, run("alba", cause="bench.client_failed", stage="benchmark")])[1]
    assert (alba.cause, alba.blame) == ("bench.client_failed", "agent")


# 4. A patch that never became a tree is its arm's own.


@pytest.mark.parametrize("cause", [name for name in OWN if name.startswith("patch.")])
@pytest.mark.parametrize("baseline", [WORKED, CRASHED, NOT_LAUNCHED, None])
def test_a_patch_that_never_became_a_tree_is_its_agents_own(cause, baseline) -> None:
    failed = run("alba", cause=cause, stage=CAUSES[cause].stage, launched=False)
    assert blame(failed, baseline) == "agent"


# 5. A failed launch is charged to the agent only if the baseline in the same block was measured.


@pytest.mark.parametrize("cause", AT_LAUNCH)
def test_a_failed_launch_is_the_agents_where_the_baseline_worked(cause: str) -> None:
    failed = run("alba", cause=cause, stage=CAUSES[cause].stage)
    assert blame(failed, WORKED) == "agent"
    assert blame(failed, CRASHED) == "task"
    assert blame(failed, NOT_LAUNCHED) == "unknown"
    assert blame(failed, None) == "unknown"


def test_the_baseline_of_another_block_says_nothing() -> None:
    runs = [
        run("baseline", 1, metrics={"ttft_median_ms": 1.0}),
        run("baseline", 2, cause="server.timeout"),
        run("alba", 1, cause="server.crash"),
        run("alba", 2, cause="server.crash"),
        run("alba", 3, cause="server.crash"),
    ]
    charged = {(r.arm, r.block): r.blame for r in attribute(runs)}
    assert charged == {
        ("baseline", 1): None,
        ("baseline", 2): "task",
        ("alba", 1): "agent",
        ("alba", 2): "task",
        ("alba", 3): "unknown",
    }


def test_the_aa_launch_does_not_stand_in_for_the_baseline() -> None:
    runs = [
        run("baseline", 1, cause="server.crash"),
        run("baseline-aa", 1, metrics={"ttft_median_ms": 1.0}),
        run("alba", 1, cause="server.crash"),
    ]
    assert {r.arm: r.blame for r in attribute(runs)}["alba"] == "task"


# 3. The human's commit and the baseline are part of the task.


@pytest.mark.parametrize("cause", OWN)
@pytest.mark.parametrize("arm", ["human", "baseline", "baseline-aa"])
def test_what_fails_in_the_tasks_own_arms_is_the_tasks(cause: str, arm: str) -> None:
    failed = run(arm, cause=cause, stage=CAUSES[cause].stage)
    assert blame(failed, WORKED) == "task"
    assert blame(failed, None) == "task"


# 5. The baseline must have been at the same place.


@pytest.mark.parametrize("name", PLACE)
def test_a_baseline_elsewhere_is_no_control(name: str) -> None:
    here = run("alba", cause="server.crash", stage="server_start", provenance={name: "a"})
    there = run("baseline", metrics={"ttft_median_ms": 1.0}, provenance={name: "b"})
    assert blame(here, there) == "unknown"
    assert blame(here, run("baseline", metrics={"x": 1.0}, provenance={name: "a"})) == "agent"
    assert blame(here, run("baseline", metrics={"x": 1.0}, provenance={})) == "agent"


def test_a_baseline_elsewhere_refutes_nothing() -> None:
    here = run("alba", cause="image.cuda_abi", stage="server_start", provenance={"gpu_slot": "0"})
    there = run("baseline", metrics={"x": 1.0}, provenance={"gpu_slot": "1"})
    assert blame(here, there) == "task"


# 6. What the human's commit fails with in the same way is the task's.


def died(arm: str, text: str, block: int = 1, cause: str = "server.crash", **more: object):
    return run(arm, block, cause=cause, stage="server_start", evidence=Evidence(text=text), **more)


def test_what_the_humans_commit_fails_with_too_is_the_tasks() -> None:
    human = died("human", "RuntimeError: needs 8 GPUs, found 1 at 0x7fa0")
    alba = died("alba", "RuntimeError: needs 8 GPUs, found 1 at 0x55cc")
    assert blame(alba, WORKED, human) == "task"
    assert {r.arm: r.blame for r in attribute([WORKED, human, alba])}["alba"] == "task"


@pytest.mark.parametrize(
    "human",
    [
        died("human", "IndexError: another"),
        died("human", "ValueError: 3", cause="bench.timeout"),
        died("human", "ValueError: 3", launched=False),
        run("human", metrics={"ttft_median_ms": 1.0}),
        None,
    ],
)
def test_another_failure_of_the_human_excuses_nobody(human: GradedRun | None) -> None:
    assert blame(died("alba", "ValueError: 3"), WORKED, human) == "agent"


def test_the_human_of_another_block_excuses_nobody() -> None:
    other = run("baseline", 2, metrics={"ttft_median_ms": 1.0})
    runs = [WORKED, other, died("human", "E: 1", 1), died("alba", "E: 1", 2)]
    assert attribute(runs)[-1].blame == "agent"


# 7. A time limit that the baseline came close to says nothing.


@pytest.mark.parametrize(
    ("cause", "phase"), [("server.timeout", "server_start"), ("bench.timeout", "benchmark")]
)
@pytest.mark.parametrize(
    ("seconds", "charged"), [(29.0, "agent"), (30.0, "agent"), (31.0, "unknown")]
)
def test_a_tight_limit_is_no_agents_fault(
    cause: str, phase: str, seconds: float, charged: str
) -> None:
    slow = run("baseline", metrics={"x": 1.0}, phase_seconds={phase: seconds})
    late = run("alba", cause=cause, stage=phase, phase_seconds={phase: 60.0})
    assert blame(late, slow) == charged
    crash = run("alba", cause="server.crash", stage=phase, phase_seconds={phase: 60.0})
    assert blame(crash, slow) == "agent"


# --- the patch's files in the traceback -----------------------------------------------------------


def test_the_mark_stands_beside_the_blame() -> None:
    crash = died("alba", "IndexError: 4", traceback=("engine/api.py", "engine/core.py"))
    marks = {
        files: attribute([WORKED, crash], {"alba": [files]})[1]
        for files in ("engine/core.py", "core.py", "engine/other.py")
    }
    assert {name: run.frames for name, run in marks.items()} == {
        "engine/core.py": "in patch",
        "core.py": "in patch",
        "engine/other.py": "not in patch",
    }
    assert {run.blame for run in marks.values()} == {"agent"}


def test_without_a_traceback_or_the_patchs_files_nothing_is_said() -> None:
    crash = died("alba", "killed")
    assert attribute([WORKED, crash], {"alba": ["a.py"]})[1].frames == "none"
    assert attribute([WORKED, crash])[1].frames == ""
    assert attribute([WORKED, crash], {"brio": ["a.py"]})[1].frames == ""


@pytest.mark.parametrize("cause", CHANCE)
def test_an_arm_killed_in_two_blocks_beside_baselines_that_work_is_charged(cause: str) -> None:
    usual = CAUSES[cause].blame

    def two(arm: str, base: GradedRun) -> list[str | None]:
        pairs = [(replace(base, block=n), replace(run(arm, cause=cause), block=n)) for n in (1, 2)]
        return [r.blame for r in attribute([r for pair in pairs for r in pair]) if r.arm == arm]

    replace = msgspec.structs.replace
    assert two("alba", WORKED) == ["agent", "agent"]
    assert two("alba", CRASHED) == two("human", WORKED) == [usual, usual]
    assert attribute([WORKED, run("alba", cause=cause)])[1].blame == usual


def test_measured_runs_are_charged_to_nobody_and_kept_as_they_are() -> None:
    runs = [WORKED, run("alba", metrics={"ttft_median_ms": 2.0})]
    assert attribute(runs) == runs


# --- an arm over all its blocks -------------------------------------------------------------------


def over_blocks(*causes: str | None, **more: object):
    """An agent's runs, one per block: a cause, or None where it was measured."""
    runs = [
        run("alba", block, cause=cause, blame="agent" if cause else None, stage="benchmark", **more)
        for block, cause in enumerate(causes, 1)
    ]
    return arm_result("alba", runs, min_blocks=3)


CRASH, SLOW, WRONG = "server.crash", "bench.timeout", "bench.wrong_output"


@pytest.mark.parametrize(
    ("causes", "status", "cause", "measured", "failed"),
    [
        ((None, None, None, None, None), "measured", None, 5, 0),
        ((None, CRASH, None, None), "measured", None, 3, 1),  # one failure is tolerated
        ((None, CRASH, None, CRASH, None), "failed", CRASH, 3, 2),
        ((None, None, CRASH), "failed", CRASH, 2, 1),  # too few blocks are left
        ((CRASH, SLOW), "failed", CRASH, 0, 2),  # among equals the earliest names the failure
        ((None, None, None, None, WRONG), "failed", WRONG, 4, 1),  # one wrong answer decides
        ((CRASH, CRASH, WRONG), "failed", WRONG, 0, 3),
        # A screen of fewer blocks than asked for needs all of them.
        ((None, None), "measured", None, 2, 0),
        ((None,), "measured", None, 1, 0),
        ((None, CRASH), "failed", CRASH, 1, 1),
    ],
)
def test_an_arms_blocks_make_one_result(
    causes: tuple[str | None, ...], status: str, cause: str | None, measured: int, failed: int
) -> None:
    result = over_blocks(*causes)
    assert (result.status, result.cause) == (status, cause)
    assert (result.blocks_measured, result.blocks_failed) == (measured, failed)
    assert result.blame == ("agent" if cause else None)


def test_a_later_cohort_takes_no_verdict_away() -> None:
    """Its blocks are numbered from 101 on: a baseline that fails there was measured before."""
    first = [run("baseline", block) for block in (1, 2, 3, 4, 5)]
    later = [run("baseline", 101), *(run("baseline", n, cause=CRASH) for n in (102, 103))]
    result = arm_result("baseline", [*first, *later], 3, cohort_of)
    assert (result.status, result.blocks_measured, result.blocks_failed) == ("measured", 6, 2)
    assert arm_result("baseline", later, 3, cohort_of).status == "failed"


@pytest.mark.parametrize(("failed", "status"), [(4, "measured"), (5, "failed")])
def test_of_many_blocks_a_fifth_may_fail(failed: int, status: str) -> None:
    runs = [run("alba", n, cause=CRASH if n <= failed else None) for n in range(1, 21)]
    assert arm_result("alba", runs, 3).status == status


def test_the_most_frequent_cause_names_the_failure() -> None:
    result = over_blocks("server.crash", "bench.timeout", "bench.timeout")
    assert (result.cause, result.blame, result.stage) == ("bench.timeout", "agent", "benchmark")
    assert result.evidence.text == "bench.timeout shown here"
    assert result.log == "runs/alba/2"


def test_blocks_that_were_not_launched_again_do_not_vote() -> None:
    runs = [run("alba", block, cause="bench.timeout", launched=False) for block in (3, 4, 5)]
    runs += [run("alba", block, cause="server.crash") for block in (1, 2)]
    assert arm_result("alba", runs, 3).cause == "server.crash"


def test_an_arm_that_was_never_launched_keeps_what_happened_before() -> None:
    runs = [
        run(
            "alba", block, cause="patch.missing", stage="fetch_patch", blame="agent", launched=False
        )
        for block in (1, 2)
    ]
    result = arm_result("alba", runs, 3)
    assert (result.cause, result.stage, result.blocks_failed) == ("patch.missing", "fetch_patch", 2)


# --- failing in the same way ----------------------------------------------------------------------


def test_numbers_addresses_and_folders_make_no_difference() -> None:
    engine = "(EngineCore pid={0}) ERROR 11-2{0} 11:58:03 [core.py:10] E: {0} at 0x7{0} /a{0}/x.py"
    runs = [
        run(arm, cause="server.crash", evidence=Evidence(text=engine.format(number)))
        for arm, number in (("human", 1), ("alba", 2))
    ]
    assert kind(runs[0]) == kind(runs[1])
    other = run("alba", cause="server.crash", evidence=Evidence(text="IndexError: 4"))
    assert kind(other) != kind(runs[0])


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
