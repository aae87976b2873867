"""The state of a campaign as `status`, the live view and the end of a run tell it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from patchbench.cli import status
from patchbench.errors import InfraFault
from patchbench.ledger import journal, machine_faults, standing_lines
from patchbench.ledger.machine_faults import RUN, ThisRun
from patchbench.ledger.standing import Plan, standing
from patchbench.plan.campaign import Campaign
from patchbench.plan.overview import overview
from patchbench.system import locks
from patchbench.system.files import LOCK, write_json
from patchbench.system.source_folder import COMMAND
from patchbench.workflow import ending
from tests.unit import synthetic
from tests.unit.make import event


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """The synthetic campaign in a folder of its own, not begun."""
    monkeypatch.chdir(tmp_path)
    return synthetic.plan(tmp_path)


@pytest.fixture
def plan(campaign: Campaign) -> Plan:
    return overview(campaign)


def page(plan: Plan) -> list[str]:
    lines = list(status.page(plan, standing(plan), "mine.yaml", 5))
    assert [line for line in lines if len(line) > 80] == []
    return lines


def begin(plan: Plan) -> None:
    """A run begins, of a process that is gone."""
    write_json(plan.results / RUN, ThisRun(id="r1", scheduler="1:2:3"))


def test_a_campaign_that_has_not_begun(plan: Plan) -> None:
    first, second, *_, last = page(plan)
    assert (first, second) == ("synthetic: not begun", "0 of 84 launches; results in results")
    assert last == "next: patchbench run --config mine.yaml (before it: patchbench doctor)"


def test_a_campaign_without_anything_to_measure_has_not_begun(plan: Plan) -> None:
    assert standing(plan._replace(excluded={*plan.digests})).phase == "not begun"


def test_a_run_that_was_killed_before_its_first_launch_is_interrupted(plan: Plan) -> None:
    begin(plan)
    first, *_, last = page(plan)
    assert first == "synthetic: interrupted: no process works on it"
    assert last == "next: patchbench run --config mine.yaml (goes on where it ended)"


def test_outcomes_are_counted_by_agent(campaign: Campaign, plan: Plan) -> None:
    synthetic.fill(campaign)
    begin(plan)
    lines = page(plan)
    head = next(at for at, line in enumerate(lines) if "measured  failed" in line)
    table = [re.sub(r" {2,}", "  ", line).strip() for line in lines[head : head + 4]]
    assert table == [
        "measured  failed  no patch  excluded  pending",
        "human  2  -  -  1  1",
        "Alba  1  1  -  1  1",
        "Brio  1  -  1  1  1",
    ]


def test_a_run_that_goes_on_names_its_process_and_launches(plan: Plan) -> None:
    taken = locks.try_lock(plan.results / LOCK)
    assert taken is not None
    begin(plan)
    file = journal.path(plan.results, synthetic.A, 103)
    journal.write(file, event("alba", "run_started", block=103, at=journal.now()))
    lines = page(plan)
    locks.release(taken)
    assert re.fullmatch(r"synthetic: running since \d\d:\d\d \(process \d+\)", lines[0])
    (now,) = [line for line in lines if line.startswith("now: ")]
    assert re.fullmatch(r"now: cccccccc block 3/5 cohort 1 alba, since .* \(\d s\)", now)
    assert standing(plan).phase == "interrupted"
    assert standing(plan).running == ()


def test_launches_of_a_dead_run_do_not_go_on(plan: Plan) -> None:
    file = journal.path(plan.results, synthetic.A, 1)
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    journal.write(file, event("alba", "run_started", at=old))
    taken = locks.try_lock(plan.results / LOCK)
    assert taken is not None
    begin(plan)
    assert standing(plan).running == ()
    locks.release(taken)


def test_faults_of_the_machine_in_the_last_run_are_told(plan: Plan) -> None:
    run = ThisRun(id="r1", scheduler="1:2:3")
    write_json(plan.results / RUN, run)
    for _ in range(2):
        fault = InfraFault(f"infra.disk_full | somewhere | {'no room ' * 20}")
        machine_faults.add(plan.results, run, synthetic.A, "run_benchmark", fault)
    lines = page(plan)
    assert "faults of the machine in the last run: 2 infra.disk_full" in lines


def test_a_long_campaign_fits_80_columns(plan: Plan) -> None:
    titles = {f"a{n}": f"An agent with a rather long name, number {n}" for n in range(3)}
    lines = page(plan._replace(titles=titles, name="x" * 90))
    assert lines[0].endswith("...")


# --- the end of a run -----------------------------------------------------------------------------


def end(plan: Plan) -> list[str]:
    lines = ending.lines(plan, standing(plan, ended=True))
    assert len(lines) == 6
    assert [line for line in lines if len(line) > 80] == []
    return lines


def test_the_end_of_an_interrupted_run_has_six_lines(
    campaign: Campaign, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic.fill(campaign)
    begin(plan)
    monkeypatch.setenv(COMMAND, "patchbench run --config mine.yaml")
    assert end(plan) == [
        "synthetic: ended before all was measured",
        "  result  no verdict yet; outcomes: 4 measured, 1 failed, 3 pending",
        "  noise   known once the report is rendered",
        "  kept    0 launches in results; none of them is measured again",
        "  report  `patchbench report --config FILE` renders what is there",
        "  next    patchbench run --config mine.yaml goes on where this ended",
    ]


def test_the_end_of_a_whole_run_has_six_lines(plan: Plan) -> None:
    plan = plan._replace(digests={})
    plan.results.mkdir()
    (plan.results / "report.md").touch()
    agents = [
        {"title": title, "failed": failed, "faster": {"part": part, "whole": 5}}
        for title, part, failed in (("Alba", 2, 1), ("Brio", 0, 0))
    ]
    noise = {"limit": 0.32, "margin": 0.1, "other": "ignored"}
    (plan.results / "report.json").write_text(json.dumps({"agents": agents, "noise": noise}))
    assert end(plan) == [
        "synthetic: done",
        "  result  faster: Alba 2 of 5, Brio 0 of 5; failed: Alba 1",
        "  noise   identical code differed by up to 32% (wanted 10%): small gains lost",
        "  kept    0 launches in results; none of them is measured again",
        "  report  results/report.html, and report.md beside it",
        "  next    open results/report.html",
    ]


def test_many_agents_are_summed_up(plan: Plan) -> None:
    agents = tuple(
        ending._Agent(title=f"Agent number {n}", failed=1, faster=ending._Rate(part=1, whole=3))
        for n in range(6)
    )
    assert ending._result(ending._Report(agents)) == "6 of 18 patches faster, 6 failed"


def test_words_about_the_end_never_raise(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ending, "standing", lambda *_, **__: 1 / 0)
    ending.tell(plan)
    assert capsys.readouterr().err == ""


def test_the_live_view_has_outcomes_launches_and_the_disk(plan: Plan) -> None:
    view = standing_lines.View.of(plan)
    assert (view.done, view.whole) == (0, 84)
    assert view.lines[0].split() == ["measured", "failed", "pending"]
    assert view.lines[-1].startswith("disk: ")
