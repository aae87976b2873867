"""The way in: `init` writes a configuration, `run` makes Snakemake's command."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from patchbench.cli import init, main
from patchbench.cli import run as runs
from patchbench.cli.new_campaign import Given, text
from patchbench.cli.new_tasks import subject_of_repository
from patchbench.errors import BadInput
from patchbench.plan import config_file
from patchbench.plan.configuration import Config
from tests.unit.commits import history as repository
from tests.unit.conftest import ROOT, Refused

DEMO = ROOT / "examples/tinyserve"
COMMIT = "6a8f6d89"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder but for an agent's patches: one of a task, and a misnamed one."""
    monkeypatch.chdir(tmp_path)
    Path("My Agent").mkdir()
    patch = (DEMO / f"agents/alba/{COMMIT}.diff").read_text()
    Path(f"My Agent/{COMMIT}.diff").write_text(patch)
    Path("My Agent/6a8f6d80.diff").write_text(patch)
    return tmp_path


def new(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main.main(("init", *words))
    return capsys.readouterr().out


def test_a_configuration_comes_from_patches_and_a_task_list(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = new(
        capsys, "mine", "--tasks", str(DEMO / "tasks.yaml"), "--patches", "My Agent", "--trust"
    )
    assert said.splitlines() == [
        "warning: mine.yaml: agents.my-agent.patches: 1 file matches no task: 6a8f6d80.diff (did "
        "you mean 6a8f6d89?)",
        "mine.yaml: 7 tasks, 1 with a patch and a usable command; agents: my-agent; results go to "
        "results/mine",
        "next: patchbench doctor --config mine.yaml",
    ]
    config = yaml.safe_load(Path("mine.yaml").read_text())
    assert config["agents"] == {"my-agent": {"patches": "My Agent"}}
    assert (config["runtime"], config["trust_patches"]) == ("process", True)
    assert config["results"] == "results/mine"


def test_a_task_list_comes_from_a_repository(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo, commits = repository(folder, {"tinyserve/a.py": "1\n"}, {"tinyserve/a.py": "2\n"})
    Path("patches").mkdir()
    Path(f"patches/{commits[1][:8]}.diff").write_text("--- a/x\n+++ b/x\n")
    said = new(
        capsys, "own", "--repo", str(repo), "--agent", "Nova=patches", "--trust",
        "--command", "python -m tinybench serve --model tiny",
    )  # fmt: skip
    assert said.startswith("own.yaml: 1 tasks, 1 with a patch")
    (task,) = yaml.safe_load(Path("own-tasks.yaml").read_text())["tasks"]
    assert (task["commit"], task["parent"]) == (commits[1], commits[0])
    assert task["subject"] == "tinyserve"
    config = yaml.safe_load(Path("own.yaml").read_text())
    assert config["repositories"] == {"tinyserve": str(repo)}
    assert list(config["agents"]) == ["nova"]


def test_files_that_are_there_are_kept(folder: Path, refused: Refused) -> None:
    Path("mine.yaml").write_text("mine\n")
    words = ("--tasks", str(DEMO / "tasks.yaml"), "--patches", "My Agent")
    assert refused("init", "mine", *words) == (
        "patchbench: mine.yaml: already there | next: another name, or --force\n"
    )
    assert Path("mine.yaml").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mine --tasks none.yaml --patches agents", "--tasks none.yaml: no such file"),
        ("mine --tasks t.yaml", "no patches are named | next: --patches FOLDER"),
        ("mine --tasks t.yaml --patches gone", "gone: no folder of patches (agent gone)"),
        ("mine --tasks t.yaml --agent x", "--agent x: NAME=FOLDER"),
        ("a/b --tasks t.yaml --patches agents", "NAME a/b: letters"),
        ("mine --repo agents --patches agents", "--repo agents: no git repository there"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, refused: Refused, words: str, said: str) -> None:
    Path("agents").mkdir()
    assert refused("init", *words.split()).startswith(f"patchbench: {said}")


def test_a_folder_of_folders_has_an_agent_in_each() -> None:
    found = init.agents_of(str(DEMO / "agents"), [])
    assert list(found) == ["alba", "brio", "corso"]


def test_an_engine_that_no_package_tells_is_asked_for(folder: Path) -> None:
    repo, _ = repository(folder, {"other/a.py": "1\n"})
    with pytest.raises(BadInput, match=r"none fit\) \| next: --subject NAME, one of sglang"):
        subject_of_repository(repo, str(ROOT))


def test_a_written_configuration_that_cannot_be_used_is_told(
    folder: Path, refused: Refused
) -> None:
    repo, commits = repository(folder, {"python/sglang/a.py": "1\n"}, {"python/sglang/a.py": "2\n"})
    Path("patches").mkdir()
    Path(f"patches/{commits[1][:8]}.diff").write_text("--- a/x\n+++ b/x\n")
    said = refused("init", "own", "--repo", str(repo), "--patches", "patches")
    assert "no image recipe" in said
    assert said.endswith("| own.yaml is written | next: correct it there\n")


@pytest.mark.parametrize("trust", [True, False])
@pytest.mark.parametrize("gpus", [True, False])
def test_every_text_is_a_valid_configuration(trust: bool, gpus: bool) -> None:
    given = Given("x", "t.yaml", "vllm", ("vllm", "../vllm"), {"a": "p"}, trust=trust, gpus=gpus)
    config = config_file.read(yaml.safe_load(text(given)), Config, "x")
    assert config.trust_patches is trust
    assert config.protocol.exclusive is not gpus
    assert config.containers.gpu == ("nvidia" if gpus and not trust else "none")


# --- run ------------------------------------------------------------------------------------------


def test_snakemakes_command_has_what_a_person_did_not_say(folder: Path) -> None:
    Path("c.yaml").touch()
    start = ["--snakefile", "/w/Snakefile", "--configfile", "c.yaml"]
    profile = ["--workflow-profile", "/w/profiles/default"]
    assert runs.command(Path("c.yaml"), [], ["-n"], "/w", cores=8) == [
        *start, *profile, "--cores", "8", "--resources", "gpu=1", "-n",
    ]  # fmt: skip
    assert runs.command(Path("c.yaml"), ["a=b"], ["-c4", "--resources=gpu=2"], "/w") == [
        *start, *profile, "-c4", "--resources=gpu=2", "--config", "a=b",
    ]  # fmt: skip
    assert runs.command(
        Path("c.yaml"), [], ["--workflow-profile", "none", "--profile", "p"], "/w"
    ) == [*start, "--resources", "gpu=1", "--workflow-profile", "none", "--profile", "p"]


def test_a_profile_of_the_workflow_is_found_in_any_folder(folder: Path) -> None:
    Path("c.yaml").touch()
    rest = ["--profile", "profiles/slurm", "--executor", "profiles/slurm"]
    found = runs.command(Path("c.yaml"), [], rest, str(ROOT))
    assert found[-4:] == ["--profile", str(ROOT / "profiles/slurm"), *rest[2:]]


def test_the_command_is_printed_and_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("c.yaml").touch()
    ran: list[list[str]] = []
    monkeypatch.setattr(runs.os, "execv", lambda _, words: ran.append(words))
    main.main(("run", "--config", "c.yaml", "-n", "--cores", "3", "--set", "joint=true"))
    (words,) = ran
    assert words[1:3] == ["-m", "snakemake"]
    assert words[-5:] == ["-n", "--cores", "3", "--config", "joint=true"]
    assert capsys.readouterr().err.startswith("patchbench: snakemake --snakefile ")


def test_words_of_another_program_are_refused_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(("plan", "--cores", "3"))
    assert end.value.code == 2
    assert "unrecognized arguments: --cores 3" in capsys.readouterr().err
