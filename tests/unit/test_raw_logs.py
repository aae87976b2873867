"""Raw logs on disk: plain or compressed, read in bounded memory."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from patchbench.errors import BadInput, InfraFault
from patchbench.system import raw_logs
from patchbench.system.raw_logs import blocks, compress, find, numbered_lines, shorten, visible
from tests.unit.conftest import peak

T = TypeVar("T")
ascii_ = st.text(st.sampled_from("ab\r\n \t"), max_size=60).map(str.encode)


def all_lines(data: bytes) -> list[str]:
    """What the lines of a log show, by the plain definition."""
    lines = data.split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    return [line.rstrip(b"\r").rsplit(b"\r", 1)[-1].decode("utf-8", "replace") for line in lines]


def in_chunks(reader: Callable[[Path], Iterable[T]], log: Path, data: bytes, size: int) -> list[T]:
    """Return what a reader makes of a log that comes in chunks of that size."""
    log.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_logs, "CHUNK", size)
        return list(reader(log))


# --- lines ----------------------------------------------------------------------------------------


@given(st.binary(max_size=200) | ascii_, st.sampled_from([1, 2, 3, 7, 64]))
def test_lines_and_numbers_are_those_of_the_plain_definition(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk: int
) -> None:
    log = tmp_path_factory.getbasetemp() / "any.log"
    found = in_chunks(numbered_lines, log, data, chunk)
    wanted = [line.strip()[: raw_logs.MAX_LINE] for line in all_lines(data)]
    assert found == list(enumerate(wanted, 1))


@given(ascii_, st.sampled_from([1, 2, 3, 7, 64]))
def test_blocks_hold_whole_lines_with_the_number_of_the_first(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk: int
) -> None:
    log = tmp_path_factory.getbasetemp() / "any.log"
    found = in_chunks(blocks, log, data, chunk)
    next_ = 1
    for number, block in found:
        assert block
        assert number == next_
        next_ += block.count(b"\n")
    assert all(block.endswith(b"\n") for _, block in found[:-1])
    joined = b"".join(block for _, block in found)
    assert all_lines(joined) == all_lines(data)


@given(ascii_, ascii_)
def test_what_a_line_shows_does_not_depend_on_where_it_was_read_in_two(a: bytes, b: bytes) -> None:
    one, other = a.replace(b"\n", b""), b.replace(b"\n", b"")
    assert visible(shorten(one) + other + b"\n") == visible(one + other + b"\n")
    assert shorten(shorten(one)) == shorten(one)


@given(st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_a_long_line_is_cut_at_the_same_place_wherever_it_was_read(
    a: int, b: int, bar: bool
) -> None:
    long = raw_logs.LONGEST // 5
    start, rest = b"x" * a * long, (b"\r" if bar else b"") + b"y" * b * long
    assert visible(shorten(start) + rest) == visible(start + rest)


def test_only_a_line_feed_ends_a_line_and_a_progress_bar_shows_its_last_state(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    log.write_bytes("0%|\r50%|\r100%|done\r\n\x85a\x0cb\u2028c\n\n  last  ".encode())
    assert list(numbered_lines(log)) == [
        (1, "100%|done"),
        (2, "a\x0cb\u2028c"),
        (3, ""),
        (4, "last"),
    ]


def test_a_missing_log_has_no_lines_and_a_folder_neither(tmp_path: Path) -> None:
    assert list(numbered_lines(tmp_path / "none")) == []
    assert list(numbered_lines(tmp_path)) == []


def test_lines_are_cut_to_the_length_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 5000 + b"\n")
    assert [len(line) for _, line in numbered_lines(log)] == [raw_logs.MAX_LINE]
    assert [len(line) for _, line in numbered_lines(log, 1000)] == [1000]


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_never_ends_does_not_fill_the_memory(tmp_path: Path, packed: bool) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.write(b"first\n")
        for _ in range(500):
            file.write(b"x" * 100_000)
        file.write(b"\rshown\nlast\n")
    if packed:
        compress(log)
    found: list[tuple[int, str]] = []
    assert peak(lambda: found.extend(numbered_lines(log))) < 10 << 20
    assert found == [(1, "first"), (2, "shown"), (3, "last")]


# --- compressed logs ------------------------------------------------------------------------------


def test_a_large_finished_log_is_replaced_by_a_compressed_one(tmp_path: Path) -> None:
    log = tmp_path / "server.stdout"
    text = b"".join(b"line %d\n" % i for i in range(20_000))
    log.write_bytes(text)
    assert compress(log) == tmp_path / "server.stdout.zst"
    assert [path.name for path in tmp_path.iterdir()] == ["server.stdout.zst"]
    assert raw_logs.read_bytes(log, len(text)) == text
    assert list(numbered_lines(log))[-1] == (20_000, "line 19999")
    assert zstandard.ZstdDecompressor().decompress((tmp_path / "server.stdout.zst").read_bytes())


def test_compressing_again_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\n" * 1000)
    packed = compress(log, over=10)
    before = packed.read_bytes()
    assert compress(log, over=10) == compress(packed, over=10) == packed
    assert packed.read_bytes() == before


def test_a_small_log_stays_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * raw_logs.OVER)
    assert compress(log) == log
    assert compress(tmp_path / "none") == tmp_path / "none"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_of_both_the_plain_one_is_read(tmp_path: Path) -> None:
    """A run that was killed between the rename and the removal leaves both, with one content; a
    new run writes a new plain one."""
    log = tmp_path / "log"
    log.write_bytes(b"old\n" * 100)
    compress(log, over=10)
    log.write_bytes(b"new\n")
    assert find(log) == log
    assert list(numbered_lines(log)) == [(1, "new")]


def test_a_full_disk_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\n" * 1000)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfraFault, match="disk_full"):
        compress(log, over=10)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert log.read_bytes() == b"a\n" * 1000


@given(st.binary(max_size=3000), st.integers(0, 3))
def test_compressed_and_plain_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, times: int
) -> None:
    folder = tmp_path_factory.mktemp("same")
    log = folder / "log"
    log.write_bytes(data * times)
    plain = list(numbered_lines(log)), raw_logs.read_bytes(log, 1 << 20)
    packed = compress(log, over=0)
    assert (packed == log) == (not data * times)
    assert (list(numbered_lines(log)), raw_logs.read_bytes(log, 1 << 20)) == plain


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_compressed_log_that_was_cut_off_is_said_to_be_damaged(
    tmp_path: Path, keep: float
) -> None:
    log = tmp_path / "log"
    log.write_bytes(os.urandom(300_000))
    packed = compress(log)
    packed.write_bytes(packed.read_bytes()[: int(packed.stat().st_size * keep)])
    with pytest.raises(BadInput, match=r"log\.zst: cut off: \d+ bytes are missing"):
        list(numbered_lines(log))


def test_a_compressed_log_that_is_none_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "log.zst").write_bytes(b"this is no zstd")
    with pytest.raises(BadInput, match="can't be decompressed"):
        list(numbered_lines(tmp_path / "log"))


def test_a_stream_of_unknown_length_and_frames_in_a_row_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    for part in (b"a\n" * 10, b"b\n"):
        with zstandard.ZstdCompressor().stream_writer(buffer, closefd=False) as writer:
            writer.write(part)
    (tmp_path / "log.zst").write_bytes(buffer.getvalue())
    assert [line for _, line in numbered_lines(tmp_path / "log")] == ["a"] * 10 + ["b"]


def test_a_file_over_the_limit_is_not_read_whole(tmp_path: Path) -> None:
    log = tmp_path / "result.json"
    log.write_bytes(b"x" * 1000)
    assert raw_logs.read_bytes(log, 999) is None
    assert raw_logs.read_bytes(log, 1000) == b"x" * 1000
    compress(log, over=10)
    assert raw_logs.read_bytes(log, 999) is None
    assert raw_logs.read_bytes(tmp_path / "none", 10) is None


def test_a_log_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x")

    def closed(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(BadInput, match="log: Permission denied"):
        list(numbered_lines(log))
