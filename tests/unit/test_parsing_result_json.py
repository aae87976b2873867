"""Reading the JSON that a benchmark saved."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.parsing import result_json
from patchbench.parsing.names import METRICS


def saved(**values: object) -> bytes:
    return json.dumps(values).encode()


def read_json(data: bytes) -> dict[str, float] | None:
    found = result_json.read_json(data)
    return found.metrics if found else None


def test_a_serving_file_gives_its_metrics_unrounded() -> None:
    data = saved(
        date="20260101-000000", request_rate="inf", num_prompts=250, completed=250, failed=0,
        duration=20.0312, total_input_tokens=50000, total_output_tokens=40000,
        request_throughput=12.480530, request_goodput=None, output_throughput=1996.88,
        total_token_throughput=4493.0, ttfts=[0.1, 0.2], itls=[[0.1], []], errors=["", ""],
        max_concurrent_requests=77, median_ttft_ms=190.2512, p99_e2el_ms=2900.5,
    )  # fmt: skip
    assert read_json(data) == {
        "completed": 250, "failed": 0, "duration_s": 20.0312, "input_tokens": 50000,
        "output_tokens": 40000, "request_rate_rps": 12.480530, "output_tps": 1996.88,
        "total_tps": 4493.0, "ttft_median_ms": 190.2512, "e2e_p99_ms": 2900.5,
    }  # fmt: skip


SGLANG_BATCH = {"run_name": "r", "batch_size": 4, "input_len": 8, "output_len": 2}
SGLANG_STEPS = {"prefill_latency": 0.5, "prefill_throughput": 64.0, "total_latency": 0.75}
FILES: dict[str, tuple[dict[str, object], dict[str, float]]] = {
    "vLLM latency, percentiles in an object of their own": (
        {"avg_latency": 2.5, "latencies": [2.0, 3.0], "percentiles": {"50": 2.4, "99": 3.1}},
        {"latency_avg_s": 2.5, "latency_p50_s": 2.4, "latency_p99_s": 3.1},
    ),
    "vLLM throughput, whose tokens are all tokens": (
        {"elapsed_time": 4.0, "num_requests": 50, "requests_per_second": 12.5,
         "tokens_per_second": 4500},
        {"duration_s": 4.0, "request_rate_rps": 12.5, "total_tps": 4500},
    ),
    "vLLM serving, oldest": (
        {"request_inthroughput": 3.5, "total_input_tokens": 7, "mean_tpot_ms": 2.5},
        {"request_rate_rps": 3.5, "input_tokens": 7, "tpot_mean_ms": 2.5},
    ),
    "SGLang serving": (
        {"total_throughput": 4500.0, "median_e2e_latency_ms": 1400.0, "mean_ttft": 210.0},
        {"total_tps": 4500.0, "e2e_median_ms": 1400.0, "ttft_mean_ms": 210.0},
    ),
    "SGLang serving 0.2.5, milliseconds under any name": (
        {"benchmark_duration": 4.0, "total_input": 10, "total_output": 20,
         "mean_e2e_latency": 900.0, "median_ttft": 80.0, "median_itl": 9.0,
         "output_token_throughput": 5.0},
        {"duration_s": 4.0, "input_tokens": 10, "output_tokens": 20, "e2e_mean_ms": 900.0,
         "ttft_median_ms": 80.0, "itl_median_ms": 9.0, "output_tps": 5.0},
    ),
    "SGLang offline": (
        {"backend": "engine", "successful_requests": 8, "total_latency": 4.0,
         "total_input_tokens": 40, "total_output_tokens": 20, "request_throughput": 2.0,
         "input_throughput": 10.0, "output_throughput": 5.0, "total_throughput": 15.0,
         "last_gen_throughput": 4.5},
        {"completed": 8, "duration_s": 4.0, "input_tokens": 40, "output_tokens": 20,
         "request_rate_rps": 2.0, "input_tps": 10.0, "output_tps": 5.0, "total_tps": 15.0},
    ),
    **{
        f"SGLang one batch, {word}": (
            {f"{word}_decode_latency": 0.25, f"{word}_decode_throughput": 16.0, **SGLANG_BATCH,
             **SGLANG_STEPS, "overall_throughput": 53.0},
            {"prefill_latency_s": 0.5, "prefill_tps": 64.0, "decode_latency_s": 0.25,
             "decode_tps": 16.0, "latency_total_s": 0.75, "total_tps": 53.0},
        )
        for word in ("median", "avg")
    },
    "SGLang one batch, served": (
        {**SGLANG_BATCH, "latency": 1.5, "output_throughput": 8.0, "last_ttft": 0.25,
         "acc_length": -1},
        {"latency_total_s": 1.5, "output_tps": 8.0, "ttft_batch_s": 0.25},
    ),
    "only looks like a metric": (
        {"request_goodput:": 4.0, "max_output_tokens_per_s": 9.0, "rtfx": 1.0, "completed": 2},
        {"completed": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_names_of_every_version_are_known(name: str) -> None:
    values, metrics = FILES[name]
    assert read_json(saved(**values)) == metrics


def test_pythons_writer_puts_nan_into_a_file() -> None:
    data = b'{"completed": 2, "mean_ttft_ms": NaN, "rtfx": Infinity, "duration": 4.5}'
    found = read_json(data)
    assert found is not None
    assert (found["completed"], found["duration_s"]) == (2, 4.5)
    assert math.isnan(found["ttft_mean_ms"])


def test_a_metric_stands_on_a_line_of_the_file() -> None:
    data = json.dumps({"completed": 2, "percentiles": {"50": 1.5}, "errors": ["x"]}, indent=1)
    found = result_json.read_json(data.encode())
    assert found is not None
    lines = data.split("\n")
    assert {name: lines[line - 1].split('"')[1] for name, line in found.lines.items()} == {
        "completed": "completed",
        "latency_p50_s": "percentiles",
        "failed": "errors",
    }
    assert found.errors == ("x",)


def test_a_pretty_file_cut_short_is_none() -> None:
    data = json.dumps({"percentiles": {"50": 1.5}, "completed": 2}, indent=1)
    assert read_json(data[:-3].encode()) is None


def test_of_json_lines_the_last_counts() -> None:
    lines = saved(completed=1) + b"\n" + saved(completed=2) + b"\n"
    assert read_json(lines) == {"completed": 2}


def test_a_last_line_cut_short_leaves_the_one_before() -> None:
    assert read_json(saved(completed=1) + b"\n" + b'{"completed": 2, "dur') == {"completed": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[1, 2]", b"12", b'"text"', b"{}", b'{"completed": tru', b"\xff\xfe\x00",
        saved(completed=True, failed="0", duration=None, output_throughput=[1]),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="nested too deep"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_metrics_is_none(data: bytes) -> None:
    assert read_json(data) is None


@pytest.mark.parametrize("data", [b'{"completed": 1%s}', b'{"percentiles": {"50": 1%s}}'])
def test_a_number_too_large_for_a_float_does_not_break_the_reader(data: bytes) -> None:
    assert not read_json(data % (b"0" * 400))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
keys = st.sampled_from(["completed", "duration", "median_ttft_ms", "percentiles"]) | st.text()


@given(st.dictionaries(keys, json_values, max_size=5))
def test_any_json_object_is_read_or_refused(value: dict[str, object]) -> None:
    found = read_json(json.dumps(value).encode())
    assert found is None or (found and found.keys() <= METRICS.keys())


@given(st.binary(max_size=200))
def test_no_bytes_can_break_the_reader(data: bytes) -> None:
    found = read_json(data)
    assert found is None or found
