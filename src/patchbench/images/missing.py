"""Prebuilt images that were missing: the same command asks for them again.

An image that was not there is an outcome, or a campaign with a few of them would never end. But it
is no measurement, and the advice is to push the image and run again. How often each image has been
asked for again is remembered beside the results (``asked.json``) and is a param of its job: a count
that grew is a reason for Snakemake to make the record anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.records import IMAGE_MISSING, Built
from patchbench.system.files import write_json

FILE = "asked.json"
# Searched in a record's bytes: a large campaign has thousands of records.
MISSING = f'"{IMAGE_MISSING}"'.encode()


def missing(results: Path) -> list[Path]:
    """Return the records of images that were missing when they were last asked for."""
    return [
        path
        for path in (results / "images").glob("*/*.json")
        if MISSING in path.read_bytes() and _is_missing(path)
    ]


def recall(results: Path) -> dict[str, int]:
    """Return how often images have been asked for again, by ``COMMIT/ARM``. Raises BadInput."""
    path = results / FILE
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"{path}: {error} | next: delete it and run the same command again"
        ) from error


def counts(results: Path) -> dict[str, int]:
    """Return the same counts with what this run asks for again added to them."""
    asked = recall(results)
    for path in missing(results):
        name = f"{path.parent.name}/{path.stem}"
        asked[name] = asked.get(name, 0) + 1
    return asked


def ask_again(results: Path, asked: Mapping[str, int]) -> int:
    """Write the counts down and remove the records of missing images; return how many. The caller
    holds the results folder."""
    gone = missing(results)
    if gone:
        write_json(results / FILE, dict(asked))
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _is_missing(path: Path) -> bool:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Built)
    except msgspec.MsgspecError:
        return False  # its reader says what is wrong with it
    return record.stage == "build_image" and record.cause == IMAGE_MISSING
