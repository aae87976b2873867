"""Where the predecessor's results lie, and the campaign that is made of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.errors import BadInput
from patchbench.importing import formats
from patchbench.importing.ended import Found, Listed, arm_of
from patchbench.importing.formats import Result
from patchbench.importing.judging import Judged, judge, one_each
from patchbench.plan.lists import readers
from patchbench.records import BASELINE, HUMAN
from patchbench.subject import BenchType

# Names of files that hold results; what else lies in such folders is not looked at.
PATTERNS = (
    *("*_result*.json", "benchmark_result*.json", "*_isolated*.json"),
    *("*results*.jsonl", "*dataset*.csv", "*rows*.csv"),
)
# Columns hold whole logs.
csv.field_size_limit(1 << 28)


class Source(NamedTuple):
    """One agent's results: a folder, a file, or a pattern of files."""

    title: str
    place: str


class Imported(NamedTuple):
    """A campaign of single launches. ``corrected`` are runs of which the record said otherwise."""

    agents: dict[str, str]
    listed: list[Listed]
    found: list[Found]
    corrected: list[Judged]
    files: int


def read(sources: Sequence[Source], mapping: Path | None, out: Path) -> Imported:
    """Read every source. Raises BadInput for one without results, for a file that can't be read,
    and for a key that is not understood. Raw outputs are kept below ``out``."""
    agents = {arm_of(source.title): source.title for source in sources}
    if len(agents) < len(sources):
        raise BadInput("--agent: two agents have the same name")
    judged, files, results = [], 0, []
    for source in sources:
        found = list(_files(source))
        files += len(found)
        for path in found:
            for result in _results(path):
                results.append(result)
                judged.append(judge(result, arm_of(source.title), out))
    rows = one_each(judged)
    listed = _listed(results, rows, mapping)
    names = {task.commit[:8]: task.commit for task in listed}
    ends = [msgspec.structs.replace(r.found, commit=names[r.found.commit[:8]]) for r in rows]
    corrected = [row for row in rows if row.corrected]
    return Imported(agents, listed, [*ends, *_open(ends, listed, agents)], corrected, files)


def _files(source: Source) -> Iterator[Path]:
    """The source's result files, sorted."""
    place = Path(source.place)
    if place.is_dir():
        found = {path for pattern in PATTERNS for path in place.rglob(pattern) if path.is_file()}
    else:
        start = Path(place.anchor or ".")
        found = set(start.glob(str(place.relative_to(place.anchor))))
    files = sorted(path for path in found if path.is_file())
    if not files:
        what = "no result files" if place.is_dir() else "no such file or folder"
        raise BadInput(f"{source.place}: {what} | next: name the folder that holds them")
    yield from files


def _results(path: Path) -> Iterator[Result]:
    try:
        for place, record in _records(path):
            yield from formats.read(record, place)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, csv.Error) as error:
        raise BadInput(f"{path}: can't be read: {str(error).splitlines()[0]}") from error


def _records(path: Path) -> Iterator[tuple[str, object]]:
    """A file's records, each with its place."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), 1):
                yield f"{path}#row-{number}", row
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}#line-{number}", json.loads(line)
    else:
        yield str(path), json.loads(path.read_text(encoding="utf-8"))


def _listed(
    results: Iterable[Result], rows: Iterable[Judged], mapping: Path | None
) -> list[Listed]:
    """Tasks: those of the list in its order, then those that only results name. A commit goes by
    its longest name."""
    tasks: dict[str, Listed] = {}
    for entry in readers.read(str(mapping), "--mapping") if mapping else ():
        said = entry.fields
        command = str(said.get("perf_command") or "")
        found = Listed(
            commit=entry.commit,
            title=str(said.get("title") or ""),
            type=_type(command),
            parent=said.get("parent"),
            perf_command=command,
            origin="task list",
        )
        tasks.setdefault(entry.commit[:8], found)
    types = {row.found.commit[:8]: row.found.type for row in rows if row.found.type}
    for result in results:
        key = result.commit[:8]
        task = tasks.get(key, Listed(commit=result.commit))
        tasks[key] = msgspec.structs.replace(
            task,
            commit=max(task.commit, result.commit, key=len),
            title=task.title or result.title,
            type=types.get(key) or task.type,
            parent=task.parent or result.parent,
            perf_command=task.perf_command or result.perf_command,
            origin=task.origin or "result files",
        )
    return list(tasks.values())


def _type(command: str) -> BenchType | None:
    """The benchmark that a command runs, by its program's name."""
    programs: dict[str, BenchType] = {
        "prefix_caching": "prefix_caching",
        "latency": "latency",
        "throughput": "throughput",
        "serve": "serving",
        "serving": "serving",
    }
    words = [word for word in command.replace("benchmark_", "bench ").split() if word != "bench"]
    names = (word.removesuffix(".py").rpartition("/")[2] for word in words)
    return next((programs[name] for name in names if name in programs), None)


def _open(found: Iterable[Found], listed: Iterable[Listed], agents: Iterable[str]) -> list[Found]:
    """Arms of a task for which there is no result at all: nobody knows what became of them."""
    there = {(row.commit, row.arm) for row in found}
    return [
        Found(commit=task.commit, arm=arm, status="pending", type=task.type)
        for task in listed
        for arm in (BASELINE, HUMAN, *agents)
        if (task.commit, arm) not in there
    ]
