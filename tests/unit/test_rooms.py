"""The order of the package's rooms: few modules at the top, no circle, few floors.

`lint-imports` (in `make check`) holds the order itself; docs/development.md explains it.
"""

from __future__ import annotations

import functools
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import patchbench
from tests.unit.conftest import ROOT

PACKAGE = Path(patchbench.__file__).parent
Graph = dict[str, set[str]]

MAX_TOP_MODULES = 6
MAX_FLOORS = 10


@functools.cache
def modules() -> Graph:
    """Every module with the modules that it imports, also lazily or for types alone."""
    graph = grimp.build_graph("patchbench", cache_dir=None)
    return {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}


def rooms() -> Graph:
    """Every room, or module at the top, with those that it imports."""
    out: Graph = {}
    for name, imported in modules().items():
        here = room(name)
        out.setdefault(here, set()).update({room(other) for other in imported} - {here})
    return out


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def floors(graph: Graph) -> list[str]:
    """The longest chain of imports, top first."""
    below: dict[str, list[str]] = {}
    for name in TopologicalSorter(graph).static_order():
        chains = (below[other] for other in graph[name])
        below[name] = [name, *max(chains, key=len, default=[])]
    return max(below.values(), key=len)


def test_few_modules_stand_beside_the_packages() -> None:
    top = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert len(top) <= MAX_TOP_MODULES, top


def test_every_folder_is_a_package_that_introduces_itself() -> None:
    for folder in (path for path in PACKAGE.iterdir() if path.is_dir()):
        if folder.name != "__pycache__":
            assert (folder / "__init__.py").read_text().startswith('"""'), folder.name


@pytest.mark.parametrize("graph", [modules, rooms], ids=["modules", "rooms"])
def test_imports_form_no_circle(graph: functools.partial[Graph]) -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_the_house_has_few_floors() -> None:
    chain = floors(rooms())
    assert len(chain) <= MAX_FLOORS, " -> ".join(chain)


def test_the_tour_for_developers_names_every_room() -> None:
    tour = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    missing = {name for name in rooms() if f"`{name}" not in tour} - {"patchbench"}
    assert not missing


def test_the_tour_for_developers_names_only_what_exists() -> None:
    tour = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    missing = []
    for name in re.findall(r"`([a-z_]+[./][a-zA-Z_./]*)`", tour):
        place = name if "/" in name or name.endswith((".py", ".toml")) else name.replace(".", "/")
        place = place.replace("NAME.yaml", "vllm.yaml")
        folders = (ROOT, PACKAGE)
        if not any((base / f"{place}{end}").exists() for base in folders for end in ("", ".py")):
            missing.append(name)
    assert not missing
