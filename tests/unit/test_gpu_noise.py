"""What launches of the same code differ by on a GPU, and what a decision costs."""

from __future__ import annotations

import importlib.util
import math
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu" / "noise.py"


@pytest.fixture(scope="module")
def noise():
    spec = importlib.util.spec_from_file_location("gpu_noise", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def launches(noise, between: float, within: float, windows: int, blocks: int, seed: int = 0):
    draw = random.Random(seed)
    out = []
    for block in range(1, blocks + 1):
        for again in (False, True):
            mean = 2 + draw.gauss(0, between)
            found = tuple(math.exp(mean + draw.gauss(0, within)) for _ in range(windows))
            out.append(noise.Launch(block, again, found))
    return out


def test_the_parts_of_a_spread_are_found_again(noise) -> None:
    found = noise.spread(launches(noise, 0.03, 0.05, 3, 2000))
    assert (found.launches, found.pairs, found.windows) == (4000, 2000, 3)
    assert found.window == pytest.approx(0.05, rel=0.05)
    assert found.launch == pytest.approx(0.03, rel=0.07)
    assert found.pair == pytest.approx(math.sqrt(2 * (0.03**2 + 0.05**2 / 3)), rel=0.05)
    assert found.ratio(3) == pytest.approx(found.pair, rel=0.05)
    assert found.ratio(1) > found.ratio(2) > found.ratio(4)


def test_one_window_tells_nothing_of_the_spread_within(noise) -> None:
    found = noise.spread(launches(noise, 0.03, 0, 1, 4)[:5])
    assert found.window is None
    assert found.pairs == 2
    assert found.launch == found.total


@pytest.mark.parametrize(
    ("sigma", "effect", "blocks", "wanted"),
    # statistics.md 2.3: power of ABBA and paired t, simulated, sigma of single launches.
    [(0.02, 0.05, 5, 0.82), (0.02, 0.03, 5, 0.44), (0.03, 0.05, 8, 0.77), (0.01, 0.03, 5, 0.93)],
)
def test_power_agrees_with_the_simulations(noise, sigma, effect, blocks, wanted) -> None:
    assert noise.power(effect, sigma * math.sqrt(2), blocks) == pytest.approx(wanted, abs=0.05)


@given(sigma=st.floats(0.001, 0.08), effect=st.floats(0.02, 0.5))
def test_the_blocks_needed_are_the_fewest_that_suffice(noise, sigma, effect) -> None:
    found = noise.blocks_for(effect, sigma)
    if found is None:
        assert noise.power(effect, sigma, noise.MOST_BLOCKS) < noise.POWER
        return
    assert noise.power(effect, sigma, found) >= noise.POWER
    assert found == 2 or noise.power(effect, sigma, found - 1) < noise.POWER
    assert noise.blocks_for(effect, sigma / 2) <= found


@given(
    off=st.floats(-0.1, 0.1),
    codes=st.lists(st.floats(-1, 1), min_size=2, max_size=5),
    blocks=st.lists(st.floats(-1, 1), min_size=2, max_size=5),
)
def test_what_the_first_launch_of_a_block_is_off_by_is_found_again(
    noise, off, codes, blocks
) -> None:
    """Codes and blocks differ by anything; each code stands first in some block."""
    found = [
        noise.Placed(str(c), b, c == b % len(codes), code + block + off * (c == b % len(codes)))
        for b, block in enumerate(blocks * len(codes))
        for c, code in enumerate(codes)
    ]
    # Means hold the effect too: of so many launches of a block, one is the first.
    share = 1 - 1 / len(codes)
    assert noise.first_of_block(found) == pytest.approx(
        [off * share] * len(blocks) * len(codes), abs=1e-6
    )


def write(folder: Path, rows: list[dict[str, object]]) -> Path:
    (folder / "tables").mkdir(parents=True)
    tasks = [{"commit": "a" * 40, "type": "serving"}]
    pq.write_table(pa.Table.from_pylist(tasks), folder / "tables" / "tasks.parquet")
    pq.write_table(pa.Table.from_pylist(rows), folder / "tables" / "runs.parquet")
    return folder


def test_tables_give_a_row_and_a_figure(tmp_path: Path) -> None:
    row = {"commit": "a" * 40, "metric": "tpot_median_ms", "block": 1, "windows": [10.0, 10.4]}
    row |= {"launched": True, "status": "measured", "started": "2026-01-01T10:00:00+00:00"}
    rows = [
        row | {"arm": "baseline", "value": 10.2},
        row | {"arm": "baseline-aa", "value": 10.3, "windows": [10.2, 10.4]},
        row | {"arm": "human", "value": 5.0},
        row | {"arm": "human", "value": 5.2, "block": 2},
        row | {"arm": "baseline", "value": 9.9, "block": 2, "metric": "completed"},
    ]
    folder = write(tmp_path / "results", rows)
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, "--figure", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2].startswith("| serving aaaaaaaa | `tpot_median_ms` | 2 | 1 |")
    assert len(done.stdout.splitlines()) == 3 + 4
    assert done.stdout.splitlines()[-1].startswith("| serving aaaaaaaa | `tpot_median_ms` | 2 | ")
    assert (tmp_path / "gpu-noise.png").stat().st_size > 10_000


def test_a_folder_without_tables_is_named(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"no {tmp_path}/tables/runs.parquet | next: make the report" in done.stderr
