"""The way of tasks from the list to what can be measured, as the doctor shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.cli import funnel, preflight
from patchbench.plan.exclusions import ADVICE
from patchbench.records import Exclusion, ParentFacts, Task
from patchbench.subject import Source
from tests.unit import make
from tests.unit.commits import history


def excluded(number: int, reason: str) -> Task:
    why = Exclusion(reason=reason, evidence=f"eng/server.py:{number}")
    return make.task(f"{number:040x}", exclusion=why, workload=None)


TASKS = [
    make.task("a" * 40, facts=ParentFacts(engine="V1", data="sharegpt")),
    make.task("b" * 40, facts=ParentFacts(engine="V0", data="sharegpt")),
    excluded(1, "no_command"),
    excluded(2, "needs_gpus:4"),
    excluded(3, "no_server"),
    excluded(4, "model_too_new"),
    excluded(5, "human_not_exercised"),
    excluded(6, "human_not_exercised"),
    excluded(7, "data_set_missing"),
    excluded(8, "load_not_expressible"),
]


def shown(*, cloned: bool = True, why: bool = False) -> list[str]:
    return list(funnel.lines(TASKS, cloned=cloned, why=why))


def test_each_step_says_what_is_left() -> None:
    steps = [line.split(None, 1) for line in shown() if line[4:5].isdigit() or line[3:5].strip()]
    left = [int(words[0]) for words in steps if words[0].isdigit()]
    assert left == [10, 9, 9, 8, 8, 6, 5, 3, 2, 2]
    assert "         - 2 human_not_exercised: 00000000 00000000" in shown()


def test_every_reason_belongs_to_one_step_and_has_advice() -> None:
    reasons = [reason for _, of_step in funnel.STEPS for reason in of_step]
    assert sorted(reasons) == sorted(ADVICE)


def test_evidence_is_shown_if_asked_for() -> None:
    assert not any("eng/server.py" in line for line in shown())
    assert sum("eng/server.py:" in line for line in shown(why=True)) == 8


def test_without_a_clone_steps_that_need_one_are_open() -> None:
    assert sum("(not asked: no clone)" in line for line in shown(cloned=False)) == 3
    assert not any("not asked" in line for line in shown())


def test_data_sets_that_commands_mean_are_listed() -> None:
    assert [line.strip() for line in funnel.data(TASKS)] == [
        "Data sets that 2 commands mean, also by default; none comes with this:",
        "2  sharegpt: aaaaaaaa bbbbbbbb",
    ]
    assert list(funnel.data(TASKS[2:])) == []
    assert "V1 1, V0 1" in "".join(funnel.engines(TASKS))


def test_the_clone_is_found_where_the_prepare_command_reads_it(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    bare, _ = history(tmp_path / "made", {"a.py": "x"})
    copy = ("git", "clone", "--quiet", "--bare")
    missing = Source(repo=str(tmp_path / "repos/x.git"), prepare=(*copy, "sources/none", "{repo}"))
    assert preflight.clone(missing) is None
    assert preflight.clone_places(missing) == [Path("sources/none")]
    beside = Source(repo=str(tmp_path / "repos/x.git"), prepare=(*copy, str(bare), "{repo}"))
    assert preflight.clone(beside) == bare
    with_tree = Source(
        repo=str(tmp_path / "repos/x.git"),
        prepare=(*copy, str(tmp_path / "made" / "work"), "{repo}"),
    )
    assert preflight.clone(with_tree) == tmp_path / "made" / "work" / ".git"


@pytest.mark.parametrize("words", [(), ("python", "make.py", "{repo}")])
def test_a_prepare_command_without_a_place_names_none(words: tuple[str, ...]) -> None:
    assert preflight.clone_places(Source(repo="x.git", prepare=words)) == []
