"""Import the result files of ISO-Bench's harness from folders."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from patchbench.errors import BadInput
from patchbench.importing import formats
from patchbench.importing.endings import ending_of, one_each
from patchbench.importing.formats import Run
from patchbench.importing.tables import SHORT, Ending, Imported, arm_name
from patchbench.plan.lists import readers
from patchbench.records import BASELINE, HUMAN
from patchbench.report.tables.columns import TaskRow
from patchbench.subject import BenchType

# Files that hold results; all others in such folders are skipped.
PATTERNS = (
    *("*_result*.json", "benchmark_result*.json", "*_isolated*.json"),
    *("*results*.jsonl", "*dataset*.csv", "*rows*.csv"),
)
PROGRAM = re.compile(r"\b(?:benchmark_|bench )(?P<type>serv|latency|throughput|prefix_caching)")
# A cell may hold a whole log.
csv.field_size_limit(1 << 28)


class Source(NamedTuple):
    """The results of one agent: a folder, a file, or a pattern of files."""

    title: str
    place: str


def read(sources: Sequence[Source], mapping: Path | None, out: Path) -> Imported:
    """Read every source; raw outputs are kept below ``out``. Raises BadInput for a source without
    results, for a file that can't be read, and for a key that is not understood."""
    agents = {arm_name(source.title): source.title for source in sources}
    if len(agents) < len(sources):
        raise BadInput("--agent: two agents have the same name")
    files = {source: _files(source) for source in sources}
    pairs = [
        (run, ending_of(run, arm_name(source.title), out))
        for source, paths in files.items()
        for path in paths
        for run in _runs(path)
    ]
    endings = one_each(ending for _, ending in pairs)
    tasks = _tasks([run for run, _ in pairs], endings, mapping)
    names = {task.commit[:SHORT]: task.commit for task in tasks}
    endings = [
        msgspec.structs.replace(ending, commit=names[ending.commit[:SHORT]]) for ending in endings
    ]
    endings += _pending(endings, tasks, agents)
    return Imported(agents, tasks, endings, sum(map(len, files.values())))


def _files(source: Source) -> list[Path]:
    """Return the result files of a source, sorted. Raises BadInput if there are none."""
    place = Path(source.place)
    if place.is_dir():
        matches = {path for pattern in PATTERNS for path in place.rglob(pattern)}
    else:
        matches = set(Path(place.anchor or ".").glob(str(place.relative_to(place.anchor))))
    files = sorted(path for path in matches if path.is_file())
    if not files:
        problem = "no result files" if place.is_dir() else "no such file or folder"
        raise BadInput(f"{source.place}: {problem} | next: name the folder that holds them")
    return files


def _runs(path: Path) -> Iterator[Run]:
    try:
        for place, record in _records(path):
            yield from formats.read(record, place)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, csv.Error) as error:
        raise BadInput(f"{path}: can't be read: {str(error).splitlines()[0]}") from error


def _records(path: Path) -> Iterator[tuple[str, object]]:
    """Yield the records of a file, each with its place."""
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


def _tasks(runs: Iterable[Run], endings: Iterable[Ending], mapping: Path | None) -> list[TaskRow]:
    """Return the tasks of the list in its order, then those that only results name. A commit goes
    by its longest name, a type by what was measured."""
    tasks: dict[str, TaskRow] = {}
    for entry in readers.read(str(mapping), "--mapping") if mapping else ():
        command = str(entry.fields.get("perf_command") or "")
        task = TaskRow(
            commit=entry.commit,
            status="planned",
            title=entry.fields.get("title"),
            type=_type(command),
            parent=entry.fields.get("parent"),
            parent_origin="task list" if entry.fields.get("parent") else None,
            perf_command=command or None,
        )
        tasks.setdefault(entry.commit[:SHORT], task)
    types = {ending.commit[:SHORT]: ending.type for ending in endings if ending.type}
    for run in runs:
        key = run.commit[:SHORT]
        task = tasks.get(key, TaskRow(commit=run.commit, status="planned"))
        new_parent = run.parent if task.parent is None else None
        tasks[key] = msgspec.structs.replace(
            task,
            commit=max(task.commit, run.commit, key=len),
            title=task.title or run.title or None,
            type=types.get(key) or task.type,
            parent=task.parent or run.parent,
            parent_origin="result files" if new_parent else task.parent_origin,
            perf_command=task.perf_command or run.perf_command or None,
        )
    return list(tasks.values())


def _type(command: str) -> BenchType | None:
    """Return the type of the benchmark that a command runs, by the name of its program."""
    program = PROGRAM.search(command)
    if program is None:
        return None
    return "serving" if program["type"] == "serv" else cast("BenchType", program["type"])


def _pending(
    endings: Iterable[Ending], tasks: Iterable[TaskRow], agents: Iterable[str]
) -> list[Ending]:
    """Return a pending ending for every arm of a task without any result."""
    present = {(ending.commit, ending.arm) for ending in endings}
    return [
        Ending(
            commit=task.commit, arm=arm, status="pending", type=cast("BenchType | None", task.type)
        )
        for task in tasks
        for arm in (BASELINE, HUMAN, *agents)
        if (task.commit, arm) not in present
    ]
