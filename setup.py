"""Puts the workflow into the wheel, beside the package that it calls (``patchbench/shipped``), so
that ``patchbench run`` works in any folder. Everything else stands in pyproject.toml."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
TARGET = "patchbench/shipped"
# What a campaign reads: the rules, configurations, recipes of images, and the demo.
PATTERNS = (
    "Snakefile",
    "rules/*.smk",
    "profiles/*/profile.yaml",
    "workflow/report/*.rst",
    "envs/**/*",
    "config/*.yaml",
    "config/subjects/*.yaml",
    "examples/tinyserve/tasks.yaml",
    "examples/tinyserve/make_repo.py",
    "examples/tinyserve/history/**/*",
    "examples/tinyserve/agents/**/*",
)


def shipped() -> Iterator[Path]:
    """Yield the files that go into the wheel, relative to the root."""
    for pattern in PATTERNS:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield path.relative_to(ROOT)


class BuildWithWorkflow(build_py):
    """Copies the files of the workflow too. An editable installation uses those of the clone."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self.copies():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def copies(self) -> Iterator[tuple[Path, str]]:
        """Yield each file and its place in the build."""
        for path in shipped():
            yield ROOT / path, str(Path(self.build_lib) / TARGET / path)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, *(to for _, to in self.copies())]


setup(cmdclass={"build_py": BuildWithWorkflow})
