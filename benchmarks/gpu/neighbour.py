#!/usr/bin/env python3
"""Measure how much a GPU's figures change with what the GPU beside it does.

    python benchmarks/gpu/neighbour.py --model MODEL --site SITE --deps DEPS --out FOLDER

Serves the model of ``examples/vllm_gpu`` on GPU 0 with one launch and sends it window after window
of the same load, while a second server on GPU 1 starts, works under the same load, and is gone, in
rounds until the time is up. Nothing is pinned to cores, as in a campaign. What comes out
(FOLDER/windows.json) is read by neighbour_table.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from neighbour_table import IDLE, METRICS, STARTING, WORKING, Measured  # noqa: E402

from patchbench.judge.metrics import window_metrics  # noqa: E402
from patchbench.judge.record import read_window  # noqa: E402
from patchbench.load import ClosedLoop, Lengths, Load, RandomPrompts, Sampling  # noqa: E402

REQUESTS, AT_ONCE, TOKENS = 256, 64, 128
# Windows per state of a round; a neighbour that starts gets as many as fit.
WINDOWS = 5
READY_SECONDS, STOP_SECONDS = 200, 30
PORTS = (8700, 8710)
GRAPHS = {
    "mode": 0,
    "cudagraph_mode": "FULL_DECODE_ONLY",
    "cudagraph_capture_sizes": [8, 16, 32, 48, 64],
}
ENGINE = (
    "--load-format", "dummy", "--dtype", "bfloat16", "--max-model-len", "1024",
    "--max-num-seqs", "64", "--no-enable-prefix-caching", "--disable-uvicorn-access-log",
    "--compilation-config", json.dumps(GRAPHS),
)  # fmt: skip


class Bench:
    """The two servers and the judge. ``fake`` serves the tests' server in place of vLLM."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out = options, options.out
        self.windows = 0
        self.dialect = self.out / "dialect.json"
        self.secret = self.out / "secret"
        self.secret.write_bytes(os.urandom(32))
        self.load = self.out / "load.json"
        lengths = Lengths(low=TOKENS, high=TOKENS)
        load = Load(
            model="m",
            shape=ClosedLoop(requests=REQUESTS, concurrency=AT_ONCE),
            prompts=RandomPrompts(prompt=lengths, output=lengths),
            sampling=Sampling(ignore_eos=True),
            windows=10_000,
        )
        self.load.write_bytes(msgspec.json.encode(load))

    def environment(self, gpu: int) -> dict[str, str]:
        """Return what a server of vLLM runs with."""
        paths = [str(path) for path in (self.options.site, self.options.deps) if path]
        library = os.environ.get("LD_LIBRARY_PATH", "")
        return os.environ | {
            "PYTHONPATH": ":".join(paths),
            "LD_LIBRARY_PATH": f"/usr/local/nvidia/lib64:{library}",
            "CUDA_VISIBLE_DEVICES": str(gpu),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_HOST_IP": "127.0.0.1",
        }

    def start(self, gpu: int) -> subprocess.Popen[bytes]:
        """Start a server on a GPU."""
        port = PORTS[gpu]
        command = [
            sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(self.options.model),
            "--served-model-name", "m", "--host", "127.0.0.1", "--port", str(port), *ENGINE,
        ]  # fmt: skip
        if self.options.fake:
            fake = ROOT / "benchmarks/judge/fake.py"
            command = [sys.executable, str(fake), str(port), "0.0005", str(self.out / "stamps")]
        with (self.out / f"server-{gpu}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment(gpu), start_new_session=True
            )

    def is_ready(self, server: subprocess.Popen[bytes], gpu: int) -> bool:
        """Return True if a server answers. Raises SystemExit if it has ended."""
        if server.poll() is not None:
            sys.exit(f"neighbour: the server of GPU {gpu} ended with {server.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORTS[gpu]}/health", timeout=2).read()
        except OSError as error:
            return bool(self.options.fake) and "HTTP Error" in str(error)
        return True

    @contextmanager
    def server(self, gpu: int) -> Iterator[Callable[[], bool]]:
        """Serve on a GPU for the body; gives a function that is True once the server is ready."""
        process = self.start(gpu)
        try:
            yield lambda: self.is_ready(process, gpu)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()

    def command(self, gpu: int, first: int, last: int, name: str) -> list[str]:
        """Return the command of the judge for windows of a server."""
        return [
            sys.executable, "-m", "patchbench.judge", "--load", str(self.load),
            "--base-url", f"http://127.0.0.1:{PORTS[gpu]}", "--secret-file", str(self.secret),
            "--out", str(self.out / f"{name}-{{window}}.judge"),
            "--windows", ",".join(map(str, range(first, last + 1))),
            "--dialect" if self.dialect.exists() else "--write-dialect", str(self.dialect),
        ]  # fmt: skip

    def judge(self, gpu: int, first: int, last: int, name: str) -> None:
        """Measure windows. Raises SystemExit if the judge fails."""
        done = subprocess.run(
            self.command(gpu, first, last, name), capture_output=True, text=True, env=judge_env()
        )
        if done.returncode:
            sys.exit(f"neighbour: the judge ended with {done.returncode}: {done.stderr[-500:]}")

    def window(self) -> dict[str, float]:
        """Measure one window on GPU 0."""
        self.windows += 1
        self.judge(0, self.windows, self.windows, "window")
        record = self.out / f"window-{self.windows}.judge"
        metrics = window_metrics(read_window(record))
        record.unlink()
        return {name: metrics[name] for name in (*METRICS, "duration_s", "failed")}

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep GPU 1 under load for the body."""
        command = self.command(1, 5001, 5400, "neighbour")
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=judge_env(),
            start_new_session=True,
        )  # fmt: skip
        try:
            time.sleep(2.0)  # its prompts are made, its first requests run
            yield
            if process.poll() is not None:
                sys.exit(f"neighbour: GPU 1's load ended early with {process.returncode}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
            for record in self.out.glob("neighbour-*"):
                record.unlink()


def judge_env() -> dict[str, str]:
    """Return the environment of the judge: its package, and what the caller's path names."""
    path = f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"
    return os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}


def measure(options: argparse.Namespace) -> None:
    """Measure rounds until the time is up, and write windows.json after each window."""
    began = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    bench, found = Bench(options), list[Measured]()

    def take(number: int, state: str, is_over: Callable[[], bool] = lambda: False) -> None:
        metrics = bench.window()
        if is_over():  # the neighbour's state ended within the window
            return
        found.append(Measured(number, state, metrics))
        rows = [window._asdict() for window in found]
        (options.out / "windows.json").write_bytes(msgspec.json.encode(rows))
        figures = ", ".join(f"{name} {metrics[name]:.4g}" for name in METRICS)
        print(f"{time.monotonic() - began:6.1f} s round {number} {state}: {figures}", flush=True)

    with bench.server(0) as ready:
        until(ready)
        print(f"{time.monotonic() - began:6.1f} s GPU 0 is ready", flush=True)
        bench.judge(0, 9001, 9002, "warm")  # finds the dialect too
        for _ in range(WINDOWS):  # before the first round as well as at its end
            take(1, IDLE)
        number, longest = 0, 0.0
        while number == 0 or time.monotonic() - began + longest < options.seconds:
            number, start = number + 1, time.monotonic()
            with bench.server(1) as is_ready:
                while not is_ready():
                    take(number, STARTING, is_ready)
                with bench.working():
                    for _ in range(WINDOWS):
                        take(number, WORKING)
            for _ in range(WINDOWS):
                take(number, IDLE)
            longest = max(longest, time.monotonic() - start)


def until(ready: Callable[[], bool]) -> None:
    """Wait for a server. Raises SystemExit after 200 s."""
    end = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > end:
            sys.exit(f"neighbour: the server isn't ready after {READY_SECONDS} s")
        time.sleep(0.3)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("model"))
    parser.add_argument("--site", type=Path, help="vLLM, unpacked")
    parser.add_argument("--deps", type=Path, help="its dependencies, unpacked")
    parser.add_argument("--out", type=Path, required=True, help="folder for what comes out")
    parser.add_argument("--seconds", type=float, default=300.0, help="no round ends later")
    parser.add_argument("--fake", action="store_true", help="try the script without a GPU")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
