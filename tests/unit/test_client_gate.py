"""Clients that are started early and held: their imports are done, their work is not begun."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from patchbench.benchmark.client_gate import PROGRAM, Gate, gated_command
from patchbench.errors import BadInput
from patchbench.plan import subjects
from patchbench.system.processes import wait_until
from tests.unit import make


class Patient:
    """A guard that nobody asks to stop."""

    def check(self) -> None:
        return


class Started:
    """As much of a child as a gate asks for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @property
    def exit_code(self) -> int | None:
        return self.process.poll()


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.close()


def start(folder: Path, gate: Gate, modules: str, *arguments: str) -> subprocess.Popen[str]:
    (folder / "slow.py").write_text("open('imported', 'w').close()\n")
    (folder / "job.py").write_text(
        "import sys\nif __name__ == '__main__':\n"
        "    print(sys.argv[1:], sys.path[0], 'slow' in sys.modules)\n"
    )
    command = gated_command(
        [sys.executable, "-m", "job", *arguments], modules.split(","), str, gate.path
    )
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


def test_a_held_client_has_imported_and_runs_when_its_gate_opens(
    tmp_path: Path, gate: Gate
) -> None:
    job = start(tmp_path, gate, "slow", "--seed", "0")
    assert wait_until((tmp_path / "imported").exists, 60, Patient())  # type: ignore[arg-type]
    time.sleep(0.1)
    assert job.poll() is None
    gate.open(Started(job), 60, Patient())  # type: ignore[arg-type]
    out, _ = job.communicate(timeout=60)
    assert out.strip() == f"['--seed', '0'] {tmp_path} True"
    assert job.returncode == 0


def test_a_module_that_can_not_be_imported_ahead_is_left_to_the_client(
    tmp_path: Path, gate: Gate
) -> None:
    job = start(tmp_path, gate, "no_such_module,slow")
    gate.open(Started(job), 60, Patient())  # type: ignore[arg-type]
    assert job.communicate(timeout=60)[0].strip() == f"[] {tmp_path} True"


def test_a_client_that_has_ended_is_not_waited_for(tmp_path: Path, gate: Gate) -> None:
    job = start(tmp_path, gate, "slow")
    job.terminate()
    job.wait(60)
    began = time.monotonic()
    gate.open(Started(job), 60, Patient())  # type: ignore[arg-type]
    assert time.monotonic() - began < 50
    job.communicate()


def test_a_gate_waits_no_longer_than_it_may(gate: Gate) -> None:
    job = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"], text=True)
    try:
        gate.open(Started(job), 0.2, Patient())  # type: ignore[arg-type]
        assert job.poll() is None
    finally:
        job.kill()
        job.wait()


def test_a_gated_command_imports_the_modules_and_runs_the_same_module() -> None:
    assert gated_command(["python", "-m", "bench", "-x"], ["a", "b"], str, Path("g")) == [
        "python", str(PROGRAM), "g", "a,b", "bench", "-x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "command"),
    [
        ("serving", ("{python}", "bench.py")),
        ("serving", ("bench",)),
        ("latency", ("{python}", "-m", "bench")),
    ],
)
def test_a_subject_that_can_not_import_ahead_is_refused(
    type_: str, command: tuple[str, ...]
) -> None:
    client = make.subject().clients["serving"]
    held = type(client)(command=command, detect=client.detect, preload=("json",))
    with pytest.raises(BadInput, match=rf"x\.yaml: clients\.{type_}\.preload: only a serving"):
        subjects.check_preloads(make.subject(clients={type_: held}), "x.yaml")
