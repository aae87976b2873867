"""`patchbench report`: from a configuration or from a results folder, and against another one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from patchbench.cli import main
from patchbench.report import about
from tests.unit import reports, synthetic
from tests.unit.reports import small_rows


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A results folder with tables and nothing else."""
    reports.write(small_rows(), tmp_path / "done" / "tables")
    about.write(reports.about(results=str(tmp_path / "done")), tmp_path / "done")
    return tmp_path / "done"


def test_a_configurations_report_is_made_from_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    synthetic.fill(synthetic.plan(tmp_path))
    Path("config.yaml").write_text(yaml.safe_dump(synthetic.CONFIG))
    main.main(["report", "--config", "config.yaml"])
    said = capsys.readouterr().out
    assert said.startswith("results/report.md and results/report.html\n")
    assert "PARTIAL: 4 of 12 outcomes pending" in said
    assert Path("results/report.md").is_file()


def test_a_results_folder_is_rendered_from_its_tables_alone(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main.main(["report", "--results", str(finished)])
    assert capsys.readouterr().out.startswith(f"{finished}/report.md and")
    assert "# Agent comparison report: small" in (finished / "report.md").read_text()


def test_another_campaign_is_compared(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = small_rows()
    rows["outcomes"][5] |= {"cause": "patch.syntax"}
    reports.write(rows, tmp_path / "before" / "tables")
    main.main(["report", "--results", str(finished), "--against", str(tmp_path / "before")])
    assert "against before: 8 outcomes in both, 1 changed" in capsys.readouterr().out
