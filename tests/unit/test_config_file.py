"""A mistake in what a person wrote is one sentence: key, value, what is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from patchbench.errors import BadInput
from patchbench.plan.config_file import read
from patchbench.plan.configuration import Config, TaskList
from patchbench.subject import SubjectFile

GOOD: dict[str, Any] = {"campaign": "c", "tasks": ["t.yaml"], "agents": {"a": {"patches": "p"}}}


def mistake(value: Any, kind: type = Config) -> str:
    with pytest.raises(BadInput) as caught:
        read(value, kind, "x.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protcol": 1}, "top level: unknown key 'protcol'; did you mean 'protocol'?"),
        ({"protocol": {"limits": {"benchmrk": 3}}},
         "protocol.limits: unknown key 'benchmrk'; did you mean 'benchmark'?"),
        ({"protocol": {"blocks": 0}},
         "protocol.blocks: 0; wanted: a whole number, at least 1 and at most 99, or a mapping"),
        ({"protocol": {"blocks": "five"}}, "protocol.blocks: 'five'; wanted: a whole number"),
        ({"protocol": {"blocks": {"mn": 3}}},
         "protocol.blocks: unknown key 'mn'; did you mean 'min'?"),
        ({"protocol": {"blocks": {"min": 3}}}, "protocol.blocks: key 'max' is missing"),
        ({"protocol": {"blocks": {"min": 0, "max": 3}}},
         "protocol.blocks.min: 0; wanted: a whole number, at least 1 and at most 99"),
        ({"protocol": 5}, "protocol: 5; wanted: a mapping"),
        ({"disk": None}, "disk: null; wanted: a mapping"),
        ({"statistics": {"confidence": 95}},
         "statistics.confidence: 95; wanted: a number, more than 0.5 and less than 1"),
        ({"runtime": "podman"}, "runtime: 'podman'; wanted: one of process, docker"),
        ({"joint": "ja"}, "joint: 'ja'; wanted: true or false"),
        ({"tasks": []}, "tasks: []; wanted: a list that is not empty"),
        ({"tasks": [3]}, "tasks.0: 3; wanted: a text, or a mapping"),
        ({"tasks": [{"file": "x", "subjct": 1}]},
         "tasks.0: unknown key 'subjct'; did you mean 'subject'?"),
        ({"agents": {}}, "agents: {}; wanted: "),
        ({"agents": {"a": {"patch": "p"}}}, "agents.a: unknown key 'patch'"),
        ({"agents": {"a": {"patches": "p", "zzz": 1}}},
         "agents.a: unknown key 'zzz'; known keys: patches, title"),
        ({"agents": {"a": {"patches": [{"kind": "tar"}]}}},
         "agents.a.patches.0.kind: 'tar'; wanted: one of runs, trajectories, predictions"),
        ({"agents": {"baseline": {"patches": "p"}}}, "agents: 'baseline'; wanted: an agent's name"),
        ({"agents": {"../alba": {"patches": "p"}}}, "agents: '../alba'; wanted: an agent's name"),
        ({"containers": {"sandbox": {"user": "root"}}},
         "containers.sandbox.user: 'root'; wanted: numbers as UID:GID"),
        ({"containers": {"mounts": [{"from": "/a", "to": "b"}]}},
         "containers.mounts.0.to: 'b'; wanted: an absolute path"),
        ({"campaign": "a b/c"}, "campaign: 'a b/c'; wanted: "),
        ({"campaign": "x y" * 40}, "campaign: 'x yx y"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_names_key_value_and_what_is_wanted(changes: dict[str, Any], said: str) -> None:
    text = mistake(GOOD | changes)
    assert text.startswith(f"x.yaml: {said}")
    assert len(text) < 250


@pytest.mark.parametrize("value", [None, [1], "text"])
def test_a_file_that_is_no_mapping_is_refused(value: object) -> None:
    assert mistake(value).startswith("x.yaml: top level: ")


def test_a_type_of_benchmark_is_an_unknown_key() -> None:
    subject = {
        "title": "t",
        "source": {"repo": "r"},
        "server": {"command": ["s"]},
        "clients": {"severing": {}},
    }
    text = mistake(subject, SubjectFile)
    assert text == "x.yaml: clients: unknown key 'severing'; did you mean 'serving'?"
    assert mistake({**subject, "clients": {}}, SubjectFile).startswith(
        "x.yaml: clients: {}; wanted"
    )


def test_a_missing_key_is_named() -> None:
    without = {key: value for key, value in GOOD.items() if key != "agents"}
    assert mistake(without) == "x.yaml: top level: key 'agents' is missing"
    assert mistake({"tasks": [{"commit": "a" * 40, "subject": "s"}]}, TaskList) == (
        "x.yaml: tasks.0 (commit aaaaaaaa): key 'perf_command' is missing"
    )


def test_texts_are_read_as_numbers_and_truth_values() -> None:
    given = {"protocol": {"blocks": "3", "exclusive": "true", "limits": {"start": "2.5"}}}
    found = read(GOOD | given, Config, "x.yaml").protocol
    assert (found.blocks, found.exclusive, found.limits.start) == (3, True, 2.5)


def test_an_entry_of_a_task_list_is_named_by_its_commit() -> None:
    task = {"commit": "e4" * 20, "subject": "s", "perf_command": "x"}
    listed = {"tasks": [task, {**task, "commit": "f5" * 20, "tilte": "x"}]}
    with pytest.raises(BadInput) as refused:
        read(listed, TaskList, "tasks.yaml")
    assert str(refused.value) == (
        "tasks.yaml: tasks.1 (commit f5f5f5f5): unknown key 'tilte'; did you mean 'title'?"
    )
