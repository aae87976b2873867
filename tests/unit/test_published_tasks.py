"""The published benchmark's tasks at their real parents. Needs a clone of vLLM's history, which
PATCHBENCH_VLLM_CLONE names, or .patchbench/repos/vllm.git; the benchmark's list where a test reads
its commands."""

from __future__ import annotations

import ast
import functools
import os
from collections import Counter
from pathlib import Path

import pytest

from patchbench.load import Batch
from patchbench.patches.reach import applies
from patchbench.plan import campaign, config_file
from patchbench.plan.facts.tree import list_paths, read_files
from patchbench.plan.resolve import resolve_from
from patchbench.records import Task
from patchbench.subject import SubjectFile
from tests.unit.conftest import ROOT
from tests.unit.test_task_lists import DATA

CLONE = Path(os.environ.get("PATCHBENCH_VLLM_CLONE", ROOT / ".patchbench/repos/vllm.git"))
SLOW = bool(os.environ.get("PATCHBENCH_SLOW"))
LLAMA_3_1 = {"meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Meta-Llama-3-8B-Instruct"}

pytestmark = pytest.mark.skipif(not (CLONE / "HEAD").is_file(), reason=f"no clone at {CLONE}")

# The 66 tasks that no property of their command excludes on one GPU.
LISTED = """
d4bc1a4d c45f3c3a ec3b5ce9 cf2f084d bfdb1ba5 3a243095 2f192835 ad8d696a d7740ea4 8bc68e19 8d75fe48
80aa7e91 7c01f706 3476ed08 9ed82e70 89a84b0b 6ce01f30 660470e5 fc7b8d1e 2deb029d ce6bf3a2 e3580537
6e36f4fa 83450458 8c1e77fb 3b61cb45 b55ed6ef aea94362 6dd94dbe fc542144 30172b49 4c822298 6a417b86
e206b543 9badee53 ca7a2d5f 70b808fe ccf02fcb fe66b347 99abb8b6 22d33bac 296f927f 9d72daf4 35fad35a
b10e5198 93e5f3c5 3092375e 299ebb62 bc7c4d20 67da5720 e493e485 e7523c2e 9a3b8832 22dd9c27 c0569dbc
8a4e5c5f dcc6cfb9 6d0734c5 0ec82edd e7b20426 a3223766 ed250545 61b8cea3 eefbf4a6 58eee5f2 b690e348
"""
TASKS = tuple(LISTED.split())
# Of these, the tasks whose own commit's change their workload never executes, as a person read it
# in each diff; and e7b20426 (fused experts, but the command's model has none), which rules found.
NEVER_EXECUTED = """
b55ed6ef 4c822298 e493e485 6a417b86 ce6bf3a2 80aa7e91 bc7c4d20 6d0734c5 2deb029d fc542144 e206b543
8bc68e19 8a4e5c5f 61b8cea3 22dd9c27 c0569dbc dcc6cfb9 299ebb62 67da5720 58eee5f2 70b808fe e7b20426
"""
# Of these, the tasks that ask for Llama 3.1 at parents which don't know it.
NEW_MODEL = """
ec3b5ce9 cf2f084d 3a243095 2f192835 ad8d696a d7740ea4 8bc68e19 80aa7e91 7c01f706 3476ed08 9ed82e70
"""
TOO_NEW = tuple(NEW_MODEL.split())
UNREACHED = frozenset(NEVER_EXECUTED.split())


@functools.cache
def tasks(*, substitutes: bool, measure: str = "own") -> dict[str, Task]:
    """The tasks of the published list, resolved with the clone. Any file stands for ShareGPT's."""
    mapping = DATA / "benchmark_mode_mapping.json"
    if not mapping.is_file():
        pytest.skip("the published lists are not here")
    config = config_file.read_yaml(ROOT / "config/isobench.yaml")
    config["tasks"] = [{"file": str(mapping), "subject": "vllm"}]
    config |= {"parents": [], "trust_patches": True}
    config["protocol"]["measure"] = measure
    config["data_sets"]["sharegpt"]["file"] = str(ROOT / "README.md")
    config["model_substitutes"] = LLAMA_3_1 if substitutes else {}
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        planned = campaign.load(config, "config/isobench.yaml")
    finally:
        os.chdir(here)
    return {
        commit[:8]: resolve_from(task, CLONE)
        for commit, task in planned.tasks.items()
        if commit[:8] in TASKS
    }


def reasons(found: dict[str, Task]) -> Counter[str]:
    return Counter(task.exclusion.reason if task.exclusion else "" for task in found.values())


@pytest.mark.skipif(not SLOW, reason="PATCHBENCH_SLOW is not set")
def test_the_parents_facts_exclude_what_can_not_run_there() -> None:
    found = tasks(substitutes=False)
    by_reason = reasons(found)
    unrunnable = {"no_server": 1, "no_benchmark": 1, "known_bug:ngram-lookup-max": 1}
    assert {reason: by_reason[reason] for reason in unrunnable} == unrunnable
    assert by_reason["model_too_new"] == 11
    assert set(by_reason) == {*unrunnable, "model_too_new", "human_not_exercised", ""}
    for name in ("ca7a2d5f", "ccf02fcb", "e7b20426"):
        assert any(warning.startswith("revert: ") for warning in found[name].warnings)


@pytest.mark.skipif(not SLOW, reason="PATCHBENCH_SLOW is not set")
def test_substitutes_leave_three_that_can_not_run_and_reach_agrees_with_the_diffs() -> None:
    found = tasks(substitutes=True)
    by_reason = reasons(found)
    assert by_reason[""] + by_reason["human_not_exercised"] == 63
    unreached = {
        name
        for name, task in found.items()
        if task.exclusion and task.exclusion.reason == "human_not_exercised"
    }
    assert unreached == UNREACHED
    shown = [name for name, task in found.items() if "runs in place of" in str(task.warnings)]
    assert len(shown) == 11


@pytest.mark.skipif(not SLOW, reason="PATCHBENCH_SLOW is not set")
@pytest.mark.parametrize(("substitutes", "valid"), [(False, 50), (True, 61)])
def test_the_judge_has_a_load_and_a_server_at_these_parents(substitutes: bool, valid: int) -> None:
    found = tasks(substitutes=substitutes, measure="judge")
    by_reason = reasons(found)
    assert by_reason[""] + by_reason["human_not_exercised"] == valid
    others = {name: task.exclusion for name, task in found.items() if task.exclusion}
    why = {name: e.reason for name, e in others.items() if e.reason != "human_not_exercised"}
    assert why == {
        "d4bc1a4d": "no_server",
        "c45f3c3a": "no_server",
        "83450458": "known_bug:ngram-lookup-max",
        "89a84b0b": "load_not_expressible",
        "e7523c2e": "load_not_expressible",
        **({} if substitutes else dict.fromkeys(TOO_NEW, "model_too_new")),
    }
    assert all(exclusion.evidence for exclusion in others.values())


@pytest.mark.skipif(not SLOW, reason="PATCHBENCH_SLOW is not set")
def test_what_commands_leave_out_comes_from_the_parents_parsers() -> None:
    """November 2024 has 30 batches after 10 untimed ones, March 2024 one untimed batch."""
    found = tasks(substitutes=False, measure="judge")
    loads = {name: t.workload.load for name, t in found.items() if t.workload and t.workload.load}
    assert loads["8c1e77fb"].shape == Batch(size=32, rounds=30)
    assert (loads["8c1e77fb"].warmup, loads["bfdb1ba5"].warmup) == (320, 1)
    places = found["8c1e77fb"].facts.places if found["8c1e77fb"].facts else {}
    assert places["--num-iters"].startswith("benchmarks/benchmark_latency.py:")


@pytest.mark.skipif(not SLOW, reason="PATCHBENCH_SLOW is not set")
def test_no_file_that_the_cuda_engine_imports_is_called_another_backends() -> None:
    subject = config_file.read(
        config_file.read_yaml(ROOT / "config/subjects/vllm.yaml"), SubjectFile, "vllm.yaml"
    )
    rules = [rule for rule in subject.reach if "backend" in rule.needs]
    wrong: dict[str, list[str]] = {}
    for commit in TASKS:
        paths = [path for path in list_paths(CLONE, f"{commit}^") if path.startswith("vllm/")]
        texts = read_files(CLONE, f"{commit}^", [path for path in paths if path.endswith(".py")])
        starts = [
            path
            for path in texts
            if path == "vllm/entrypoints/openai/api_server.py"
            or (path.startswith("vllm/v1/") and not any(applies(rule, path) for rule in rules))
        ]
        for path in closure(starts, texts):
            if any(applies(rule, path) for rule in rules):
                wrong.setdefault(path, []).append(commit)
    assert wrong == {}


def closure(starts: list[str], texts: dict[str, str | None]) -> set[str]:
    """The modules that these import at top level, directly or by others."""
    waiting, seen = list(starts), set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen or path not in texts:
            continue
        seen.add(path)
        package = tuple(path.split("/")[:-1])
        for level, module, name in imports(texts[path] or ""):
            above = package[: len(package) - level + 1] if level else ()
            parts = [*above, *filter(None, module.split("."))]
            waiting += ["/".join((*parts[:end], "__init__.py")) for end in range(1, len(parts))]
            for whole in ("/".join(parts), "/".join((*parts, name))):
                waiting += [f"{whole}.py", f"{whole}/__init__.py"]
    return seen


@functools.cache
def imports(text: str) -> frozenset[tuple[int, str, str]]:
    """Level, module and name of each import statement in a module's body."""
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            found |= {(0, alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.level, node.module or "", alias.name) for alias in node.names}
    return frozenset(found)
