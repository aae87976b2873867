"""`patchbench parse`: one benchmark's output, read and judged as the pipeline does it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from patchbench.errors import BadInput
from patchbench.parsing import detect, grade
from patchbench.parsing.grade import Grade, Log, Output
from patchbench.parsing.layouts import LAYOUTS
from patchbench.parsing.names import METRICS
from patchbench.parsing.result_json import Saved, read_json
from patchbench.parsing.text import Text
from patchbench.records import BenchType
from patchbench.system import raw_logs

TYPES: dict[str, BenchType] = {
    "serving": "serving",
    "latency": "latency",
    "throughput": "throughput",
    "prefix": "prefix_caching",
}
# A larger file is no result but a log, whatever it begins with.
MAX_BYTES = 64 << 20
# The exit code for a log that holds no result; its cause is printed all the same.
EXIT_NO_RESULT = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        type=Path,
        help="what a benchmark printed, plain or .zst; or its result file; or a result file of "
        "ISO-Bench's harness, of which the log in raw_output is read",
    )
    parser.add_argument(
        "--type",
        choices=("auto", *TYPES, "sglang"),
        default="auto",
        help="which benchmark it was; auto finds out by what the log holds",
    )
    parser.add_argument("--json", type=Path, metavar="RESULT.json", help="what it saved beside")
    parser.add_argument("--primary", help="the metric that must be there (default: by type)")
    parser.add_argument("--requests", type=int, help="how many requests must have completed")


def parse(args: argparse.Namespace) -> None:
    """Show a benchmark's metrics in canonical names, or the cause why there are none, as JSON.

    Several logs are read one by one and give a list. Ends with 0 if every log holds a result, with
    1 if one does not, with 2 if a file can't be read."""
    if args.json and len(args.logs) > 1:
        raise BadInput("--json belongs to one log | next: give one LOG at a time")
    if args.primary and args.primary not in METRICS:
        raise BadInput(f"--primary {args.primary}: no such metric | next: see docs/parsing.md")
    results = [_grade(path, args) for path in args.logs]
    shown = [
        {"file": str(path)} | as_json(result)
        for path, result in zip(args.logs, results, strict=True)
    ]
    print(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2))
    if any(result.cause for result in results):
        raise SystemExit(EXIT_NO_RESULT)


def as_json(result: Grade) -> dict[str, Any]:
    """A grade as plain values, always with the same keys in the same order; metrics stand in the
    order of the table of names, counts are whole numbers."""
    metrics = {
        name: int(value) if METRICS[name].unit in ("requests", "tokens") else value
        for name in METRICS
        if (value := result.metrics.get(name)) is not None
    }
    return {
        "type": result.type,
        "layout": result.layout,
        "source": result.format,
        "metrics": metrics,
        "lines": {name: result.lines[name] for name in metrics if name in result.lines},
        "cause": result.cause,
        "evidence": msgspec.to_builtins(result.evidence),
    }


def _grade(path: Path, args: argparse.Namespace) -> Grade:
    stdout, saved = _open(path)
    result = str(path) if saved else ""
    if args.json:
        if raw_logs.find(args.json) is None:
            raise BadInput(f"{args.json}: no such file")
        result, saved = str(args.json), grade.load(args.json)
    said = _read(stdout, args.type)
    type_ = TYPES.get(args.type) or detect.type_of(said, saved)
    output = Output(stdout, result, saved)
    return grade.decide(output, said, type_, args.primary, args.requests)


def _read(stdout: Log, name: str) -> Text:
    if name == "auto":
        return detect.read_any(stdout)
    wanted = [one for one in LAYOUTS if one.sglang or name != "sglang"]
    return grade.read(stdout, [one for one in wanted if TYPES.get(name, one.type) == one.type])


def _open(path: Path) -> tuple[Log, Saved | None]:
    """A log, and the metrics of a file that is a saved result itself. Raises BadInput."""
    if raw_logs.find(path) is None:
        raise BadInput(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    first = next(iter(raw_logs.blocks(path)), (1, b""))[1]
    if first.lstrip()[:1] == b"{" and (data := raw_logs.read_bytes(path, MAX_BYTES)):
        if (said := _wrapped(data)) is not None:
            return Log(f"{path}#raw_output", lambda: [(1, said)]), None
        if saved := read_json(data):
            return Log(str(path), None), saved
    return grade.log(path), None


class _Record(msgspec.Struct):
    """A result file of ISO-Bench's harness: the log stands in one field."""

    raw_output: str | None


def _wrapped(data: bytes) -> bytes | None:
    try:
        return (msgspec.json.decode(data, type=_Record).raw_output or "").encode("utf-8", "replace")
    except (msgspec.MsgspecError, RecursionError):
        return None
