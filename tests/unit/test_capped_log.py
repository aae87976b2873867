"""Logs of bounded size: head, mark and tail."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.system import raw_logs
from patchbench.system.capped_log import Capped
from patchbench.system.raw_logs import numbered_lines
from tests.unit.conftest import peak

ascii_ = st.text(st.sampled_from("ab\r\n \t"), max_size=60).map(str.encode)


def capped(path: Path, chunks: list[bytes], head: int, tail: int) -> tuple[bytes, int]:
    with closing(Capped(path, head, tail)) as sink:
        for chunk in chunks:
            sink.write(chunk)
    return path.read_bytes(), sink.left_out


@given(
    st.lists(st.binary(max_size=30) | ascii_, max_size=12), st.integers(0, 40), st.integers(0, 40)
)
def test_a_capped_log_is_head_mark_and_tail(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], head: int, tail: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "capped"
    data = b"".join(chunks)
    kept, left_out = capped(path, chunks, head, tail)
    assert bool(left_out) == (len(data) > head + tail)
    if not left_out:
        assert kept == data
        return
    mark = b"[patchbench: %d bytes left out here]\n" % left_out
    before, _, after = kept.rpartition(mark)
    # The mark stands on a line of its own, and nothing but it was added.
    added = len(before) + left_out + len(after) - len(data)
    assert added == 0 or (added == 1 and before.endswith(b"\n"))
    first = before[: len(before) - added]
    assert data.startswith(first)
    assert before == b"" or before.endswith(b"\n")
    assert data.endswith(after)
    assert len(first) <= head
    assert len(after) <= tail


def test_a_log_is_cut_at_the_ends_of_lines_and_its_numbers_are_of_what_is_kept(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    kept, left_out = capped(log, [b"%04d\n" % i for i in range(100)], 12, 13)
    assert kept == b"0000\n0001\n[patchbench: 480 bytes left out here]\n0098\n0099\n"
    assert left_out == 480
    lines = dict(numbered_lines(log))
    assert (lines[3], lines[4]) == ("[patchbench: 480 bytes left out here]", "0098")


def test_the_head_can_be_read_while_the_log_is_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with closing(Capped(log, 100, 100)) as sink:
        sink.write(b"ready\n")
        assert log.read_bytes() == b"ready\n"


@pytest.mark.parametrize(("chunk", "megabytes"), [(1, 1), (100, 8), (70_000, 40)])
def test_a_flood_is_held_in_bounded_memory(tmp_path: Path, chunk: int, megabytes: int) -> None:
    tail = (1 << 18) * (1 if chunk == 1 else 4)
    data = (b"x" * 99 + b"\n") * 10_000
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]

    def flood() -> None:
        with closing(Capped(tmp_path / "log", 1000, tail)) as sink:
            for _ in range(megabytes):
                for piece in pieces:
                    sink.write(piece)

    # The tail, once more when it is put together at the end, and the open blocks.
    assert peak(flood) < 2 * tail + 4 * raw_logs.LONGEST
    assert (tmp_path / "log").stat().st_size < tail + 2000


def test_closing_twice_writes_once(tmp_path: Path) -> None:
    sink = Capped(tmp_path / "log", 2, 2)
    sink.write(b"abcdefgh")
    sink.close()
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"[patchbench: 6 bytes left out here]\ngh"


def test_the_first_error_is_kept_and_the_rest_is_dropped(tmp_path: Path) -> None:
    nowhere = Capped(tmp_path / "no" / "folder" / "log")
    assert nowhere.failed is not None
    nowhere.write(b"x")
    nowhere.close()
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    sink = Capped(full)
    assert sink.failed is None
    sink.write(b"x" * 100_000)
    assert sink.failed is not None and sink.failed.cause == "infra.disk_full"
    sink.write(b"y" * 100_000)
    sink.close()


def test_a_tail_that_can_not_be_written_is_an_error_too(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    sink = Capped(full, 0, 100)
    sink.write(b"x")
    assert sink.failed is None
    sink.close()
    assert sink.failed is not None
