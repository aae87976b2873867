"""From the command that a commit's author gave to one workload for every arm."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from patchbench.plan import campaign
from patchbench.plan.perf_command import first_value, parse_command, split_flags
from patchbench.plan.workload import render
from patchbench.subject import Subject
from tests.unit import make
from tests.unit.conftest import ROOT


@functools.cache
def real_subject(name: str) -> Subject:
    """A subject as config/subjects has it, read as a campaign reads it."""
    entry = {"commit": "a" * 40, "subject": name, "perf_command": None}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as tasks:
        yaml.safe_dump({"tasks": [entry]}, tasks)
        tasks.flush()
        config = {
            "campaign": "test",
            "work": "W",
            "trust_patches": True,
            "tasks": [tasks.name],
            "subjects": str(ROOT / "config" / "subjects"),
            "agents": {"alba": {"patches": "nowhere"}},
        }
        return campaign.load(config).tasks["a" * 40].subject


@pytest.mark.parametrize(
    ("command", "type_"),
    [
        ("vllm bench serve --model m", "serving"),
        ("python benchmarks/benchmark_serving.py --model m", "serving"),
        ("python3 -m vllm.entrypoints.cli.main bench serve --model m", "serving"),
        ("vllm bench latency --model m", "latency"),
        ("python benchmarks/benchmark_latency.py --model m", "latency"),
        ("vllm bench throughput --model m", "throughput"),
        ("VLLM_USE_V1=1 python benchmarks/benchmark_throughput.py --model m", "throughput"),
        ("python benchmarks/benchmark_prefix_caching.py --model m", None),
        ("python benchmark_guided.py --model m", None),
        ("", None),
    ],
)
def test_the_type_is_named_by_the_program(command: str, type_: str | None) -> None:
    assert parse_command(command, real_subject("vllm-cpu")).type == type_


def test_words_before_the_program_are_its_environment() -> None:
    command = parse_command(
        "VLLM_USE_V1=1 VLLM_ATTENTION_BACKEND=FLASHMLA A='x y=z' vllm bench serve --model m",
        real_subject("vllm-cpu"),
    )
    assert command.env == {"VLLM_USE_V1": "1", "VLLM_ATTENTION_BACKEND": "FLASHMLA", "A": "x y=z"}
    assert command.type == "serving"
    assert [flag.words for flag in command.flags] == [("--model", "m")]


def test_the_commands_environment_wins_over_the_subjects() -> None:
    subject = real_subject("vllm-cpu")
    assert subject.env["OMP_NUM_THREADS"] == "1"
    workload, _ = render(
        "OMP_NUM_THREADS=4 NEW=1 vllm bench latency --model m", subject, max_gpus=1
    )
    assert workload.env == {**subject.env, "OMP_NUM_THREADS": "4", "NEW": "1"}


def test_server_flags_on_a_clients_line_go_to_the_server() -> None:
    workload, exclusion = render(
        "python benchmarks/benchmark_serving.py --model ibm/Bamba --dtype float16 "
        "--num-prompts 300 --enforce-eager --seed 0",
        real_subject("vllm-cpu"),
        max_gpus=1,
    )
    assert exclusion is None
    assert workload.model == "ibm/Bamba"
    assert workload.server_args == ("--dtype", "float16", "--enforce-eager")
    assert workload.client_args == ("--num-prompts", "300", "--seed", "0")
    assert workload.requests == 300


def test_an_offline_benchmark_keeps_the_engines_flags() -> None:
    workload, _ = render(
        "vllm bench throughput --model m --dtype float16 --input-len 8",
        real_subject("vllm-cpu"),
        max_gpus=1,
    )
    assert workload.server_args == ()
    assert workload.client_args == ("--dtype", "float16", "--input-len", "8")


def test_no_word_of_the_command_is_lost_between_server_and_client() -> None:
    text = "vllm bench serve --dtype half --model m --num-prompts=9 -tp 1 --ignore-eos --a b c"
    workload, _ = render(text, real_subject("vllm-cpu"), max_gpus=1)
    words = sorted((*workload.server_args, *workload.client_args, "--model", workload.model))
    assert words == sorted(text.replace("=", " ").split()[3:])


@pytest.mark.parametrize("command", ["--num-prompts=100", "--num-prompts 100", "--num_prompts=100"])
def test_an_equals_sign_or_an_underscore_makes_no_difference(command: str) -> None:
    workload, _ = render(f"bench serve --model m {command}", make.subject(), max_gpus=1)
    assert workload.client_args == ("--num-prompts", "100")
    assert workload.requests == 100


def test_negative_numbers_are_values() -> None:
    flags = split_flags(["--seed", "-1", "--scale", "-0.5", "--last"])
    assert [flag.words for flag in flags] == [("--seed", "-1"), ("--scale", "-0.5"), ("--last",)]


def test_quoted_and_several_values_stay_together() -> None:
    command = parse_command(
        "bench latency --model 'my model' --speculative-model '[ngram]' --sizes 1 2 3",
        make.subject(),
    )
    assert [flag.values for flag in command.flags] == [("my model",), ("[ngram]",), ("1", "2", "3")]


def test_of_an_option_given_twice_the_last_counts() -> None:
    flags = split_flags(["--num-prompts", "5", "--num-prompts", "7", "--x"])
    assert first_value(flags, "--num-prompts") == "7"
    assert first_value(flags, "--x") is None


@pytest.mark.parametrize(
    "flags",
    ["--tensor-parallel-size 8", "--tensor-parallel-size=8", "-tp 8", "--tensor_parallel_size 8"],
)
def test_eight_gpus_are_more_than_one(flags: str) -> None:
    command = f"bench serve --model m {flags}"
    workload, exclusion = render(command, make.subject(), max_gpus=1)
    assert workload is None
    assert exclusion.reason == "needs_gpus:8"
    assert command in exclusion.evidence
    workload, exclusion = render(command, make.subject(), max_gpus=8)
    assert exclusion is None
    assert workload.gpus == 8


@pytest.mark.parametrize("command", ["make test", "python benchmark_unknown.py --model m"])
def test_a_program_that_is_no_known_benchmark_is_excluded_and_quoted(command: str) -> None:
    workload, exclusion = render(command, make.subject(), max_gpus=1)
    assert workload is None
    assert exclusion.reason == "unknown_benchmark"
    assert command in exclusion.evidence
    assert "bench serve" in exclusion.evidence


def test_a_model_that_the_subject_knows_is_put_in_its_place() -> None:
    workload, _ = render("vllm bench latency --model tiny", real_subject("vllm-cpu"), max_gpus=1)
    assert workload.model == "W/vllm-cpu/model"


@pytest.mark.parametrize("value", ["0", "many", "-3"], ids=["zero", "no number", "negative"])
def test_a_parallel_size_that_is_no_count_asks_for_no_more_gpus(value: str) -> None:
    _, exclusion = render(f"bench serve --model m -tp {value}", make.subject(), max_gpus=1)
    assert exclusion is None


def test_the_demos_tasks_can_be_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    demo = campaign.load(config, "config/config.yaml")
    excluded = {
        commit[:8]: render(spec.perf_command, spec.subject, max_gpus=1)[1]
        for commit, spec in demo.tasks.items()
    }
    reasons = {commit: exclusion.reason for commit, exclusion in excluded.items() if exclusion}
    assert reasons == {"b80bc693": "needs_gpus:8"}
    types = {parse_command(spec.perf_command, spec.subject).type for spec in demo.tasks.values()}
    assert types == {"serving", "latency", "throughput"}


def test_a_raised_digit_is_no_count() -> None:
    workload, _ = render("bench serve --model m --num-prompts ²", make.subject(), max_gpus=1)
    assert workload.requests is None


flag_names = st.from_regex(r"--[a-z]{1,5}(-[a-z]{1,5})?", fullmatch=True)
flag_values = st.one_of(
    st.integers(-9, 9).map(str), st.from_regex(r"[a-zA-Z./\[][a-zA-Z0-9=./ ]{0,6}", fullmatch=True)
)


@given(st.lists(st.tuples(flag_names, st.lists(flag_values, max_size=3))))
def test_grouping_words_into_options_loses_none(flags: list[tuple[str, list[str]]]) -> None:
    words = [word for name, values in flags for word in (name, *values)]
    assert [word for flag in split_flags(words) for word in flag.words] == words
