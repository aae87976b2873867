"""Records: read back as written, bounded, whole or refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.errors import BadInput
from patchbench.judge.record import (
    Answer,
    decode,
    encode,
    max_chunks,
    read_window,
    write_window,
)
from tests.unit.judge_make import MS, answer, window

NS = st.integers(0, 10**13)


@st.composite
def answers(draw: st.DrawFn, index: int = 0) -> Answer:
    at = tuple(sorted(draw(st.lists(NS, max_size=20))))
    texts = st.lists(st.text(max_size=5), min_size=len(at), max_size=len(at))
    some_ids = st.lists(st.integers(0, 2**31), max_size=3).map(tuple)
    ids = draw(st.one_of(st.just(()), st.tuples(*(some_ids for _ in at))))
    return answer(
        index,
        at=at,
        text=tuple(draw(texts)),
        ids=ids,
        due_ns=draw(NS),
        error=draw(st.text(max_size=5)),
        claim_output=draw(st.none() | st.integers(0, 10**6)),
        prompt_tokens=draw(st.none() | st.integers(0, 10**6)),
    )


@given(st.lists(answers(), max_size=5))
def test_a_record_is_read_as_it_was_written(some: list[Answer]) -> None:
    record = window(some)
    assert decode(encode(record)) == record


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "window.judge"
    record = window([answer(n) for n in range(50)])
    size = write_window(path, record)
    assert path.stat().st_size == size
    assert read_window(path) == record


def test_a_named_pipe_is_written_straight_into(tmp_path: Path) -> None:
    """Containers get pipes: nothing may be put beside one, or in its place."""
    pipe, record = tmp_path / "window.judge", window([answer(n) for n in range(50)])
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_window(pipe, record)
    reader.join(10)
    assert list(tmp_path.iterdir()) == [pipe]
    write_window(tmp_path / "file", record)
    assert got == [(tmp_path / "file").read_bytes()]


def test_size_per_token(tmp_path: Path) -> None:
    """docs/judge.md states up to 12 bytes per token, arrivals as random as real ones."""
    count, tokens = 50, 128
    some = []
    for n in range(count):
        at, now = [], 20 * MS
        for k in range(tokens):
            now += 10 * MS + (n * 7919 + k * 104729) % 999_983
            at.append(now)
        ids = tuple((1000 + (n * 31 + k * 7877) % 9000,) for k in range(tokens))
        text = tuple(f" t{i[0]}" for i in ids)
        some.append(answer(n, at=tuple(at), ids=ids, text=text, output_limit=tokens))
    size = write_window(tmp_path / "window.judge", window(some))
    assert size / (count * tokens) < 12


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "window.judge"
    with pytest.raises(BadInput, match="no such file"):
        read_window(path)
    write_window(path, window([answer(n) for n in range(50)]))
    whole = path.read_bytes()
    for data in (b"", b"junk", whole[:-10], whole[:40] + b"\x00\x01" + whole[42:]):
        path.write_bytes(data)
        with pytest.raises(BadInput, match="not a whole record"):
            read_window(path)


def test_other_versions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "window.judge"
    write_window(path, window([answer()], version=99))
    with pytest.raises(BadInput, match="version 99"):
        read_window(path)


def test_a_limit_on_chunks_leaves_room_for_honest_servers() -> None:
    assert max_chunks(1) > 60 and max_chunks(1000) >= 4000
