"""A reader of diffs with line numbers: sections, hunks and their counts.

git decides what a patch does. This reader finds lines that git would drop silently (those beyond a
hunk's count), and gives each refusal a line number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from patchbench.patches.header_names import NOWHERE, git_line_names, stripped, unquoted

HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
INDEX = re.compile(r"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: (\d{6}))?")
MODES = ("old mode ", "new mode ", "new file mode ", "deleted file mode ")
RENAMES = ("rename from ", "rename to ", "copy from ", "copy to ")
WRONG_COUNTS = "the hunk's lines are not as many as its header says"


class Hunk(NamedTuple):
    """One hunk: line of its header (1-based), start in the old file, changed lines."""

    line: int
    old_start: int
    added: tuple[str, ...]
    removed: int


class Problem(NamedTuple):
    """Reason and line of an unreadable diff."""

    text: str
    line: int


@dataclass
class Section:
    """Part of a diff about one file. Names include their prefixes."""

    start: int
    stop: int = 0
    git: str | None = None
    old: str | None = None
    new: str | None = None
    names_at: int = 0
    renames: dict[str, tuple[str, int]] = field(default_factory=dict)
    modes: dict[str, tuple[str, int]] = field(default_factory=dict)
    blobs: tuple[str, str] | None = None
    binary: int = 0
    hunks: list[Hunk] = field(default_factory=list)

    @property
    def line(self) -> int:
        """Line of the section's header, 1-based."""
        return self.start + 1

    @property
    def only_modes(self) -> bool:
        """True if only the mode of an existing file changes."""
        changes_mode = {"old mode", "new mode"} <= set(self.modes)
        return changes_mode and not (self.hunks or self.binary or self.renames)

    @property
    def path(self) -> str:
        """Path of the file, without git's prefix."""
        renamed = self.renames.get("rename to") or self.renames.get("copy to")
        if renamed:
            return renamed[0]
        if self.new is not None and self.new != NOWHERE:
            return stripped(self.new)
        if self.old is not None and self.old != NOWHERE:
            return stripped(self.old)
        return stripped(git_line_names(self.git or "")[1])


class Diff(NamedTuple):
    """A parsed diff; ``lines`` have no line feeds, ``problem`` is the first one."""

    lines: list[str]
    sections: list[Section]
    problem: Problem | None

    def text(self) -> str:
        """Return the lines as one text."""
        return "".join(f"{line}\n" for line in self.lines)


def scan(text: str) -> Diff:
    """Parse a diff."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return _Reader(lines).read()


class _Reader:
    """The state of reading one diff."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.sections = lines, list[Section]()
        self.problem: Problem | None = None

    def wrong(self, text: str, index: int) -> None:
        """Note the first problem."""
        self.problem = self.problem or Problem(text, index + 1)

    def read(self) -> Diff:
        i, lines = 0, self.lines
        while i < len(lines):
            line, section = lines[i], self.sections[-1] if self.sections else None
            named = line.startswith("--- ") and lines[i + 1 : i + 2] and lines[i + 1][:4] == "+++ "
            if line.startswith("diff --git "):
                self.sections.append(Section(i, stop=i + 1, git=line[11:]))
            elif named:
                if section is None or section.old is not None or section.binary:
                    section = Section(i)
                    self.sections.append(section)
                section.old, section.new = unquoted(line[4:]), unquoted(lines[i + 1][4:])
                section.names_at = i
                i += 1
                section.stop = i + 1
            elif section is not None and not section.binary and line.startswith("@@"):
                i = self.hunk(section, i)
                continue
            elif section is not None and not section.hunks:
                self.header(section, line, i)
            elif section is not None and line.startswith("+") and not line.startswith("+++ "):
                self.wrong("an added line that belongs to no hunk", i)
            i += 1
        return Diff(lines, self.sections, self.problem)

    def header(self, section: Section, line: str, i: int) -> None:
        """Read a line between a section's first line and its hunks."""
        line = line.rstrip("\r")
        section.stop = i + 1 if line else section.stop
        if line.startswith(MODES):
            word, _, mode = line.rpartition(" ")
            section.modes[word] = (mode, i + 1)
        elif line.startswith(RENAMES):
            kind = next(kind for kind in RENAMES if line.startswith(kind))
            section.renames[kind.strip()] = (unquoted(line[len(kind) :]), i + 1)
        elif match := INDEX.match(line):
            section.blobs = (match[1], match[2])
            if match[3]:
                section.modes["index"] = (match[3], i + 1)
        elif line == "GIT binary patch" or line.startswith("Binary files "):
            section.binary = section.binary or i + 1

    def hunk(self, section: Section, start: int) -> int:
        """Read the hunk at a line; return the index of the first line behind it."""
        lines, match = self.lines, HUNK.match(self.lines[start])
        if match is None:
            # git would take it for prose and drop its lines silently.
            self.wrong(f"unreadable hunk header: {lines[start][:80]}", start)
            return start + 1
        if section.old is None:
            self.wrong("a hunk without the --- and +++ lines of its file", start)
        old, new = (int(match[n]) if match[n] is not None else 1 for n in (2, 4))
        added, removed, i = [], 0, start + 1
        while (old > 0 or new > 0) and i < len(lines):
            kind = lines[i][:1]
            if kind == "+":
                added.append(lines[i][1:])
            elif kind == "-":
                removed += 1
            elif kind not in ("", " ", "\r", "\\"):
                break
            old -= kind not in ("+", "\\")
            new -= kind not in ("-", "\\")
            i += 1
        if old > 0 or new > 0:
            self.wrong(f"{WRONG_COUNTS}: {max(old, 0)} old and {max(new, 0)} new lines miss", start)
        elif old or new:
            self.wrong(f"{WRONG_COUNTS}: there are more lines", start)
        while i < len(lines) and lines[i][:1] == "\\":
            i += 1
        section.hunks.append(Hunk(start + 1, int(match[1]), tuple(added), removed))
        section.stop = i
        self.behind(start, i)
        return i

    def behind(self, start: int, i: int) -> None:
        """Report changed lines behind a hunk: its header counts too few lines, and git drops the
        rest as prose."""
        lines = self.lines
        while i < len(lines) and not lines[i].strip():
            i += 1
        line = lines[i] if i < len(lines) else ""
        header = line.startswith("--- ") and lines[i + 1 : i + 2] and lines[i + 1][:4] == "+++ "
        signature = line.rstrip() in ("--", "---")
        if line[:1] in ("+", "-", " ") and not header and not signature:
            self.wrong(f"{WRONG_COUNTS}: there are more lines", start)
