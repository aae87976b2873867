"""Benchmark commands become the load that the judge sends."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from patchbench.cli.plan import measured
from patchbench.errors import BadInput
from patchbench.load import (
    AllAtOnce,
    Batch,
    ClosedLoop,
    DataSet,
    DataSetFile,
    Goodput,
    Lengths,
    Load,
    Poisson,
    RandomPrompts,
    SharedPrefix,
    StandIn,
    request_count,
)
from patchbench.plan import campaign
from patchbench.plan.lists.readers import records
from patchbench.plan.perf_command import Flag, parse_command
from patchbench.plan.translation.benchmarks import BENCHMARKS
from patchbench.plan.translation.loads import Translation, translate
from patchbench.plan.translation.words import load_in_words
from patchbench.plan.workload import judged, render
from patchbench.subject import Client
from tests.unit import make
from tests.unit.conftest import ROOT
from tests.unit.test_task_lists import DATA
from tests.unit.test_workload import real_subject

SHAREGPT = {"sharegpt": DataSetFile(file="data/ShareGPT.json", sha256="a" * 64)}
VLLM = "vllm bench serve --model m "
SGLANG = "python -m sglang.bench_serving --model m "


def translated(command: str, name: str = "vllm", **more: Any) -> Translation:
    subject = real_subject(name)
    given = {"model": "m", "data_sets": SHAREGPT, **more}
    return translate(parse_command(command, subject), subject, **given)


def load_of(command: str, name: str = "vllm", **more: Any) -> Load:
    made = translated(command, name, **more)
    assert made.exclusion is None, made.exclusion
    assert made.load is not None
    return made.load


def refusal(command: str, name: str = "vllm", **more: Any) -> tuple[str, str]:
    made = translated(command, name, **more)
    assert made.load is None
    assert made.exclusion is not None
    return made.exclusion.reason, made.exclusion.evidence


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (VLLM, "1,000 requests, 1,024 prompt tokens, 128 output tokens, all at once"),
        (
            f"{VLLM}--random-input-len 700 --random-output-len 1 --request-rate 200 --num-prompts"
            " 100 --endpoint /v1/completions --ignore-eos --host localhost --port 8000",
            "100 requests, 700 prompt tokens, 1 output token, Poisson 200 per second",
        ),
        (
            f"{VLLM}--num-prompts 24 --random-input-len 32 --random-prefix-len 192"
            " --random-output-len 4 --max-concurrency 1 --num-warmups 5 --seed 7",
            "24 requests, 32+192 prompt tokens shared prefix, 4 output tokens, closed loop of 1",
        ),
        (
            f"{VLLM}--num-prompts 10 --request-rate 2 --max-concurrency 3 --temperature 0.8"
            " --top-p 0.9 --top-k 50 --extra-body '{\"min_p\": 0.1}'",
            "10 requests, 1,024 prompt tokens, 128 output tokens, Poisson 2 per second, at most 3 "
            "at a time, temperature 0.8, top-p 0.9, top-k 50, min_p 0.1",
        ),
        (
            f"{VLLM}--dataset-name prefix_repetition --num-prompts 50",
            "50 requests, 256+256 prompt tokens 10 shared prefixes, 128 output tokens, all at once",
        ),
        (
            "python benchmarks/benchmark_serving.py --model m --dataset-name sharegpt",
            "1,000 requests, prompts of ShareGPT.json, all at once",
        ),
        (
            "python benchmarks/benchmark_latency.py --model m --batch-size 32 --input-len 512",
            "960 requests, 512 prompt tokens, 128 output tokens, 30 batches of 32, "
            "temperature 0.01",
        ),
        (
            "vllm bench throughput --model m --input-len 256 --output-len 64 --num-prompts=5",
            "5 requests, 256 prompt tokens, 64 output tokens, all at once, temperature 0.01",
        ),
        (
            "python benchmarks/benchmark_throughput.py --model m --dataset S.json",
            "1,000 requests, prompts of ShareGPT.json, all at once, temperature 0.01",
        ),
        (
            "python3 benchmarks/benchmark_prefix_caching.py --model m --output-len 200"
            " --repeat-count 100 --enable-prefix-caching",
            "100 requests, 645 prompt tokens, 200 output tokens, all at once, each prompt 100 "
            "times",
        ),
        (
            "python3 benchmarks/benchmark_prefix_caching.py --model m --num-prompts 20"
            " --repeat-count 5 --input-length-range 128:256 --prefix-len 100",
            "100 requests, 28 to 156+100 prompt tokens shared prefix, 10 output tokens, all at "
            "once, each prompt 5 times",
        ),
    ],
)
def test_vllms_commands(command: str, words: str) -> None:
    assert load_in_words(load_of(command)) == words


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (SGLANG, "1,000 requests, prompts of ShareGPT.json, all at once"),
        (
            f"{SGLANG}--dataset-name random --random-input 1024 --random-output 512 --num-prompt 8"
            " --random-range-ratio 1.0 --max-concurrency 4",
            "8 requests, 1,024 prompt tokens, 512 output tokens, closed loop of 4",
        ),
        (
            f"{SGLANG}--dataset-name random --random-input 1024 --random-output 512",
            "1,000 requests, 1 to 1,024 prompt tokens, 1 to 512 output tokens, all at once",
        ),
        (
            f"{SGLANG}--dataset-name generated-shared-prefix --gsp-num-groups 4"
            " --gen-prompts-per-group 2",
            "8 requests, 128+2,048 prompt tokens 4 shared prefixes, 256 output tokens, all at once",
        ),
        (
            "python3 -m sglang.bench_one_batch --model-path m --batch-size 16 --input 256"
            " --output 32 --tp 1",
            "16 requests, 256 prompt tokens, 32 output tokens, one batch of 16",
        ),
        (
            "python3 -m sglang.bench_one_batch_server --model m --batch-size 4",
            "4 requests, 1,024 prompt tokens, 16 output tokens, one batch of 4",
        ),
        (
            "python -m sglang.bench_offline_throughput --model-path m --num-prompts 10"
            " --dataset-name random --random-input 1024 --random-output 1024"
            " --random-range-ratio 1",
            "10 requests, 1,024 prompt tokens, 1,024 output tokens, all at once",
        ),
    ],
)
def test_sglangs_commands(command: str, words: str) -> None:
    assert load_in_words(load_of(command, "sglang")) == words


def test_engine_options_of_an_offline_command_go_to_the_server() -> None:
    made = translated(
        "python benchmarks/benchmark_latency.py --model m --dtype half"
        " --speculative_model '[ngram]' --num-speculative-tokens 5"
        " --tokenizer t --input-len 550 --output-json x --seed 3"
    )
    assert made.server_args == (
        *("--dtype", "half", "--speculative-model", "[ngram]"),
        *("--num-speculative-tokens", "5", "--tokenizer", "t"),
    )


def test_an_offline_commands_other_options_are_asked_of_the_parents_server() -> None:
    made = translated("vllm bench latency --model m --some-engine-option 3")
    assert made.server_args == ("--some-engine-option", "3")  # vllm has facts to check it by
    reason, evidence = refusal("vllm bench latency --model m --some-option 3", "vllm-cpu")
    assert reason == "load_not_expressible"
    assert evidence.startswith("--some-option 3: neither")


def test_a_serving_clients_tokenizer_stays_with_it() -> None:
    made = translated(f"{VLLM}--tokenizer t --trust-remote-code --dtype half")
    assert made.server_args == ("--trust-remote-code", "--dtype", "half")


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--n 4", "one answer"),
        ("--best-of 2", "one answer"),
        ("--use-beam-search", "beam search"),
        ("--lora-modules a b", "adapter"),
        ("--profile", "profiled"),
        ("--backend openai-chat", "chat template"),
        ("--endpoint /v1/chat/completions", "chat template"),
        ("--burstiness 0.5", "Poisson"),
        ("--ramp-up-strategy linear", "constant"),
        ("--logprobs 5", "log probabilities"),
        ("--dataset-name random-mm", "text alone"),
        ("--random-input-len many", "no whole number"),
        ("--random-input-len 1 2", "several loads"),
        ("--num-prompts 0", "no whole number from 1 on"),
        ("--request-rate 0", "above 0"),
        ("--request-rate often", "no number"),
        ("--random-range-ratio 2", "from 0 to 1"),
        ("--goodput tpot:fast", "no limit"),
        ("--extra-body '{\"n\": 2}'", "sets n by itself"),
        ("--extra-body 5", "no JSON object"),
        ("--warp 9", "neither the benchmark's options nor the server's"),
    ],
)
def test_what_no_load_can_say_is_named_with_its_place(option: str, why: str) -> None:
    reason, evidence = refusal(VLLM + option, place="tasks.yaml: tasks.3")
    assert reason == "load_not_expressible"
    assert evidence.startswith(option.split()[0])
    assert why in evidence
    assert evidence.endswith("(tasks.yaml: tasks.3)")


def test_a_length_says_nothing_about_prompts_of_a_file() -> None:
    reason, evidence = refusal(f"{VLLM}--dataset-name sharegpt --input-len 1024")
    assert reason == "load_not_expressible"
    assert "prompts of sharegpt have lengths of their own" in evidence


def test_a_data_set_that_the_configuration_lacks_is_named() -> None:
    reason, evidence = refusal(f"{VLLM}--dataset-name sharegpt", data_sets={})
    assert (reason, "sharegpt" in evidence) == ("data_set_missing", True)
    reason, evidence = refusal(f"{VLLM}--dataset-name hf --dataset-path some/set", data_sets={})
    assert (reason, "some/set" in evidence) == ("data_set_missing", True)


def test_a_data_set_stands_with_file_checksum_and_length() -> None:
    load = load_of(f"{VLLM}--dataset-name sharegpt --sharegpt-output-len 64")
    assert isinstance(load.prompts, DataSet)
    assert (load.prompts.path, load.prompts.sha256) == ("data/ShareGPT.json", "a" * 64)
    assert load.prompts.output == 64


def test_a_custom_data_set_stands_under_its_path() -> None:
    data = {"my.jsonl": DataSetFile(file="my.jsonl", sha256="b" * 64, format="lines")}
    command = f"{VLLM}--dataset-name custom --dataset-path my.jsonl"
    load = load_of(command, data_sets=data)
    assert isinstance(load.prompts, DataSet)
    assert (load.prompts.format, load.prompts.output) == ("lines", 256)


def test_a_stand_in_gives_its_lengths_and_is_marked() -> None:
    lengths = StandIn(prompt=Lengths(low=4, high=1024, inner=(30, 200)),
                      output=Lengths(low=4, high=900))  # fmt: skip
    data = {"sharegpt": DataSetFile(stand_in=lengths)}
    made = translated(f"{VLLM}--dataset-name sharegpt", data_sets=data)
    assert made.load is not None
    assert isinstance(made.load.prompts, RandomPrompts)
    assert made.load.prompts.prompt == lengths.prompt
    assert made.load.prompts.output == lengths.output
    assert made.marks == ("stand_in: random prompts of given lengths in place of sharegpt",)


def test_the_parents_own_defaults_come_first() -> None:
    command = "python benchmarks/benchmark_latency.py --model m --input-len 16"
    load = load_of(command, defaults={"--num-iters": "3", "--num-iters-warmup": None})
    assert load.shape == Batch(size=8, rounds=3)
    assert load.warmup == 8
    serving = "python benchmarks/benchmark_serving.py --model m --num-prompts 5"
    load = load_of(serving, defaults={"--dataset-name": "sharegpt"})
    assert isinstance(load.prompts, DataSet)


@pytest.mark.parametrize(
    ("default", "lengths"), [("1.0", (200, 1000)), ("0.0", (800, 1200))], ids=["2024", "2025"]
)
def test_a_range_ratio_means_what_the_parents_parser_means(
    default: str, lengths: tuple[int, int]
) -> None:
    load = load_of(
        f"{VLLM}--random-input-len 1000 --random-range-ratio 0.2",
        defaults={"--random-range-ratio": default},
    )
    assert isinstance(load.prompts, RandomPrompts)
    assert (load.prompts.prompt.low, load.prompts.prompt.high) == lengths


def test_ratios_of_prompts_and_answers_may_differ() -> None:
    load = load_of(f'{VLLM}--random-range-ratio \'{{"input": 0.5, "output": 0.25}}\'')
    assert isinstance(load.prompts, RandomPrompts)
    assert load.prompts.prompt == Lengths(low=512, high=1536)
    assert load.prompts.output == Lengths(low=96, high=160)


def test_limits_of_goodput_travel() -> None:
    load = load_of(f"{VLLM}--goodput ttft:500 tpot:30 e2el:9000")
    assert load.goodput == Goodput(ttft_ms=500, tpot_ms=30, e2e_ms=9000)


def test_every_answer_has_its_full_length_and_is_greedy_unless_asked() -> None:
    sampling = load_of(VLLM).sampling
    assert (sampling.ignore_eos, sampling.temperature) == (True, 0.0)


@pytest.mark.parametrize("kind", ["latency", "throughput"])
def test_offline_scripts_draw_their_tokens_near_the_first_choice(kind: str) -> None:
    """At temperature 0 the engine would leave out work that the script makes it do."""
    sampling = load_of(f"vllm bench {kind} --model m").sampling
    assert (sampling.ignore_eos, sampling.temperature) == (True, 0.01)


def test_no_weights_are_refused_unless_answers_are_ignored() -> None:
    subject = real_subject("vllm")
    text = "vllm bench latency --model m --load-format dummy"
    command = parse_command(text, subject)
    workload, _ = render(text, subject, max_gpus=1)
    assert workload is not None
    made = judged(workload, command, subject, data_sets={})
    assert made.workload is None
    assert made.exclusion is not None
    assert made.exclusion.reason == "dummy_weights"
    made = judged(workload, command, subject, data_sets={}, answers="ignored")
    assert made.workload is not None
    assert made.workload.server_args == ("--load-format", "dummy")
    assert made.workload.client_args == ()
    assert made.workload.requests == 240


# --- campaigns -------------------------------------------------------------------------------


def planned(config: dict[str, Any], measure: str) -> campaign.Campaign:
    config["protocol"] = {**config.get("protocol", {}), "measure": measure}
    return campaign.load(config | {"tasks_without_patches": "measure"}, "config.yaml")


def test_the_demos_tasks_all_have_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    demo = planned(config, "judge")
    runnable = [task for task in demo.tasks.values() if task.exclusion is None]
    assert len(runnable) == len(demo.tasks) - 1  # one asks for eight GPUs
    shown = [list(measured(task)) for task in runnable]
    for task, lines in zip(runnable, shown, strict=True):
        assert task.workload is not None
        assert task.workload.load is not None
        assert task.workload.load.prompts.vocabulary.last == 2047  # type: ignore[union-attr]
        words = load_in_words(task.workload.load)
        server = " ".join(task.workload.server_args)
        assert lines == [
            task.perf_command,
            f"-> {words}" + (f"; server: {server}" if server else ""),
        ]
    arrows = "\n".join(lines[1] for lines in shown)
    prefixes = "32+192 prompt tokens shared prefix, 4 output tokens, closed loop of 1"
    for part in (" batches of 1\n", "; server: --max-num-seqs 8", "closed loop of 4", prefixes):
        assert part in arrows


def test_measured_by_its_own_benchmark_a_task_has_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    demo = planned(config, "own")
    assert all(task.workload.load is None for task in demo.tasks.values() if task.workload)
    assert all(list(measured(task)) == [] for task in demo.tasks.values())


def example_commands(example: str) -> list[str]:
    """The commands of an example's tasks, without importing it: its folder is no package."""
    text = (ROOT / "examples" / example / "edits.py").read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.keyword)]
    values = [node.value for node in calls if node.arg == "perf_command"]
    joined = [ast.unparse(value) for value in values]
    names: dict[str, Any] = {"ENGINE": "--dtype float32", "engine": lambda *_: "--dtype bfloat16"}
    return [eval(text, names) for text in joined]


@pytest.mark.parametrize("example", ["vllm_cpu", "vllm_gpu"])
def test_the_examples_commands_have_a_load(example: str) -> None:
    commands = example_commands(example)
    assert len(commands) >= 2
    for command in commands:
        made = translated(command, example.replace("_", "-"))
        assert made.load is not None, made.exclusion
        assert "--dtype" in made.server_args


def test_sglangs_commands_in_the_lists_have_a_load_or_a_reason() -> None:
    found = [
        str(record["perf_command"])
        for file in sorted(DATA.glob("*"))
        if file.suffix in (".json", ".jsonl", ".parquet")
        for _, record in sglang_records(file)
    ]
    if not found:
        pytest.skip("no list of SGLang's tasks is here")
    for command in found:
        made = translated(command, "sglang")
        assert (made.load is None) == (made.exclusion is not None), command


def sglang_records(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a file whose command runs SGLang's benchmarks."""
    try:
        for place, record in records(file):
            if isinstance(record, dict) and "sglang" in str(record.get("perf_command")):
                yield place, record
    except BadInput:  # no task list
        return


# The published commands that one GPU runs, in words; commits of the last group have no load.
PUBLISHED = {
    "100 requests, prompts of ShareGPT, all at once": """
        22d33bac 2f192835 30172b49 3092375e 3a243095 6a417b86 6ce01f30 6e36f4fa 8a4e5c5f 8bc68e19
        93e5f3c5 9d72daf4 9ed82e70 ad8d696a b10e5198 cf2f084d d4bc1a4d e206b543 e493e485 ec3b5ce9
        ed250545 fc7b8d1e 58eee5f2""",
    "300 requests, prompts of ShareGPT, all at once": """
        22dd9c27 296f927f 3476ed08 61b8cea3 67da5720 6d0734c5 7c01f706 80aa7e91 aea94362 b690e348
        bc7c4d20 c0569dbc ca7a2d5f ccf02fcb dcc6cfb9 e7b20426 eefbf4a6 fe66b347""",
    "1,000 requests, prompts of ShareGPT, all at once": """
        35fad35a 660470e5 8d75fe48 99abb8b6 9badee53 b55ed6ef e3580537""",
    "1 request, prompts of ShareGPT, all at once": "fc542144",
    "100 requests, 1,000 prompt tokens, 100 output tokens, Poisson 1 per second": "299ebb62",
    "100 requests, 700 prompt tokens, 1 output token, Poisson 200 per second": "a3223766",
    "1,000 requests, 1,024 prompt tokens, 128 output tokens, Poisson 1 per second": "70b808fe",
    "1,000 requests, 1,024 prompt tokens, 128 output tokens, all at once": "9a3b8832",
    "1,000 requests, 1,000 prompt tokens, 100 output tokens, all at once, temperature 0.01": """
        0ec82edd""",
    "1,000 requests, 256 prompt tokens, 256 output tokens, all at once, temperature 0.01": """
        ce6bf3a2 d7740ea4""",
    "960 requests, 512 prompt tokens, 128 output tokens, 30 batches of 32, temperature 0.01": """
        3b61cb45 8c1e77fb""",
    "240 requests, 32 prompt tokens, 128 output tokens, 30 batches of 8, temperature 0.01": """
        4c822298 6dd94dbe c45f3c3a""",
    "1 request, 1,000 prompt tokens, 2 output tokens, one batch of 1, temperature 0.01": "bfdb1ba5",
    "1 request, 645 prompt tokens, 200 output tokens, all at once": "2deb029d",
    "": "83450458 89a84b0b e7523c2e",
}


def test_the_published_commands_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the tables read them; parents' parsers give 2deb029d its hundred repeats."""
    mapping = DATA / "benchmark_mode_mapping.json"
    if not mapping.is_file():
        pytest.skip("the published lists are not here")
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load(Path("config/isobench.yaml").read_text(encoding="utf-8"))
    config |= {"tasks": [{"file": str(mapping), "subject": "vllm"}], "parents": []}
    tasks = {commit[:8]: task for commit, task in planned(config, "judge").tasks.items()}
    words = {
        name: load_in_words(task.workload.load).replace(
            "ShareGPT_V3_unfiltered_cleaned_split.json", "ShareGPT"
        )
        if (task := tasks[name]).workload and task.workload.load
        else ""
        for group in PUBLISHED.values()
        for name in group.split()
    }
    assert len(words) == 66
    assert words == {name: text for text, group in PUBLISHED.items() for name in group.split()}


# --- any command -----------------------------------------------------------------------------

counts = st.integers(1, 5000)
rates = st.one_of(st.just(math.inf), st.floats(0.01, 1e4))


@given(
    requests=counts,
    prompt=counts,
    output=counts,
    prefix=st.integers(0, 500),
    rate=rates,
    concurrency=st.one_of(st.none(), counts),
    ratio=st.floats(0, 0.99),
    seed=st.integers(),
)
def test_a_serving_command_says_its_load(
    requests: int,
    prompt: int,
    output: int,
    prefix: int,
    rate: float,
    concurrency: int | None,
    ratio: float,
    seed: int,
) -> None:
    most = "" if concurrency is None else f" --max-concurrency {concurrency}"
    command = (
        f"{VLLM}--dataset-name random --num-prompts {requests} --random-input-len {prompt}"
        f" --random-output-len {output} --random-prefix-len {prefix} --request-rate {rate!r}"
        f" --random-range-ratio {ratio!r} --seed {seed}{most}"
    )
    load = load_of(command)
    assert request_count(load.shape) == requests
    if math.isinf(rate):
        kind = AllAtOnce if concurrency is None else ClosedLoop
        assert isinstance(load.shape, kind)
    else:
        assert load.shape == Poisson(requests=requests, rate=rate, concurrency=concurrency or 0)
    drawn = load.prompts
    assert isinstance(drawn, RandomPrompts | SharedPrefix)
    own = drawn.prompt if isinstance(drawn, RandomPrompts) else drawn.suffix
    assert isinstance(drawn, SharedPrefix) == (prefix > 0)
    for lengths, middle in ((own, prompt), (drawn.output, output)):
        assert 1 <= lengths.low <= middle <= lengths.high <= 2 * middle
    assert load == load_of(command.replace(f"--seed {seed}", "--seed 1"))
    assert load_in_words(load).startswith(f"{requests:,} request")


@given(
    family=st.sampled_from(sorted(BENCHMARKS)),
    options=st.lists(
        st.tuples(
            st.sampled_from(
                sorted({name for table in BENCHMARKS.values() for name in table.names} | {"--x"})
            ),
            st.lists(st.sampled_from(["1", "0", "-1", "2.5", "inf", "nan", "x", "{}", "1:2", ""])),
        ),
        max_size=4,
    ),
)
def test_any_options_make_a_load_or_name_what_is_wrong(
    family: tuple[str, str], options: list[tuple[str, list[str]]]
) -> None:
    whose, type_ = family
    client = Client(command=("client",), detect=("bench",), options_of=whose)  # type: ignore[arg-type]
    subject = make.subject(clients={type_: client})
    flags = tuple(Flag(name, tuple(values)) for name, values in options)
    command = parse_command("bench", subject)._replace(flags=flags)
    made = translate(command, subject, model="m", data_sets=SHAREGPT)
    assert (made.load is None) == (made.exclusion is not None)
    if made.exclusion is not None:
        assert made.exclusion.evidence
