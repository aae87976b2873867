"""The `patchbench` command: start-up, plan, status and doctor, in any folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from patchbench import __version__
from patchbench.cli import main
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
    assert capsys.readouterr().out.startswith(f"usage: patchbench {name}")


def test_a_plan_is_shown(campaign: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    first, *lines = run(capsys, "plan", "--config", "mine.yaml").splitlines()
    # Below each task stand its command and the load that it becomes.
    tasks = [line for line in lines if not line.startswith("   ")]
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
    assert run(capsys, "status", "--config", "mine.yaml").endswith(" launches, not begun\n")


def test_the_doctor_counts_tasks_and_patches_without_a_clone(
    campaign: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(capsys, "doctor", "--config", "mine.yaml")
    assert said.startswith("synthetic: ")
    assert "| next: git clone --bare" in said
    patches = [line.split() for line in said.partition("\nPatches of")[2].splitlines()[1:]]
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
    alba, brio = (" ".join(line.split()) for line in said.splitlines()[-2:])
    assert alba == "alba 1 of 1 there, 1 can be measured"
    assert brio == "brio 1 of 1 there, 0 can be measured; 1 patch.syntax"


def test_the_doctor_takes_another_list_and_needs_no_trust(
    campaign: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del campaign["trust_patches"]
    Path("mine.yaml").write_text(yaml.safe_dump(campaign))
    tasks = yaml.safe_load(Path("tasks.yaml").read_text())
    Path("fewer.yaml").write_text(yaml.safe_dump(tasks | {"tasks": tasks["tasks"][:1]}))
    said = run(capsys, "doctor", "--config", "mine.yaml", "--mapping", "fewer.yaml")
    assert said.startswith("synthetic: 1 tasks, 2 agents\n")


@pytest.mark.parametrize("kind", ["config", "subject", "recipe", "tasks", "report"])
def test_schemas_are_printed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(run(capsys, "schema", kind))
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan", "config/config.yaml: No such file"),
        ("doctor --config list.yaml", "list.yaml: not a configuration"),
        ("report --results nowhere", "nowhere: neither about.json nor tables"),
        ("report --config nowhere.yaml", "nowhere.yaml: No such file"),
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
