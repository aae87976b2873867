"""Sealed prompts: the same for all arms, others in every block and window, nothing foreseeable."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.config import Vocabulary
from patchbench.errors import BadInput
from patchbench.judge.arrivals import due_times
from patchbench.judge.datasets import read_entries
from patchbench.judge.draws import Draws, commitment, new_secret
from patchbench.judge.load_file import read_load
from patchbench.judge.measure import entries_of, warm_up_shape
from patchbench.judge.prompts import warmup_prompts, window_prompts
from patchbench.load import (
    AllAtOnce,
    Batch,
    ClosedLoop,
    DataSet,
    Fit,
    FixedRate,
    Lengths,
    Load,
    Poisson,
    RandomPrompts,
    Shape,
    SharedPrefix,
    most_in_flight,
    request_count,
)
from tests.unit.judge_make import SECRET, lengths, make_load

SECRETS = st.binary(min_size=32, max_size=32)


@given(SECRETS, st.integers(1, 50), st.integers(1, 50))
def test_same_secret_same_prompts(secret: bytes, block: int, number: int) -> None:
    load = make_load()
    assert window_prompts(load, secret, block, number) == window_prompts(
        load, secret, block, number
    )


@given(SECRETS, SECRETS, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_other_secret_block_or_window_other_prompts(
    one: bytes, two: bytes, b1: int, w1: int, b2: int, w2: int
) -> None:
    if (one, b1, w1) == (two, b2, w2):
        return
    load = make_load()
    first, second = window_prompts(load, one, b1, w1), window_prompts(load, two, b2, w2)
    assert not {p.content for p in first} & {p.content for p in second}


@given(SECRETS, st.integers(1, 40), st.integers(0, 20), st.integers(1, 30), st.integers(0, 9))
def test_lengths_and_ids_stay_within_what_the_load_says(
    secret: bytes, low: int, more: int, output: int, first: int
) -> None:
    prompts = RandomPrompts(
        prompt=lengths(low, low + more),
        output=lengths(output, output + more),
        vocabulary=Vocabulary(first=first, last=first + 5),
    )
    made = window_prompts(make_load(prompts=prompts), secret, 1, 1)
    assert len(made) == 12
    for prompt in made:
        assert low <= len(prompt.content) <= low + more
        assert prompt.tokens == len(prompt.content)
        assert output <= prompt.output_tokens <= output + more
        assert all(first <= i <= first + 5 for i in prompt.content)


def test_values_are_the_same_on_every_machine_and_version() -> None:
    draws = Draws(b"\x00" * 32, "prompts", 1, 1)
    assert draws.ids(3, 1000, 9999) == (7188, 7647, 4207)
    key = hmac.digest(b"\x00" * 32, b"prompts\x001\x001", "sha256")
    stream = hashlib.shake_256(key + bytes(8)).digest(24)
    assert tuple(1000 + n % 9000 for n in struct.unpack("<3Q", stream)) == (7188, 7647, 4207)
    assert commitment(b"\x00" * 32) == hashlib.sha256(b"\x00" * 32).hexdigest()
    assert len(new_secret()) == 32 and new_secret() != new_secret()


@given(SECRETS, st.integers(0, 200))
def test_shuffle_keeps_all(secret: bytes, count: int) -> None:
    assert sorted(Draws(secret, "x").shuffle(range(count))) == list(range(count))


@given(SECRETS)
def test_units_lie_below_one(secret: bytes) -> None:
    draws = Draws(secret, "x")
    assert all(0.0 <= draws.unit() < 1.0 for _ in range(100))


def test_shared_prefixes() -> None:
    source = SharedPrefix(prefixes=3, prefix=20, suffix=lengths(4, 6), output=lengths(2))
    load = make_load(prompts=source)
    made = window_prompts(load, SECRET, 1, 1)
    prefixes = {p.content[:20] for p in made}
    assert len(prefixes) == 3
    assert len({p.content for p in made}) == 12
    other = {p.content[:20] for p in window_prompts(load, SECRET, 1, 2)}
    assert not prefixes & other


def test_repeats() -> None:
    made = window_prompts(make_load(repeats=3), SECRET, 1, 1)
    assert len(made) == 12
    contents = [p.content for p in made]
    assert {contents.count(c) for c in contents} == {3}


def test_text_prompts_have_words_not_ids() -> None:
    made = window_prompts(make_load(form="text"), SECRET, 1, 1)
    assert all(isinstance(p.content, str) and p.tokens is None for p in made)
    assert {12 <= len(str(p.content).split()) <= 20 for p in made} == {True}


def test_warm_up_prompts_are_in_no_window() -> None:
    load = make_load(warmup=5)
    warm = {p.content for p in warmup_prompts(load, SECRET, 1)}
    assert len(warm) == 5
    for number in range(1, 4):
        assert not warm & {p.content for p in window_prompts(load, SECRET, 1, number)}


# --- data sets -------------------------------------------------------------------------------


def data_set(path: Path, **changes: object) -> DataSet:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return DataSet(path=str(path), sha256=digest, **changes)  # type: ignore[arg-type]


def test_sharegpt_takes_first_turns_with_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "talks.json"
    turn = {"from": "human", "value": "hello"}
    talks = [
        {"id": "a", "conversations": [turn, {"from": "gpt", "value": "hi"}]},
        {"id": "b", "conversations": [turn]},
        {"id": "c", "conversations": [{"value": ""}, turn]},
    ]
    path.write_text(json.dumps(talks))
    assert [e.prompt for e in read_entries(data_set(path, format="sharegpt"))] == ["hello"]


class Letters:
    """A tokenizer with a token per letter."""

    def count(self, text: str) -> int:
        return len(text)

    def encode(self, text: str) -> list[int]:
        return list(map(ord, text))

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


def talks(path: Path, lengths: list[tuple[int, int]]) -> None:
    turns = [[{"value": "q" * asked}, {"value": "a" * told}] for asked, told in lengths]
    path.write_text(json.dumps([{"conversations": pair} for pair in turns]))


def test_conversations_are_sent_as_ids_with_the_length_of_their_answers(tmp_path: Path) -> None:
    path = tmp_path / "talks.json"
    talks(path, [(length, length + 3) for length in range(1, 101)])
    fit = Fit(prompt=Lengths(low=11, high=60), output=Lengths(low=1, high=80), total=100)
    load = make_load(prompts=data_set(path, format="sharegpt", fit=fit))
    entries = entries_of(load, Letters())
    assert warmup_prompts(load, SECRET, 1, entries) == []  # none is asked for
    made = [p for n in range(1, 4) for p in window_prompts(load, SECRET, 1, n, entries)]
    assert {p.tokens for p in made} <= set(range(11, 49))
    assert all(p.output_tokens == (p.tokens or 0) + 3 for p in made)
    assert len({p.content for p in made}) == 36
    before = window_prompts(load, SECRET, 1, -1, entries)
    assert before[0].content not in {p.content for p in made[:12]}


def test_a_length_of_the_loads_own_wins_over_those_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "talks.json"
    talks(path, [(5, 9), (6, 7)])
    load = make_load(prompts=data_set(path, format="sharegpt", output=33, same_output=True))
    made = window_prompts(load, SECRET, 1, 1, entries_of(load, Letters()))
    assert {p.output_tokens for p in made} == {33}


def test_texts_need_a_tokenizer_to_be_sent_as_ids(tmp_path: Path) -> None:
    path = tmp_path / "talks.json"
    talks(path, [(5, 9)])
    load = make_load(prompts=data_set(path, format="sharegpt"))
    with pytest.raises(BadInput, match="name a tokenizer"):
        window_prompts(load, SECRET, 1, 1, entries_of(load))
    text = make_load(prompts=load.prompts, form="text")
    assert window_prompts(text, SECRET, 1, 1, entries_of(text))[0].content == "qqqqq"


def test_lengths_are_drawn_from_equally_likely_ranges() -> None:
    lengths = Lengths(low=1, high=1000, inner=(10, 20))
    prompts = RandomPrompts(prompt=lengths, output=lengths)
    load = make_load(prompts=prompts, shape=AllAtOnce(requests=600))
    drawn = [p.output_tokens for p in window_prompts(load, SECRET, 1, 1)]
    for low, high in ((1, 9), (11, 19), (21, 1000)):
        assert 120 <= sum(low <= length <= high for length in drawn) <= 250
    with pytest.raises(ValueError, match="fall"):
        Lengths(low=1, high=10, inner=(9, 3))


@pytest.mark.parametrize(("requests", "shape"), [
    (12, Batch(size=4, rounds=3)), (10, AllAtOnce(requests=10)),
])  # fmt: skip
def test_the_warm_up_of_batches_is_sent_in_batches(requests: int, shape: Shape) -> None:
    assert warm_up_shape(Batch(size=4, rounds=30), requests) == shape
    assert warm_up_shape(AllAtOnce(requests=4), 12) == AllAtOnce(requests=12)


def test_windows_share_no_prompts_of_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        "".join(json.dumps({"prompt": [1, n], "output_tokens": n + 1}) + "\n" for n in range(60))
    )
    load = make_load(prompts=data_set(path))
    entries = entries_of(load)
    windows = [window_prompts(load, SECRET, 1, n, entries) for n in range(1, 4)]
    contents = [p.content for made in windows for p in made]
    assert len(contents) == len(set(contents)) == 36
    assert all(p.output_tokens == p.content[1] + 1 for made in windows for p in made)  # type: ignore[operator]
    assert window_prompts(load, SECRET, 2, 1, entries) != windows[0]


def test_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a"}\n')
    good = data_set(path)
    path.write_text('{"prompt": "b"}\n')
    with pytest.raises(BadInput, match="sha256"):
        read_entries(good)
    with pytest.raises(BadInput, match="put the data set there"):
        read_entries(DataSet(path=str(tmp_path / "no"), sha256="0"))
    with pytest.raises(BadInput, match="no prompt is written as ids"):
        window_prompts(
            make_load(prompts=data_set(path)), SECRET, 1, 1, read_entries(data_set(path))
        )


# --- shapes ----------------------------------------------------------------------------------


def test_counts_and_concurrency() -> None:
    shapes = (
        (AllAtOnce(requests=7), 7, 7),
        (ClosedLoop(requests=7, concurrency=9), 7, 7),
        (Batch(size=4, rounds=3), 12, 4),
        (FixedRate(requests=7, rate=2.0, concurrency=3), 7, 3),
        (Poisson(requests=7, rate=2.0), 7, 7),
    )
    for shape, requests, in_flight in shapes:
        assert (request_count(shape), most_in_flight(shape)) == (requests, in_flight)


def test_fixed_rate_and_all_at_once() -> None:
    assert due_times(FixedRate(requests=3, rate=4.0), SECRET, 1, 1) == [0, 250_000_000, 500_000_000]
    assert due_times(AllAtOnce(requests=2), SECRET, 1, 1) == [0, 0]
    assert due_times(ClosedLoop(requests=2, concurrency=1), SECRET, 1, 1) is None


@given(SECRETS, st.integers(2, 200), st.floats(0.1, 1000))
def test_poisson_offers_its_rate(secret: bytes, requests: int, rate: float) -> None:
    shape = Poisson(requests=requests, rate=rate)
    times = due_times(shape, secret, 1, 1)
    assert times is not None and times == due_times(shape, secret, 1, 1)
    assert times == sorted(times) and times[0] == 0
    assert times[-1] <= requests / rate * 1e9 + 1


def test_poisson_gaps_are_exponential() -> None:
    times = due_times(Poisson(requests=5000, rate=10.0), SECRET, 1, 1) or []
    gaps = [b - a for a, b in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(1e8, rel=0.01)
    # of exponential gaps, exp(-1) are longer than the mean; 0.03 is four standard errors
    assert sum(g > mean for g in gaps) / len(gaps) == pytest.approx(0.368, abs=0.03)


def test_load_file(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    load = make_load(Poisson(requests=12, rate=2.5), repeats=3)
    path.write_bytes(msgspec.json.encode(load))
    assert read_load(path) == load
    path.write_bytes(msgspec.json.encode(make_load(repeats=5)))
    with pytest.raises(BadInput, match="repeats"):
        read_load(path)
    path.write_text('{"model": "m", "shape": {"type": "closed_loop", "requests": 0}}')
    with pytest.raises(BadInput, match="requests"):
        read_load(path)
    assert isinstance(load, Load)
