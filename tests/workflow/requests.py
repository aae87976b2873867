"""A repository with pull requests whose effect is known: tinyserve's, in which each step of the
engine waits for a while as for an accelerator, so that the effect does not hang on what else the
machine does. A step takes 2 to 3 ms of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = "tinyserve/engine.py"
STEP = """
    def step(self) -> list[Request]:
        \"""Advance every running request, at the pace of the accelerator.\"""
        time.sleep(PAUSE)
        return self._step()

    def _step(self) -> list[Request]:
"""
HEAD = "from collections.abc import Sequence\n"
BARE = "\n    def step(self) -> list[Request]:\n"
PAUSE = 0.015  # seconds
# Throughput changes by about a third in either direction.
HEADS = {"fast": 0.011, "slow": 0.0225}


def make(folder: Path) -> Path:
    """Make the repository; returns its path. Branches ``fast``, ``slow``, ``comment`` and
    ``broken`` begin at ``main``."""
    bare, repo = folder / "tinyserve.git", folder / "tinyserve"
    script = ROOT / "examples/tinyserve/make_repo.py"
    subprocess.run([sys.executable, script, "--out", bare], check=True, capture_output=True)
    git(folder, "clone", "--quiet", str(bare), str(repo))
    git(repo, "checkout", "--quiet", "-B", "main")
    text = (repo / ENGINE).read_text(encoding="utf-8")
    assert text.count(BARE) == text.count(HEAD) == 1
    main = text.replace(HEAD, f"import time\n{HEAD}").replace(BARE, STEP)
    main = main.replace("PREFILL_CHUNK = 16\n", f"PREFILL_CHUNK = 16\nPAUSE = {PAUSE}\n")
    commit(repo, "main", main)
    texts = {
        name: main.replace(f"PAUSE = {PAUSE}", f"PAUSE = {pause}") for name, pause in HEADS.items()
    }
    texts["comment"] = main.replace("PAUSE = ", "# Seconds.\nPAUSE = ")
    texts["broken"] = main.replace("time.sleep(PAUSE)", "raise RuntimeError('no step today')")
    for name, changed in texts.items():
        assert changed != main
        git(repo, "checkout", "--quiet", "-b", name, "main")
        commit(repo, name, changed)
    return repo


def commit(repo: Path, message: str, engine: str) -> None:
    """Commit another text of the engine's module."""
    (repo / ENGINE).write_text(engine, encoding="utf-8")
    git(repo, "commit", "--quiet", "--all", "--message", message)


def git(folder: Path, *words: str) -> None:
    """Run git as a person without any settings."""
    person = ["-c", "user.name=A", "-c", "user.email=a@localhost.example"]
    subprocess.run(["git", *person, *words], cwd=folder, check=True, capture_output=True)
