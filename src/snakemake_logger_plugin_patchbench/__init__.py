"""A logger for Snakemake (``--logger patchbench``) without its messages on jobs that go well.

Each launch prints a progress line of its own, which says it better. Errors, warnings and what
belongs to the whole run stay, and so does everything in a dry run and with ``--verbose`` or
``--printshellcmds``. Texts are Snakemake's own: this handler brings no formatter and no filter.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase

# By value: a release of the interface may know fewer or more.
JOBS = frozenset(
    {
        *("job_info", "job_started", "job_finished", "group_info"),
        *("progress", "run_info", "resources_info"),
    }
)
# Words of Snakemake's about the whole run. If a release words them otherwise, a few lines more are
# shown: what follows a person's Ctrl-C are "errors" of jobs that were ended, page by page.
ENDING = "Terminating processes on user request"
TOUCHED = "Touching output file"
COLOURS = {logging.WARNING: 33, logging.ERROR: 31, logging.CRITICAL: 35}


class LogHandler(LogHandlerBase):
    """Writes to stderr, or with ``--stdout`` to stdout. If the reader of that stream has gone
    (``| head``, a closed terminal), what is written goes nowhere; Snakemake's own handler raises
    then, in the thread that ends a job, and waits for that job for ever."""

    def __post_init__(self) -> None:
        told: Any = self.common_settings
        self.on_stdout = bool(told.stdout)
        self.whole = bool(told.dryrun or told.verbose or told.printshellcmds)
        self.coloured = self.stream.isatty() and not told.nocolor
        self.shown: set[str] = set()
        self.is_ending = False
        # Snakemake's log file on a full disk lacks lines: no reason for a traceback.
        logging.raiseExceptions = False

    @property
    def stream(self) -> TextIO:
        """The stream as it is now: below a live view it is one that writes above it."""
        return sys.stdout if self.on_stdout else sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or drop it if it is about a job that goes well."""
        if not self.whole and not self._is_wanted(record):
            return
        text = self.format(record)
        if text in (None, "", "None"):  # what Snakemake's formatter makes of an event without text
            return
        if getattr(record, "event", None) == "job_info":
            text = f"\n{text}"
        colour = COLOURS.get(record.levelno) if self.coloured else None
        try:
            print(f"\033[{colour}m{text}\033[0m" if colour else text, file=self.stream, flush=True)
        except OSError as error:
            self._lose(error)

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        """Return False for messages on jobs, for what was said before word for word (each round of
        the scheduler begins with the same line), and for errors of jobs that a person ended. All of
        it stands in Snakemake's log file."""
        if self.is_ending and record.levelno > logging.INFO:
            return False
        event = getattr(record, "event", None)
        if event is not None:
            return str(event) not in JOBS
        if record.levelno > logging.INFO:
            return True
        text = record.getMessage()
        self.is_ending = self.is_ending or text.startswith(ENDING)
        if text.startswith(TOUCHED):
            return False
        known = text in self.shown
        self.shown.add(text)
        return not known

    def _lose(self, error: OSError) -> None:
        """Send what comes next nowhere if the reader has gone, also for processes started later."""
        if error.errno != errno.EPIPE:
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)

    @property
    def writes_to_stream(self) -> bool:
        """True: it takes the place of Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """False: Snakemake's log file stays as it is."""
        return False

    @property
    def has_filter(self) -> bool:
        """False: ``--quiet`` and the like are answered by Snakemake's own filter."""
        return False

    @property
    def has_formatter(self) -> bool:
        """False: texts are Snakemake's own."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """False: no graph is drawn."""
        return False
