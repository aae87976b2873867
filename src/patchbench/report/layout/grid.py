"""A table of the report, from which markdown and HTML are made: both show the same cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

Value = float | str | None
# The mark of figures that a commit's own benchmark gave.
SELF_MEASURED = "self-measured"


class Cell(NamedTuple):
    """One cell: ``text``, then ``code`` as code, then ``tail``. ``href`` is the link of the tail,
    or of the text if there is no tail; ``line`` is the line of that file. ``sort`` is the key for
    sorting, if it is not the text. ``links`` stand at the end, each with its words. ``heat`` shades
    the cell, 0 (not at all) to 4."""

    text: str = ""
    code: str = ""
    tail: str = ""
    href: str = ""
    sort: Value = None
    strong: bool = False
    links: tuple[tuple[str, str], ...] = ()
    line: int | None = None
    heat: int = 0

    @property
    def plain(self) -> str:
        """All words of the cell."""
        words = (self.text, self.code, self.tail, *(word for word, _ in self.links))
        return " ".join(filter(None, words))


class Column(NamedTuple):
    """One column. ``choose`` is True if its few different values can filter the rows."""

    title: str
    align: Literal["left", "right"] = "left"
    choose: bool = False


class Grid(NamedTuple):
    """A table with its name (its anchor on the page) and title. ``foot`` are sums. The first
    ``keys`` columns name a row; ``facts`` is True for names and values, whose order is fixed."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    foot: tuple[Cell, ...] = ()
    keys: int = 1
    facts: bool = False


def columns(
    *titles: str, right: Sequence[str] = (), choose: Sequence[str] = ()
) -> tuple[Column, ...]:
    """Return columns by their titles."""
    return tuple(
        Column(title, "right" if title in right else "left", title in choose) for title in titles
    )


def count(value: int | None) -> Cell:
    """Return a whole number; a dash if it is unknown."""
    return Cell("–" if value is None else f"{value:,}", sort=-1 if value is None else value)


def commit(name: str, title: str = "", most: int = 60) -> Cell:
    """Return a commit by its first eight characters, with its title."""
    short = name[:8] if is_hash(name) else name
    words = title if len(title) <= most else title[: most - 1].rstrip() + "…"
    return Cell(f"{short} {words}".strip(), sort=name)


def is_hash(name: str) -> bool:
    """Return True if a commit's name is a hash, so that eight characters are enough."""
    return len(name) >= 8 and not set(name) - set("0123456789abcdef")


def anchor(*parts: str) -> str:
    """Return a name for a place on the page."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(parts))


def place(file: str, line: int | None) -> str:
    """Return the place of evidence as file:line."""
    return f"{file}:{line}" if file and line else file


def url(path: str) -> str:
    """Return a path inside the results folder as a relative link."""
    return quote(path, safe="/").replace("~", "%7E")
