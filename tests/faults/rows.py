"""The results of cases: one JSON line each, and the table that a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from tests.faults.kind import Kind

HEAD = (
    "| fault | what is done | in | times | finished | repeated runs | lost results "
    "| wrong blame | leftovers | cause not named |"
)

# Where the table stands on its page.
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One case. Lists hold what should not be there; ``named`` is None where the run had nothing
    to say."""

    fault: str
    seed: int
    runtime: str
    moment: str
    at: str
    version: str
    finished: bool
    repeated: list[str] = []
    lost: list[str] = []
    blame: list[str] = []
    leftovers: list[str] = []
    named: bool | None = None
    seconds: float = 0.0
    note: str = ""

    @property
    def good(self) -> bool:
        """Return True if nothing is wrong."""
        wrong = (*self.repeated, *self.lost, *self.blame, *self.leftovers)
        return self.finished and not wrong and self.named is not False

    def says(self) -> str:
        """Return one line for the terminal."""
        if self.good:
            return f"ok, {self.seconds:.0f} s{f' ({self.note})' if self.note else ''}"
        named = [] if self.named is not False else ["the cause was not named"]
        wrong = [
            *([] if self.finished else ["did not finish"]),
            *named,
            *(f"repeated {x}" for x in self.repeated),
            *(f"lost {x}" for x in self.lost),
            *(f"wrong blame {x}" for x in self.blame),
            *(f"left {x}" for x in self.leftovers),
        ]
        return f"WRONG, {self.seconds:.0f} s: {'; '.join(wrong[:8])} {self.note}"


def read(path: Path) -> list[Row]:
    """Return all recorded rows, the oldest first."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [msgspec.json.decode(line, type=Row) for line in lines]


def add(path: Path, row: Row) -> None:
    """Record a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as out:
        out.write(msgspec.json.encode(row) + b"\n")


def latest(rows: Iterable[Row]) -> dict[tuple[str, int], Row]:
    """Return the last row of each case."""
    return {(row.fault, row.seed): row for row in rows}


def table(rows: Iterable[Row], families: Mapping[str, Iterable[Kind]], machine: str) -> str:
    """Return the table in markdown: a line per kind, with sums over its moments. ``machine`` names
    the versions of what it ran on."""
    by_name: dict[str, list[Row]] = {}
    for row in latest(rows).values():
        by_name.setdefault(row.fault, []).append(row)
    out: list[str] = []
    for family, kinds in families.items():
        lines = [_line(kind, by_name[kind.name]) for kind in kinds if kind.name in by_name]
        if lines:
            out += [f"### {family}", "", HEAD, "|" + "---|" * 10, *lines, ""]
    counted = [row for group in by_name.values() for row in group]
    days = sorted({row.at[:10] for row in counted})
    newest = max((row for row in counted), key=lambda row: row.at, default=None)
    out.append(
        f"{len(by_name)} kinds of faults, {len(counted)} cases, of which "
        f"{sum(row.good for row in counted)} without anything wrong. Made on {' and '.join(days)}, "
        f"the last with patchbench {newest.version if newest else '?'}; {machine}."
    )
    return "\n".join(out) + "\n"


def _line(kind: Kind, rows: list[Row]) -> str:
    sums = [
        len(rows),
        sum(row.finished for row in rows),
        *(sum(len(getattr(row, n)) for row in rows) for n in ("repeated", "lost", "blame")),
        sum(len(row.leftovers) for row in rows),
        "–" if kind.says is None else sum(row.named is False for row in rows),
    ]
    return f"| {kind.name} | {kind.what} | {kind.runtime} | {' | '.join(map(str, sums))} |"


def publish(page: Path, text: str) -> None:
    """Put the table between its marks on a page. Raises ValueError if the page has none."""
    whole = page.read_text()
    new, count = re.subn(
        rf"{BEGIN}\n.*?{END}", lambda _: f"{BEGIN}\n{text}{END}", whole, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{page}: no place for the table between {BEGIN} and {END}")
    page.write_text(new)
