"""Mistakes of a person and faults of the machine end Snakemake with one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from patchbench.errors import BadInput, InfraFault


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Raise SystemExit in place of BadInput and InfraFault: Python prints its text and ends with 1.
    (Of an exception of its own Snakemake prints the lines of code that it came by as well.)"""
    try:
        yield
    except (BadInput, InfraFault) as error:
        raise SystemExit(f"patchbench: {' '.join(str(error).split())}") from None
