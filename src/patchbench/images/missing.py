"""Prebuilt images that were missing: the same command asks for them again.

A missing image is an outcome, or a campaign with a few of them would never end. But it is no
measurement, and the advice is to push the image and run again. The number of repeated requests for
each image stands beside the results (``asked.json``) and is a param of its job: if it grew,
Snakemake makes the record anew.
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
    """Return the records of images that were missing at the last request."""
    return [path for path in (results / "images").glob("*/*.json") if _is_missing(path)]


def recall(results: Path) -> dict[str, int]:
    """Return the numbers of repeated requests for images, by ``COMMIT/ARM``. Raises BadInput."""
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
    """Return the same counts with this run's requests added."""
    requests = recall(results)
    for path in missing(results):
        name = f"{path.parent.name}/{path.stem}"
        requests[name] = requests.get(name, 0) + 1
    return requests


def ask_again(results: Path, requests: Mapping[str, int], *, touch: bool = False) -> int:
    """Write the counts and remove the records of missing images; return the number of records. With
    ``touch``, which makes no record anew, they stay for the next run. The caller holds the lock of
    the results folder."""
    gone = missing(results)
    if gone:
        write_json(results / FILE, dict(requests))
    if touch:
        return 0
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _is_missing(path: Path) -> bool:
    try:
        data = path.read_bytes()
        if MISSING not in data:
            return False
        record = msgspec.json.decode(data, type=Built)
    except (OSError, msgspec.MsgspecError):
        # Another run may remove it at this moment; the stage that reads it reports damage.
        return False
    return record.stage == "build_image" and record.cause == IMAGE_MISSING
