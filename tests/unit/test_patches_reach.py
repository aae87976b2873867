"""Files that a workload can execute, by the subject's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.patches.reach import Conditions, reach, with_values, words_of
from patchbench.subject import ReachRule

RULES = (
    ReachRule(words=("tpu",), needs={"backend": ("tpu",)}),
    ReachRule(paths=("eng/v1/*",), needs={"engine": ("V1",)}),
    ReachRule(paths=("eng/block_v2.py",), needs={"flag": ("--v2",)}, why="off by default"),
    ReachRule(words=("guided",), needs={"flag": ("--format json",)}),
    ReachRule(paths=("eng/models/vl.py",), needs={"model": ("Qwen2-VL*",)}),
    ReachRule(words=("triton",), needs={"env": ("ATTENTION=TRITON",)}),
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
        ("eng/guided/x.py", CUDA._replace(flags=with_values(["--format", "json"])), True),
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
        "eng/block_v2.py runs only with flag --v2, here not given (off by default)"
    )


def test_one_of_several_conditions_is_enough() -> None:
    rule = ReachRule(
        paths=("eng/prefix.py",), needs={"engine": ("V0",), "env": ("ATTENTION=TRITON",)}
    )
    v1 = CUDA._replace(engine="V1")
    assert reach(["eng/prefix.py"], [rule], CUDA).possible
    assert reach(["eng/prefix.py"], [rule], v1._replace(env={"ATTENTION": "TRITON"})).possible
    assert "or env ATTENTION=TRITON" in str(reach(["eng/prefix.py"], [rule], v1).unreached)


def test_spared_files_are_not_meant() -> None:
    rule = ReachRule(words=("tpu",), spared=("eng/*/tpu_int8.py",), needs={"backend": ("tpu",)})
    result = reach(["eng/quant/tpu_int8.py", "eng/quant/tpu_int4.py"], [rule], CUDA)
    assert result.reached == ("eng/quant/tpu_int8.py",)


@pytest.mark.parametrize(
    ("files", "possible"),
    [
        (["eng/envs.py", "eng/tpu.py"], False),
        (["eng/envs.py", "eng/core.py", "eng/tpu.py"], True),
        (["eng/envs.py"], True),  # a setting by itself may be the change
        ([], True),
    ],
)
def test_plumbing_beside_unreached_files_reaches_nothing(files: list[str], possible: bool) -> None:
    assert reach(files, RULES, CUDA, ["eng/envs.py"]).possible is possible


@given(st.lists(st.sampled_from(["--a", "-b", "c", "1", "-1", "--d=2"])))
def test_options_are_known_alone_and_with_their_value(words: list[str]) -> None:
    found = with_values(words)
    assert {text for text in found if " " not in text} == {
        word for word in words if word.startswith("-") and word != "-1"
    }
    assert all(text.partition(" ")[0] in words for text in found)


@given(st.text(alphabet="abtpu_/.-", max_size=30))
def test_a_word_of_a_path_stands_between_boundaries(path: str) -> None:
    padded = path.replace("/", " ").replace("_", " ").replace(".", " ").replace("-", " ")
    assert ("tpu" in words_of(path)) == (" tpu " in f" {padded} ")
