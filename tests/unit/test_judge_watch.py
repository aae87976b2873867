"""The judge's watch over itself, and how load is shared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.judge.client import Request
from patchbench.judge.connection import Address
from patchbench.judge.load import Part, split
from patchbench.judge.processes import process_count
from patchbench.judge.prompts import Prompt
from patchbench.judge.record import Watch
from patchbench.judge.watch import saturation
from patchbench.load import AllAtOnce, Batch, ClosedLoop


def watch(**changes: float) -> Watch:
    values = {
        "sends": 200,
        "send_lag_p50": 0.1,
        "send_lag_p99": 1.0,
        "send_lag_max": 40.0,
        "ticks": 500,
        "loop_lag_p50": 0.1,
        "loop_lag_p99": 1.0,
        "loop_lag_max": 40.0,
        "cpu": 0.3,
    }
    return Watch(**(values | changes))  # type: ignore[arg-type]


def test_saturation_names_the_figure() -> None:
    assert saturation([watch()]) == ""
    cases = (
        (watch(send_lag_p99=7.25), "send lag p99 7.25 ms (limit 5)"),
        (watch(loop_lag_p99=6.0), "event loop lag p99 6.00 ms (limit 5)"),
        (watch(cpu=0.97), "processor 0.97 of a core (limit 0.85)"),
    )
    for bad, words in cases:
        assert saturation([watch(), bad]) == words


def test_a_burst_may_take_a_small_part_of_the_latency() -> None:
    assert saturation([watch(send_lag_p99=18.0)], ttft=1000.0) == ""
    words = "send lag p99 25.00 ms (limit 20)"
    assert saturation([watch(send_lag_p99=25.0)], ttft=1000.0) == words


def test_few_values_have_no_p99() -> None:
    assert saturation([watch(sends=20, send_lag_p99=9.0)]) == ""
    assert saturation([watch(sends=20, send_lag_p50=9.0)]) == "send lag median 9.00 ms (limit 5)"
    assert saturation([watch(ticks=20, cpu=1.0, loop_lag_p99=9.0)]) == ""


@pytest.mark.parametrize(
    ("in_flight", "cores", "want"), [(1, 2, 1), (256, 8, 1), (257, 8, 2), (5000, 4, 4)]
)
def test_process_counts(in_flight: int, cores: int, want: int) -> None:
    assert process_count(in_flight, cores) == want


def part(requests: int, concurrency: int, batch: bool = False) -> Part:
    prompt = Prompt(content=(1,), output_tokens=1)
    return Part(
        address=Address("127.0.0.1", 1),
        shape=Batch(size=4, rounds=1)
        if batch
        else ClosedLoop(requests=requests, concurrency=concurrency)
        if concurrency
        else AllAtOnce(requests=requests),
        requests=tuple(Request(n, prompt, b"") for n in range(requests)),
        concurrency=concurrency,
        request_limit=1,
        window_limit=1,
    )


@given(st.integers(1, 100), st.integers(0, 40), st.integers(1, 8))
def test_parts_hold_everything_once(requests: int, concurrency: int, count: int) -> None:
    whole = part(requests, concurrency)
    parts = split(whole, count)
    assert sorted(r.index for p in parts for r in p.requests) == list(range(requests))
    assert sum(p.concurrency for p in parts) == concurrency
    assert all(p.concurrency for p in parts) or not concurrency
    assert len(parts) <= count


def test_a_batch_is_never_shared() -> None:
    assert len(split(part(4, 0, batch=True), 3)) == 1
