"""Applying a patch to the exact parent: as it is, else by one of a few recorded ways, else no.

Never a part of a patch: each way takes the whole patch or nothing.
"""

from __future__ import annotations

import re

from patchbench.patches.diff_reader import Diff
from patchbench.patches.git import GitError, ScratchIndex
from patchbench.patches.header_names import stripped
from patchbench.patches.normalise import crlf_to_lf
from patchbench.patches.refusal import Refused

# In this order. -C1 is what patch(1) calls fuzz 2: of three lines of context one has to match;
# unlike patch(1), git changes nothing but the index and refuses paths out of the tree.
FALLBACKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("applied by 3-way merge", ("--3way",)),
    ("applied by ignoring white space", ("--ignore-whitespace",)),
    ("applied by fuzz 2", ("-C1",)),
)
# What git says when no other way of applying can help, and the cause that it means.
HOPELESS = (
    ("invalid path", "patch.outside_tree"),
    ("does not match old mode", "patch.outside_tree"),  # a file made a link, or the other way
    ("is beyond a symbolic link", "patch.outside_tree"),
    ("corrupt patch", "patch.malformed"),
    ("corrupt binary patch", "patch.malformed"),
    ("unrecognized input", "patch.malformed"),
    ("No valid patches in input", "patch.malformed"),
    ("garbage", "patch.malformed"),
    ("lacks filename information", "patch.malformed"),
    ("inconsistent", "patch.malformed"),
    ("invalid mode", "patch.malformed"),
    ("without header", "patch.malformed"),
)
AT_LINE = re.compile(r"\bline (\d+)\b")
AT_HUNK = re.compile(r"patch failed: (.*):(\d+)$")


def apply(index: ScratchIndex, text: str, diff: Diff, *, fallbacks: bool) -> list[str]:
    """Apply the patch as a whole to the exact parent. Returns what had to be done for that;
    raises Refused that says why it does not apply."""
    mended, crlf = crlf_to_lf(text)
    variants = [(text, list[str]())] + ([(mended, crlf)] if crlf else [])
    ways: list[tuple[list[str], tuple[str, ...]]] = [([], ())]
    if fallbacks:
        ways += [([name], options) for name, options in FALLBACKS]
    reason = ""
    for taken, options in ways:
        for variant, steps in variants:
            try:
                index.apply(variant, *options)
                return steps + taken
            except GitError as error:
                reason = reason or _first_error(str(error))
                if "--3way" in options:
                    index.reset()
        if _hopeless(diff, reason):
            break
    raise _refusal(index, diff, reason)


def _first_error(said: str) -> str:
    lines = [line for line in said.splitlines() if not line.startswith(("warning:", "Checking"))]
    return lines[0] if lines else said


def _hopeless(diff: Diff, reason: str) -> str | None:
    """The cause that git's words mean, if they do; names of files are no words of git's."""
    for section in diff.sections:
        reason = reason.replace(section.path, "") if section.path else reason
    return next((cause for words, cause in HOPELESS if words in reason), None)


def _refusal(index: ScratchIndex, diff: Diff, reason: str) -> Refused:
    line = _line(diff, reason)
    if cause := _hopeless(diff, reason):
        return Refused(cause, reason, line)
    blobs = {
        stripped(s.old): s.blobs[0]
        for s in diff.sections
        if s.old is not None and s.blobs is not None and s.blobs[0].strip("0")
    }
    foreign = index.foreign(blobs.values())
    if foreign:
        return Refused(
            "patch.other_base",
            f"{reason}; {len(foreign)} of {len(blobs)} files were not as in parent "
            f"{index.parent[:8]} (first: blob {foreign[0]})",
            line,
        )
    return Refused("patch.rejected", f"{reason} (parent {index.parent[:8]})", line)


def _line(diff: Diff, reason: str) -> int | None:
    """The line of the diff that git's message is about."""
    if found := AT_LINE.search(reason):
        return int(found[1])
    if found := AT_HUNK.search(reason):
        for section in diff.sections:
            if section.path == found[1]:
                starts = [h.line for h in section.hunks if h.old_start == int(found[2])]
                return starts[0] if starts else section.line
    for section in diff.sections:
        if section.path and section.path in reason:
            return section.line
    return None
