"""Dependencies in pyproject.toml: what the package imports, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.unit.conftest import ROOT

OURS = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
# Started as a program.
PROGRAMS = {"snakemake"}


def imported() -> set[str]:
    """Distributions that the package imports, lazily or not."""
    names: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).partition(".")[0])
    distributions = packages_distributions()
    others = names - OURS - set(sys.stdlib_module_names)
    return {normal(distributions.get(name, [name])[0]) for name in others}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[<>=!~\[; ]", text)[0]) for text in requirements}


def test_every_import_is_a_dependency_and_every_dependency_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed, hub = names(project["dependencies"]), names(project["optional-dependencies"]["hub"])
    assert imported() - needed - hub == set()
    assert needed - imported() - PROGRAMS == set()


# What an image with PyTorch, pandas, scipy and matplotlib brings along (benchmarks/gpu/run.sh).
ON_GPU_MACHINES = {
    *("jinja2", "markupsafe", "matplotlib", "numpy", "pandas", "psutil", "pyarrow", "pyyaml"),
    *("requests", "scipy", "urllib3"),
}


def test_the_bundle_for_gpu_machines_carries_every_other_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "benchmarks/gpu/workflow-packages.txt").read_text().splitlines()
    carried = {line for line in lines if not line.startswith("#")}
    assert names(project["dependencies"]) - ON_GPU_MACHINES - carried == set()


def test_every_extra_that_is_named_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("src/patchbench/**/*.py")]
    named = re.compile(r"(?:patchbench|install \.)\[(\w+)\]")
    extras = {extra for page in pages for extra in named.findall(page.read_text("utf-8"))}
    assert extras and extras <= set(project["optional-dependencies"])
