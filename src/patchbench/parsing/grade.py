"""From a benchmark's raw output to metrics, or to the named cause why there are none.

The tool's JSON goes before its text, and the two are held against each other. A number is given
only if nothing in the output speaks against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from patchbench.parsing import evidence as signs
from patchbench.parsing import text
from patchbench.parsing.layouts import LAYOUTS, Layout
from patchbench.parsing.result_json import MAX_BYTES, Saved, read_json
from patchbench.parsing.text import Blocks, Text
from patchbench.parsing.validity import Case, Fault, judge, wanted
from patchbench.records import Evidence
from patchbench.subject import BenchType
from patchbench.system import raw_logs


class Grade(NamedTuple):
    """Metrics with their source, or a cause with the line that it stands on. ``layout`` is how the
    text was laid out, ``lines`` where in it each metric stands that is no saved one."""

    metrics: dict[str, float]
    format: str = ""
    cause: str | None = None
    evidence: Evidence | None = None
    type: BenchType | None = None
    layout: str = ""
    lines: Mapping[str, int] = MappingProxyType({})


class Log(NamedTuple):
    """A log's name and, each time it is asked for, its blocks of whole lines; None if there is no
    such log."""

    name: str
    open: Callable[[], Blocks] | None

    def blocks(self) -> Blocks:
        """The log from its beginning; nothing if it isn't there."""
        return self.open() if self.open else ()


class Output(NamedTuple):
    """What a benchmark left: its text, its result file, and where else a reason may stand."""

    stdout: Log
    result: str = ""
    saved: Saved | None = None
    others: tuple[Log, ...] = ()


def grade(
    type_: BenchType,
    stdout: Path,
    result: Path | None,
    *,
    primary: str,
    requests: int | None = None,
    stderr: Path | None = None,
) -> Grade:
    """Read one benchmark's output: its JSON file first, its text second.

    ``requests`` is how many requests must have completed (serving); ``primary`` is the metric
    without which a result is of no use; the client's ``stderr`` may say why there is no result.
    Each file may be compressed or missing.
    """
    others = (log(stderr),) if stderr else ()
    output = Output(log(stdout), str(result), load(result), others)
    layouts = [layout for layout in LAYOUTS if layout.type == type_]
    return decide(output, read(output.stdout, layouts), type_, primary, requests)


def log(path: Path) -> Log:
    """A log in a file, compressed or not."""
    return Log(str(path), partial(raw_logs.blocks, path) if raw_logs.find(path) else None)


def load(result: Path | None) -> Saved | None:
    """A result file's metrics; None if there is no file, or no result in it."""
    data = raw_logs.read_bytes(result, MAX_BYTES) if result else None
    return read_json(data) if data else None


def read(stdout: Log, layouts: Sequence[Layout]) -> Text:
    """What a log says in these layouts."""
    return text.read(stdout.blocks(), layouts)


def decide(
    output: Output,
    said: Text,
    type_: BenchType | None,
    primary: str | None = None,
    requests: int | None = None,
) -> Grade:
    """Judge an output that was read, and find the line that shows why it is no result."""
    case = Case(output.saved, said, wanted(type_, primary), requests)
    format_ = "json" if output.saved else "text"
    layout = said.result.layout.name if said.result else ""
    if fault := judge(case):
        cause, evidence = _explain(case, fault, output)
        return Grade({}, format_, cause, evidence, type_, layout)
    rows = said.result.rows if said.result else {}
    saved = output.saved.metrics if output.saved else {}
    lines = {name: row.number for name, row in rows.items() if name not in saved}
    if said.result and not output.saved:
        shown = _at(output.stdout.name, *said.result.line)
    else:
        shown = _at(output.result, None, "the tool's own result file")
    return Grade(case.metrics, format_, None, shown, type_, layout, lines)


def _explain(case: Case, fault: Fault, output: Output) -> tuple[str, Evidence]:
    """The cause and the line that it stands on. Only now are the logs searched for a reason."""
    if fault.cause == "bench.no_metrics":
        return _no_result(fault, output)
    if fault.cause == "bench.requests_failed" and case.metrics.get("completed") == 0:
        return _none_completed(case, fault, output)
    return fault.cause, _row(case, fault, output)


def _row(case: Case, fault: Fault, output: Output) -> Evidence:
    """The row of a metric in the file that it was read from, or a line of the text."""
    name, result = fault.metric, case.text.result
    if name and case.saved and name in case.saved.metrics:
        return _at(output.result, case.saved.lines[name], fault.text)
    line = result.rows[name].number if name and result and name in result.rows else fault.line
    return _at(output.stdout.name, line or (result.line.number if result else None), fault.text)


def _no_result(fault: Fault, output: Output) -> tuple[str, Evidence]:
    logs = _signs(output)
    if found := _first(logs, lambda signs: signs.lines.get("deprecated")):
        return "bench.deprecated_client", _at(*found)
    for way in (
        lambda signs: signs.lines.get("client_failed"),
        lambda signs: signs.exception,
        lambda signs: signs.lines.get("no_server"),
    ):
        if found := _first(logs, way):
            name, line, said = found
            return fault.cause, _at(name, line, f"{fault.text}; it says: {said}")
    stdout, name = logs[0][1], output.stdout.name
    if fault.line:
        return fault.cause, _at(name, fault.line, f"{fault.text}: an empty block")
    if stdout.last:
        said = f"{fault.text} in {Path(name).name}; it ends: {stdout.last.text}"
        return fault.cause, _at(name, stdout.last.number, said)
    what = "empty" if output.stdout.open else "no such file"
    return fault.cause, _at(name, None, f"{fault.text} in {Path(name).name} ({what})")


def _none_completed(case: Case, fault: Fault, output: Output) -> tuple[str, Evidence]:
    """Zeros: of a server that was gone, or of requests that it refused."""
    if found := _first(_signs(output), signs.Signs.no_server):
        name, line, said = found
        return "bench.dead_server", _at(name, line, f"{fault.text}; {said}")
    row = _row(case, fault, output)
    errors = case.saved.errors if case.saved else ()
    if error := next((error for error in errors if signs.gone(error)), None):
        last = error.strip().splitlines()[-1]
        return "bench.dead_server", _at(row.file, row.line, f"{fault.text}; {last}")
    return fault.cause, row


def _signs(output: Output) -> list[tuple[str, signs.Signs]]:
    logs = (output.stdout, *output.others)
    return [(one.name, signs.read(one.blocks())) for one in logs]


def _first(
    logs: Iterable[tuple[str, signs.Signs]], way: Callable[[signs.Signs], text.Line | None]
) -> tuple[str, int, str] | None:
    """The first log in which there is such a line: its name, the line's number and text."""
    found = ((name, way(one)) for name, one in logs)
    return next(((name, line.number, line.text) for name, line in found if line), None)


def _at(name: str, line: int | None, said: str) -> Evidence:
    return Evidence(text=" ".join(said.split())[: raw_logs.MAX_LINE], file=name, line=line)
