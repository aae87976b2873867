"""Reading the JSON that a benchmark saved."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.parsing.names import METRICS
from patchbench.parsing.result_json import read_json


def saved(**values: object) -> bytes:
    return json.dumps(values).encode()


def test_a_serving_file_gives_its_metrics_unrounded() -> None:
    data = saved(
        date="20260101-000000",
        request_rate="inf",
        num_prompts=250,
        completed=250,
        failed=0,
        duration=20.0312,
        total_input_tokens=50000,
        total_output_tokens=40000,
        request_throughput=12.480530,
        request_goodput=None,
        output_throughput=1996.88,
        total_token_throughput=4493.0,
        ttfts=[0.1, 0.2],
        itls=[[0.1], []],
        errors=["", ""],
        max_concurrent_requests=77,
        median_ttft_ms=190.2512,
        p99_e2el_ms=2900.5,
    )
    assert read_json(data) == {
        "completed": 250,
        "failed": 0,
        "duration_s": 20.0312,
        "input_tokens": 50000,
        "output_tokens": 40000,
        "request_rate_rps": 12.480530,
        "output_tps": 1996.88,
        "total_tps": 4493.0,
        "ttft_median_ms": 190.2512,
        "e2e_p99_ms": 2900.5,
    }


def test_latency_percentiles_stand_in_an_object_of_their_own() -> None:
    data = saved(avg_latency=2.5, latencies=[2.0, 3.0], percentiles={"50": 2.4, "99": 3.1})
    assert read_json(data) == {"latency_avg_s": 2.5, "latency_p50_s": 2.4, "latency_p99_s": 3.1}


def test_tokens_per_second_of_an_offline_run_are_total_tokens() -> None:
    data = saved(
        elapsed_time=4.0, num_requests=50, requests_per_second=12.5, tokens_per_second=4500
    )
    assert read_json(data) == {"duration_s": 4.0, "request_rate_rps": 12.5, "total_tps": 4500}


def test_sglangs_names_are_known() -> None:
    data = saved(total_throughput=4500.0, median_e2e_latency_ms=1400.0, mean_ttft=210.0)
    assert read_json(data) == {
        "total_tps": 4500.0,
        "e2e_median_ms": 1400.0,
        "ttft_mean_ms": 210.0,
    }


def test_of_json_lines_the_last_counts() -> None:
    lines = saved(completed=1) + b"\n" + saved(completed=2) + b"\n"
    assert read_json(lines) == {"completed": 2}


def test_a_last_line_cut_short_leaves_the_one_before() -> None:
    assert read_json(saved(completed=1) + b"\n" + b'{"completed": 2, "dur') == {"completed": 1}


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[1, 2]", b"12", b'"text"', b"{}", b'{"completed": tru', b"\xff\xfe\x00"],
)
def test_a_file_that_holds_no_metrics_is_none(data: bytes) -> None:
    assert read_json(data) is None


def test_words_and_truth_values_are_no_numbers() -> None:
    assert (
        read_json(saved(completed=True, failed="0", duration=None, output_throughput=[1])) is None
    )


def test_a_file_nested_too_deep_is_none() -> None:
    assert read_json(b'{"a":' * 100_000 + b"1" + b"}" * 100_000) is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"completed": 1' + b"0" * 400 + b"}",
        b'{"percentiles": {"50": 1' + b"0" * 400 + b"}}",
    ],
)
def test_a_number_too_large_for_a_float_does_not_break_the_reader(data: bytes) -> None:
    assert not read_json(data)


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
