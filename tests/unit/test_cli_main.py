"""The `patchbench` command: start-up, plan, status and doctor, in any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from patchbench import __version__
from patchbench.cli import main
from patchbench.system import locks, source_folder
from tests.unit import synthetic
from tests.unit.conftest import ROOT, Refused
from tests.unit.history import History

HEAVY = ("numpy", "pandas", "scipy", "matplotlib", "pyarrow", "snakemake", "docker", "rich")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main.main(words)
    return capsys.readouterr().out


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A folder with the files of a campaign that has not begun; the configuration as a dict."""
    monkeypatch.chdir(tmp_path)
    synthetic.plan(tmp_path)
    tasks = yaml.safe_load(Path("tasks.yaml").read_text())
    for task in tasks["tasks"]:
        task["parent"] = "f" * 40
    Path("tasks.yaml").write_text(yaml.safe_dump(tasks))
    Path(f"patches/alba/{synthetic.A[:8]}.diff").write_text(
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n"
    )
    Path("mine.yaml").write_text(yaml.safe_dump(synthetic.CONFIG))
    return dict(synthetic.CONFIG)


def test_the_version_is_printed_without_any_heavy_import() -> None:
    code = (
        "import sys\nfrom patchbench.cli.main import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"patchbench {__version__}", "[]"]


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main([name, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: patchbench {name}")
    assert f"Example: patchbench {name} " in " ".join(said.split())


def test_a_plan_is_shown(campaign: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    first, *lines = run(capsys, "plan", "--config", "mine.yaml").splitlines()
    # Below each task stand its command and the load that it becomes.
    tasks = [line for line in lines[: lines.index("")] if not line.startswith("   ")]
    assert first.startswith(f"synthetic: {len(tasks)} tasks, 2 agents, 5 blocks, up to ")
    commit = tasks[0].split()[0]
    spec = json.loads(run(capsys, "plan", "--config", "mine.yaml", "--commit", commit))
    assert spec["commit"].startswith(commit)


@pytest.mark.parametrize("command", ["plan", "doctor", "status"])
def test_a_campaign_elsewhere_may_use_the_files_of_the_clone(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text((ROOT / "config/config.yaml").read_text())
    assert run(capsys, command, "--config", "mine.yaml").startswith("demo: ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_commit_that_matches_no_task_is_refused(
    campaign: dict[str, object], refused: Refused
) -> None:
    said = refused("plan", "--config", "mine.yaml", "--commit", "0123abcd")
    assert said == "patchbench: --commit 0123abcd: 0 tasks match\n"


def test_a_campaign_without_launches_has_not_begun(
    campaign: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "status", "--config", "mine.yaml").startswith("synthetic: not begun\n0 of ")


def test_the_doctor_counts_tasks_and_patches_without_a_clone(
    campaign: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(capsys, "doctor", "--config", "mine.yaml")
    assert said.startswith("synthetic: ")
    assert "| next: git clone --bare" in said
    patches = [line.split() for line in said.partition("\nPatches of")[2].splitlines()[1:3]]
    assert [line[:4] for line in patches] == [["alba", "1", "of", "4"], ["brio", "0", "of", "4"]]
    assert "3 patch.missing (3 never_ran), 1 not checked (no clone)" in said
    assert "execute the change of their own commit (not asked: no clone)" in said


def test_the_doctor_checks_patches_against_a_clone(
    campaign: dict[str, object], history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = yaml.safe_load(Path("subjects/small.yaml").read_text())
    subject["source"] = {"repo": str(history.repo)}
    Path("subjects/cloned.yaml").write_text(yaml.safe_dump(subject))
    task = {"commit": history.human, "subject": "cloned", "perf_command": "bench serve --model m"}
    Path("tasks.yaml").write_text(yaml.safe_dump({"tasks": [task]}))
    for agent, line in (("alba", b"SIZE = 2\n"), ("brio", b"SIZE = (\n")):
        patch = history.diff({"engine/old.py": line})
        Path(f"patches/{agent}/{history.human[:8]}.diff").write_bytes(patch)
    said = run(capsys, "doctor", "--config", "mine.yaml")
    assert "no clone" not in said
    assert f"{history.human[:8]} <- {history.parent}" in said
    shown = said.partition("Patches of")[2].splitlines()
    alba, brio = (" ".join(line.split()) for line in shown[1:3])
    assert alba == "alba 1 of 1 there, 1 can be measured"
    assert brio == "brio 1 of 1 there, 0 can be measured; 1 patch.syntax"


def test_the_doctor_takes_another_list(
    campaign: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del campaign["trust_patches"]
    Path("mine.yaml").write_text(yaml.safe_dump(campaign))
    tasks = yaml.safe_load(Path("tasks.yaml").read_text())
    Path("fewer.yaml").write_text(yaml.safe_dump(tasks | {"tasks": tasks["tasks"][:1]}))
    _, said = diagnosis(capsys, "--config", "mine.yaml", "--mapping", "fewer.yaml")
    assert said.startswith("synthetic: 1 task, 2 agents\n")


@pytest.mark.parametrize("kind", ["config", "subject", "recipe", "tasks", "report"])
def test_schemas_are_printed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(run(capsys, "schema", kind))
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan", "config/config.yaml: no such file | next: name a configuration"),
        ("run", "config/config.yaml: no such file | next: name a configuration"),
        ("doctor --config gone.yaml", "gone.yaml: no such file"),
        ("doctor --config list.yaml", "list.yaml: not a configuration"),
        ("report --results nowhere", "nowhere: neither about.json nor tables"),
        ("report --config nowhere.yaml", "nowhere.yaml: no such file"),
        ("import", "nothing to import"),
        ("import a.csv b", "a table of counts is imported by itself"),
        ("import --agent codex", "--agent codex: NAME=FOLDER"),
        ("import a.csv --name ../x", "--name ../x: letters"),
        ("import a.csv", "a.csv: can't be read"),
        ("parse none.log", "none.log: no such file"),
        ("parse .", ".: is a folder"),
        ("parse --json none.json a.log", "none.json: no such file"),
        ("parse --json a.log a.log a.log", "--json belongs to one log"),
        ("parse --primary speed a.log", "--primary speed: no such metric"),
        ("parse broken.zst", "broken.zst: can't be decompressed"),
    ],
)
def test_a_mistake_of_a_person_is_one_line_and_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.yaml").write_text("[1, 2]")
    Path("a.log").write_text("Avg latency: 2.5 seconds\n")
    Path("broken.zst").write_text("no zstd")
    assert refused(*words.split()).startswith(f"patchbench: {said}")


# --- the doctor refuses what a run would refuse ---------------------------------------------------


def diagnosis(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    try:
        main.main(("doctor", *words))
    except SystemExit as end:
        return int(end.code or 0), capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_untrusted_patches_are_a_refusal_beside_all_else(
    campaign: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    del campaign["trust_patches"]
    Path("mine.yaml").write_text(yaml.safe_dump(campaign))
    code, said = diagnosis(capsys, "--config", "mine.yaml")
    assert code == 1
    assert "\nBefore it can run:\n  mine.yaml: trust_patches: the process runtime" in said
    assert "\nPatches of the tasks that can be run:" in said


def test_without_any_patch_nothing_can_be_measured(
    campaign: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    next(Path("patches/alba").iterdir()).unlink()
    code, said = diagnosis(capsys, "--config", "mine.yaml")
    assert code == 1
    assert said.endswith("  nothing can be measured: no agent has a patch that can be built\n")
    Path("mine.yaml").write_text(yaml.safe_dump(campaign | {"tasks_without_patches": "skip"}))
    code, said = diagnosis(capsys, "--config", "mine.yaml")
    assert code == 1
    assert said.endswith("  nothing can be measured: all tasks are excluded\n")
    assert "- 4 no_patch: " in said


def test_the_cost_is_that_of_the_tasks_that_can_be_run(
    campaign: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").write_text(yaml.safe_dump(campaign | {"tasks_without_patches": "skip"}))
    code, said = diagnosis(capsys, "--config", "mine.yaml")
    assert code == 0
    assert (
        "\nCost:\n  21 launches: 1 task, 5 blocks each, 4 arms (baseline, human, 2 agents)" in said
    )


def test_a_run_that_works_there_and_a_full_disk_are_told(
    campaign: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    taken = locks.try_lock(Path("results/.lock"))
    assert taken is not None
    Path("mine.yaml").write_text(yaml.safe_dump(campaign | {"disk": {"reserve_mb": 10**9}}))
    code, said = diagnosis(capsys, "--config", "mine.yaml")
    locks.release(taken)
    assert code == 1
    first, second = said.partition("Before it can run:\n")[2].splitlines()
    assert first.startswith(f"  results: a run (process {os.getpid()}) works on it | next: ")
    assert second.startswith("  1 MiB are free beside the reserve")


def test_a_repository_that_a_script_makes_is_made_for_the_check_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(source_folder.SOURCE, "")
    monkeypatch.delenv(source_folder.SOURCE)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    Path("mine.yaml").write_text(yaml.safe_dump(config | {"only": ["6a8f6d89"]}))
    code, said = diagnosis(capsys, "--config", "mine.yaml")
    assert code == 0
    assert "no clone" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
