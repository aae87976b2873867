"""Time `patchbench parse` on a log of 2 GB, and measure the memory it takes.

    .venv/bin/python benchmarks/parse_large_log.py [--size 2G] [--folder DIR] [--rounds 3]

The log is what a server, its engine and a client print into one file: access lines, the engine's
statistics, progress bars, tracebacks, and a result at the end. It is written into a temporary
folder and removed afterwards. Each reading is a process of its own; what counts is its whole time,
best of the rounds, against a process that only iterates over the same file's lines.
Bounds: under 300 MB, and at least a quarter of the speed of Python's iteration over bytes. For the
compressed log the figures are shown, without a bound on speed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.unit.outputs import Numbers, make  # noqa: E402

from patchbench.system import raw_logs  # noqa: E402

MEGABYTES, SHARE = 300.0, 0.25
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
RESULTS = {
    "serving": "vllm 0.32",
    "throughput": "vllm throughput",
    "latency": "vllm latency",
    "prefix": "vllm prefix caching",
}
# Each process tells its own peak: what the system counts for it includes what it was forked from.
PEAK = """
import re, sys
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""
ITERATE = f"import sys\nfor line in open(sys.argv[1], 'rb'): pass\n{PEAK}"
ITERATE_TEXT = f"import sys\nfor line in open(sys.argv[1], errors='replace'): pass\n{PEAK}"
PARSE = f"from patchbench.cli.main import main\nmain()\n{PEAK}"


class Run(NamedTuple):
    """One process: seconds and megabytes at its peak."""

    seconds: float
    megabytes: float


def size(text: str) -> int:
    """Bytes from `2G`, `500M` or a plain number."""
    factor = UNITS.get(text[-1:].upper(), 1)
    try:
        return int(float(text.rstrip("kKmMgG")) * factor)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: not a size such as 500M or 2G") from error


def noise(rng: random.Random, lines: int) -> bytes:
    """Lines as servers, engines and clients print them, 120 bytes on average."""
    engine = "(EngineCore pid=878) INFO 11-22 10:00:24 [loggers.py:127] Engine 000: "
    bar = "\rProcessed prompts:  79%|███████▉  | {0}/100 [00:01<00:00, 56.99it/s, est. speed: 10]"
    kinds = (
        lambda n: f'(APIServer pid=772) INFO:     127.0.0.1:{n} - "POST /v1/completions" 200 OK',
        lambda n: f'(APIServer pid=772) INFO:     127.0.0.1:{n} - "POST /v1/completions" 200 OK',
        lambda n: (
            f"{engine}Avg prompt throughput: {n}.5 tokens/s, Avg generation throughput: "
            f"{n / 7:.1f} tokens/s, Running: 12 reqs, Waiting: 0 reqs, GPU KV cache usage: 1.4%"
        ),
        lambda n: f"INFO 01-14 14:31:32 [kv_cache_utils.py:{n}] GPU KV cache size: {n} tokens",
        lambda n: "".join(bar.format(n % 100 + i) for i in range(3)),
        lambda n: f'  File "/opt/venv/lib/python3.11/site-packages/x/y.py", line {n}, in handle',
        lambda n: f"[2026-02-26 10:25:20 TP0] Decode batch. #running-req: {n}, token usage: 0.01",
    )
    return "".join(
        rng.choice(kinds)(rng.randint(1000, 60000)) + "\n" for _ in range(lines)
    ).encode()


def write(path: Path, result: str, bytes_: int) -> None:
    """A log of so many bytes that ends in a result."""
    rng = random.Random(0)
    pieces = [noise(rng, 20_000) for _ in range(8)]
    with path.open("wb") as file:
        while file.tell() < bytes_:
            file.write(rng.choice(pieces)[: max(bytes_ - file.tell(), 1)])
        file.write(b"\n" + make(result, Numbers([1.25, 2.5, 3.75, 40.0, 5.5])).text.encode())


def run(code: str, *words: str | Path) -> Run:
    """A Python process; it must end well."""
    started = time.perf_counter()
    child = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    seconds = time.perf_counter() - started
    if child.returncode:
        raise SystemExit(f"parse_large_log: {words} ended with {child.returncode}: {child.stderr}")
    return Run(seconds, int(child.stderr) / 1024)


def best(rounds: int, code: str, *words: str | Path) -> Run:
    """The fastest of some runs, with the largest memory of any."""
    runs = [run(code, *words) for _ in range(rounds)]
    return Run(min(one.seconds for one in runs), max(one.megabytes for one in runs))


def measure(log: Path, type_: str, rounds: int) -> Iterator[tuple[str, Run, float | None]]:
    """Readings of one log: what was read, time and memory, and the speed it is held against."""
    plain = best(rounds, ITERATE, log)
    yield "iterate bytes", plain, None
    yield "iterate text", best(rounds, ITERATE_TEXT, log), None
    for option in ("auto", type_):
        found = best(rounds, PARSE, "parse", "--type", option, log)
        yield f"parse {option}", found, plain.seconds / found.seconds
    packed = raw_logs.compress(log)
    for option in ("auto", type_):
        found = best(rounds, PARSE, "parse", "--type", option, packed)
        yield f"parse {option}, .zst", found, plain.seconds / found.seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=size, default=2 << 30, help="of the log (default: 2G)")
    parser.add_argument("--type", choices=RESULTS, default="serving", help="the log's benchmark")
    parser.add_argument("--rounds", type=int, default=3, help="of each reading (default: 3)")
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parse-large-log-", dir=args.folder) as name:
        free, need = shutil.disk_usage(name).free, 2 * args.size + (64 << 20)
        if free < need:
            raise SystemExit(
                f"parse_large_log: {name} has {free >> 20} MiB free, {need >> 20} are needed | "
                "next: give another --folder or a smaller --size"
            )
        log = Path(name) / "benchmark.stdout"
        write(log, RESULTS[args.type], args.size)
        print(f"{log.stat().st_size / 1e6:.0f} MB of a {args.type} log")
        worst = 0.0
        ratios = []
        for what, found, ratio in measure(log, args.type, args.rounds):
            shown = "" if ratio is None else f"  {ratio:5.2f} of iterating"
            print(f"{what:24} {found.seconds:7.2f} s  {found.megabytes:6.0f} MB{shown}", flush=True)
            if ratio is not None:
                worst = max(worst, found.megabytes)
                ratios += [] if ".zst" in what else [ratio]
    good = worst < MEGABYTES and min(ratios) >= SHARE
    print(
        f"{'good' if good else 'TOO SLOW OR TOO LARGE'}: at most {worst:.0f} MB (bound "
        f"{MEGABYTES:.0f}), at least {min(ratios):.2f} of Python's speed (bound {SHARE})"
    )
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
