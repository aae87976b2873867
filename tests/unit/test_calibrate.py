"""Patches of known effect: what the calibration says of campaigns whose truth is known."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from benchmarks import calibrate

from patchbench.config import VerdictRules
from patchbench.records import GradedRun, Metrics
from patchbench.system.files import write_json
from tests.unit import make

METRIC = "tpot_median_ms"
SD = 0.006


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "DRAWN", 100)


def launched(blocks: int = 25, *, seed: int = 2) -> list[GradedRun]:
    """Launches of a baseline, an A/A pair, and waits of 0 and 5 %."""
    rng, out = np.random.default_rng(seed), []
    for block in range(1, blocks + 1):
        for arm, wait in (("baseline", 0), ("baseline-aa", 0), ("wait-0", 0), ("wait-5", 0.05)):
            value = 8.0 * (1 + wait) * math.exp(rng.normal(0, SD))
            out.append(make.run(arm, block, metrics={METRIC: value}))
    return out


def test_truths_are_read_from_the_names_of_arms() -> None:
    assert calibrate.truth_of("baseline-aa") == calibrate.truth_of("wait-0") == 0
    assert calibrate.truth_of("wait-2.5") == pytest.approx(-math.log(1.025))
    assert calibrate.truth_of("human") is None and calibrate.truth_of("baseline") is None


def test_what_is_there_is_found_as_often_as_promised_and_nothing_else() -> None:
    task = make.task(primary_metric=METRIC)
    found = calibrate.calibrate(task, launched(), METRIC, 5, VerdictRules(), 1)
    arms = {arm.name: arm for arm in found}
    assert arms.keys() == {"baseline-aa", "wait-0", "wait-5"}
    slow = arms["wait-5"]
    assert slow.truth == pytest.approx(-math.log(1.05))
    assert slow.whole.low < 1 / 1.05 < slow.whole.high and slow.whole.pairs == 25
    assert slow.slower > 0.95 and slow.promised > 0.95 and slow.faster == 0
    for name in ("baseline-aa", "wait-0"):
        assert arms[name].slower + arms[name].faster <= 0.05
        assert arms[name].covered >= 0.85
        assert (arms[name].disjoint, arms[name].wrong) == (5, 0)
        assert arms[name].bound == pytest.approx(1 - 0.05 ** (1 / 5), rel=1e-6)


def test_the_page_and_the_figure_come_from_a_results_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(calibrate, "DRAWN", 10)
    task = make.task(primary_metric=METRIC)
    runs = [msgspec.structs.replace(run, phase_seconds={"benchmark": 2.0}) for run in launched(10)]
    write_json(tmp_path / "tasks" / f"{task.commit}.json", task)
    record = Metrics(commit=task.commit, digests=(), runs=tuple(runs), arms=())
    write_json(tmp_path / "metrics" / f"{task.commit}.json", record)
    lines = [*calibrate.page(tmp_path, 5, 1)]
    assert sum(line.startswith("| wait-") for line in lines) == 2
    calibrate.draw(tmp_path, 5, 1, tmp_path)
    assert {path.name for path in tmp_path.glob("calibration.*")} == {
        "calibration.svg", "calibration.png",
    }  # fmt: skip
