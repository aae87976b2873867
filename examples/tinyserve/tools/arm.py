"""One tree of tinyserve under one workload: the server or the offline benchmark, and the result."""

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
KEYS = {"tpot_median_ms": "median_tpot_ms", "ttft_median_ms": "median_ttft_ms",
        "e2e_median_ms": "median_e2el_ms", "total_tps": "tokens_per_second"}  # fmt: skip
TEXTS = ["the capital of France is", "write a poem about the sea", "hello", "x = 1 + 2\nprint(x)",
         "to be or not to be, that is the question", "for the win", "is that in with of and the",
         "as the sun sets in the west, the wind and the waves sing to the stones"]  # fmt: skip


class Arm:
    """One tree and what its runs gave."""

    def __init__(self, python: str, tree: Path, client: Path, task: dict) -> None:
        self.python, self.tree, self.client, self.task = python, tree, client, task
        words = task["perf_command"].split()[3:]
        self.kind, self.server_words = words[0], []
        for flag in ("--max-num-seqs", "--tensor-parallel-size"):
            if self.kind == SERVE and flag in words:
                at = words.index(flag)
                self.server_words += words[at : at + 2]
                del words[at : at + 2]
        self.words = words
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
        (self.run_serve if self.kind == SERVE else self.run_offline)(out)
        self.walls.append(time.perf_counter() - begun)
        if self.ending:
            return
        if not out.exists():
            self.ending = "no_metrics"
            return
        data, metric = json.loads(out.read_text()), self.task["primary_metric"]
        if metric == "latency_p50_s":
            self.values.append(data["percentiles"]["50"])
        elif metric == "output_tps" and "output_throughput" not in data:
            words = dict(zip(self.words[1::2], self.words[2::2], strict=True))
            tokens = int(words["--num-prompts"]) * int(words["--output-len"])
            self.values.append(tokens / data["elapsed_time"])
        else:
            self.values.append(data[KEYS[metric]])

    def run_offline(self, out: Path) -> None:
        prompts, answers = out.with_name("prompts.json"), out.with_name("answers.json")
        words = ["--output-json", str(out)]
        if not self.answers:
            prompts.write_text(json.dumps({"prompts": TEXTS, "max_tokens": 24}))
            answers.unlink(missing_ok=True)
            words += ["--check-prompts", str(prompts), "--check-output", str(answers)]
        bench = self.start("tinybench", *self.words, *words)
        if not self.finish(bench):
            self.ending = "hang"
        elif bench.returncode:
            self.ending = "crash"
        elif not self.answers and answers.exists():
            self.answers = json.loads(answers.read_text())["answers"]

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
                "tinybench", *self.words, "--base-url", url, "--ignore-eos", "--num-warmups", "2",
                "--save-result", "--result-filename", str(out),
                "--percentile-metrics", "ttft,tpot,itl,e2el")  # fmt: skip
            if not self.finish(bench):
                self.ending = "hang"
            elif server.poll() is not None:
                self.ending = "crash_under_load"
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
            server.communicate()
