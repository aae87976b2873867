"""Mistakes of a person and faults of the machine end Snakemake with one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from patchbench.errors import BadInput, InfraFault
from patchbench.system import program


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Raise SystemExit in place of BadInput, InfraFault and errors of files: Python prints its text
    and ends with 1.
    (Of an exception of its own Snakemake prints the lines of code that it came by as well.)"""
    try:
        yield
    except (BadInput, InfraFault, OSError) as error:
        text = program.about_file(error) if isinstance(error, OSError) else str(error)
        raise SystemExit(f"patchbench: {' '.join(text.split())}") from None
