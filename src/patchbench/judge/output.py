"""Files that the judge leaves: whole ones, or written straight into a named pipe.

Where the judge runs in a container, its runtime gives pipes and writes the files itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from patchbench.system.files import disk_fault, write_bytes


def write(path: Path, data: bytes) -> None:
    """Write a file atomically, or into a pipe as soon as it is read. Raises InfraFault."""
    if not path.is_fifo():
        write_bytes(path, data)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise disk_fault(path, error) from error


def write_record(path: Path, record: Any) -> None:
    """Write a struct as JSON in one line: scores are thousands of numbers. Raises InfraFault."""
    write(path, msgspec.json.encode(record) + b"\n")
