"""Mistakes of a person and faults of the machine, told in Snakemake's own way: one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from snakemake_interface_common.exceptions import WorkflowError

from patchbench.errors import BadInput, InfraFault


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Raise a WorkflowError in place of BadInput and InfraFault: Snakemake prints its text without
    a traceback and ends with a code other than 0."""
    try:
        yield
    except (BadInput, InfraFault) as error:
        raise WorkflowError(f"patchbench: {' '.join(str(error).split())}") from None
