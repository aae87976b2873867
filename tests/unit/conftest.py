"""What the unit tests share: hypothesis without luck, real git, a small history, real samples."""

from __future__ import annotations

import json
import os
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from patchbench.cli import main
from patchbench.system.processes import Guard
from tests.unit.history import History

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

# The same examples in every run: a red test is red for everybody.
settings.register_profile(
    "unit",
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("unit")


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """Reads a real sample by its name under shared/data; skips where the samples are not."""

    def path(name: str) -> Path:
        found = DATA / name
        if not found.is_file():
            pytest.skip(f"no real sample {name} on this machine")
        return found

    return path


Parse = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def parse(capsys: pytest.CaptureFixture[str]) -> Parse:
    """Runs `patchbench parse`; returns its exit code, what it printed as JSON, and its errors."""

    def run(*words: object) -> tuple[int, Any, str]:
        code = 0
        try:
            main.main(["parse", *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return run


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that ends with exit code 2 and nothing but one line on stderr: the line."""

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main.main(words)
        said = capsys.readouterr()
        assert (end.value.code, said.out, said.err.count("\n")) == (2, "", 1)
        return said.err

    return run


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A git repository of a small engine: an older commit, the parent, the human's commit."""
    return History.make(tmp_path_factory.mktemp("history"))


@pytest.fixture
def guard() -> Iterator[Guard]:
    """A guard, and afterwards the signal handlers that were there before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield Guard()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GPU slots of this test's own, whatever else runs on the machine."""
    folder = tmp_path / "locks"
    monkeypatch.setenv("PATCHBENCH_LOCKS", str(folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return folder


def soon(condition: Callable[[], object], seconds: float = 10) -> bool:
    """Return True as soon as the condition holds, False if it does not in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def peak(function: Callable[[], object]) -> int:
    """Return how many bytes Python held at most while a function ran."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def environment() -> dict[str, str]:
    """The environment of a helper process: this package can be imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}
