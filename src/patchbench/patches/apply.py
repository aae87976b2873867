"""Application of a patch to the exact parent: as it is, else in one of a few recorded ways.

Each way applies the whole patch or nothing.
"""

from __future__ import annotations

import re

from patchbench.patches.diff_reader import Diff
from patchbench.patches.git import GitError, ScratchIndex
from patchbench.patches.header_names import stripped
from patchbench.patches.normalise import crlf_to_lf
from patchbench.patches.refusal import Refusal

# In this order. -C1 is what patch(1) calls fuzz 2: of three lines of context one has to match;
# unlike patch(1), git changes nothing but the index and refuses paths out of the tree.
FALLBACKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("applied by 3-way merge", ("--3way",)),
    ("applied by ignoring white space", ("--ignore-whitespace",)),
    ("applied by fuzz 2", ("-C1",)),
)
# Messages of git after which no other way can help, and the causes that they mean.
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
    """Apply the whole patch to the parent in the index. Returns the names of the steps that were
    needed; raises Refusal if it does not apply."""
    mended, crlf = crlf_to_lf(text)
    variants = [(text, list[str]())] + ([(mended, crlf)] if crlf else [])
    ways: list[tuple[list[str], tuple[str, ...]]] = [([], ())]
    if fallbacks:
        ways += [([name], options) for name, options in FALLBACKS]
    reason = ""
    for way, options in ways:
        for variant, steps in variants:
            try:
                index.apply(variant, *options)
                return steps + way
            except GitError as error:
                reason = reason or _first_error(str(error))
                if "--3way" in options:
                    index.reset()
        if _hopeless(diff, reason):
            break
    raise _refusal(index, diff, reason)


def _first_error(message: str) -> str:
    lines = message.splitlines()
    return next((s for s in lines if not s.startswith(("warning:", "Checking"))), message)


def _hopeless(diff: Diff, reason: str) -> str | None:
    """Return the cause that git's message means, or None. Names of files in it don't count."""
    for section in diff.sections:
        reason = reason.replace(section.path, "") if section.path else reason
    return next((cause for words, cause in HOPELESS if words in reason), None)


def _refusal(index: ScratchIndex, diff: Diff, reason: str) -> Refusal:
    line = _line(diff, reason)
    if cause := _hopeless(diff, reason):
        return Refusal(cause, reason, line)
    blobs = {
        stripped(s.old): s.blobs[0]
        for s in diff.sections
        if s.old is not None and s.blobs is not None and s.blobs[0].strip("0")
    }
    foreign = index.foreign(blobs.values())
    if foreign:
        return Refusal(
            "patch.other_base",
            f"{reason}; {len(foreign)} of {len(blobs)} files were not as in parent "
            f"{index.parent[:8]} (first: blob {foreign[0]})",
            line,
        )
    return Refusal("patch.rejected", f"{reason} (parent {index.parent[:8]})", line)


def _line(diff: Diff, reason: str) -> int | None:
    """Return the line of the diff that git's message is about."""
    if match := AT_LINE.search(reason):
        return int(match[1])
    if match := AT_HUNK.search(reason):
        for section in diff.sections:
            if section.path == match[1]:
                starts = [h.line for h in section.hunks if h.old_start == int(match[2])]
                return starts[0] if starts else section.line
    for section in diff.sections:
        if section.path and section.path in reason:
            return section.line
    return None
