"""The owner of a results folder: one campaign, by its name. Another is refused before it reads or
writes anything there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.system.files import write_bytes

FILE = "campaign"
# Names the campaign too, in folders without FILE: imported ones, and those of earlier releases.
ABOUT = "about.json"


class _About(msgspec.Struct):
    name: str = ""


def owner(results: Path) -> str:
    """Return the name of the campaign that a results folder belongs to, or an empty text."""
    with suppress(OSError, UnicodeDecodeError):
        return (results / FILE).read_text(encoding="utf-8").strip()
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((results / ABOUT).read_bytes(), type=_About).name
    return ""


def check(results: Path, campaign: str, origin: str) -> None:
    """Raise BadInput if the folder belongs to another campaign."""
    other = owner(results)
    if other in ("", campaign):
        return
    raise BadInput(
        f"{origin}: results: {results} belongs to campaign {other}, and this one is {campaign} | "
        f"next: give it a folder of its own (results: results/{campaign}); if {other} was only "
        f"renamed: echo {campaign} > {results / FILE}"
    )


def claim(results: Path, campaign: str) -> None:
    """Write the name of the campaign into its results folder."""
    if owner(results) != campaign or not (results / FILE).is_file():
        write_bytes(results / FILE, f"{campaign}\n".encode())
