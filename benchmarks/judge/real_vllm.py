"""The judge on real vLLM on the CPU (examples/vllm_cpu/README.md makes VENV and MODEL).

    python benchmarks/judge/real_vllm.py agree --venv VENV --model MODEL --out FOLDER [--rounds 10]
    python benchmarks/judge/real_vllm.py answers --venv VENV --model MODEL --out FOLDER

``agree``: one server; in every round a window of the judge, one of the judge without token ids and
one of ``vllm bench serve``, in alternating order; ratios with 95 % intervals of their means. With
``--real-time`` (root) server and clients run before the machine's other processes in windows.
``answers``: a launch of each honest and each wrong variant, windows of several secrets, the same
for all; then a server of the baseline scores the answers. What is there is not measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import msgspec
import psutil
from scipy import stats

from patchbench.judge.answers import check_answers, mean_gap, trimmed_mean
from patchbench.judge.audit import audit_window
from patchbench.judge.metrics import window_metrics
from patchbench.judge.pairs import compare_windows
from patchbench.judge.record import Dialect, read_window
from patchbench.judge.scores import LaunchScores, Scores
from patchbench.judge.tokens import FileTokenizer
from patchbench.load import ClosedLoop, Lengths, Load, RandomPrompts, Sampling
from patchbench.system.files import read_json

PORT, CONCURRENCY, PROMPT = 8765, 8, 64
# Answers of many lengths: of one length they end together, and then the next requests' order and
# distance, which are the client's, decide how the server prefills them.
SHORTEST, LONGEST = 32, 96
URL = f"http://127.0.0.1:{PORT}"
METRICS = {
    "output tokens/s": ("output_tps", "output_throughput"),
    "TPOT, mean ms": ("tpot_mean_ms", "mean_tpot_ms"),
    "TPOT, median ms": ("tpot_median_ms", "median_tpot_ms"),
    "TTFT, mean ms": ("ttft_mean_ms", "mean_ttft_ms"),
    "TTFT, median ms": ("ttft_median_ms", "median_ttft_ms"),
}


# Runs `vllm bench serve` once per line of arguments, imported once: a process per window would
# import for twice as long as it measures. Priority is 0 or that of SCHED_RR.
BENCH = """
import argparse, json, os, sys
from vllm.benchmarks.serve import add_cli_args, main
print("ready", file=sys.stderr, flush=True)
for line in sys.stdin:
    priority, arguments = json.loads(line)
    parser = argparse.ArgumentParser()
    add_cli_args(parser)
    options = parser.parse_args(arguments)
    if priority:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    main(options)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    print("done", file=sys.stderr, flush=True)
"""
SERVER_PRIORITY, CLIENT_PRIORITY = 5, 10


@dataclass
class Setup:
    """Where things lie, and how many requests a window has."""

    venv: Path
    model: Path
    out: Path
    requests: int
    real_time: bool = False
    dtype: str = "float32"
    process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def priority(self) -> Iterator[None]:
        """Let the server run before the machine's other processes meanwhile, if wanted."""
        if self.real_time:
            self._schedule(os.SCHED_RR, SERVER_PRIORITY)
        try:
            yield
        finally:
            if self.real_time:
                self._schedule(os.SCHED_OTHER, 0)

    def _schedule(self, policy: int, priority: int) -> None:
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        for process in (top, *top.children(recursive=True)):
            for thread in process.threads():
                os.sched_setscheduler(thread.id, policy, os.sched_param(priority))

    @contextmanager
    def server(self, *arguments: str, **env: str) -> Iterator[None]:
        """Serve the model until the end of the block."""
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        command = [
            str(self.venv / "bin/python"), "-m", "vllm.entrypoints.cli.main", "serve",
            str(self.model), "--served-model-name", "tiny", "--host", "127.0.0.1",
            "--port", str(PORT), "--dtype", self.dtype, "--max-model-len", "1024",
            "--no-enable-prefix-caching", "--enforce-eager", "--disable-uvicorn-access-log",
            *arguments,
        ]  # fmt: skip
        with (self.out / "server.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment | env)
        self.process = process
        try:
            self._wait(process)
            yield
        finally:
            process.terminate()
            process.wait(60)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + 300
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}")
            try:
                urllib.request.urlopen(f"{URL}/health", timeout=2)
                return
            except OSError:
                time.sleep(0.5)
        raise RuntimeError("the server isn't ready after 300 s")

    def secret(self, number: int) -> Path:
        """Return the file of a secret, made once."""
        path = self.out / f"secret-{number}"
        if not path.exists():
            path.write_bytes(os.urandom(32))
        return path

    def load(self) -> Path:
        """Write the load."""
        path = self.out / "load.json"
        load = Load(
            model="tiny",
            shape=ClosedLoop(requests=self.requests, concurrency=CONCURRENCY),
            prompts=RandomPrompts(
                prompt=Lengths(low=PROMPT, high=PROMPT),
                output=Lengths(low=SHORTEST, high=LONGEST),
            ),
            sampling=Sampling(ignore_eos=True),
            windows=1000,
            warmup=CONCURRENCY,
        )
        path.write_bytes(msgspec.json.encode(load))
        return path

    def judge(
        self, record: Path, window: int, dialect: Path | None = None, secret: int = 1
    ) -> dict[str, float]:
        """Measure one window and return its metrics."""
        command = [sys.executable, "-m", "patchbench.judge", "--load", str(self.load())]
        command += ["--base-url", URL, "--out", str(record), "--windows", str(window)]
        command += ["--secret-file", str(self.secret(secret))]
        command += ["--tokenizer", str(self.model / "tokenizer.json")]
        command += ["--dialect", str(dialect)] if dialect else []
        command += [] if dialect else ["--write-dialect", str(self.out / "dialect.json")]
        command += ["--real-time"] if self.real_time else []
        with self.priority():
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        print("   ", done.stdout.strip(), flush=True)
        # Without ids by chunks, a token each: text of random weights reads back as fewer tokens.
        return window_metrics(read_window(record))

    @contextmanager
    def bench(self) -> Iterator[Callable[[str, int], dict[str, float]]]:
        """Give a function that runs ``vllm bench serve`` and returns its result."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        command = [str(self.venv / "bin/python"), "-c", BENCH]
        with (self.out / "bench.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        assert process.stdin and process.stderr

        def until(word: str) -> None:
            assert process.stderr
            while line := process.stderr.readline():
                if line.strip() == word:
                    return
            raise RuntimeError("the bench process ended: see bench.log")

        def run(name: str, seed: int) -> dict[str, float]:
            assert process.stdin
            middle = (SHORTEST + LONGEST) // 2
            arguments = [
                "--backend", "openai", "--base-url", URL, "--endpoint", "/v1/completions",
                "--model", "tiny", "--tokenizer", str(self.model), "--dataset-name", "random",
                "--random-input-len", str(PROMPT), "--random-output-len", str(middle),
                "--random-range-ratio", json.dumps({"input": 0.0, "output": LONGEST / middle - 1}),
                "--num-prompts", str(self.requests), "--max-concurrency", str(CONCURRENCY),
                "--num-warmups", str(CONCURRENCY), "--ignore-eos", "--temperature", "0",
                "--seed", str(seed), "--ready-check-timeout-sec", "0", "--disable-tqdm",
                "--save-result", "--result-dir", str(self.out), "--result-filename", name,
            ]  # fmt: skip
            with self.priority():
                line = json.dumps([CLIENT_PRIORITY * self.real_time, arguments])
                process.stdin.write(line + "\n")
                process.stdin.flush()
                until("done")
            result: dict[str, float] = json.loads((self.out / name).read_text())
            return result

        try:
            until("ready")
            yield run
        finally:
            process.stdin.close()
            process.wait(60)


# --- agree -----------------------------------------------------------------------------------


def agree(setup: Setup, rounds: int) -> None:
    """Print what judge and bench say of one server."""
    rows: dict[str, list[dict[str, float]]] = {"judge": [], "judge, no ids": [], "bench": []}
    plain = setup.out / "plain.json"
    with setup.server(), setup.bench() as bench_serve:
        setup.judge(setup.out / "warm.judge", 900)
        bench_serve("bench-warm.json", 0)
        found = read_json(setup.out / "dialect.json", Dialect)
        print("dialect", found, flush=True)
        fields = tuple(f for f in found.fields if f != "return_token_ids")
        plain.write_bytes(
            msgspec.json.encode(msgspec.structs.replace(found, fields=fields, ids_stream=False))
        )
        for n in range(1, rounds + 1):
            order = list(rows) if n % 2 else list(rows)[::-1]
            for kind in order:
                if kind == "bench":
                    values = bench_serve(f"bench-{n}.json", n)
                    rows[kind].append({k: values[b] for k, (_, b) in METRICS.items()})
                else:
                    ids = kind == "judge"
                    dialect = setup.out / "dialect.json" if ids else plain
                    record = setup.out / f"{'ids' if ids else 'plain'}-{n}.judge"
                    got = setup.judge(record, n if ids else 500 + n, dialect)
                    rows[kind].append({k: got[j] for k, (j, _) in METRICS.items()})
                print(n, kind, {k: round(v, 2) for k, v in rows[kind][-1].items()}, flush=True)
    (setup.out / "agree.json").write_text(json.dumps(rows, indent=1))
    print(
        "| metric | bench | judge | ratio | judge, no ids | ratio |\n|---|---:|---:|---:|---:|---:|"
    )
    for name in METRICS:
        bench = [row[name] for row in rows["bench"]]
        cells = [f"{fmean(bench):.2f} (sd {100 * stdev(bench) / fmean(bench):.1f} %)"]
        for kind in ("judge", "judge, no ids"):
            mine = [row[name] for row in rows[kind]]
            cells.append(f"{fmean(mine):.2f} (sd {100 * stdev(mine) / fmean(mine):.1f} %)")
            ratios = [a / b for a, b in zip(mine, bench, strict=True)]
            half = stats.t.ppf(0.975, len(ratios) - 1) * stdev(ratios) / len(ratios) ** 0.5
            cells.append(f"{fmean(ratios):.3f} ± {half:.3f}")
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


# --- answers ---------------------------------------------------------------------------------

LAYER_LESS = "another model"
BASELINES = ("baseline, first launch", "baseline, second launch")
VARIANTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BASELINES, ()),
    "honest: a third launch": (),
    "honest: three sequences at a time": ("--max-num-seqs", "3"),
    "honest: prefill in chunks of 32": ("--max-num-batched-tokens", "32", "--max-num-seqs", "8"),
    "honest: no chunked prefill": ("--no-enable-chunked-prefill",),
    "honest: a prefix cache": ("--enable-prefix-caching",),
    "wrong: one layer of four left out": (LAYER_LESS,),
    "wrong: FP8 KV cache": ("--kv-cache-dtype", "fp8"),
    "wrong: a larger epsilon in norms": ("--hf-overrides", '{"rms_norm_eps": 0.05}'),
    "wrong: noise on the logits, only while several run": (
        "--logits-processors",
        "noise_under_load:NoiseUnderLoad",
    ),
}
OTHER_TYPE = {
    "float32": {"wrong: bfloat16 in place of float32": ("--dtype", "bfloat16")},
    "bfloat16": {"other precision: float32 in place of bfloat16": ("--dtype", "float32")},
}


def without_last_layer(model: Path, out: Path) -> Path:
    """Write the model without its last layer and return its folder. Format of the weights: eight
    bytes of length, a JSON header with offsets, the data (safetensors)."""
    folder = out / "layer-less"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] -= 1
    (folder / "config.json").write_text(json.dumps(config))
    data = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    last = f"model.layers.{config['num_hidden_layers']}."
    kept = {k: v for k, v in header.items() if not k.startswith(last)}
    pieces, offset = [], 0
    for name, entry in kept.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            pieces.append(body[start:end])
            entry["data_offsets"] = [offset, offset + end - start]
            offset += end - start
    text = json.dumps(kept).encode()
    whole = len(text).to_bytes(8, "little") + text + b"".join(pieces)
    (folder / "model.safetensors").write_bytes(whole)
    return folder


def answers(setup: Setup, only: str, repeats: int) -> None:
    """Print what the answers' check says of honest and wrong variants. ``only`` names some that are
    launched without being scored."""
    variants = VARIANTS | OTHER_TYPE[setup.dtype]
    names = {variant: f"variant-{n}" for n, variant in enumerate(variants)}
    for variant, arguments in variants.items():
        records = {n: setup.out / f"{names[variant]}-{n}.judge" for n in range(1, repeats + 1)}
        missing = {n: record for n, record in records.items() if not record.exists()}
        if only in variant and missing:
            print(variant, flush=True)
            launch(setup, arguments, missing)
    if only:
        return
    scored = [
        (setup.out / f"{name}-{n}", n) for name in names.values() for n in range(1, repeats + 1)
    ]
    left = [
        (stem, n)
        for stem, n in scored
        if stem.with_suffix(".judge").exists() and not stem.with_suffix(".json").exists()
    ]
    if left:
        with setup.server():
            for stem, n in left:
                command = [sys.executable, "-m", "patchbench.judge"]
                command += ["--score", str(stem.with_suffix(".judge")), "--base-url", URL]
                command += ["--out", str(stem.with_suffix(".json"))]
                command += ["--secret-file", str(setup.secret(n))]
                subprocess.run(command, check=True)
    table(setup, names, repeats)


def launch(setup: Setup, arguments: tuple[str, ...], records: dict[int, Path]) -> None:
    """Measure a window per secret on one launch of a variant."""
    dialect = setup.out / "dialect.json"
    if arguments == (LAYER_LESS,):
        setup = dataclasses.replace(setup, model=without_last_layer(setup.model, setup.out))
        arguments = ()
    try:
        with setup.server(*arguments, PYTHONPATH=str(Path(__file__).parent)):
            for n, record in records.items():
                setup.judge(record, 1, dialect if dialect.exists() else None, n)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print("    failed:", error, flush=True)


def table(setup: Setup, names: dict[str, str], repeats: int) -> None:
    """Print a row per variant, over all its windows."""
    print("| variant | windows | same answers | not the first choice | mean gap, nats | check |")
    print("|---|---:|---:|---:|---|---|")
    for variant, name in names.items():
        same, others, gaps, said = [], [], [], []
        for n in range(1, repeats + 1):
            stems = [setup.out / f"{names[one]}-{n}" for one in BASELINES]
            stem = setup.out / f"{name}-{n}"
            if not all(one.with_suffix(".json").exists() for one in (stem, *stems)):
                continue
            base = [scores_of(one) for one in stems]
            window = read_window(stem.with_suffix(".judge"))
            first = read_window(stems[0].with_suffix(".judge"))
            baseline = {a.index: a.token_ids for a in first.answers}
            got = scores_of(stem)
            check = check_answers(got, base, greedy=True)
            tokenizer = FileTokenizer(setup.model / "tokenizer.json")
            found = audit_window(window, tokenizer) + compare_windows(window, first, tokenizer)
            same += [a.token_ids == baseline[a.index] for a in window.answers]
            others += [g > 0 for s in got.scores for g in s.gaps]
            gaps.append(trimmed_mean([mean_gap(s) for s in got.scores]))
            words = [check.status, check.rule or check.reason]
            words += [f"{f.cause} ({f.severity})" for f in found]
            said.append(" ".join(filter(None, words)))
        if gaps:
            verdicts = ", ".join(f"{k} x {v}" for v, k in Counter(said).items())
            print(
                f"| {variant} | {len(gaps)} | {fmean(same):.0%} | {fmean(others):.1%} | "
                f"{min(gaps):.5f} to {max(gaps):.5f} | {verdicts} |",
                flush=True,
            )


def scores_of(stem: Path) -> Scores:
    """Return the scores of a record."""
    return read_json(stem.with_suffix(".json"), LaunchScores).scores[0]


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("agree", "answers"))
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--dtype", default="float32", choices=tuple(OTHER_TYPE))
    parser.add_argument("--repeats", type=int, default=5, help="windows with secrets of their own")
    parser.add_argument("--only", default="", help="launch variants with this in their name")
    parser.add_argument("--real-time", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    setup = Setup(
        options.venv,
        options.model.resolve(),
        options.out,
        options.requests,
        options.real_time,
        options.dtype,
    )
    if options.action == "agree":
        agree(setup, options.rounds)
    else:
        answers(setup, options.only, options.repeats)


if __name__ == "__main__":
    main()
