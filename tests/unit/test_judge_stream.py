"""Event streams as servers of all ages write them, cut wherever the network cuts them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from patchbench.judge.stream import Completion, payloads, read_completion


def event(**choice: Any) -> bytes:
    data = {"id": "cmpl-1", "object": "text_completion", "choices": [{"index": 0, **choice}]}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"


def read(*pieces: bytes) -> Completion:
    return read_completion(enumerate(pieces), 1000)


def test_todays_vllm() -> None:
    got = read(
        event(text=" a", token_ids=[5], prompt_token_ids=[1, 2, 3], finish_reason=None),
        event(text="", token_ids=[6], finish_reason=None),
        event(text=" b", token_ids=[7], finish_reason="length") + USAGE,
        DONE,
    )
    assert (got.at, got.text, got.ids) == ([0, 1, 2], [" a", "", " b"], [(5,), (6,), (7,)])
    assert (got.finish, got.claim_prompt, got.claim_output, got.error) == ("length", 3, 2, "")


def test_vllm_of_2023_without_usage_or_ids() -> None:
    got = read(
        event(text=" a", logprobs=None, finish_reason=None),
        event(text=" b", finish_reason="stop"),
        DONE,
    )
    assert not got.has_ids and got.claim_output is None
    assert (got.text, got.finish, got.error) == ([" a", " b"], "stop", "")


def test_old_sglang_gives_its_reason_as_an_object() -> None:
    got = read(event(text="a", finish_reason={"type": "length", "length": 8}), DONE)
    assert got.finish == "length"


def test_pings_and_carriage_returns() -> None:
    assert list(payloads([(1, b": ping\r\n\r\ndata: x\r\n\r\n"), (2, b"data:y\n\n")])) == [
        (1, b"x"),
        (2, b"y"),
    ]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_events_cut_anywhere_have_the_time_of_their_end(cuts: list[int]) -> None:
    whole = event(text=" a", finish_reason=None) + event(text=" é", finish_reason="length") + DONE
    pieces, rest = [], whole
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    pieces.append(rest)
    got = read(*pieces)
    assert (got.text, got.finish, got.error) == ([" a", " é"], "length", "")
    ends = [whole.index(b"\n\n") + 2, whole.index(b"\n\n", whole.index(b"\n\n") + 2) + 2]
    total, times = 0, []
    for n, piece in enumerate(pieces):
        total += len(piece)
        while len(times) < 2 and total >= ends[len(times)]:
            times.append(n)
    assert got.at == times


def test_errors() -> None:
    assert read(event(text="a")).error == "no_end"
    assert read(b"data: {broken\n\n", DONE).error.startswith("bad_event")
    assert read(b'data: {"error": {"message": "out of memory"}}\n\n').error.startswith(
        "server_error"
    )
    assert read(b'data: {"object": "error", "message": "no"}\n\n').error == "server_error: no"
    assert read_completion([(0, event(text="a") * 20)], 10).error == "too_long"


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    read(*pieces, DONE)
