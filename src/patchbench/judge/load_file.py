"""A load written to a file for one run of the judge."""

from __future__ import annotations

from pathlib import Path

from patchbench.errors import BadInput
from patchbench.load import Load, request_count
from patchbench.system.files import read_json


def read_load(path: Path) -> Load:
    """Read a load from a JSON file. Raises BadInput that names the file and the field."""
    load = read_json(path, Load)
    if load.repeats > 1 and request_count(load.shape) % load.repeats:
        raise BadInput(
            f"{path}: repeats: {request_count(load.shape)} requests can't be shared by prompts "
            f"that are sent {load.repeats} times each | next: make it a divisor"
        )
    return load
