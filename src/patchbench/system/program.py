"""The end of a program of ours: exit codes, and errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable

from patchbench.errors import EXIT_BAD_INPUT, EXIT_INFRA, BadInput, InfraFault, Stopped
from patchbench.system.files import disk_faults

EXIT_STOPPED = 130


def run(main: Callable[[], None]) -> None:
    """Run a program's body; end the process with one line and an exit code if it raises one of our
    own errors: 2 for bad input, 75 for a fault of the machine, 130 if it was told to stop."""
    try:
        with disk_faults():
            main()
    except BadInput as error:
        _end(str(error), EXIT_BAD_INPUT)
    except InfraFault as error:
        _end(str(error), EXIT_INFRA)
    except Stopped as error:
        _end(
            f"{error} | what had finished is kept | next: run the same command again", EXIT_STOPPED
        )


def _end(text: str, code: int) -> None:
    print(f"patchbench: {' '.join(text.split())}", file=sys.stderr, flush=True)
    raise SystemExit(code)
