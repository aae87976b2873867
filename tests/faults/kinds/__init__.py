"""All kinds of faults, by family."""

from __future__ import annotations

from tests.faults.kind import Kind
from tests.faults.kinds import (
    config,
    disks,
    engine,
    environment,
    files,
    hostile,
    machine,
    servers,
    signals,
    slots,
)

FAMILIES: dict[str, tuple[Kind, ...]] = {
    "Signals": signals.KINDS,
    "Engine": engine.KINDS,
    "Disks": disks.KINDS,
    "Files": files.KINDS,
    "Machine": machine.KINDS,
    "Servers": servers.KINDS,
    "People": config.KINDS,
    "Slots and other runs": slots.KINDS,
    "Others' files, repositories and lines": hostile.KINDS,
    "Environment": environment.KINDS,
}


def find(name: str) -> Kind:
    """Return a kind by its name. Exits with the known names if there is none."""
    named = {kind.name: kind for kinds in FAMILIES.values() for kind in kinds}
    if name not in named:
        raise SystemExit(f"faults: no kind {name!r}; there are {', '.join(named)}")
    return named[name]
