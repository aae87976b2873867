#!/usr/bin/env python3
"""Blank the machine code of other GPUs in CUDA libraries, so that they pack small.

    python keep_arch.py ARCH [--no-ptx] LIBRARY...

ARCH is a compute capability without its dot (90: Hopper). Portable code (PTX), which the driver can
compile, is kept where there is no machine code for ARCH, unless --no-ptx drops it. Nothing moves:
blanked code stays in place as zeros, so a library loads as before, and a kernel that has none left
is missed only at its launch.

A CUDA library holds fat binaries: a header of 16 bytes (magic number, version, header size, size
of what follows) and then entries, each with its own header: the kind of code (2 bytes at 0), the
header's size (4 at 4), the code's size (8 at 8), the architecture (4 at 28).
"""

import argparse
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = struct.pack("<I", 0xBA55ED50)
HEADER = struct.Struct("<IHHQ")
VERSION = 1
PTX, MACHINE_CODE = 1, 2
# Fields of an entry, and how much of one must be there to read them.
ENTRY = struct.Struct("<H2xIQ12xI")


class Code(NamedTuple):
    """One piece of code in a library: its kind, architecture and place."""

    kind: int
    arch: int
    start: int
    size: int


def fat_binaries(data: bytes | bytearray) -> Iterator[list[Code]]:
    """The code of each fat binary. What only looks like a header is passed over."""
    at = data.find(MAGIC)
    while at >= 0:
        end = at + 4
        if at + HEADER.size <= len(data):
            _, version, header, size = HEADER.unpack_from(data, at)
            if version == VERSION and header == HEADER.size and at + header + size <= len(data):
                end = at + header + size
                yield list(_entries(data, at + header, end))
        at = data.find(MAGIC, end)


def _entries(data: bytes | bytearray, at: int, end: int) -> Iterator[Code]:
    while at + ENTRY.size <= end:
        kind, header, size, arch = ENTRY.unpack_from(data, at)
        if header < ENTRY.size or at + header + size > end:
            return
        yield Code(kind, arch, at + header, size)
        at += header + size


def dropped(codes: list[Code], arch: int, keep_ptx: bool) -> list[Code]:
    """Return the parts of a fat binary that a GPU of this architecture does not need."""
    own = [code for code in codes if code.kind == MACHINE_CODE and code.arch == arch]
    portable = [code for code in codes if code.kind == PTX and keep_ptx and not own]
    return [code for code in codes if code not in own and code not in portable]


def blank(data: bytearray, arch: int, keep_ptx: bool) -> int:
    """Blank what an architecture does not need; how many bytes that were."""
    gone = 0
    for codes in list(fat_binaries(data)):
        for code in dropped(codes, arch, keep_ptx):
            data[code.start : code.start + code.size] = bytes(code.size)
            gone += code.size
    return gone


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Blank the machine code of other GPUs.")
    parser.add_argument("arch", type=int, help="compute capability without its dot, such as 90")
    parser.add_argument("--no-ptx", action="store_true", help="keep no portable code at all")
    parser.add_argument("library", type=Path, nargs="+")
    arguments = parser.parse_args()
    for path in arguments.library:
        data = bytearray(path.read_bytes())
        gone = blank(data, arguments.arch, not arguments.no_ptx)
        path.write_bytes(data)
        print(f"keep_arch: {path.name}: {gone / 1e6:.1f} of {len(data) / 1e6:.1f} MB blanked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
