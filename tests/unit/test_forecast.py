"""Costs and visible gains before a run: from defaults, marked, or from what was measured."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml

from patchbench.cli import forecast, main
from patchbench.errors import BadInput
from patchbench.grading.finished import finished
from patchbench.plan import campaign as campaigns
from patchbench.plan.campaign import Campaign
from patchbench.records import Metrics
from patchbench.system.files import write_json
from patchbench.verdicts.pilot import Pilot
from tests.unit import make, synthetic
from tests.unit.test_launch_noise import Noise
from tests.unit.test_launch_noise import campaign as launches

QUIET, LOUD = Noise(window=0.004, launch=0.001), Noise(window=0.05, launch=0.03)


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Loads the synthetic campaign with other rules of its protocol."""
    monkeypatch.chdir(tmp_path)
    synthetic.plan(tmp_path)

    def load(**protocol: object) -> Campaign:
        config = dict(synthetic.CONFIG)
        config["protocol"] = {**config.get("protocol", {}), **protocol}
        Path("mine.yaml").write_text(yaml.safe_dump(config))
        return campaigns.load(config)

    return load


def measured(results: Path, plan: Campaign, noise: Noise) -> None:
    """Leave a task and its metrics in a results folder, as a finished campaign does."""
    task = next(task for task in plan.tasks.values() if task.workload)
    rng = np.random.default_rng(3)
    runs = [
        msgspec.structs.replace(
            run,
            metrics={task.primary_metric: run.metrics["output_tps"]},
            windows=tuple({task.primary_metric: w["output_tps"]} for w in run.windows),
            phase_seconds={"benchmark": 1.0},
            provenance={"gpu_model": "Small GPU"},
        )
        for run in launches(rng, noise, 4)
    ]
    write_json(results / "tasks" / f"{task.commit}.json", task)
    record = Metrics(commit=task.commit, digests=("d",), runs=tuple(runs), arms=())
    write_json(results / "metrics" / f"{task.commit}.json", record)


def test_without_any_launch_the_figures_are_marked(planned) -> None:
    plan = planned(blocks={"min": 3, "max": 10})
    found = forecast.forecasts(plan, Pilot())
    said = list(forecast.total(plan, found, Pilot()))
    assert found and all(one.known.is_default for one in found)
    assert said[0].strip().startswith("Forecast, from an H200's figures")
    assert "in comparison, 5 blocks of all arms" in "".join(said)
    assert said[-1].startswith("  * ")
    assert max(len(line) for text in said for line in text.splitlines()) <= 80


def test_more_blocks_cost_more_and_see_more(planned) -> None:
    plan = planned(blocks={"min": 3, "max": 10})
    for one in forecast.forecasts(plan, Pilot()):
        assert one.costs[0].hours < one.costs[1].hours
        assert one.costs[0].launches < one.costs[1].launches
        assert all(later < first for first, later in zip(*one.gains, strict=True))
    assert sum(o.costs[0].launches for o in forecast.forecasts(plan, Pilot())) == plan.launches


def test_what_was_measured_takes_the_place_of_the_defaults(planned, tmp_path: Path) -> None:
    plan = planned()
    before = forecast.forecasts(plan, forecast.pilot(plan, []))
    measured(tmp_path / "earlier", plan, QUIET)
    known = forecast.pilot(plan, [tmp_path / "earlier"], tmp_path / "noise.json")
    after = forecast.forecasts(plan, known)
    own = [one for one in after if one.known.noise_from == "own"]
    assert len(own) == 1 and own[0].known.costs.window == pytest.approx(1.0 / 4, abs=0.8)
    assert {one.known.noise_from for one in after} <= {"own", "others", "default"}
    assert own[0].known.noise.window == pytest.approx(0.004, rel=0.3)
    loud = next(one for one in before if one.task.commit == own[0].task.commit)
    assert own[0].gains < loud.gains
    assert "Small GPU" in next(forecast.total(plan, after, known))
    # The small file says the same as the folder.
    again = forecast.pilot(plan, [tmp_path / "noise.json"])
    assert again == known


def test_a_campaign_tells_of_itself_once_a_block_is_there(planned) -> None:
    plan = planned()
    measured(Path(plan.results), plan, LOUD)
    known = forecast.pilot(plan, [])
    assert [task.machine for task in known.tasks] == ["Small GPU"]
    assert len(list(finished(Path(plan.results)))) == 1


def test_a_history_without_launches_is_refused(planned, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no finished launch"):
        forecast.pilot(planned(), [tmp_path / "empty"])


@pytest.mark.parametrize(
    ("blocks", "refused"), [(2, True), (3, False), ({"min": 2, "max": 3}, False)]
)
def test_a_plan_that_reaches_no_verdict_is_refused(
    planned, blocks: object, refused: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(blocks=blocks)
    assert bool(forecast.unreachable(plan)) == refused
    main.main(["plan", "--config", "mine.yaml"])
    assert ("can't reach a verdict" in capsys.readouterr().out) == refused


def test_noise_that_hides_everything_is_said(planned) -> None:
    assert forecast._percent(math.inf) == "none"
    parser = argparse.ArgumentParser()
    forecast.add_options(parser)
    assert parser.parse_args([]).history == []
    assert make.RULES.min_blocks == 3
