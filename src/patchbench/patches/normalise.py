"""Repair of damage that transport did to a diff, in named steps, before any check.

These steps need only the text; ``paths.fit`` needs the parent's tree.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable

from patchbench.patches.diff_reader import scan

FENCE = re.compile(r"```[a-z]*\r?\n")
HEADER = re.compile(r"^(?:diff --git |--- (?!-))", re.MULTILINE)
# Files that agents' tools leave in the root of a tree, so that `git add -A` adds them to the patch.
OWN_FILES = ("model_patch.diff", "agent_patch.diff", "patch.diff")
ROUNDS = 5
MARK_REMOVED = "byte order mark removed"


def decode(data: bytes) -> tuple[str, list[str]]:
    """Decode a diff and name the steps. Bytes that aren't UTF-8 become surrogates."""
    steps = []
    # Before the test for UTF-16: one mark can stand before the other.
    while data.startswith(codecs.BOM_UTF8):
        data, steps = data.removeprefix(codecs.BOM_UTF8), [MARK_REMOVED]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", "replace")
        # A text with half a character at its end must read the same before and after the repair.
        if HEADER.search(text.replace("\r", "\n")):
            return text, [*steps, "UTF-16 made UTF-8"]
    try:
        return data.decode("utf-8"), steps
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), [
            *steps,
            "bytes that are not UTF-8 kept as they are",
        ]


def crlf_to_lf(text: str) -> tuple[str, list[str]]:
    """Return a diff with LF line ends, and the step if it changed. Only for a diff that does not
    apply otherwise: lines of a file with CRLF ends need them."""
    changed = text.replace("\r\n", "\n")
    return changed, ["CRLF line ends made LF"] if changed != text else []


def _byte_order_mark(text: str) -> str:
    return text.lstrip("\ufeff")


def _carriage_returns(text: str) -> str:
    return text if "\n" in text else text.replace("\r", "\n")


def _fenced(text: str) -> str:
    # Line by line, since one expression over the whole text took minutes for a file of fences.
    parts: list[str] = []
    body: list[str] | None = None
    for line in io.StringIO(text, newline="\n"):
        if body is None:
            body = [] if FENCE.fullmatch(line) else None
        elif line.startswith("```") and not line[3:].strip():
            whole = "".join(body)
            parts += [whole] if HEADER.search(whole) else []
            body = None
        else:
            body.append(line)
    return "".join(parts) or text


def _prose(text: str) -> str:
    header = HEADER.search(text)
    return text[header.start() :] if header else text


def _own_file(text: str) -> str:
    if not any(name in text for name in OWN_FILES):
        return text
    diff = scan(text)
    lines, end = list(diff.lines), len(diff.lines)
    for section in reversed(diff.sections):
        if section.path in OWN_FILES:
            del lines[section.start : end]
        end = section.start
    return text if len(lines) == len(diff.lines) else "".join(f"{line}\n" for line in lines)


def _prose_behind(text: str) -> str:
    diff = scan(text)
    last = diff.sections[-1] if diff.sections else None
    if diff.problem or last is None or last.binary or not last.hunks:
        return text
    if not any(line.strip() for line in diff.lines[last.stop :]):
        return text
    return "".join(f"{line}\n" for line in diff.lines[: last.stop])


def _last_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    (MARK_REMOVED, _byte_order_mark),
    ("CR line ends made LF", _carriage_returns),
    ("taken out of a code fence", _fenced),
    ("text before the diff removed", _prose),
    ("missing last newline added", _last_newline),
    ("the patch file's own copy in the diff removed", _own_file),
    ("text behind the diff removed", _prose_behind),
)


def holds_own_copy_only(data: bytes) -> bool:
    """Return True if a diff changes nothing but the files that hold patches themselves."""
    if not data.strip() or not any(name.encode() in data for name in OWN_FILES):
        return False
    return not normalise(data)[0].strip()


def normalise(data: bytes) -> tuple[str, list[str]]:
    """Return the diff's text and the names of the steps that changed it."""
    text, steps = decode(data)
    names = dict.fromkeys(steps)
    # One step can expose damage that an earlier one repairs, so repeat until nothing changes.
    for _ in range(ROUNDS):
        before = text
        for name, step in STEPS:
            changed = step(text)
            if changed != text:
                names[name] = None
            text = changed
        if text == before:
            break
    return text, list(names)
