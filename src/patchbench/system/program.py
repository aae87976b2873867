"""The end of a program of ours: exit codes, and errors in one line."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress

from patchbench.errors import EXIT_BAD_INPUT, EXIT_INFRA, BadInput, InfraFault, Stopped
from patchbench.system.files import disk_faults

EXIT_STOPPED = 130
EXIT_PIPE = 141  # 128 + SIGPIPE, as of other programs whose reader goes away


def run(main: Callable[[], None]) -> None:
    """Run a program's body; end the process with one line and an exit code if it raises one of our
    own errors or can't read or write a file: 2 for bad input, 75 for a fault of the machine, 130 if
    it was told to stop. Without a reader of its output it ends without a line, with 141."""
    ignore_warnings()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a title may have letters that a locale lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with disk_faults():
            main()
            if sys.stdout is not None:
                sys.stdout.flush()
    except BadInput as error:
        _end(str(error), EXIT_BAD_INPUT)
    except InfraFault as error:
        _end(str(error), EXIT_INFRA)
    except Stopped as error:
        _end(
            f"{error} | what had finished is kept | next: run the same command again", EXIT_STOPPED
        )
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # nothing more to say to it at the interpreter's end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_PIPE) from None
    except OSError as error:
        _end(about_file(error), EXIT_BAD_INPUT)


def about_file(error: OSError) -> str:
    """Return the text about a file that can't be read or written, or another thing of the machine's
    that does not answer."""
    name = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
    return f"{name}{error.strerror or error} | next: see that it is there and who may use it"


def ignore_warnings() -> None:
    """Undo what PYTHONWARNINGS and ``-W`` do to libraries: a warning must not end a run."""
    if sys.warnoptions:
        warnings.simplefilter("ignore")


def _end(text: str, code: int) -> None:
    print(f"patchbench: {' '.join(text.split())}", file=sys.stderr, flush=True)
    raise SystemExit(code)
