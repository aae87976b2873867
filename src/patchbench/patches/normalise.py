"""Mending what transport did to a diff, each step by name, before it is judged."""

from __future__ import annotations

import re
from collections.abc import Callable

FENCE = re.compile(r"^```[a-z]*\r?\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
HEADER = re.compile(r"^(?:diff --git |--- (?!-))", re.MULTILINE)


def decode(data: bytes) -> tuple[str, list[str]]:
    """Bytes to text; bytes that aren't UTF-8 are kept as surrogates, so nothing is lost."""
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), [
            "bytes that are not UTF-8 kept as they are"
        ]


def crlf_to_lf(text: str) -> tuple[str, list[str]]:
    """A second try for a diff that does not apply: CRLF line ends made LF. Not done at once,
    because the lines of a file with CRLF ends carry them rightly."""
    changed = text.replace("\r\n", "\n")
    return changed, ["CRLF line ends made LF"] if changed != text else []


def _fenced(text: str) -> str:
    found = FENCE.search(text)
    return found["body"] if found and HEADER.search(found["body"]) else text


def _prose(text: str) -> str:
    found = HEADER.search(text)
    return text[found.start() :] if found else text


def _last_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("taken out of a code fence", _fenced),
    ("text before the diff removed", _prose),
    ("missing last newline added", _last_newline),
)


def normalise(data: bytes) -> tuple[str, list[str]]:
    """The diff's text and the names of the steps that changed it."""
    text, taken = decode(data)
    for name, step in STEPS:
        changed = step(text)
        if changed != text:
            taken.append(name)
        text = changed
    return text, taken
