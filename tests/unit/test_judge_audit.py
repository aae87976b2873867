"""The audit: each cheat is found and names a request, honest differences are not flagged."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.judge.audit import audit_window
from patchbench.judge.findings import (
    BUNDLED,
    EMPTY_CHUNKS,
    FAILED,
    FALSE_CLAIM,
    LESS_WORK,
    NOT_STREAMED,
    WRONG_LENGTH,
)
from patchbench.judge.pairs import burst_share, compare_windows
from patchbench.judge.record import Answer
from patchbench.load import AllAtOnce, Sampling
from patchbench.records import Finding
from tests.judge_servers.model import WordTokenizer, text
from tests.unit.judge_make import MS, answer, make_load, window

FREE = make_load(AllAtOnce(requests=40), sampling=Sampling())


def causes(findings: list[Finding], severity: str = "fault") -> dict[str, int | None]:
    return {f.cause: f.request for f in findings if f.severity == severity}


def stream(
    index: int, tokens: int, start: float = 20, step: float = 10, **changes: object
) -> Answer:
    """An answer of many tokens, times in milliseconds."""
    ids = tuple((1000 + n,) for n in range(tokens))
    values = {
        "at": tuple(round((start + step * n) * MS) for n in range(tokens)),
        "ids": ids,
        "text": tuple(text(i) for i in ids),
        "output_limit": tokens,
        "claim_output": tokens,
    }
    return answer(index, **(values | changes))


def text_only(source: Answer) -> Answer:
    """The same answer from a server that names no ids."""
    return answer(
        source.index,
        **{
            name: getattr(source, name)
            for name in ("at", "text", "claim_output", "output_limit", "finish", "end_ns")
        },
        ids=(),
    )


# --- one record ------------------------------------------------------------------------------


def test_an_honest_window_has_no_findings() -> None:
    honest = window([stream(n, 32) for n in range(10)])
    assert audit_window(honest, WordTokenizer()) == []
    assert compare_windows(honest, honest, WordTokenizer()) == []


def test_the_first_request_is_named() -> None:
    some = [stream(0, 32), stream(1, 32, claim_output=64), stream(2, 32, claim_output=64)]
    (finding,) = audit_window(window(some))
    assert (finding.cause, finding.request, finding.requests) == (FALSE_CLAIM, 1, 2)
    assert finding.text == "usage claims 64 tokens, 32 came"


def test_lengths() -> None:
    assert causes(audit_window(window([stream(3, 16, output_limit=32, claim_output=16)]))) == {
        LESS_WORK: 3
    }
    assert causes(audit_window(window([stream(4, 40, output_limit=32)]))) == {WRONG_LENGTH: 4}


def test_free_lengths_may_end_early_but_not_under_a_false_reason() -> None:
    short = stream(0, 16, output_limit=32, finish="stop", claim_output=17)
    assert audit_window(window([short], load=FREE)) == []
    false = stream(0, 16, output_limit=32, finish="length", claim_output=16)
    assert causes(audit_window(window([false], load=FREE))) == {LESS_WORK: 0}


def test_failures() -> None:
    some = [stream(0, 8), stream(1, 8, error="timeout"), stream(2, 0, at=(), text=(), ids=())]
    (finding,) = audit_window(window(some))
    assert (finding.cause, finding.request, finding.requests) == (FAILED, 1, 2)
    assert finding.text == "timeout"


def test_an_empty_first_chunk_is_a_note() -> None:
    got = stream(0, 8)
    early = stream(0, 8, at=(MS, *got.at), text=("", *got.text), ids=((), *got.ids))
    findings = audit_window(window([early]))
    assert causes(findings) == {} and causes(findings, "note") == {EMPTY_CHUNKS: 0}


def test_ids_that_are_not_the_text() -> None:
    got = stream(0, 32)
    more = stream(0, 32, text=tuple(t * 2 for t in got.text))
    assert causes(audit_window(window([more]), WordTokenizer())) == {FALSE_CLAIM: 0}
    partial = stream(0, 32, text=("", "\ufffd", *got.text[2:]))
    assert audit_window(window([partial]), WordTokenizer()) == []


# --- beside the baseline ---------------------------------------------------------------------

BASE = window([stream(n, 32) for n in range(40)])
BASE_TEXT = window([text_only(a) for a in BASE.answers])


def test_other_prompts_are_no_pair() -> None:
    with pytest.raises(ValueError, match="different prompts"):
        compare_windows(window([stream(0, 32, prompt_digest="f" * 16)]), BASE)


def test_less_work_by_text_alone() -> None:
    short = window([text_only(stream(n, 24)) for n in range(40)])
    for tokenizer in (None, WordTokenizer()):
        assert causes(compare_windows(short, BASE_TEXT, tokenizer)) == {LESS_WORK: 0}
        assert WRONG_LENGTH in causes(compare_windows(BASE_TEXT, short, tokenizer))


def test_free_lengths_that_scatter_alike_are_honest() -> None:
    draw = random.Random(1)
    for _ in range(20):
        arm = window([stream(n, draw.randint(8, 64)) for n in range(40)], load=FREE)
        base = window([stream(n, draw.randint(8, 64)) for n in range(40)], load=FREE)
        assert causes(compare_windows(arm, base)) == {}


def test_doubled_usage_by_text_alone() -> None:
    double = [text_only(stream(n, 32, claim_output=64)) for n in range(40)]
    assert causes(compare_windows(window(double), BASE_TEXT, WordTokenizer())) == {FALSE_CLAIM: 0}


def test_tokens_split_into_two_chunks_count_once() -> None:
    def halved(source: Answer) -> Answer:
        pieces = [(t[:2], t[2:]) for t in source.text]
        return answer(
            source.index,
            at=tuple(at + n for at in source.at for n in (0, 1)),
            text=tuple(part for pair in pieces for part in pair),
            ids=(),
            claim_output=None,
            output_limit=32,
        )

    split = window([halved(a) for a in BASE.answers])
    assert FALSE_CLAIM in causes(compare_windows(split, BASE_TEXT))
    assert causes(compare_windows(split, BASE_TEXT, WordTokenizer())) == {}


def late(index: int, share: float) -> Answer:
    """An answer whose tokens after the first wait for the given share of its time."""
    honest = stream(index, 32)
    end = honest.at[-1]
    at = [max(t, honest.at[0] + share * (end - honest.at[0])) for t in honest.at[1:]]
    return stream(index, 32, at=(honest.at[0], *(round(t) for t in at)))


def test_a_late_burst_is_not_streaming() -> None:
    burst = window([late(n, 1.0) for n in range(40)])
    assert causes(compare_windows(burst, BASE)) == {NOT_STREAMED: 0}
    some = window([late(n, 1.0) if n % 5 == 3 else stream(n, 32) for n in range(40)])
    assert causes(compare_windows(some, BASE)) == {NOT_STREAMED: 3}


def test_honest_streams_of_other_kinds_are_let_pass() -> None:
    faster = window([stream(n, 32, start=5, step=2) for n in range(40)])
    slower = window([stream(n, 32, step=30) for n in range(40)])
    queued = window([stream(n, 32, start=3000 + n) for n in range(40)])
    # Or beside a baseline that a busy machine slowed down: seen with vLLM on two cores.
    thirty_times = window([stream(n, 32, start=3, step=0.3) for n in range(40)])
    for arm in (faster, slower, queued, thirty_times):
        assert compare_windows(arm, BASE) == []
    ids = [tuple(range(k, k + 4)) for k in range(0, 32, 4)]
    four = window(
        [
            stream(
                n,
                32,
                at=tuple((20 + 40 * k) * MS for k in range(8)),
                ids=tuple(ids),
                text=tuple(text(i) for i in ids),
            )
            for n in range(40)
        ]
    )
    findings = compare_windows(four, BASE)
    assert causes(findings) == {} and causes(findings, "note") == {BUNDLED: 0}


def test_a_baseline_that_does_not_stream_accuses_no_arm() -> None:
    burst = window([late(n, 1.0) for n in range(40)])
    assert compare_windows(burst, burst) == []


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30), st.floats(0, 1e9))
def test_burst_shares(gaps: list[int], within: float) -> None:
    at, now = [], 0
    for gap in gaps:
        now += gap
        at.append(now)
    got = answer(at=tuple(at), text=(" a",) * len(at), ids=((1,),) * len(at))
    best = max(sum(0 <= b - a <= within for b in at) for a in at)
    assert burst_share(got, within) == pytest.approx(best / len(at))
