"""Integrity of the applied diff, from which an arm's image is made.

A diff that was cut between two files still looks whole. Its sha256 therefore stands in validation's
record beside it and is compared before an image is made.
"""

from __future__ import annotations

from pathlib import Path

from patchbench.errors import BadInput
from patchbench.records import Validated
from patchbench.system.files import digest, read_json

RECORD = "validation.json"


def check(diff: Path) -> None:
    """Raise BadInput if a diff differs from the one that its validation wrote. Records of older
    versions have no sha256 and pass."""
    record = read_json(diff.with_name(RECORD), Validated)
    try:
        data = diff.read_bytes()
    except OSError as error:
        raise BadInput(f"{diff}: {error.strerror or error}") from error
    if record.applied_sha256 and digest(data) != record.applied_sha256:
        raise BadInput(
            f"{diff}: damaged: its {len(data)} bytes are not what validation wrote | next: delete "
            "the file and run again"
        )
