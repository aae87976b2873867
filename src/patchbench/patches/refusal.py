"""Refusal of a patch, and text from patches that any file and terminal can hold."""

from __future__ import annotations

from patchbench.records import Evidence

MAX_TEXT = 400


def printable(text: str) -> str:
    """Return text without lone surrogates and control characters, at most MAX_TEXT characters:
    bytes of a patch must neither break a record nor reach a terminal."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)
    return escaped if len(escaped) <= MAX_TEXT else escaped[: MAX_TEXT - 1] + "…"


class Refusal(Exception):
    """Cause and evidence of a failed check. ``line`` is in ``file``, or else in the patch."""

    def __init__(
        self, cause: str, text: str, line: int | None = None, file: str | None = None
    ) -> None:
        super().__init__(text)
        self.cause, self.text, self.line, self.file = cause, printable(text), line, file

    def evidence(self, patch: str, shift: int) -> Evidence:
        """Return the evidence. ``patch`` is the file of the patch, from which ``shift`` lines were
        removed before the checks."""
        if self.file is not None:
            return Evidence(text=self.text, file=printable(self.file), line=self.line)
        line = None if self.line is None else self.line + shift
        return Evidence(text=self.text, file=patch, line=line)
