"""Failures of one commit, each told once; and where a traceback went."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patchbench.failures import tracebacks
from patchbench.failures.facts import commit_facts, facts, normalised
from patchbench.records import Evidence
from tests.unit.make import run


def died(arm: str, text: str, block: int = 1, cause: str = "server.crash", blame: str = "task"):
    return run(arm, block, cause=cause, blame=blame, evidence=Evidence(text=text))


def test_the_same_failure_in_all_arms_is_one_fact_of_the_commit() -> None:
    """As in the predecessor's images without transformers.utils: six arms, one reason."""
    text = "ModuleNotFoundError: No module named 'transformers.utils'"
    runs = [
        died(arm, text, block, "image.dependency")
        for block in (1, 2)
        for arm in ("baseline", "human", "alba", "brio")
    ]
    (fact,) = commit_facts(runs)
    assert fact.arms == ("baseline", "human", "alba", "brio")
    assert (fact.cause, fact.blocks, fact.blames) == ("image.dependency", (1, 2), ("task",))
    assert fact.evidence is not None and fact.evidence.text == text


def test_numbers_addresses_and_folders_make_no_difference() -> None:
    engine = "(EngineCore pid={0}) ERROR 11-2{0} 11:58:03 [core.py:10] E: {0} at 0x7{0} /a{0}/x.py"
    runs = [died("baseline", engine.format(1)), died("alba", engine.format(2))]
    assert [fact.arms for fact in commit_facts(runs)] == [("baseline", "alba")]


def test_what_only_agents_share_is_no_fact_of_the_commit() -> None:
    runs = [
        run("baseline", metrics={"ttft_median_ms": 1.0}),
        died("alba", "IndexError: 4", blame="agent"),
        died("brio", "IndexError: 9", blame="agent"),
        died("corso", "KeyError: 'a'", blame="agent"),
    ]
    assert commit_facts(runs) == ()
    assert [(fact.level, fact.arms) for fact in facts(runs)] == [
        ("arm", ("alba", "brio")),
        ("arm", ("corso",)),
    ]


def test_what_the_humans_commit_fails_with_is_the_commits() -> None:
    runs = [
        died("alba", "E: 1", cause="bench.timeout"),
        died("human", "E: 1"),
        died("brio", "E: 1"),
    ]
    first, second = facts(runs)
    assert (first.level, first.arms) == ("commit", ("human", "brio"))
    assert (second.level, second.cause) == ("arm", "bench.timeout")


def test_measured_runs_are_no_facts() -> None:
    assert facts([run("baseline", metrics={"ttft_median_ms": 1.0})]) == ()


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["baseline", "human", "alba", "brio"]),
            st.integers(1, 3),
            st.sampled_from(["server.crash", "bench.timeout"]),
            st.sampled_from(["E: 1", "E: 2", "F"]),
        )
    )
)
def test_every_failure_is_in_exactly_one_fact(rows: list[tuple[str, int, str, str]]) -> None:
    runs = [died(arm, text, block, cause) for arm, block, cause, text in rows]
    told = facts(runs)
    keys = {(cause, normalised(text)) for _, _, cause, text in rows}
    assert len(told) == len(keys)
    assert {fact.cause for fact in told} == {cause for cause, _ in keys}
    assert {arm for fact in told for arm in fact.arms} == {arm for arm, *_ in rows}


# --- where a traceback went -----------------------------------------------------------------------


def test_files_are_named_as_the_patch_names_them() -> None:
    shown = [
        "<frozen runpy>",
        "/srv/trees/alba-1/engine/api.py",
        "/srv/trees/alba-1/engine/core.py",
        "/srv/trees/alba-1/engine/api.py",
        "/venv/lib/python3.11/site-packages/torch/nn/module.py",
        "/usr/lib/python3/dist-packages/transformers/utils.py",
        "/usr/lib/python3.11/runpy.py",
    ]
    assert tracebacks.files(shown, "/srv/trees/alba-1/") == (
        "engine/api.py",
        "engine/core.py",
        "torch/nn/module.py",
        "transformers/utils.py",
        "/usr/lib/python3.11/runpy.py",
    )


def test_the_innermost_files_are_kept() -> None:
    shown = tracebacks.files((f"/t/{n}.py" for n in range(100)), "/t/")
    assert len(shown) == tracebacks.MOST
    assert shown[-1] == "99.py"


def test_a_file_is_not_taken_for_another_with_the_same_ending() -> None:
    assert tracebacks.mark(["engine/score.py"], ["core.py"]) == "not in patch"
    assert tracebacks.mark(["/opt/image/engine/core.py"], ["engine/core.py"]) == "in patch"
    assert tracebacks.mark([], ["engine/core.py"]) == "none"
    assert tracebacks.mark(["engine/core.py"], []) == "not in patch"
