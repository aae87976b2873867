"""Read the metrics in the output of a benchmark as the pipeline does."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from patchbench.errors import BadInput
from patchbench.parsing import detect
from patchbench.parsing.layouts import LAYOUTS
from patchbench.parsing.names import METRICS
from patchbench.parsing.read_output import (
    Log,
    ParsedOutput,
    RawOutput,
    load_result,
    open_log,
    parse,
    read_log,
)
from patchbench.parsing.result_json import Saved, read_json
from patchbench.parsing.text import Text
from patchbench.subject import BenchType
from patchbench.system import raw_logs

TYPES: dict[str, BenchType] = {
    "serving": "serving",
    "latency": "latency",
    "throughput": "throughput",
    "prefix": "prefix_caching",
}
# A larger file is read as a log, whatever its first character.
MAX_BYTES = 64 << 20
# Exit code if a log holds no result; the cause is printed nevertheless.
EXIT_NO_RESULT = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        type=Path,
        help="output of a benchmark, plain or .zst; or its result file; or a result file of "
        "ISO-Bench's harness (the log in raw_output is read)",
    )
    parser.add_argument(
        "--type",
        choices=("auto", *TYPES, "sglang"),
        default="auto",
        help="type of the benchmark; auto takes it from the contents of the log",
    )
    parser.add_argument(
        "--json", type=Path, metavar="RESULT.json", help="result file that the benchmark saved"
    )
    parser.add_argument("--primary", help="metric that must be present (default: by type)")
    parser.add_argument("--requests", type=int, help="number of requests that must have completed")


def run(args: argparse.Namespace) -> None:
    """Print the metrics of a benchmark under canonical names, or the cause of their absence, as
    JSON.

    Several logs give a list. The exit code is 0 if every log holds a result, 1 if one does not, and
    2 if a file can't be read."""
    if args.json and len(args.logs) > 1:
        raise BadInput("--json belongs to one log | next: give one LOG at a time")
    if args.primary and args.primary not in METRICS:
        raise BadInput(f"--primary {args.primary}: no such metric | next: see docs/parsing.md")
    results = [_parse(path, args) for path in args.logs]
    shown = [
        {"file": str(path)} | as_json(result)
        for path, result in zip(args.logs, results, strict=True)
    ]
    print(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2))
    if any(result.cause for result in results):
        raise SystemExit(EXIT_NO_RESULT)


def as_json(result: ParsedOutput) -> dict[str, Any]:
    """Return metrics or cause as plain values in a fixed order of keys; metrics follow the
    order of ``METRICS``, counts are integers."""
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


def _parse(path: Path, args: argparse.Namespace) -> ParsedOutput:
    stdout, saved = _open(path)
    result = str(path) if saved else ""
    if args.json:
        if raw_logs.find(args.json) is None:
            raise BadInput(f"{args.json}: no such file")
        result, saved = str(args.json), load_result(args.json)
    text = _read(stdout, args.type)
    if saved is None and text.result is None and text.partial is None:
        result, saved = str(path), _json_below(path)
    type_ = TYPES.get(args.type) or detect.bench_type(text, saved)
    output = RawOutput(stdout, result, saved)
    return parse(output, text, type_, args.primary, args.requests)


def _json_below(path: Path) -> Saved | None:
    """Return a result that stands as a JSON line below other text, or None."""
    data = raw_logs.read_bytes(path, MAX_BYTES)
    saved = read_json(data) if data and b"\n{" in data else None
    return saved if saved and detect.bench_type(Text(), saved) else None


def _read(stdout: Log, name: str) -> Text:
    if name == "auto":
        return detect.read_any(stdout)
    wanted = [one for one in LAYOUTS if one.sglang or name != "sglang"]
    return read_log(stdout, [one for one in wanted if TYPES.get(name, one.type) == one.type])


def _open(path: Path) -> tuple[Log, Saved | None]:
    """Return the log, and the metrics if the file is itself a saved result. Raises BadInput."""
    if raw_logs.find(path) is None:
        raise BadInput(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    first = next(iter(raw_logs.blocks(path)), (1, b""))[1]
    if first.lstrip()[:1] == b"{" and (data := raw_logs.read_bytes(path, MAX_BYTES)):
        if (raw := _raw_output(data)) is not None:
            return Log(f"{path}#raw_output", lambda: [(1, raw)]), None
        if saved := read_json(data):
            return Log(str(path), None), saved
    return open_log(path), None


class _Record(msgspec.Struct):
    """A result file of ISO-Bench's harness, as far as it is read here."""

    raw_output: str | None


def _raw_output(data: bytes) -> bytes | None:
    try:
        return (msgspec.json.decode(data, type=_Record).raw_output or "").encode("utf-8", "replace")
    except (msgspec.MsgspecError, RecursionError):
        return None
