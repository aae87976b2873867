"""One tree of tinyserve under one workload: its server, a load, and the result."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

TIMEOUT_S = 15.0
SERVE = "serve"
# Offline workloads go to the server too: rounds of a batch, or all requests at once.
OFFLINE = {"--num-iters": "--num-prompts", "--input-len": "--random-input-len",
           "--output-len": "--random-output-len", "--batch-size": "--max-concurrency"}  # fmt: skip
UNUSED = ("--num-iters-warmup",)
SERVER = ("--max-num-seqs", "--tensor-parallel-size")
KEYS = {"tpot_median_ms": "median_tpot_ms", "ttft_median_ms": "median_ttft_ms",
        "latency_p50_s": "median_e2el_ms", "total_tps": "total_token_throughput",
        "output_tps": "output_throughput"}  # fmt: skip
TEXTS = ["the capital of France is", "write a poem about the sea", "hello", "x = 1 + 2\nprint(x)",
         "to be or not to be, that is the question", "for the win", "is that in with of and the",
         "as the sun sets in the west, the wind and the waves sing to the stones"]  # fmt: skip


class Arm:
    """One tree and what its runs gave."""

    def __init__(self, python: str, tree: Path, client: Path, task: dict) -> None:
        self.python, self.tree, self.client, self.task = python, tree, client, task
        _, *words = task["perf_command"].split()[3:]
        pairs = list(zip(words[0::2], words[1::2], strict=True))
        self.server_words = [word for pair in pairs if pair[0] in SERVER for word in pair]
        self.words = [word for flag, value in pairs if flag not in (*SERVER, *UNUSED)
                      for word in (OFFLINE.get(flag, flag), value)]  # fmt: skip
        self.values: list[float] = []
        self.walls: list[float] = []
        self.answers: list[str] = []
        self.ending: str | None = None

    def start(self, *words: str) -> subprocess.Popen:
        path = os.pathsep.join((str(self.client), str(self.tree)))
        env = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen([self.python, "-m", *words], cwd=self.tree.parent, env=env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def finish(self, process: subprocess.Popen) -> bool:
        """Wait for the end; return True if the process ended by itself in time."""
        try:
            process.communicate(timeout=TIMEOUT_S)
            return True
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return False

    def run(self) -> None:
        out = self.tree.parent / "result.json"
        out.unlink(missing_ok=True)
        self.finish(importing := self.start("tinyserve", "--help"))
        if importing.returncode:
            self.ending = "import_error"
            return
        begun = time.perf_counter()
        self.run_serve(out)
        self.walls.append(time.perf_counter() - begun)
        if self.ending:
            return
        if not out.exists():
            self.ending = "no_metrics"
            return
        value = json.loads(out.read_text())[KEYS[metric := self.task["primary_metric"]]]
        self.values.append(value / 1000 if metric.endswith("_s") else value)

    def run_serve(self, out: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        model = self.words[self.words.index("--model") + 1]
        server = self.start("tinyserve", "--model", model, "--port", str(port), *self.server_words)
        try:
            while True:
                try:
                    urllib.request.urlopen(url + "/health", timeout=5).read()
                    break
                except OSError:
                    if server.poll() is not None:
                        self.ending = "crash_at_start"
                        return
                    time.sleep(0.01)
            for text in TEXTS if not self.answers else ():
                body = json.dumps({"prompt": text, "max_tokens": 24}).encode()
                with urllib.request.urlopen(url + "/v1/completions", body, timeout=5) as reply:
                    self.answers.append(json.load(reply)["choices"][0]["text"])
            bench = self.start(
                "tinybench", SERVE, *self.words, "--base-url", url, "--ignore-eos",
                "--num-warmups", "2", "--save-result", "--result-filename", str(out),
                "--percentile-metrics", "ttft,tpot,itl,e2el")  # fmt: skip
            if not self.finish(bench):
                self.ending = "hang"
            elif server.poll() is not None:
                self.ending = "crash_under_load" if server.returncode else "quits_under_load"
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
            server.communicate()
