"""How a check says no, and text that any file can hold."""

from __future__ import annotations

from patchbench.records import Evidence

MAX_TEXT = 400


def printable(text: str) -> str:
    """Text without lone surrogates and control characters: bytes of a patch that are not UTF-8
    must not keep a record from being written, nor reach somebody's terminal."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"


class Refused(Exception):
    """A check failed: the cause, and what shows it in which file (the patch, if none is named)."""

    def __init__(
        self, cause: str, text: str, line: int | None = None, file: str | None = None
    ) -> None:
        super().__init__(text)
        self.cause, self.text, self.line, self.file = cause, printable(text), line, file

    def evidence(self, patch: str, shift: int) -> Evidence:
        """The evidence. ``patch`` is the name of the patch's file, of which so many lines were
        taken off before the checks read it."""
        if self.file is not None:
            return Evidence(text=self.text, file=printable(self.file), line=self.line)
        line = None if self.line is None else self.line + shift
        return Evidence(text=self.text, file=patch, line=line)
