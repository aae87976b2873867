"""What launches show beside noise: found where it is, and seldom where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from patchbench.benchmark.order import block_order
from patchbench.config import Protocol
from patchbench.verdicts.launch_shape import (
    FEWEST_IN_MODES,
    Change,
    Launch,
    carry_over,
    modes,
    residuals,
    trend,
)
from tests.unit import reports
from tests.unit.reports import COMMITS, page, small_rows

RNG = np.random.default_rng


def test_a_rise_over_windows_is_a_ratio_of_the_last_to_the_first() -> None:
    launches = [[100 * start * 1.01**w for w in range(8)] for start in (1.0, 1.2, 0.9, 1.1)]
    found = trend(launches)
    assert found is not None
    assert found.ratio == pytest.approx(1.01**7)
    assert found.launches == 4
    noisy = [[value * (1 + 0.001 * w) for value in row] for w, row in enumerate(launches)]
    noisy = [[v * math.exp(RNG(i).normal(0, 0.001)) for v in r] for i, r in enumerate(noisy)]
    assert trend(noisy).shown


def test_too_few_windows_or_launches_have_no_trend() -> None:
    assert trend([[1.0, 2.0]] * 9) is None
    assert trend([[1.0, 2.0, 3.0]] * 2) is None
    assert trend([[1.0, 0.0, 3.0]] * 9) is None


def test_noise_is_seldom_a_trend() -> None:
    rng = RNG(3)
    shown = [trend(np.exp(rng.normal(0, 0.01, (10, 8)))).shown for _ in range(500)]
    assert sum(shown) <= 15


def test_launches_of_two_kinds_are_told_from_noise() -> None:
    rng = RNG(4)
    alarms = sum(modes(list(rng.normal(size=20))) is not None for _ in range(500))
    tails = sum(modes(list(rng.standard_t(3, size=20))) is not None for _ in range(500))
    assert max(alarms, tails) <= 10
    slow = rng.random(20) < 0.3
    slow[:4], slow[4:8] = True, False
    found = modes(list(rng.normal(0, 0.005, 20) - 0.05 * slow))
    assert found is not None
    assert (found.lower, found.higher) == (int(slow.sum()), int((~slow).sum()))
    assert found.ratio == pytest.approx(1.05, abs=0.01)
    assert modes([0.0] * 5 + [1.0] * 5) is None
    assert FEWEST_IN_MODES > 10


ARMS = ["baseline", "human", "alba", "brio"]


def session(hot: float, blocks: int = 8) -> list[Launch]:
    """Launches in the pipeline's order; the one after alba is slower by ``hot``."""
    rng, out = RNG(5), []
    for block in range(1, blocks + 1):
        before = ""
        for arm in block_order(ARMS, block, Protocol(blocks=blocks, aa_blocks=0)):
            off = rng.normal(0, 0.002) - hot * (before == "alba") + 0.02 * block
            gain = 0.1 * (arm == "human")
            out.append(Launch(block, arm, before, 1000 * math.exp(gain + off)))
            before = arm
    return out


def test_residuals_are_free_of_arms_and_blocks() -> None:
    launches = session(0.0)
    left = residuals(launches)
    assert sum(left) == pytest.approx(0.0, abs=1e-9)
    assert max(map(abs, left)) < 0.01


def test_what_an_arm_leaves_behind_is_seen_after_it() -> None:
    found = carry_over(session(0.05))
    assert found["alba"].shown
    assert found["alba"].ratio < 0.98
    assert not any(change.shown for change in carry_over(session(0.0)).values())
    assert carry_over(session(0.05, blocks=2)) == {}


def test_an_interval_beside_one_shows_a_change() -> None:
    assert Change(1.02, 1.01, 1.03, 5).shown
    assert Change(0.98, 0.97, 0.99, 5).shown
    assert not Change(1.02, 0.99, 1.05, 5).shown


def test_the_report_says_so_only_if_there_is_something_to_say() -> None:
    rows = small_rows()
    assert "What launches show beside noise" not in page(reports.built(rows))
    rng = RNG(6)
    rows["runs"] = [
        {"commit": COMMITS[0], "block": block, "arm": arm, "position": place, "launched": True,
         "status": "measured", "metric": "ttft_median_ms",
         "value": 100.0 + float(rng.normal()),
         "windows": [100 * 0.98**w * float(np.exp(rng.normal(0, 0.002))) for w in range(5)]}
        for block in range(1, 6)
        for place, arm in enumerate(("baseline", "human", "alba", "brio"))
    ]  # fmt: skip
    report = reports.built(rows)
    (row,) = report.shapes
    assert (row.what, row.launches) == ("last window of a launch to its first", 20)
    assert row.high < 0.98**3
    assert "| aaaaaaaa | `ttft_median_ms` | last window of a launch to its first | 0.92x [" in page(
        report
    )
