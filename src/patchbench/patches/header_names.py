"""File names in the headers of diffs, as git writes and reads them."""

from __future__ import annotations

import re

ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
OCTAL = re.compile(r"[0-3][0-7]{2}")
NOWHERE = "/dev/null"


def stripped(name: str) -> str:
    """Return a header's name without its first folder, as git and ``patch -p1`` read it."""
    return name.partition("/")[2] if "/" in name else name


def unquoted(raw: str) -> str:
    """Return a header's file name without the tab and date behind it and without C-quotes."""
    raw = raw.rstrip("\r")
    if not raw.startswith('"'):
        return raw.split("\t")[0]
    out, i = bytearray(), 1
    while i < len(raw) and raw[i] != '"':
        if raw[i] != "\\" or i + 1 >= len(raw):
            out += raw[i].encode("utf-8", "surrogateescape")
            i += 1
        elif octal := OCTAL.match(raw, i + 1):
            out.append(int(octal[0], 8))
            i += 4
        else:
            out.append(ESCAPES.get(raw[i + 1], ord("?")))
            i += 2
    return out.decode("utf-8", "surrogateescape")


def quoted(name: str) -> str:
    """Return a file name as git writes it in a header, in C-quotes if needed."""
    if name.isprintable() and name.isascii() and not set(name) & {'"', "\\"}:
        return name
    data = name.encode("utf-8", "surrogateescape")
    return (
        '"'
        + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in data)
        + '"'
    )


def git_line_names(rest: str) -> tuple[str, str]:
    """Return both names of a ``diff --git`` line in a section without other names: both are the
    same file, so the line is split in its middle."""
    rest = rest.rstrip("\r")
    if rest.startswith('"'):
        cut = rest.find('" ') + 1
        return unquoted(rest[:cut]), unquoted(rest[cut + 1 :])
    half = len(rest) // 2
    if len(rest) % 2 and rest[half] == " ":
        return rest[:half], rest[half + 1 :]
    old, _, new = rest.partition(" ")
    return old, new or old
