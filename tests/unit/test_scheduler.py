"""Snakemake's own process: a SIGTERM is always answered, a killed one's folder is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from patchbench.system.files import remove_dead_temporaries
from patchbench.workflow import snakemake_process

# A handler that takes a lock which the main thread holds while the signal comes.
LOCKED = """
import os, signal, sys, threading, time
from patchbench.workflow import snakemake_process
lock, told = threading.Lock(), threading.Event()
def handler(*_):
    with lock:
        told.set()
signal.signal(signal.SIGTERM, handler)
snakemake_process.answer_aside(signal.SIGTERM)
with lock:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
sys.exit(0 if told.wait(5) else 3)
"""


def test_a_handler_that_needs_the_main_threads_lock_is_answered() -> None:
    done = subprocess.run([sys.executable, "-c", LOCKED], timeout=20)
    assert done.returncode == 0


def test_something_can_be_done_before_a_signal_is_answered() -> None:
    program = """
import os, signal, sys, threading
from patchbench.workflow import snakemake_process
told, said = threading.Event(), []
signal.signal(signal.SIGTERM, lambda *_: (said.append("answer"), told.set()))
def first():
    said.append("first")
    raise OSError("a full disk keeps no signal from being answered")
snakemake_process.answer_aside(signal.SIGTERM, first)
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(0 if told.wait(5) and said == ["first", "answer"] else 3)
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, timeout=20, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_without_a_handler_stays_as_it_is() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    snakemake_process.answer_aside(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == before
    assert threading.main_thread() is threading.current_thread()


# A handler as Snakemake's: it passes a broken pipe on. The second word is printed by a child.
PRINTS = """
import logging, subprocess, sys
from patchbench.workflow import snakemake_process
class Strict(logging.StreamHandler):
    def emit(self, record):
        self.stream.write(self.format(record))
        self.flush()
logger = logging.getLogger("test")
logger.addHandler(Strict(sys.stderr))
snakemake_process.outlive_readers(logger)
snakemake_process.outlive_readers(logger)
sys.stdin.readline()
logger.warning("one")
logger.warning("two")
sys.exit(subprocess.run(["sh", "-c", "echo three >&2"]).returncode)
"""


def test_output_that_nobody_reads_any_more_stops_nothing() -> None:
    reader, writer = os.pipe()
    words = [sys.executable, "-c", PRINTS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=writer) as process:
        os.close(writer)
        os.close(reader)
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_log_on_a_full_disk_lacks_lines_and_nobody_sees_a_traceback() -> None:
    program = """
import logging
from patchbench.workflow import snakemake_process
logger = logging.getLogger("test")
logger.addHandler(logging.FileHandler("/dev/full"))
snakemake_process.outlive_readers(logger)
for number in range(3):
    logger.warning("word " * 10_000)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def claim(folder: Path, temporary: Path) -> None:
    """Claim a folder in a process that is killed."""
    code = (
        "import os, sys, pathlib; from patchbench.workflow import snakemake_process;"
        "snakemake_process.claim(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", code, str(folder)], env=env, timeout=20)


def test_a_folder_that_a_dead_process_claimed_is_removed(temporary: Path) -> None:
    folder = temporary / "snakemakeabc"
    (folder / "inner").mkdir(parents=True)
    claim(folder, temporary)
    assert len(list(temporary.iterdir())) == 2
    assert remove_dead_temporaries()
    assert not list(temporary.iterdir())


def test_the_folder_of_a_living_process_stays(temporary: Path) -> None:
    folder = temporary / "snakemakeabc"
    folder.mkdir()
    snakemake_process.claim(folder)
    assert not remove_dead_temporaries()
    assert folder.is_dir()


def test_only_a_temporary_folder_can_be_claimed(temporary: Path, tmp_path_factory) -> None:
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    precious.mkdir()
    claim(precious, temporary)
    assert remove_dead_temporaries()
    assert precious.is_dir()
    assert not list(temporary.iterdir())
