"""Facts at a parent commit: read from small made-up trees, and from the published tasks' own
parents where a clone of their history is at hand."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.plan.facts import arguments, source
from patchbench.plan.facts.parent import (
    EngineSource,
    FactSources,
    ModelNeed,
    facts_of,
    gather,
    obstacle,
)
from patchbench.plan.facts.reach import Conditions, ReachRule, reach, words_of
from patchbench.plan.facts.tree import Place, Tree

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
)
FILES: dict[str, str | None] = {
    "eng/server.py": SERVER,
    "eng/more.py": 'p.add_argument("--seed", type=int, default=0)\n',
    "eng/envs.py": 'import os\n\nX = lambda: bool(int(os.getenv("USE_V1", "1")))\n',
    "eng/rope.py": 'if kind == "llama3": pass\n',
    "setup.py": 'setup(\n    python_requires=">=3.9",\n)\n',
    "pyproject.toml": None,
}


def tree(**changes: str | None) -> Tree:
    """The made-up tree with files replaced: `eng__server__py` stands for eng/server.py."""
    named = {path.replace("__", "/", 1).replace("__", "."): text for path, text in changes.items()}
    return Tree({**FILES, **named})


def why(at: Tree, flags: dict[str, tuple[str, ...]], model: str = "tiny") -> tuple[str, str] | None:
    """The reason and evidence of what keeps a workload from running there."""
    exclusion = obstacle(facts_of(at, SOURCES), at, SOURCES, flags, model)
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
    flags = {"--dtype": ("half",), "--eager": (), "--no-chunked": (), "--see": ("3",)}
    assert why(tree(), flags) is None


@pytest.mark.parametrize(
    ("at", "flags", "model", "reason", "evidence"),
    [
        (tree(eng__server__py=None), {}, "tiny", "no_server", "eng/server.py"),
        (tree(), {"--warp": ()}, "tiny", "server_refuses_flag", "--warp"),
        (tree(), {"--dtype": ("fp4",)}, "tiny", "server_refuses_flag", "eng/server.py:5: choices"),
        (tree(), {"--e": (), "--m": ()}, "tiny", None, ""),
        (tree(eng__rope__py="x = 1\n"), {}, "meta/Llama-3.1-8B", "model_too_new", "rope type"),
        (tree(eng__rope__py=None), {}, "meta/Llama-3.1-8B", "model_too_new", "eng/rope.py"),
        (tree(), {}, "meta/Llama-3.1-8B", None, ""),
        (
            tree(eng__server__py='p.add_argument("--model")\n'),
            *({}, "tiny", "no_readiness", "/health"),
        ),
    ],
)
def test_the_first_obstacle_is_named_with_its_fact(
    at: Tree, flags: dict[str, tuple[str, ...]], model: str, reason: str | None, evidence: str
) -> None:
    found = why(at, flags, model)
    assert (found[0] if found else None) == reason
    assert evidence in (found[1] if found else "")


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
    except argparse.ArgumentError:
        refuses = True
    refused = bool(arguments.refusals({word: value}, accepted))
    assert refused == refuses or ambiguous


RULES = (
    ReachRule(words=("tpu",), needs={"backend": ["tpu"]}),
    ReachRule(paths=("eng/v1/*",), needs={"engine": ["V1"]}),
    ReachRule(paths=("eng/block_v2.py",), needs={"flag": ["--v2"]}, why="off by default"),
    ReachRule(words=("guided",), needs={"feature": ["guided"]}),
    ReachRule(paths=("eng/models/vl.py",), needs={"model": ["Qwen2-VL*"]}),
    ReachRule(words=("triton",), needs={"env": ["ATTENTION=TRITON"]}),
)
CUDA = Conditions(backend="cuda", engine="V0", model="org/Llama")


@pytest.mark.parametrize(
    ("path", "given", "reached"),
    [
        ("eng/output_processor.py", CUDA, True),
        ("eng/outputs.py", CUDA, True),
        ("eng/tpu_runner.py", CUDA, False),
        ("eng/tpu_runner.py", CUDA._replace(backend="tpu"), True),
        ("eng/worker-tpu.py", CUDA, False),
        ("eng/v1/core.py", CUDA, False),
        ("eng/v1/core.py", CUDA._replace(engine="V1"), True),
        ("eng/v1/core.py", CUDA._replace(engine=""), True),
        ("eng/block_v2.py", CUDA, False),
        ("eng/block_v2.py", CUDA._replace(flags=frozenset({"--v2"})), True),
        ("eng/guided/x.py", CUDA, False),
        ("eng/guided/x.py", CUDA._replace(features=frozenset({"guided"})), True),
        ("eng/models/vl.py", CUDA, False),
        ("eng/models/vl.py", CUDA._replace(model="Qwen/Qwen2-VL-7B"), True),
        ("eng/triton.py", CUDA._replace(env={"ATTENTION": "TRITON"}), True),
        ("eng/triton.py", CUDA, False),
    ],
)
def test_a_file_is_reached_if_its_conditions_hold(
    path: str, given: Conditions, reached: bool
) -> None:
    result = reach([path], RULES, given)
    assert result.possible is reached
    assert (path in result.unreached) is not reached


def test_the_reason_names_the_condition_and_what_is_given() -> None:
    result = reach(
        ["eng/block_v2.py", "eng/core.py"], RULES, CUDA._replace(flags=frozenset({"-x"}))
    )
    assert result.reached == ("eng/core.py",)
    assert result.unreached["eng/block_v2.py"] == (
        "eng/block_v2.py runs only with flag --v2, here -x (off by default)"
    )


def test_an_unknown_condition_is_a_mistake_of_the_subject() -> None:
    with pytest.raises(ValueError, match="moon"):
        reach(["a.py"], [ReachRule(paths=("a.py",), needs={"moon": ["full"]})], CUDA)


@given(st.text(alphabet="abtpu_/.-", max_size=30))
def test_a_word_of_a_path_stands_between_boundaries(path: str) -> None:
    padded = path.replace("/", " ").replace("_", " ").replace(".", " ").replace("-", " ")
    assert ("tpu" in words_of(path)) == (" tpu " in f" {padded} ")


def test_files_of_a_commit_are_read_from_a_bare_repository(tmp_path: Path) -> None:
    work, bare = tmp_path / "work", tmp_path / "bare.git"
    for path, text in FILES.items():
        if text is not None:
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)

    def git(*words: str) -> str:
        user = ["-c", "user.name=a", "-c", "user.email=a@b"]
        out = subprocess.run(["git", *user, *words], check=True, capture_output=True, text=True)
        return out.stdout.strip()

    git("init", "-q", str(work))
    git("-C", str(work), "add", ".")
    git("-C", str(work), "commit", "-qm", "one")
    git("clone", "-q", "--bare", str(work), str(bare))
    commit = git("-C", str(work), "rev-parse", "HEAD")
    facts, tree_ = gather(bare, commit, SOURCES)
    assert facts == facts_of(tree(), SOURCES)
    assert tree_.text("pyproject.toml") is None
    assert tree_.has("eng/rope.py")
