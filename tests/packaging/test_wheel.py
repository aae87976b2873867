"""The wheel: what it holds, and the command that it installs, in a folder of no project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from patchbench import __version__
from tests.unit import synthetic

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    *("pyproject.toml", "setup.py", "README.md", "LICENSE", "src", "Snakefile", "rules"),
    *("workflow", "profiles", "envs", "config", "examples"),
)
SHIPPED = "patchbench/shipped/"
OURS = "patchbench", "snakemake_logger_plugin_patchbench"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that no earlier build leaves anything in it."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignore)
        else:
            shutil.copy(source, copy / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out, copy)
    (built,) = out.glob("*.whl")
    return built


def pip(*words: str | Path) -> None:
    quiet = ("--quiet", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", *quiet, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Installed(NamedTuple):
    """A fresh environment with the wheel, and an empty folder to call the command in."""

    env: Path
    folder: Path

    def __call__(self, *words: str | Path, code: int = 0) -> str:
        """Run the command; return its stdout, or its stderr if it is to fail."""
        # No PYTHONPATH: it would put this checkout before the wheel.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        done = subprocess.run(
            [self.env / "bin" / "patchbench", *words],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its dependencies are those of the running one."""
    env = tmp_path_factory.mktemp("env")
    venv.create(env, symlinks=True)
    python = env / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = (env / "lib").glob("python*/site-packages")
    # Plain lines come after the wheel's own folder, and no .pth file below them is read.
    below = [path for path in sys.path if path.endswith("-packages") and Path(path).is_dir()]
    (site / "below.pth").write_text("\n".join(below) + "\n")
    return env


@pytest.fixture
def command(environment: Path, tmp_path: Path) -> Installed:
    return Installed(environment, tmp_path)


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc" and ".egg-info" not in str(path)
    }
    ours = {n for n in names if ".dist-info/" not in n and not n.startswith(SHIPPED)}
    assert ours == files
    assert {name.partition("/")[0] for name in files} <= set(OURS)


def test_the_wheel_holds_the_workflow_and_the_demo(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith(SHIPPED)}
    shipped = {name.removeprefix(SHIPPED) for name in names}
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert shipped <= {*tracked}
    for name in ("Snakefile", "profiles/default/profile.yaml", "config/subjects/vllm.yaml"):
        assert name in shipped
    for folder in ("rules", "envs", "config/subjects", "workflow/report"):
        assert {n for n in tracked if n.startswith(f"{folder}/")} <= shipped, folder
    history = {n for n in tracked if n.startswith("examples/tinyserve/history/")}
    assert history <= shipped
    assert not [name for name in shipped if "/hacks/" in name]


def test_its_metadata_name_the_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_bytes(archive.read(name))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Version"] == __version__
    assert metadata["Author"] == "The patchbench maintainers"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_the_installed_command_is_the_wheels(command: Installed) -> None:
    assert command("--version") == f"patchbench {__version__}\n"
    code = "import patchbench; print(patchbench.__file__)"
    where = subprocess.check_output(
        [command.env / "bin" / "python", "-P", "-c", code], cwd=command.folder, text=True
    )
    assert where.startswith(str(command.env))


def test_a_folder_without_a_campaign_is_one_line(command: Installed) -> None:
    assert command("plan", code=2).startswith(
        "patchbench: config/config.yaml: no such file | next: name a configuration (--config FILE)"
    )


def test_a_campaign_in_any_folder_is_planned_and_examined(
    command: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(command.folder)
    synthetic.plan(command.folder)
    config = synthetic.CONFIG | {"campaign": "mine"}
    (command.folder / f"patches/alba/{synthetic.A[:8]}.diff").write_text("--- a/x\n+++ b/x\n")
    (command.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    assert command("plan", "--config", "mine.yaml").startswith("mine: 4 tasks, 2 agents")
    # Its repository is not there, so nothing can be measured.
    command("doctor", "--config", "mine.yaml", code=1)


def test_three_commands_plan_own_patches_in_any_folder(command: Installed) -> None:
    """The third one measures; here it shows what it would run."""
    (site,) = (command.env / "lib").glob("python*/site-packages")
    demo = site / SHIPPED / "examples/tinyserve"
    (command.folder / "mine").mkdir()
    shutil.copy(demo / "agents/alba/6a8f6d89.diff", command.folder / "mine")
    words = ("--tasks", demo / "tasks.yaml", "--patches", "mine", "--trust")
    assert "next: patchbench doctor --config own.yaml" in command("init", "own", *words)
    assert "1 can be measured" in command("doctor", "--config", "own.yaml")
    planned = command("run", "--config", "own.yaml", "-n", "--quiet", "rules")
    assert "run_benchmark" in planned


def test_a_log_is_explained_by_the_signatures_in_the_wheel(command: Installed) -> None:
    (command.folder / "server.stderr").write_text("OSError: [Errno 98] Address already in use\n")
    assert "infra.port_taken" in command("classify", "server.stderr")


def test_a_report_is_rendered_by_the_templates_in_the_wheel(command: Installed) -> None:
    (command.folder / "counts.csv").write_text(
        "agent,commit,status,cause,type\nAlba,,measured,,serving\nAlba,,failed,unknown,\n"
    )
    command("import", "counts.csv", "--name", "old")
    assert (command.folder / "results" / "old" / "report.html").stat().st_size > 10_000
