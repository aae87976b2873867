"""A repository with pull requests whose effect is known: tinyserve's, with branches that make each
step of its engine cost more by a share of its own time, nothing, or that break it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = "tinyserve/engine.py"
# The step's own processor time is spent again, in this share of it: a pause would not use the core
# that other requests wait for.
SLOWED = '''
    def step(self) -> list[Request]:
        """Advance every running request, and spend more time on it."""
        import time

        begin = time.thread_time()
        done = self._step()
        end = time.thread_time()
        while time.thread_time() < end + SHARE * (end - begin):
            pass
        return done

    def _step(self) -> list[Request]:
'''
STEP = "\n    def step(self) -> list[Request]:\n"
SHARES = {"slow": 0.5}


def make(folder: Path) -> Path:
    """Make the repository; returns its path. Branch ``main`` is the engine as it is; ``slow``,
    ``comment`` and ``broken`` change it."""
    bare, repo = folder / "tinyserve.git", folder / "tinyserve"
    script = ROOT / "examples/tinyserve/make_repo.py"
    subprocess.run([sys.executable, script, "--out", bare], check=True, capture_output=True)
    git(folder, "clone", "--quiet", str(bare), str(repo))
    git(repo, "checkout", "--quiet", "-B", "main")
    text = (repo / ENGINE).read_text(encoding="utf-8")
    assert text.count(STEP) == 1
    texts = {
        name: text.replace(STEP, SLOWED.replace("SHARE", str(s))) for name, s in SHARES.items()
    }
    texts["comment"] = text.replace(STEP, f"\n    # One step advances all of them.{STEP}")
    texts["broken"] = text.replace(STEP, f"{STEP}        raise RuntimeError('no step today')\n")
    for name, changed in texts.items():
        git(repo, "checkout", "--quiet", "-b", name, "main")
        (repo / ENGINE).write_text(changed, encoding="utf-8")
        git(repo, "commit", "--quiet", "--all", "--message", name)
    # A request that takes the slow code out again.
    git(repo, "checkout", "--quiet", "-b", "fast", "slow")
    git(repo, "revert", "--no-edit", "slow")
    return repo


def git(folder: Path, *words: str) -> None:
    """Run git as a person without any settings."""
    person = ["-c", "user.name=A", "-c", "user.email=a@localhost.example"]
    subprocess.run(["git", *person, *words], cwd=folder, check=True, capture_output=True)
