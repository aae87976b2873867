"""Every end of a program is a line, and the environment changes nothing of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from patchbench.system import program
from tests.unit.conftest import ROOT, environment


def patchbench(*words: str, cut: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the clone; with ``cut`` the reader of its output goes away at once."""
    code = "from patchbench.cli.main import main; main()"
    command = [sys.executable, "-c", code, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env={**environment(), **env}
    ) as process:
        if cut:
            assert process.stdout is not None
            process.stdout.close()
            process.stdout = None
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize("words", [("plan",), ("status",), ("schema", "config"), ("--help",)])
def test_without_a_reader_a_command_ends_without_a_word(words: tuple[str, ...]) -> None:
    done = patchbench(*words, cut=True)
    # rich and argparse end by themselves, with 1 and 0.
    assert done.returncode in (program.EXIT_PIPE, 1, 0)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONWARNINGS": "error"},
        {"COLUMNS": "12"},
        {"COLUMNS": "x", "LINES": "0"},
        {"NO_COLOR": "1"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
        {"TERM": "dumb"},
    ],
    ids=str,
)
def test_the_environment_changes_nothing(env: dict[str, str]) -> None:
    usual, now = patchbench("status"), patchbench("status", **env)
    assert (now.returncode, now.stdout, now.stderr) == (usual.returncode, usual.stdout, "")


def test_letters_that_a_locale_lacks_are_written_otherwise(tmp_path: Path) -> None:
    code = "from patchbench.system import program; program.run(lambda: print('\\u00e1lba'))"
    env = {**environment(), "PYTHONIOENCODING": "ascii"}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "\\xe1lba\n")


def test_a_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        program.run(lambda: print((tmp_path / "gone").read_text()))
    assert end.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "gone: No such file or directory | next:" in said.err


def test_without_a_place_for_temporary_files_a_command_ends_with_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def no_place() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    with pytest.raises(SystemExit) as end:
        program.run(no_place)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("patchbench: No usable temporary directory")


def test_a_persons_matplotlibrc_changes_no_figure(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.dpi: 7\n")
    code = "import patchbench.report.figures.style as s; print(s.mpl.rcParams['text.usetex'])"
    env = {**environment(), "MATPLOTLIBRC": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (said.stdout.strip(), said.returncode) == ("False", 0)


def test_without_a_home_and_a_folder_of_temporary_files_a_plan_is_made() -> None:
    env = {k: v for k, v in environment().items() if k not in ("HOME", "TMPDIR")}
    code = "from patchbench.cli.main import main; main()"
    command = [sys.executable, "-c", code, "plan"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
