"""Command line of the judge: ``python -m patchbench.judge``.

    --load FILE --base-url http://127.0.0.1:8000 --out 'window-{window}.judge' < secret
    --score RECORD... --out scores.json [--score ...] --base-url http://127.0.0.1:8000 < secret
    --show RECORD

Measuring reads the block's secret (32 bytes) from standard input, or from ``--secret-file``: it
never stands among the arguments, which other processes can read. A path that is a named pipe is
written straight into. Exit status: 0 if every window was recorded, whatever its answers; 2 if what
was given can't be used; 3 if the server refuses the load's requests; 4 if it did not answer within
the load's limits (the record of that window is written, later windows are not sent); 75 if the
machine failed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from patchbench.errors import EXIT_BAD_INPUT, EXIT_INFRA, BadInput, InfraFault
from patchbench.judge.audit import audit_window
from patchbench.judge.connection import Address
from patchbench.judge.draws import SECRET_BYTES, commitment
from patchbench.judge.ends import ServerFailed
from patchbench.judge.load_file import read_load
from patchbench.judge.measure import Launch, dialect_of, entries_of
from patchbench.judge.metrics import window_metrics
from patchbench.judge.output import write_record
from patchbench.judge.prompts import window_prompts
from patchbench.judge.record import Dialect, read_window, write_window
from patchbench.judge.scores import LaunchScores, Scores
from patchbench.judge.scoring import sample, score_window
from patchbench.judge.tokens import FileTokenizer, Tokenizer
from patchbench.system.files import read_json


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(argv)
    try:
        if options.show:
            show(options)
        elif options.score:
            score(options)
        else:
            measure(options)
    except BadInput as error:
        print(f"judge: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except ServerFailed as error:
        print(f"judge: {error}", file=sys.stderr)
        return error.exit_status
    except InfraFault as error:
        print(f"judge: {error}", file=sys.stderr)
        return EXIT_INFRA
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m patchbench.judge", description="Send a load and record what comes back."
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--load", type=Path, metavar="FILE", help="measure this load")
    action.add_argument(
        "--score",
        type=Path,
        action="append",
        nargs="+",
        metavar="RECORD",
        help="score the answers of a launch's records; once per launch, each with an --out",
    )
    action.add_argument("--show", type=Path, metavar="RECORD", help="print metrics and findings")
    parser.add_argument("--base-url", metavar="URL", help="http://HOST:PORT of the server")
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="PATH",
        help="where records go ({window} is its number), or the scores of a launch",
    )
    parser.add_argument("--secret-file", type=Path, help="the block's secret (default: stdin)")
    parser.add_argument("--block", type=int, default=1)
    parser.add_argument("--windows", metavar="N,N", help="numbers of the windows (default: all)")
    parser.add_argument(
        "--dialect", type=Path, help="the words to use (default: find them; scoring: the record's)"
    )
    parser.add_argument("--write-dialect", type=Path, help="write the dialect that was found")
    parser.add_argument("--tokenizer", type=Path, help="the baseline's tokenizer.json")
    parser.add_argument("--processes", type=int, default=0, help="0: as the load needs")
    parser.add_argument(
        "--real-time", action="store_true", help="run before other processes, if allowed"
    )
    parser.add_argument("--answers", type=int, default=192, help="answers to score of each record")
    return parser


def measure(options: argparse.Namespace) -> None:
    """Send the windows of a load and write one record each."""
    load = read_load(options.load)
    numbers = _numbers(options.windows, load.windows)
    out = _value_of(next(iter(options.out), None), "--out")
    if len(numbers) > 1 and "{window}" not in out:
        raise BadInput("--out: several windows need {window} in the path")
    address = Address.of(_value_of(options.base_url, "--base-url"))
    secret = _secret(options.secret_file)
    tokenizer = _tokenizer_if_any(options.tokenizer)
    entries = entries_of(load, tokenizer)
    if options.dialect:
        dialect = read_json(options.dialect, Dialect)
    else:
        dialect = dialect_of(address, load, secret, options.block, entries, tokenizer)
    if options.write_dialect:
        write_record(options.write_dialect, dialect)
    launch = Launch(
        address=address,
        load=load,
        secret=secret,
        block=options.block,
        dialect=dialect,
        entries=entries,
        processes=options.processes,
        real_time=options.real_time,
    )
    for window in launch.windows(numbers):
        path = Path(out.replace("{window}", str(window.window)))
        size = write_window(path, window)
        failed = sum(bool(a.error) for a in window.answers)
        print(
            f"window {window.window}: {len(window.answers)} requests, {failed} failed, "
            f"{window.duration_ns / 1e9:.2f} s, {size} bytes"
            + (f", judge saturated: {window.saturated}" if window.saturated else ""),
            flush=True,
        )


def score(options: argparse.Namespace) -> None:
    """Have a server score a sample of the answers of each launch's records and write the scores.
    One of several whose records can't be scored gets the reason in place of its scores. Raises
    BadInput if a single one can't."""
    if len(options.out) != len(options.score):
        raise BadInput(f"--out: {len(options.out)} paths for {len(options.score)} launches")
    secret = _secret(options.secret_file)
    for paths, out in zip(options.score, options.out, strict=True):
        try:
            scores = LaunchScores(scores=tuple(_scores(options, secret, paths)))
        except BadInput as error:
            if len(options.out) == 1:
                raise
            scores = LaunchScores(why=str(error))
        write_record(Path(out), scores)
        done = sum(len(s.scores) for s in scores.scores)
        left = sum(len(s.unscored) for s in scores.scores)
        form = scores.scores[-1].form if scores.scores else "none"
        print(f"{done} answers scored by {form}, {left} not {scores.why}".rstrip(), flush=True)


def _scores(options: argparse.Namespace, secret: bytes, paths: Sequence[Path]) -> Iterator[Scores]:
    """Yield the scores of each record of a launch. Raises BadInput."""
    address = Address.of(_value_of(options.base_url, "--base-url"))
    tokenizer = _tokenizer_if_any(options.tokenizer)
    form = read_json(options.dialect, Dialect).scoring if options.dialect else None
    for path in paths:
        window = read_window(path)
        if commitment(secret) != window.commitment:
            raise BadInput(f"{path}: the secret given isn't the one of this record")
        load, block, number = window.load, window.block, window.window
        prompts = window_prompts(load, secret, block, number, entries_of(load, tokenizer))
        indices = sample(secret, block, number, len(prompts), options.answers)
        used = form or window.dialect.scoring
        yield asyncio.run(score_window(address, window, prompts, indices, used, tokenizer))


def show(options: argparse.Namespace) -> None:
    """Print a record's metrics and findings as JSON."""
    window = read_window(options.show)
    tokenizer = _tokenizer(options.tokenizer)
    figures = {
        "block": window.block,
        "window": window.window,
        "saturated": window.saturated,
        "watches": window.watches,
        "metrics": window_metrics(window, tokenizer),
        "findings": audit_window(window, tokenizer),
    }
    print(msgspec.json.format(msgspec.json.encode(figures), indent=1).decode())


def _numbers(text: str | None, count: int) -> list[int]:
    try:
        numbers = [int(n) for n in text.split(",")] if text else list(range(1, count + 1))
    except ValueError as error:
        raise BadInput(f"--windows: {text} isn't a list of numbers") from error
    if min(numbers) < 1:
        raise BadInput("--windows: windows are counted from 1")
    return numbers


def _value_of(value: str | None, option: str) -> str:
    if not value:
        raise BadInput(f"{option} is missing")
    return value


def _secret(path: Path | None) -> bytes:
    try:
        secret = path.read_bytes() if path else sys.stdin.buffer.read()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    if len(secret) != SECRET_BYTES:
        raise BadInput(f"the secret has {len(secret)} bytes, not {SECRET_BYTES}")
    return secret


def _tokenizer(path: Path | None) -> Tokenizer | None:
    return FileTokenizer(path) if path else None


def _tokenizer_if_any(path: Path | None) -> Tokenizer | None:
    """Return the tokenizer, or None with a line on stderr if it can't be used: servers that stream
    token ids need none."""
    try:
        return _tokenizer(path)
    except BadInput as error:
        print(f"judge: goes on without a tokenizer: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main())
