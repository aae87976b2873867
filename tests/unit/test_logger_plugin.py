"""The logger plugin: silent on jobs that go well, whole when a person asks for more."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from snakemake_logger_plugin_patchbench import ENDING, JOBS, LogHandler


@pytest.fixture(autouse=True)
def _exceptions_are_raised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)


class OnPaper(LogHandler):
    """A handler that writes to a text."""

    stream: Any = io.StringIO()


def handler(**told: Any) -> tuple[LogHandler, io.StringIO]:
    """A handler, and the stream that it writes to."""
    switches = ("dryrun", "verbose", "printshellcmds", "nocolor", "stdout")
    made = OnPaper(SimpleNamespace(**dict.fromkeys(switches, False) | told), None)
    made.stream = io.StringIO()
    return made, made.stream


def record(text: str, level: int = logging.INFO, event: str | None = None) -> logging.LogRecord:
    """A record as Snakemake makes it."""
    made = logging.LogRecord("snakemake", level, __file__, 1, text, None, None)
    if event:
        made.event = event
    return made


def test_snakemake_finds_the_plugin() -> None:
    registry = LoggerPluginRegistry()
    assert registry.get_plugin("patchbench").log_handler is LogHandler


@pytest.mark.parametrize("event", sorted(JOBS))
def test_a_job_that_goes_well_is_not_told(event: str) -> None:
    log, stream = handler()
    log.handle(record("rule x: ...", event=event))
    assert stream.getvalue() == ""


@pytest.mark.parametrize("told", ["dryrun", "verbose", "printshellcmds"])
def test_everything_is_told_to_a_person_who_asks_for_it(told: str) -> None:
    log, stream = handler(**{told: True})
    log.handle(record("rule x:", event="job_info"))
    log.handle(record("Select jobs to execute..."))
    log.handle(record("Select jobs to execute..."))
    assert stream.getvalue() == "\nrule x:\n" + 2 * "Select jobs to execute...\n"


def test_errors_and_what_belongs_to_the_run_are_told() -> None:
    log, stream = handler()
    log.handle(record("Building DAG of jobs..."))
    log.handle(record("Error in rule x", logging.ERROR, "job_error"))
    log.handle(record("Error in rule x", logging.ERROR, "job_error"))
    log.handle(record("old metadata", logging.WARNING))
    lines = stream.getvalue().splitlines()
    assert lines == ["Building DAG of jobs...", *2 * ["Error in rule x"], "old metadata"]


def test_a_message_without_an_event_is_told_once() -> None:
    log, stream = handler()
    for _ in range(3):
        log.handle(record("Select jobs to execute..."))
    assert stream.getvalue() == "Select jobs to execute...\n"


def test_what_a_person_ended_is_no_page_of_errors() -> None:
    log, stream = handler()
    log.handle(record("Touching output file results/x.ready."))
    log.handle(record(f"{ENDING}, this might take some time."))
    log.handle(record("Error in rule x", logging.ERROR, "job_error"))
    log.handle(record("WorkflowError: At least one job", logging.ERROR))
    log.handle(record("Elapsed time: 1 s"))
    assert stream.getvalue() == f"{ENDING}, this might take some time.\nElapsed time: 1 s\n"


def test_an_event_without_a_text_leaves_no_empty_line() -> None:
    log, stream = handler()
    log.setFormatter(SimpleNamespace(format=lambda _: None))  # type: ignore[arg-type]
    log.handle(record("", event="rulegraph"))
    assert stream.getvalue() == ""


def test_colours_only_on_a_terminal() -> None:
    log, stream = handler()
    log.coloured = True
    log.handle(record("no", logging.ERROR, "error"))
    assert stream.getvalue() == "\033[31mno\033[0m\n"


def test_it_is_the_only_one_that_writes_to_the_terminal() -> None:
    log, _ = handler()
    assert log.writes_to_stream
    assert not (log.writes_to_file or log.has_filter or log.has_formatter or log.needs_rulegraph)


# The second word is printed by a process that is started later.
PRINTS = """
import logging, subprocess, sys
from types import SimpleNamespace
from snakemake_logger_plugin_patchbench import LogHandler
told = SimpleNamespace(dryrun=True, verbose=False, printshellcmds=False, nocolor=True, stdout=False)
logger = logging.getLogger("test")
logger.addHandler(LogHandler(told, None))
sys.stdin.readline()
logger.warning("one")
logger.warning("two")
sys.exit(subprocess.run(["sh", "-c", "echo three >&2"]).returncode)
"""


def test_output_whose_reader_has_gone_stops_nothing() -> None:
    reader, writer = os.pipe()
    words = [sys.executable, "-c", PRINTS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=writer) as process:
        os.close(writer)
        os.close(reader)
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.wait(20) == 0


def test_output_to_a_full_disk_lacks_lines_and_shows_no_traceback() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        words = [sys.executable, "-c", PRINTS.replace(".returncode", ".returncode and 0")]
        done = subprocess.run(words, input=b"go\n", stderr=full, stdout=subprocess.PIPE, timeout=20)
    assert (done.returncode, done.stdout) == (0, b"")
