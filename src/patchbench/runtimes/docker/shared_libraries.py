"""Shared libraries of an ELF file, as the dynamic loader of its interpreter finds them."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

from patchbench.errors import infra_fault

# ELF, 64 bits, little-endian (elf(5)): identification, where the program headers stand, and those
# of one header.
IDENTIFICATION = b"\x7fELF\x02\x01"
PLACE, SIZE_AND_COUNT = struct.Struct("<32xQ14xHH"), struct.Struct("<IIQQQQ")
PT_INTERP = 3
# "libm.so.6 => /lib/libm.so.6 (0x7f...)", or the path alone if the file names one.
LINE = re.compile(r"\s*(?P<name>/.+?|\S+)(?: => (?P<path>/.+))? \(0x[0-9a-f]+\)")
SECONDS = 60


def loader_of(program: Path) -> Path:
    """Return the dynamic loader that a program names. Raises InfraFault if it names none."""
    with program.open("rb") as file:
        head = file.read(64)
        if head.startswith(IDENTIFICATION):
            place, size, count = PLACE.unpack_from(head)
            for number in range(count):
                file.seek(place + number * size)
                kind, _, offset, _, _, length = SIZE_AND_COUNT.unpack(file.read(40))
                if kind == PT_INTERP:
                    file.seek(offset)
                    return Path(file.read(length).rstrip(b"\0").decode())
    raise infra_fault(
        "infra.base", str(program), "not a dynamically linked 64-bit program",
        step="run the workflow with another Python, or say measure: own",
    )  # fmt: skip


def libraries_of(file: Path, loader: Path) -> dict[str, Path] | None:
    """Return the files that the loader would load for a program or library, by their names, without
    the loader itself; None if one of them can't be found."""
    done = subprocess.run(
        [str(loader), "--list", str(file)], capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode != 0 or "not found" in done.stdout:
        return None
    return libraries_in(done.stdout, loader.name)


def libraries_in(text: str, loader: str) -> dict[str, Path]:
    """Return the files that the loader's list names. What the kernel gives (the vDSO) has none."""
    found = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            continue
        path = match["path"] or match["name"]
        name = Path(match["name"]).name
        if path.startswith("/") and name != loader:
            found[name] = Path(path)
    return found
