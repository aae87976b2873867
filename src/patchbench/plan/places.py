"""Checks of a campaign's folders, before anything is written to them."""

from __future__ import annotations

import os
from pathlib import Path

from patchbench.errors import BadInput


def check_source(source: str) -> None:
    """Raise BadInput for a workflow in a folder whose name Snakemake can't use."""
    if {"{", "}"} & {*source}:
        raise BadInput(
            f"{source}: Snakemake looks for wildcards in the braces of this path | next: give the "
            "folder another name"
        )


def check_folder(results: Path) -> None:
    """Raise BadInput if the results folder can't be one, or may not be written to. (Snakemake would
    end with a traceback or a list of files before the run begins.)"""
    place = next((path for path in (results, *results.parents) if os.path.lexists(path)), Path())
    if not place.is_dir():
        what = "a link that leads nowhere" if place.is_symlink() else "no folder"
        raise BadInput(
            f"{results}: {place} is {what} | next: move it away, or name another folder in results:"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise BadInput(
            f"{results}: user {os.getuid()} may not write to {place} | next: see its owner and "
            "mount, or name another folder in results:"
        )
