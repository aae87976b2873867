"""The diff that counts, as validation wrote it: what an arm's image may be made from.

Nobody can tell a diff that was cut between two files from a whole one. So its sha256 stands in
validation's record beside it, and is compared before an image is made.
"""

from __future__ import annotations

from pathlib import Path

from patchbench.errors import BadInput
from patchbench.records import Validated
from patchbench.system.files import digest, read_json

RECORD = "validation.json"


def check(diff: Path) -> None:
    """Raise BadInput if a diff is not what its validation wrote. Records of older versions, which
    do not say, are believed."""
    record = read_json(diff.with_name(RECORD), Validated)
    try:
        found = diff.read_bytes()
    except OSError as error:
        raise BadInput(f"{diff}: {error.strerror or error}") from error
    if record.applied_sha256 and digest(found) != record.applied_sha256:
        raise BadInput(
            f"{diff}: damaged: its {len(found)} bytes are not what validation wrote | next: delete "
            "the file and run again"
        )
