"""Facts at a parent commit, read from small made-up trees."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.plan.facts import arguments, source
from patchbench.plan.facts.data import data_set, foreign_options
from patchbench.plan.facts.parent import (
    facts_of,
    model_obstacle,
    offline_obstacle,
    server_obstacle,
)
from patchbench.plan.facts.tree import Place, Tree
from patchbench.plan.perf_command import Command, split_flags
from patchbench.subject import DataSource, EngineSource, FactSources, ModelNeed
from tests.unit.commits import history

SERVER = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--model", type=str, required=True)
parser.add_argument("--dtype", "-d", choices=["auto", "half"], default="auto")
parser.add_argument("--eager", action="store_true")
parser.add_argument("--chunked", action=argparse.BooleanOptionalAction)
parser.add_argument(NAME)

@app.get("/v1/models")
def models(): ...

@app.get("/health")
def health(): ...
"""
SOURCES = FactSources(
    server=("eng/server.py",),
    arguments=("eng/server.py", "eng/more.py"),
    engine=EngineSource(
        env="USE_V1", file="eng/envs.py", names={"0": "V0", "1": "V1"}, otherwise="V0"
    ),
    models=(
        ModelNeed(match="Llama-3[.]1", word="llama3", files=("eng/rope.py",), why="its rope type"),
    ),
    offline={"latency": ("bench/latency.py", "eng/more.py")},
    data=(
        DataSource(program="bench_serving.py", files=("bench/serving.py",), otherwise="sharegpt"),
    ),
    generated=("random",),
)
FILES: dict[str, str | None] = {
    "eng/server.py": SERVER,
    "eng/more.py": 'p.add_argument("--seed", type=int, default=0)\n',
    "eng/envs.py": 'import os\n\nX = lambda: bool(int(os.getenv("USE_V1", "1")))\n',
    "eng/rope.py": 'if kind == "llama3": pass\n',
    "bench/latency.py": 'p.add_argument("--batch-size", type=int)\n',
    "bench/serving.py": 'p.add_argument("--dataset-name", default="sharegpt")\n',
    "setup.py": 'setup(\n    python_requires=">=3.9",\n)\n',
    "pyproject.toml": None,
}


def tree(**changes: str | None) -> Tree:
    """The made-up tree with files replaced: `eng__server__py` stands for eng/server.py."""
    named = {path.replace("__", "/", 1).replace("__", "."): text for path, text in changes.items()}
    return Tree({**FILES, **named})


def why(at: Tree, words: str, model: str = "tiny") -> tuple[str, str] | None:
    """The reason and evidence of what keeps a server with these words from running there."""
    exclusion = server_obstacle(facts_of(at, SOURCES), at, SOURCES, words.split())
    exclusion = exclusion or model_obstacle(at, SOURCES, model)
    return (exclusion.reason, exclusion.evidence) if exclusion else None


def test_facts_name_their_line() -> None:
    facts = facts_of(tree(), SOURCES)
    assert facts.ready == source.Fact("/health", Place("eng/server.py", 13))
    assert facts.engine == source.Fact("V1", Place("eng/envs.py", 3))
    assert facts.python == source.Fact(">=3.9", Place("setup.py", 2))
    assert facts.arguments["-d"] is facts.arguments["--dtype"]
    assert facts.arguments["--seed"].default == 0
    assert str(facts.arguments["--eager"].place) == "eng/server.py:6"


def test_a_workload_that_the_parent_knows_is_kept_from_nothing() -> None:
    assert why(tree(), "--dtype half --eager --no-chunked --see 3") is None


@pytest.mark.parametrize(
    ("at", "words", "model", "reason", "evidence"),
    [
        (tree(eng__server__py=None), "", "tiny", "no_server", "eng/server.py"),
        (tree(), "--warp", "tiny", "server_refuses_flag", "--warp"),
        (tree(), "--dtype fp4", "tiny", "server_refuses_flag", "eng/server.py:5: choices"),
        (tree(), "--e --m", "tiny", None, ""),
        (tree(eng__rope__py="x = 1\n"), "", "meta/Llama-3.1-8B", "model_too_new", "rope type"),
        (tree(eng__rope__py=None), "", "meta/Llama-3.1-8B", "model_too_new", "eng/rope.py"),
        (tree(), "", "meta/Llama-3.1-8B", None, ""),
        (
            tree(eng__server__py='p.add_argument("--model")\n'),
            *("", "tiny", "no_readiness", "/health"),
        ),
    ],
)
def test_the_first_obstacle_is_named_with_its_fact(
    at: Tree, words: str, model: str, reason: str | None, evidence: str
) -> None:
    found = why(at, words, model)
    assert (found[0] if found else None) == reason
    assert evidence in (found[1] if found else "")


@pytest.mark.parametrize(
    ("at", "words", "reason"),
    [
        (tree(), "--batch-size 3 --seed 1", None),
        (tree(), "--output-json x", "benchmark_refuses_flag"),
        (tree(bench__latency__py=None), "", "no_benchmark"),
    ],
)
def test_an_offline_benchmark_must_be_there_and_know_its_options(
    at: Tree, words: str, reason: str | None
) -> None:
    found = offline_obstacle(at, SOURCES, "latency", words.split())
    assert (found.reason if found else None) == reason


@pytest.mark.parametrize(
    ("at", "words", "data", "place"),
    [
        (tree(), "", "sharegpt", "bench/serving.py:1"),
        (tree(), "--dataset-name random", None, ""),
        (tree(), "--dataset-name hf --dataset-path a/b", "hf (a/b)", "the task's command:1"),
        (tree(), "--dataset-path x.json", "sharegpt (x.json)", "bench/serving.py:1"),
        (tree(bench__serving__py="x = 1\n"), "", "sharegpt", "bench/serving.py:1"),
        (tree(bench__serving__py="x = 1\n"), "--dataset d", "sharegpt (d)", "bench/serving.py:1"),
        (
            tree(bench__serving__py='p.add_argument("--dataset-name", default="random")\n'),
            *("", None, ""),
        ),
    ],
)
def test_a_command_without_a_data_set_means_its_clients_default(
    at: Tree, words: str, data: str | None, place: str
) -> None:
    command = Command({}, "serving", split_flags(words.split()), "python bench/bench_serving.py")
    found = data_set(at, SOURCES, command)
    assert (found.value if found else None) == data
    assert found is None or str(found.place) == place
    assert data_set(at, SOURCES, command._replace(type="latency")) is None
    assert data_set(at, SOURCES, command._replace(program="other.py")) is None


def test_options_that_the_named_client_never_had_are_told() -> None:
    command = Command({}, "serving", (), "python bench/bench_serving.py")
    words = ["--dataset-name", "random", "--input-len", "9", "--num-prompts", "1"]
    assert list(foreign_options(tree(), SOURCES, command, words)) == [
        "--input-len is no option of bench/serving.py at the parent",
        "--num-prompts is no option of bench/serving.py at the parent",
    ]
    without = tree(bench__serving__py=None)
    assert list(foreign_options(without, SOURCES, command, words)) == []
    assert list(foreign_options(tree(), SOURCES, command._replace(type="latency"), words)) == []


def test_arguments_made_from_the_fields_of_a_dataclass_are_seen() -> None:
    text = """
@config
@dataclass
class Front:
    host_name: str | None = None
    quiet: bool = False

class Other:
    hidden: int = 1

for key in kwargs:
    group.add_argument(f"--{key.replace('_', '-')}", **value)
"""
    known = arguments.accepted(Tree({"a.py": text}), ["a.py"])
    assert set(known) == {"--host-name", "--quiet"}
    assert known["--host-name"].takes_value
    assert not known["--quiet"].takes_value
    fixed = text.replace("f\"--{key.replace('_', '-')}\"", '"--x"')
    assert set(arguments.accepted(Tree({"a.py": fixed}), ["a.py"])) == {"--x"}


def test_options_that_are_on_by_default_are_known_as_such() -> None:
    text = """
@dataclass
class Args:
    v2: bool = True
    v3: bool = False
parser.add_argument("--v2", action="store_true", default=Args.v2)
parser.add_argument("--v3", action="store_true", default=Args.v3)
parser.add_argument("--v4", action="store_true", default=True)
parser.add_argument("--v5", action=argparse.BooleanOptionalAction, default=True)
"""
    at = tree(eng__more__py=text)
    assert facts_of(at, SOURCES).record.enabled == ("--v2", "--v4", "--v5")


def test_a_tree_without_the_variable_runs_the_older_engine() -> None:
    for text in (None, "X = 1\n"):
        facts = facts_of(tree(eng__envs__py=text), SOURCES)
        assert facts.engine is not None
        assert facts.engine.value == "V0"


def test_an_older_server_is_ready_when_it_lists_its_models() -> None:
    older = tree(eng__server__py=SERVER.replace("/health", "/metrics"))
    ready = facts_of(older, SOURCES).ready
    assert ready is not None
    assert ready.value == "/v1/models"


def test_a_source_that_does_not_parse_tells_nothing() -> None:
    facts = facts_of(tree(eng__server__py="def ("), SOURCES)
    assert facts.ready is None
    assert "--model" not in facts.arguments


NAMES = st.from_regex(r"--[a-z]{1,6}(-[a-z]{1,4})?", fullmatch=True)


@given(st.dictionaries(NAMES, st.sampled_from(["store_true", None]), min_size=1, max_size=6), NAMES)
def test_what_is_refused_argparse_refuses_too(known: dict[str, str | None], word: str) -> None:
    lines = [
        f"parser.add_argument({name!r}{f', action={action!r}' if action else ''})"
        for name, action in known.items()
    ]
    text = (
        "import argparse\nparser = argparse.ArgumentParser(exit_on_error=False, add_help=False)\n"
    )
    text += "\n".join(lines)
    space: dict[str, argparse.ArgumentParser] = {}
    exec(text, space)
    accepted = arguments.accepted(Tree({"p.py": text}), ["p.py"])
    values = {
        name: () if argument.takes_value is False else ("1",) for name, argument in accepted.items()
    }
    hits = [name for name in accepted if name == word] or [
        n for n in accepted if n.startswith(word)
    ]
    value = values[hits[0]] if hits else ()
    ambiguous = len(hits) > 1
    try:
        _, rest = space["parser"].parse_known_args([word, *value])
        refuses = bool(rest)
    except (argparse.ArgumentError, SystemExit):  # an ambiguous prefix exits on Python 3.11
        refuses = True
    refused = bool(arguments.refusals({word: value}, accepted))
    assert refused == refuses or ambiguous


def test_files_of_a_commit_are_read_from_a_bare_repository(tmp_path: Path) -> None:
    bare, (commit,) = history(tmp_path, FILES)
    at = Tree.of_commit(bare, commit, SOURCES.files)
    assert facts_of(at, SOURCES) == facts_of(tree(), SOURCES)
    assert at.text("pyproject.toml") is None
    assert at.has("eng/rope.py")
