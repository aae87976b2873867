"""What the same command asks again, because a person may have mended it meanwhile.

A prebuilt image that was not there is an outcome, or a campaign with a few of them would never
end. But it is nobody's measurement, and the advice is to push the image and run again.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchbench.records import IMAGE_MISSING, Built
from patchbench.system.locks import release, try_lock

# Searched in a record's bytes: a large campaign has thousands of records.
MISSING = f'"{IMAGE_MISSING}"'.encode()


def forget_missing(results: Path) -> int:
    """Remove the records of images that were missing when they were last asked for, so that
    Snakemake makes them anew; how many. Nothing is removed under a run that goes on."""
    records = [
        path
        for path in (results / "images").glob("*/*.json")
        if MISSING in path.read_bytes() and _missing(path)
    ]
    if not records:
        return 0
    lock = try_lock(results / ".lock")
    if lock is None:
        return 0
    try:
        for path in records:
            path.unlink(missing_ok=True)
    finally:
        release(lock)
    return len(records)


def _missing(path: Path) -> bool:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Built)
    except msgspec.MsgspecError:
        return False  # whoever reads it says what is wrong with it
    return record.stage == "build_image" and record.cause == IMAGE_MISSING
