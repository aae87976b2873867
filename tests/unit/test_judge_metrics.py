"""Metrics by hand and by numpy, from records alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.judge.metrics import answer_times, is_complete, window_metrics
from patchbench.judge.percentiles import percentile
from patchbench.judge.tokens import count_tokens
from patchbench.load import AllAtOnce, Batch, Goodput
from patchbench.parsing.names import METRICS
from tests.judge_servers.model import WordTokenizer
from tests.unit.judge_make import MS, answer, make_load, window

FLOATS = st.floats(-1e6, 1e6)


@given(st.lists(FLOATS, min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], rank: float) -> None:
    want = float(np.percentile(values, rank))
    assert percentile(sorted(values), rank) == pytest.approx(want, abs=1e-6)


def test_by_hand() -> None:
    got = window_metrics(window([answer(0), answer(1, due_ns=10 * MS)]))
    assert got["completed"] == 2 and got["failed"] == 0
    assert got["ttft_mean_ms"] == pytest.approx(15)  # 20 and 10
    assert got["tpot_median_ms"] == pytest.approx(10)
    assert got["itl_p99_ms"] == pytest.approx(10)
    assert got["e2e_median_ms"] == pytest.approx(85)  # 90 and 80
    assert got["duration_s"] == pytest.approx(0.1)
    assert got["output_tps"] == pytest.approx(160)
    assert got["request_rate_rps"] == pytest.approx(20)
    assert got["total_tps"] == pytest.approx(240)


def test_latency_counts_from_the_due_time_not_from_sending() -> None:
    late = answer(due_ns=0, sent_ns=15 * MS)
    assert answer_times(late).ttft == pytest.approx(20)


def test_the_first_token_is_the_first_chunk_that_carries_one() -> None:
    got = answer()
    early = answer(at=(1 * MS, *got.at), text=("", *got.text), ids=((), *got.ids))
    assert answer_times(early) == answer_times(got)


def test_a_first_chunk_of_many_tokens_does_not_flatter_tpot() -> None:
    got = answer(at=(20 * MS, 90 * MS), text=(" a b c d e f g", " h"), ids=((1,) * 7, (8,)))
    assert answer_times(got).tpot == pytest.approx(70)
    burst = answer(at=(90 * MS,), text=(" a b",), ids=((1,) * 8,))
    assert answer_times(burst).tpot is None


def test_claimed_usage_changes_nothing() -> None:
    assert window_metrics(window([answer(claim_output=800)])) == window_metrics(window([answer()]))


def test_tokens_are_counted_by_ids_then_text_then_chunks() -> None:
    ids = answer()
    text = answer(ids=(), text=(" a b", *ids.text[1:]))
    assert count_tokens(ids) == (8, 1, "ids")
    assert count_tokens(text, WordTokenizer()) == (9, 2, "text")
    assert count_tokens(text) == (8, 1, "chunks")
    assert count_tokens(answer(at=(), text=(), ids=())).total == 0


def test_failed_answers_count_as_failed_alone() -> None:
    broken = answer(1, error="timeout")
    empty = answer(2, at=(), text=(), ids=())
    got = window_metrics(window([answer(0), broken, empty]))
    assert (got["completed"], got["failed"], got["output_tokens"]) == (1, 2, 8)
    assert window_metrics(window([broken])) == {"completed": 0, "failed": 1}
    assert not is_complete(empty)


def test_batches_have_rounds() -> None:
    shape = Batch(size=2, rounds=2)
    some = [answer(0), answer(1, end_ns=120 * MS)]
    some += [answer(n, due_ns=120 * MS, end_ns=200 * MS) for n in (2, 3)]
    got = window_metrics(window(some, load=make_load(shape)))
    assert got["latency_avg_s"] == pytest.approx(0.1)
    assert got["latency_p99_s"] == pytest.approx(0.08 + 0.04 * 0.99)
    assert "latency_avg_s" not in window_metrics(window(some))


def test_goodput() -> None:
    load = make_load(AllAtOnce(requests=2), goodput=Goodput(ttft_ms=15.0))
    some = [answer(0), answer(1, due_ns=10 * MS)]
    assert window_metrics(window(some, load=load))["goodput_rps"] == pytest.approx(10)


def test_names_are_the_canonical_ones() -> None:
    got = window_metrics(window([answer()], load=make_load(Batch(size=1, rounds=1))))
    assert set(got) <= set(METRICS)


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=40), st.integers(0, 10**9))
def test_times_fit_together(gaps: list[int], due: int) -> None:
    at, now = [], due
    for gap in gaps:
        now += gap
        at.append(now)
    got = answer_times(
        answer(due_ns=due, at=tuple(at), text=(" a",) * len(at), ids=((1,),) * len(at))
    )
    assert got.ttft + sum(got.itl) == pytest.approx(got.e2e)
    assert got.tpot == pytest.approx(sum(got.itl) / len(got.itl))
