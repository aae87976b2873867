"""Hold load generators against one fake server that knows when it wrote each chunk.

    python benchmarks/judge/compare.py --tokenizer DIR --out FOLDER [--step 0.02] [--rounds 2]
        [--cheat NAME] [--tool judge] [--tool aiperf=VENV] [--tool guidellm=VENV] [--tool vllm=VENV]

Every tool keeps 64 streams under way on a server that gives each of them a token per step.
Printed per tool and round: tokens/s as the tool says and by the server's stamps; how late chunks
were read (the k-th read minus the k-th written: medians and p99, milliseconds); processor seconds
of the whole tool per thousand tokens. GuideLLM writes down first and last tokens alone: its lag
is that of those.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from patchbench.judge.metrics import window_metrics
from patchbench.judge.percentiles import percentile
from patchbench.judge.record import read_window
from patchbench.load import ClosedLoop, Lengths, Load, RandomPrompts, Sampling

PORT, STREAMS, PROMPT, OUTPUT = 9650, 64, 128, 128
HERE = Path(__file__).parent
URL = f"http://127.0.0.1:{PORT}"


@dataclass
class Seen:
    """The figures of a tool: tokens per second, median TTFT in ms, arrivals of chunks (monotonic,
    ns). ``ends_only`` says that only first and last chunks have times."""

    tokens_per_second: float
    ttft: float
    reads: list[float]
    ends_only: bool = False
    note: str = ""


@dataclass
class Tool:
    """A command for so many requests, and how its result is read."""

    command: Callable[[argparse.Namespace, str, Path], list[str]]
    read: Callable[[Path], Seen]


def wall_offset() -> int:
    """Return the wall clock minus the monotonic clock, ns."""
    return time.time_ns() - time.monotonic_ns()


# --- the tools -------------------------------------------------------------------------------


def judge_command(options: argparse.Namespace, venv: str, out: Path) -> list[str]:
    load = Load(
        model="m",
        shape=ClosedLoop(requests=options.requests, concurrency=STREAMS),
        prompts=RandomPrompts(
            prompt=Lengths(low=PROMPT, high=PROMPT), output=Lengths(low=OUTPUT, high=OUTPUT)
        ),
        sampling=Sampling(ignore_eos=True),
    )
    (out / "load.json").write_bytes(msgspec.json.encode(load))
    (out / "secret").write_bytes(os.urandom(32))
    arguments = ["--load", str(out / "load.json"), "--base-url", URL]
    arguments += ["--secret-file", str(out / "secret"), "--out", str(out / "window.judge")]
    return [sys.executable, "-m", "patchbench.judge", *arguments]


def judge_read(out: Path) -> Seen:
    window = read_window(out / "window.judge")
    reads = [window.begin_ns + chunk.at for a in window.answers for chunk in a.chunks()]
    watch = window.watches[0]
    note = f"own watch: loop lag p99 {watch.loop_lag_p99:.2f} ms, send lag p99 "
    note += (
        f"{watch.send_lag_p99:.2f} ms, cpu {watch.cpu:.2f}; {window.saturated or 'not saturated'}"
    )
    note += f"; {(out / 'window.judge').stat().st_size / len(reads):.1f} bytes per token"
    got = window_metrics(window)
    return Seen(got["output_tps"], got["ttft_median_ms"], list(map(float, reads)), note=note)


def aiperf_command(options: argparse.Namespace, venv: str, out: Path) -> list[str]:
    return [
        f"{venv}/bin/aiperf", "profile", "-m", "m", "--url", URL,
        "--endpoint-type", "completions", "--streaming", "--tokenizer", options.tokenizer,
        "--concurrency", str(STREAMS), "--request-count", str(options.requests),
        "--synthetic-input-tokens-mean", str(PROMPT), "--output-tokens-mean", str(OUTPUT),
        "--extra-inputs", "ignore_eos:true", "--use-server-token-count",
        "--artifact-dir", str(out), "--ui", "none",
    ]  # fmt: skip


def aiperf_read(out: Path) -> Seen:
    total = json.loads((out / "profile_export_aiperf.json").read_text())
    reads: list[float] = []
    for line in (out / "profile_export.jsonl").read_text().splitlines():
        row = json.loads(line)
        start = row["metadata"]["request_start_ns"] - wall_offset()
        first = start + row["metrics"]["time_to_first_token"]["value"] * 1e6
        gaps = row["metrics"]["inter_chunk_latency"]["value"]
        reads += accumulate((gap * 1e6 for gap in gaps), initial=first)
    ttft = total["time_to_first_token"]["p50"]
    return Seen(total["output_token_throughput"]["avg"], ttft, reads)


def guidellm_command(options: argparse.Namespace, venv: str, out: Path) -> list[str]:
    return [
        f"{venv}/bin/guidellm", "run",
        "--backend", f"kind=openai_http,target={URL},model=m,request_format=/v1/completions",
        "--profile", f"kind=concurrent,streams={STREAMS}",
        "--constraint", f"kind=max_requests,count={options.requests}",
        "--tokenizer", f"kind=hf_auto,model={options.tokenizer}",
        "--data", f"kind=synthetic_text,prompt_tokens={PROMPT},output_tokens={OUTPUT}",
        "--output", f"kind=json,path={out}/guidellm.json", "--disable-progress",
    ]  # fmt: skip


def guidellm_read(out: Path) -> Seen:
    result = json.loads((out / "guidellm.json").read_text())["benchmarks"][0]
    reads: list[float] = []
    for row in result["requests"]["successful"]:
        timings = row["info"]["timings"]
        for name in ("first_token_iteration", "last_token_iteration"):
            reads.append(timings[name] * 1e9 - wall_offset())
    rate = result["metrics"]["output_tokens_per_second"]["successful"]["mean"]
    ttft = result["metrics"]["time_to_first_token_ms"]["successful"]["median"]
    return Seen(rate, ttft, reads, ends_only=True)


def vllm_command(options: argparse.Namespace, venv: str, out: Path) -> list[str]:
    return [
        f"{venv}/bin/python", "-m", "vllm.entrypoints.cli.main", "bench", "serve",
        "--backend", "openai", "--base-url", URL, "--endpoint", "/v1/completions",
        "--model", "m", "--tokenizer", options.tokenizer, "--dataset-name", "random",
        "--random-input-len", str(PROMPT), "--random-output-len", str(OUTPUT),
        "--num-prompts", str(options.requests), "--max-concurrency", str(STREAMS),
        "--ignore-eos", "--temperature", "0", "--ready-check-timeout-sec", "0",
        "--save-result", "--save-detailed", "--result-dir", str(out),
        "--result-filename", "vllm.json", "--disable-tqdm",
    ]  # fmt: skip


def vllm_read(out: Path) -> Seen:
    result: dict[str, Any] = json.loads((out / "vllm.json").read_text())
    reads: list[float] = []
    rows = zip(result["start_times"], result["ttfts"], result["itls"], strict=True)
    for start, first, gaps in rows:
        reads += accumulate((g * 1e9 for g in gaps), initial=(start + first) * 1e9)
    return Seen(result["output_throughput"], result["median_ttft_ms"], reads)


TOOLS = {
    "judge": Tool(judge_command, judge_read),
    "aiperf": Tool(aiperf_command, aiperf_read),
    "guidellm": Tool(guidellm_command, guidellm_read),
    "vllm": Tool(vllm_command, vllm_read),
}

# --- one run ---------------------------------------------------------------------------------


def run(options: argparse.Namespace, name: str, venv: str, round_: int) -> dict[str, Any]:
    """Start a fresh server, run one tool against it and return what both say."""
    out = Path(options.out).resolve() / f"{name}-{options.step:g}-{round_}"
    out.mkdir(parents=True, exist_ok=True)
    stamps = out / "stamps.json"
    fake = [sys.executable, str(HERE / "fake.py"), str(PORT), str(options.step)]
    server = subprocess.Popen([*fake, str(stamps), options.cheat])
    time.sleep(1.0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        with (out / "log").open("wb") as log:
            tool = TOOLS[name]
            command = tool.command(options, venv, out)
            subprocess.run(command, stdout=log, stderr=log, timeout=400, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seen = tool.read(out)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
    rows = json.loads(stamps.read_text())["rows"]
    rows = [row for row in rows if len(row) == OUTPUT + 1][-options.requests :]
    writes = [at for row in rows for at in row[1:]]
    span = (max(writes) - min(row[0] for row in rows)) / 1e9
    if seen.ends_only:
        writes = [at for row in rows for at in (row[1], row[-1])]
    waits = sorted((row[1] - row[0]) / 1e6 for row in rows)
    lags = sorted((r - w) / 1e6 for r, w in zip(sorted(seen.reads), sorted(writes), strict=False))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    tokens = options.requests * OUTPUT
    return {
        "tool": name,
        "step_ms": options.step * 1e3,
        "cheat": options.cheat,
        "says_tps": round(seen.tokens_per_second, 1),
        "stamps_tps": round(tokens / span, 1),
        "says_ttft_ms": round(seen.ttft, 2),
        "stamps_ttft_ms": round(percentile(waits, 50), 2),
        "lag_p50_ms": round(percentile(lags, 50), 2),
        "lag_p99_ms": round(percentile(lags, 99), 2),
        "chunks": f"{len(seen.reads)} of {len(writes)}",
        "cpu_s_per_1000": round(1000 * cpu / tokens, 3),
        "load": round(os.getloadavg()[0], 1),
        "note": seen.note,
    }


def main() -> None:
    """Run every tool in turn, so often."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--step", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--requests", type=int, default=384)
    parser.add_argument("--cheat", default="", help="of the fake server, see tests/judge_servers")
    parser.add_argument("--tool", action="append", required=True)
    options = parser.parse_args()
    for round_ in range(options.rounds):
        for text in options.tool:
            name, _, venv = text.partition("=")
            try:
                print(json.dumps(run(options, name, venv, round_)), flush=True)
            except (subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
                print(json.dumps({"tool": name, "error": repr(error)[:300]}), flush=True)


if __name__ == "__main__":
    main()
