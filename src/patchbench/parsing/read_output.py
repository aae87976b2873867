"""Metrics of one benchmark's output, or the named cause of their absence.

The tool's JSON goes before its text, and the two are compared. A number is returned only if
nothing in the output contradicts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from patchbench.parsing import text
from patchbench.parsing.evidence import LogEnd, is_server_gone, read_log_end
from patchbench.parsing.layouts import LAYOUTS, Layout
from patchbench.parsing.lines import clean, names_in
from patchbench.parsing.result_json import MAX_BYTES, Saved, read_json
from patchbench.parsing.text import Blocks, Text
from patchbench.parsing.validity import Case, Fault, find_fault, needed_metrics
from patchbench.records import Evidence
from patchbench.subject import BenchType
from patchbench.system import raw_logs


class ParsedOutput(NamedTuple):
    """Metrics with their source, or a cause with its evidence. ``layout`` is the text's layout;
    ``lines`` are the lines of the metrics that only the text has."""

    metrics: dict[str, float]
    format: str = ""
    cause: str | None = None
    evidence: Evidence | None = None
    type: BenchType | None = None
    layout: str = ""
    lines: Mapping[str, int] = MappingProxyType({})


class Log(NamedTuple):
    """A log's name and a function that reads it anew; None if there is no such log."""

    name: str
    open: Callable[[], Blocks] | None

    def blocks(self) -> Blocks:
        """Return the log in blocks of whole lines; none if it is missing."""
        return self.open() if self.open else ()


class RawOutput(NamedTuple):
    """Output of a benchmark: its text, its result file, and other logs that may explain a
    failure."""

    stdout: Log
    result: str = ""
    saved: Saved | None = None
    others: tuple[Log, ...] = ()


def read_output(
    type_: BenchType,
    stdout: Path,
    result: Path | None,
    *,
    primary: str,
    requests: int | None = None,
    stderr: Path | None = None,
) -> ParsedOutput:
    """Read one benchmark's output. Each file may be compressed or missing.

    A result needs the metric ``primary`` and, if given, ``requests`` completed requests. The
    client's ``stderr`` may explain why there is no result."""
    others = (open_log(stderr),) if stderr else ()
    raw = RawOutput(open_log(stdout), str(result), load_result(result), others)
    layouts = [layout for layout in LAYOUTS if layout.type == type_]
    return parse(raw, read_log(raw.stdout, layouts), type_, primary, requests)


def open_log(path: Path) -> Log:
    """Return the log in a file, compressed or not."""
    return Log(str(path), partial(raw_logs.blocks, path) if raw_logs.find(path) else None)


def load_result(result: Path | None) -> Saved | None:
    """Return the contents of a result file, or None if there is no result in it."""
    data = raw_logs.read_bytes(result, MAX_BYTES) if result else None
    return read_json(data) if data else None


def read_log(log: Log, layouts: Sequence[Layout]) -> Text:
    """Return the results that a log holds in these layouts."""
    return text.read(log.blocks(), layouts)


def parse(
    raw: RawOutput,
    content: Text,
    type_: BenchType | None,
    primary: str | None = None,
    requests: int | None = None,
) -> ParsedOutput:
    """Return the metrics of an output with its text already read, or the cause of their absence."""
    case = Case(raw.saved, content, needed_metrics(type_, primary), requests)
    format_ = "json" if raw.saved else "text"
    layout = content.result.layout.name if content.result else ""
    if fault := find_fault(case):
        cause, evidence = _explain(case, fault, raw)
        return ParsedOutput({}, format_, cause, evidence, type_, layout)
    rows = content.result.rows if content.result else {}
    saved = raw.saved.metrics if raw.saved else {}
    lines = {name: row.number for name, row in rows.items() if name not in saved}
    if content.result and not raw.saved:
        source = _evidence(raw.stdout.name, *content.result.line)
    else:
        source = _evidence(raw.result, None, "the tool's own result file")
    return ParsedOutput(case.metrics, format_, None, source, type_, layout, lines)


def _explain(case: Case, fault: Fault, raw: RawOutput) -> tuple[str, Evidence]:
    """Return cause and evidence of a fault. Only now the logs are searched for a reason."""
    if fault.cause == "bench.no_metrics":
        return _explain_no_metrics(fault, raw)
    if fault.cause == "bench.requests_failed" and case.metrics.get("completed") == 0:
        return _explain_none_completed(case, fault, raw)
    return fault.cause, _row_evidence(case, fault, raw)


def _row_evidence(case: Case, fault: Fault, raw: RawOutput) -> Evidence:
    """Return the row of the fault's metric in the file that it was read from, or the fault's line
    of the text."""
    name, result = fault.metric, case.text.result
    if name and case.saved and name in case.saved.metrics:
        return _evidence(raw.result, case.saved.lines[name], fault.text)
    line = result.rows[name].number if name and result and name in result.rows else fault.line
    line = line or (result.line.number if result else None)
    return _evidence(raw.stdout.name, line, fault.text)


def _explain_no_metrics(fault: Fault, raw: RawOutput) -> tuple[str, Evidence]:
    ends = _log_ends(raw)
    if sign := _first(ends, lambda end: end.lines.get("deprecated")):
        return "bench.deprecated_client", _evidence(*sign)
    reasons: tuple[Callable[[LogEnd], text.Line | None], ...] = (
        lambda end: end.lines.get("client_failed"),
        lambda end: end.exception,
        lambda end: end.lines.get("no_server"),
    )
    for reason in reasons:
        if sign := _first(ends, reason):
            name, number, line = sign
            return fault.cause, _evidence(name, number, f"{fault.text}; it says: {line}")
    name, last = raw.stdout.name, ends[0][1].last
    if fault.line:
        return fault.cause, _evidence(name, fault.line, f"{fault.text}: an empty block")
    if names := _first_rows(raw.stdout):
        labels, number = names
        text_ = f"{fault.text}: rows without the title or the end of a known layout: {labels}"
        return fault.cause, _evidence(name, number, text_)
    if last:
        reason_text = f"{fault.text} in {Path(name).name}; it ends: {last.text}"
        return fault.cause, _evidence(name, last.number, reason_text)
    state = "empty" if raw.stdout.open else "no such file"
    return fault.cause, _evidence(name, None, f"{fault.text} in {Path(name).name} ({state})")


def _first_rows(log: Log) -> tuple[str, int] | None:
    """Return the names of metrics whose rows a log has outside of all layouts, and the first of
    these lines; None if there are fewer than two."""
    found: dict[str, int] = {}
    for first, data in log.blocks():
        for number, line in enumerate(data.split(b"\n"), first):
            for name in names_in(clean(line)):
                found.setdefault(name, number)
    return (", ".join(sorted(found)), min(found.values())) if len(found) > 1 else None


def _explain_none_completed(case: Case, fault: Fault, raw: RawOutput) -> tuple[str, Evidence]:
    """Tell a dead server from one that refused the requests."""
    if sign := _first(_log_ends(raw), LogEnd.no_server):
        name, number, line = sign
        return "bench.dead_server", _evidence(name, number, f"{fault.text}; {line}")
    row = _row_evidence(case, fault, raw)
    errors = case.saved.errors if case.saved else ()
    if error := next(filter(is_server_gone, errors), None):
        last = error.strip().splitlines()[-1]
        return "bench.dead_server", _evidence(row.file, row.line, f"{fault.text}; {last}")
    return fault.cause, row


def _log_ends(raw: RawOutput) -> list[tuple[str, LogEnd]]:
    logs = (raw.stdout, *raw.others)
    return [(log.name, read_log_end(log.blocks())) for log in logs]


def _first(
    ends: Iterable[tuple[str, LogEnd]], line_of: Callable[[LogEnd], text.Line | None]
) -> tuple[str, int, str] | None:
    """Return the first log with such a line: its name, the line's number and text."""
    lines = ((name, line_of(end)) for name, end in ends)
    return next(((name, line.number, line.text) for name, line in lines if line), None)


def _evidence(file: str, line: int | None, text_: str) -> Evidence:
    return Evidence(text=" ".join(text_.split())[: raw_logs.MAX_LINE], file=file, line=line)
