"""Results from the future get times that Snakemake can live with, in their old order."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from patchbench.workflow import clock_skew

NOW = 1_800_000_000.0


def made(results: Path, times: list[float]) -> list[Path]:
    paths = [results / "tasks" / f"{number}.json" for number in range(len(times))]
    for path, time in zip(paths, times, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (time, time))
    return paths


def test_what_a_fast_clock_made_is_set_back_in_order(tmp_path: Path) -> None:
    paths = made(tmp_path, [NOW - 100, NOW + 7200, NOW + 7230, NOW + 7260])
    assert clock_skew.set_back(tmp_path, NOW) == 3
    times = [path.stat().st_mtime for path in paths]
    assert times == sorted(times)
    assert times[0] == NOW - 100
    assert times[-1] == NOW
    assert times[1] == NOW - 60


def test_times_that_are_right_stay(tmp_path: Path) -> None:
    paths = made(tmp_path, [NOW - 100, NOW, NOW + 20])
    assert clock_skew.set_back(tmp_path, NOW) == 0
    assert [path.stat().st_mtime for path in paths] == [NOW - 100, NOW, NOW + 20]


def test_no_results_yet(tmp_path: Path) -> None:
    assert clock_skew.set_back(tmp_path / "none", NOW) == 0


@given(st.lists(st.integers(-10_000, 100_000), min_size=1, max_size=6))
def test_nothing_is_left_in_the_future_and_no_order_is_turned(
    tmp_path_factory, offsets: list[int]
) -> None:
    results = tmp_path_factory.mktemp("results")
    paths = made(results, [NOW + offset for offset in offsets])
    clock_skew.set_back(results, NOW)
    after = [path.stat().st_mtime for path in paths]
    assert max(after) <= NOW + clock_skew.SLACK_SECONDS
    for one, its in zip(offsets, after, strict=True):
        for other, others in zip(offsets, after, strict=True):
            assert one >= other or its <= others
