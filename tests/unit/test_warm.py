"""The warm interpreter: a script started through it behaves as one that Python starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from patchbench.system.processes import identity
from patchbench.warm import VARIABLE, Warm

TOLD = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["ASKED"], sys.stdin.read(), __name__)
print("a warning", file=sys.stderr)
"""
WAITS = """
import os, signal, sys, time
def told(number, _):
    print("told", number, flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, told)
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def warm() -> Iterator[str]:
    """The client of a warm interpreter."""
    given = Warm("process")
    yield os.environ[VARIABLE]
    given.end()
    assert VARIABLE not in os.environ


@pytest.fixture
def start(tmp_path: Path, warm: str) -> Callable[..., subprocess.Popen[str]]:
    """Starts a script through the client."""

    def started(text: str, *words: str, **more: str) -> subprocess.Popen[str]:
        script = tmp_path / "script.py"
        script.write_text(text)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", warm, str(script), *words],
            cwd=tmp_path,
            env={**os.environ, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


def test_a_script_sees_its_words_folder_environment_and_files(start, tmp_path: Path) -> None:
    process = start(TOLD, "one", "two words", ASKED="für dich")
    out, err = process.communicate("input", timeout=30)
    assert out == f"['one', 'two words'] {tmp_path} für dich input __main__\n"
    assert err == "a warning\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("raise SystemExit(75)", 75, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('a sentence')", 1, "a sentence\n"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os; os._exit(3)", 75, "infra.killed"),
        ("import os; os.kill(os.getpid(), 9)", 75, "infra.killed"),
    ],
)
def test_it_ends_as_its_script_does(start, text: str, code: int, said: str) -> None:
    process = start(text)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert said in err


def test_one_script_leaves_nothing_behind_for_the_next(start) -> None:
    start("import os, sys; os.environ['LEFT'] = '1'; sys.modules['json'].left = 1").wait(30)
    process = start("import os, json; print('LEFT' in os.environ, hasattr(json, 'left'))")
    assert process.communicate(timeout=30)[0] == "False False\n"


def test_modules_are_there_already(start) -> None:
    text = "import sys; print('patchbench.patches.validate' in sys.modules)"
    assert start(text).communicate(timeout=30)[0] == "True\n"


def test_a_signal_reaches_the_script(start) -> None:
    process = start(WAITS)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == f"told {int(signal.SIGTERM)}\n"
    assert process.returncode == 130


def test_a_script_ends_with_its_client(start) -> None:
    process = start(WAITS)
    worker = identity(int(process.stdout.readline()))
    process.kill()
    process.wait()
    _until_gone(worker)


def test_a_script_notices_that_the_run_is_over(tmp_path: Path) -> None:
    """As ``processes.Guard`` does: by its parent."""
    warm = Warm("process")
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\nparent = os.getppid()\nprint(parent, flush=True)\n"
        "while os.getppid() == parent: time.sleep(0.02)\nprint('over', flush=True)"
    )
    client = os.environ[VARIABLE]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", client, script], stdout=subprocess.PIPE, text=True
    )
    assert warm.process is not None
    assert int(process.stdout.readline()) == warm.process.pid
    warm.end()
    assert process.communicate(timeout=30)[0] == "over\n"
    assert not Path(client).parent.exists()


def test_without_a_warm_interpreter_python_starts_the_script(start, tmp_path: Path, warm) -> None:
    alone = tmp_path / "client.py"
    alone.write_bytes(Path(warm).read_bytes())
    script = tmp_path / "script.py"
    script.write_text("import sys, msgspec; print(sys.argv[1:], sys.flags.isolated)")
    done = subprocess.run(
        [sys.executable, "-I", "-S", alone, script, "word"], capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("['word'] 0\n", 0)


def test_it_ends_when_its_starter_is_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    short = tmp_path_factory.mktemp("w")
    text = "import os, time\nfrom patchbench.warm import Warm\nprint(Warm('process').process.pid,"
    starter = subprocess.Popen(
        [sys.executable, "-c", f"{text} flush=True)\ntime.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(short)},
    )
    server = identity(int(starter.stdout.readline()))
    starter.kill()
    starter.wait()
    _until_gone(server)


def test_a_folder_with_too_long_a_name_has_none(tmp_path: Path, monkeypatch) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    monkeypatch.delenv(VARIABLE, raising=False)
    warm = Warm("process")
    assert warm.process is None
    assert VARIABLE not in os.environ
    warm.end()


def _until_gone(process: str | None) -> None:
    """Wait until a process (see processes.identity) is gone."""
    assert process is not None
    deadline = time.monotonic() + 30
    pid = int(process.partition(":")[0])
    while identity(pid) == process:
        assert time.monotonic() < deadline, psutil.Process(pid).cmdline()
        time.sleep(0.02)
