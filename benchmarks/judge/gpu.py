"""The judge on vLLM on one GPU (the bundle of benchmarks/gpu/pack.sh, unpacked into SITE and DEPS).

    python benchmarks/judge/gpu.py weights --model MODEL
    python benchmarks/judge/gpu.py agree --model MODEL --site SITE --deps DEPS --out FOLDER
    python benchmarks/judge/gpu.py answers --model MODEL --site SITE --deps DEPS --out FOLDER
    python benchmarks/judge/gpu.py tables --out FOLDER

``weights`` writes seeded weights that make answers differ. ``agree``: one launch; windows of the
judge, of the judge without token ids and of ``vllm bench serve`` in turn, then windows of 5 s that
show how late the judge itself is. ``answers``: launches of honest and of wrong variants side by
side, the same sealed prompts, a server of the baseline that scores. ``tables`` needs no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from patchbench.judge.record import Dialect
from patchbench.load import ClosedLoop, Lengths, Load, RandomPrompts, Sampling
from patchbench.system.files import read_json

PROMPT, OUTPUT, LAYERS = 128, 128, 16
SERVER_CORES, CLIENT_CORES = "0-11", "12-15"
PORT = 8700
ROUNDS, LAG_WINDOWS = 12, 4
# Requests of a window by how many are under way: windows of 3 to 5 s.
LOADS = {64: 256, 16: 64}
LAG_REQUESTS = 448
SIDE_BY_SIDE, SCORED, ANSWER_WINDOWS = 5, 192, (1, 2)

ENGINE = (
    "--dtype", "bfloat16", "--max-model-len", "1024", "--gpu-memory-utilization", "0.1",
    "--kv-cache-memory-bytes", str(4 << 30), "--disable-uvicorn-access-log",
)  # fmt: skip
GRAPHS = {
    "mode": 0,
    "cudagraph_mode": "FULL_DECODE_ONLY",
    "cudagraph_capture_sizes": [1, 8, 16, 24, 32, 40, 48, 56, 64],
}
PLAIN = ("--compilation-config", json.dumps(GRAPHS))
USUAL = (*PLAIN, "--max-num-seqs", "64", "--no-enable-prefix-caching")

# --- the variants ------------------------------------------------------------------------------

LLAMA, SAMPLER = "vllm/model_executor/models/llama.py", "vllm/v1/sample/sampler.py"


@dataclass(frozen=True)
class Variant:
    """A launch: further arguments in place of or after the usual ones, and an edit of the source:
    file, old text, new text."""

    arguments: tuple[str, ...] = ()
    edit: tuple[str, str, str] | None = None
    usual: tuple[str, ...] = USUAL


def _noise(rows: str) -> tuple[str, str, str]:
    old = "        logits = logits.to(torch.float32)\n\n        logits = self.apply"
    noise = f"logits[{rows}] += torch.randn_like(logits[{rows}]) * logits.std()"
    new = old.replace("\n\n", f"\n        if logits.shape[0] > 32:\n            {noise}\n\n", 1)
    return SAMPLER, old, new


SLIDING = {"layer_types": ["sliding_attention"] * LAYERS, "sliding_window": 64}
BASELINES = ("baseline, first launch", "baseline, second launch")
VARIANTS = {
    # The slowest start stands first.
    "honest: compiled by Inductor": Variant(
        usual=("--max-num-seqs", "64", "--no-enable-prefix-caching")
    ),
    BASELINES[0]: Variant(),
    BASELINES[1]: Variant(),
    "honest: a third launch": Variant(),
    "honest: 32 sequences at a time": Variant(("--max-num-seqs", "32")),
    "honest: prefill in chunks of 512": Variant(("--max-num-batched-tokens", "512")),
    "honest: eager": Variant(
        ("--enforce-eager",), usual=("--max-num-seqs", "64", "--no-enable-prefix-caching")
    ),
    "honest: attention in Triton": Variant(("--attention-backend", "TRITON_ATTN")),
    "honest: no asynchronous scheduling": Variant(("--no-async-scheduling",)),
    "wrong: FP8 KV cache": Variant(("--kv-cache-dtype", "fp8")),
    "wrong: FP8 weights": Variant(("--quantization", "fp8")),
    "wrong: one layer of 16 less": Variant(
        edit=(LLAMA, "islice(self.layers, self.start_layer, self.end_layer)",
              "islice(self.layers, self.start_layer, self.end_layer - 1)")
    ),
    "wrong: attention to the last 64 tokens alone": Variant(
        ("--hf-overrides", json.dumps(SLIDING))
    ),
    "wrong: attention scaled by 1.02": Variant(
        edit=(LLAMA, "self.scaling = self.head_dim**-0.5",
              "self.scaling = 1.02 * self.head_dim**-0.5")
    ),
    "wrong: noise in one of 8 rows, only while more than 32 run": Variant(edit=_noise("::8")),
    "wrong: noise in one of 64 rows, only while more than 32 run": Variant(edit=_noise(":1")),
}  # fmt: skip
RECORDS = {name: f"variant-{n}" for n, name in enumerate(VARIANTS)}

# --- processes -----------------------------------------------------------------------------------


@dataclass
class Setup:
    """Where things lie. ``fake`` serves the tests' server in place of vLLM."""

    model: Path
    site: Path
    deps: Path
    out: Path
    python: str
    fake: bool = False

    def environment(self, site: Path | None = None) -> dict[str, str]:
        """Return what vLLM's processes run with."""
        paths = [str(site or self.site), str(self.deps)]
        library = os.environ.get("LD_LIBRARY_PATH", "")
        return os.environ | {
            "PYTHONPATH": ":".join(p for p in paths if p != "."),
            "LD_LIBRARY_PATH": f"/usr/local/nvidia/lib64:{library}",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_HOST_IP": "127.0.0.1",
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_SOCKET_IFNAME": "lo",
        }

    @contextmanager
    def server(
        self, port: int, log: Path, variant: Variant, cores: str = "", site: Path | None = None
    ) -> Iterator[float]:
        """Serve the model until the end of the block; gives the seconds of its start."""
        command = [
            self.python, "-m", "vllm.entrypoints.cli.main", "serve", str(self.model),
            "--served-model-name", "m", "--host", "127.0.0.1", "--port", str(port),
            *ENGINE, *variant.usual, *variant.arguments,
        ]  # fmt: skip
        if self.fake:
            fake = Path(__file__).with_name("fake.py")
            command = [sys.executable, str(fake), str(port), "0.005", f"{log}.stamps"]
        command = pinned(command, cores)
        began = time.monotonic()
        with log.open("ab") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env=self.environment(site),
                start_new_session=True,
            )  # fmt: skip
        try:
            self._wait(process, port)
            yield time.monotonic() - began
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)

    def _wait(self, process: subprocess.Popen[bytes], port: int) -> None:
        end = time.monotonic() + 200
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).read()
                return
            except OSError as error:
                if self.fake and "HTTP Error" in str(error):
                    return
                time.sleep(0.3)
        raise RuntimeError("the server isn't ready after 200 s")

    def judge(
        self,
        port: int,
        name: str,
        windows: Sequence[int],
        load: tuple[int, int],
        dialect: Path,
        cores: str = "",
        extra: tuple[str, ...] = (),
    ) -> None:
        """Measure windows with the judge. The first call finds the dialect."""
        requests, concurrency = load
        path = self.out / f"load-{requests}-{concurrency}.json"
        load = Load(
            model="m",
            shape=ClosedLoop(requests=requests, concurrency=concurrency),
            prompts=RandomPrompts(
                prompt=Lengths(low=PROMPT, high=PROMPT), output=Lengths(low=OUTPUT, high=OUTPUT)
            ),
            sampling=Sampling(ignore_eos=True),
            windows=1000,
        )
        path.write_bytes(msgspec.json.encode(load))
        command = [
            sys.executable, "-m", "patchbench.judge", "--load", str(path),
            "--base-url", f"http://127.0.0.1:{port}", "--secret-file", str(self.secret()),
            "--out", str(self.out / f"{name}-{{window}}.judge"),
            "--windows", ",".join(map(str, windows)),
            "--dialect" if dialect.exists() else "--write-dialect", str(dialect), *extra,
        ]  # fmt: skip
        run(pinned(command, cores), name)

    def score(self, port: int, name: str) -> None:
        """Have a server of the baseline score a record."""
        command = [
            sys.executable, "-m", "patchbench.judge", "--score", str(self.out / f"{name}.judge"),
            "--base-url", f"http://127.0.0.1:{port}", "--secret-file", str(self.secret()),
            "--out", str(self.out / f"{name}.json"), "--answers", str(SCORED),
        ]  # fmt: skip
        run(command, name)

    def secret(self) -> Path:
        """Return the file of the secret, the same in all calls."""
        path = self.out / "secret"
        if not path.exists():
            path.write_bytes(os.urandom(32))
        return path

    @contextmanager
    def bench(self, port: int) -> Iterator[Callable[[str, int, tuple[int, int]], None]]:
        """Give a function that runs ``vllm bench serve``, imported once."""
        from real_vllm import BENCH

        command = pinned([self.python, "-c", BENCH], CLIENT_CORES)
        with (self.out / "bench.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.PIPE, text=True,
                env=self.environment() | {"CUDA_VISIBLE_DEVICES": "0"},
            )  # fmt: skip
        assert process.stdin and process.stderr
        told: list[str] = []

        def until(word: str) -> None:
            assert process.stderr
            while line := process.stderr.readline():
                told.append(line)
                if line.strip() == word:
                    return
            raise RuntimeError("the bench process ended: " + "".join(told[-20:]))

        def measure(name: str, seed: int, load: tuple[int, int]) -> None:
            assert process.stdin
            arguments = [
                "--backend", "openai", "--base-url", f"http://127.0.0.1:{port}",
                "--endpoint", "/v1/completions", "--model", "m",
                "--tokenizer", str(self.model), "--dataset-name", "random",
                "--random-input-len", str(PROMPT), "--random-output-len", str(OUTPUT),
                "--num-prompts", str(load[0]), "--max-concurrency", str(load[1]),
                "--ignore-eos", "--temperature", "0", "--seed", str(seed),
                "--ready-check-timeout-sec", "0", "--disable-tqdm",
                "--save-result", "--result-dir", str(self.out), "--result-filename", name,
            ]  # fmt: skip
            process.stdin.write(json.dumps([0, arguments]) + "\n")
            process.stdin.flush()
            until("done")

        try:
            until("ready")
            yield measure
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def pinned(command: list[str], cores: str) -> list[str]:
    """Return a command that keeps to some cores."""
    return ["taskset", "-c", cores, *command] if cores and (os.cpu_count() or 1) >= 16 else command


def run(command: list[str], name: str) -> None:
    """Run one command of the judge. Raises RuntimeError with its words."""
    done = subprocess.run(command, capture_output=True, text=True, env=judge_environment())
    print(f"    {name}: {' / '.join((done.stdout + done.stderr).splitlines())}", flush=True)
    if done.returncode:
        raise RuntimeError(f"{name}: the judge ended with {done.returncode}")


def judge_environment() -> dict[str, str]:
    """Return the environment of the judge: its package, and what the caller's path names."""
    src = str(Path(__file__).resolve().parents[2] / "src")
    return os.environ | {"PYTHONPATH": f"{src}:{os.environ.get('PYTHONPATH', '')}"}


# --- weights -------------------------------------------------------------------------------------


def weights(model: Path, seed: int, sharp: float) -> None:
    """Write config, tokenizer and weights of the example on a GPU, with fewer layers; queries and
    keys are scaled by ``sharp``."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples/vllm_gpu"))
    import make_model

    model.mkdir(parents=True, exist_ok=True)
    make_model.CONFIG["num_hidden_layers"] = LAYERS
    print(make_model.write(model, seed, sharp))


# --- agree ---------------------------------------------------------------------------------------


def agree(setup: Setup) -> None:
    """Measure one launch in turn; then the judge's own lag on it."""
    dialect, plain = setup.out / "dialect.json", setup.out / "plain.json"
    with setup.server(PORT, setup.out / "agree.log", Variant(), SERVER_CORES) as seconds:
        print(f"start {seconds:.1f} s", flush=True)
        with setup.bench(PORT) as bench:
            warm = (64, 64)
            setup.judge(PORT, "warm", [900], warm, dialect, CLIENT_CORES)
            bench("warm.json", 900, warm)
            found = read_json(dialect, Dialect)
            print("dialect", found, flush=True)
            fields = tuple(f for f in found.fields if f != "return_token_ids")
            plain.write_bytes(
                msgspec.json.encode(msgspec.structs.replace(found, fields=fields, ids_stream=False))
            )
            for concurrency, requests in LOADS.items():
                in_turn(setup, bench, (requests, concurrency), dialect, plain)
        lag(setup, dialect)


def in_turn(
    setup: Setup,
    bench: Callable[[str, int, tuple[int, int]], None],
    load: tuple[int, int],
    dialect: Path,
    plain: Path,
) -> None:
    """Measure rounds of three windows, each kind in each place in turn."""
    kinds = ["ids", "plain", "bench"]
    for n in range(1, ROUNDS + 1):
        turn = n % len(kinds)
        for kind in kinds[turn:] + kinds[:turn]:
            name = f"{kind}-{load[1]}"
            before = own_figures()
            if kind == "bench":
                bench(f"{name}-{n}.json", n, load)
            else:
                words = dialect if kind == "ids" else plain
                number = n + (500 if kind == "plain" else 0)
                setup.judge(PORT, name, [number], load, words, CLIENT_CORES)
            after = own_figures()
            own = {key: after[key] - before[key] for key in after}
            (setup.out / f"own-{name}-{n}.json").write_text(json.dumps(own))


def own_figures() -> dict[str, float]:
    """Return sums and counts of the server's own latencies so far, seconds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    figures = {}
    for line in lines:
        name = line.partition("{")[0]
        if name.startswith("vllm:") and name.endswith(("_seconds_sum", "_seconds_count")):
            figures[name] = float(line.rpartition(" ")[2])
    return figures


def lag(setup: Setup, dialect: Path) -> None:
    """Measure windows of 5 s with the judge on its own cores, at real-time priority, and on the
    server's cores."""
    windows = range(1, LAG_WINDOWS + 1)
    for name, cores, extra in (
        ("lag-own", CLIENT_CORES, ()),
        ("lag-real-time", CLIENT_CORES, ("--real-time",)),
        ("lag-shared", SERVER_CORES, ()),
    ):
        setup.judge(PORT, name, windows, (LAG_REQUESTS, 64), dialect, cores, extra)


# --- answers -------------------------------------------------------------------------------------


def answers(setup: Setup, only: Sequence[str] = ()) -> None:
    """Launch the variants side by side, if given only those whose names hold one of some words;
    the baseline's server scores each."""
    names = [n for n in VARIANTS if not only or any(word in n for word in only)]
    sites = edited_sites(setup, names)
    dialect = setup.out / "dialect.json"
    load = (LOADS[64], 64)
    with setup.server(PORT, setup.out / "scorer.log", Variant()) as seconds:
        print(f"scorer: start {seconds:.1f} s", flush=True)
        if not dialect.exists():
            setup.judge(PORT, "warm", [900], (64, 64), dialect)

        def one(numbered: tuple[int, str]) -> None:
            number, name = numbered
            record = RECORDS[name]
            log = setup.out / f"{record}.log"
            try:
                began = time.monotonic()
                site = sites.get(name)
                with setup.server(PORT + 1 + number, log, VARIANTS[name], site=site) as start:
                    port = PORT + 1 + number
                    setup.judge(port, f"{record}-warm", [900], (64, 64), dialect)
                    setup.judge(port, record, ANSWER_WINDOWS, load, dialect)
                for window in ANSWER_WINDOWS:
                    setup.score(PORT, f"{record}-{window}")
                whole = time.monotonic() - began
                print(f"{name}: start {start:.0f} s, all {whole:.0f} s", flush=True)
            except Exception:
                print(f"{name}: failed\n{traceback.format_exc(limit=1)}", flush=True)
                if log.exists():
                    print("\n".join(log.read_text(errors="replace").splitlines()[-8:]), flush=True)

        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            list(pool.map(one, enumerate(names)))


def edited_sites(setup: Setup, names: Sequence[str]) -> dict[str, Path]:
    """Return a copy of vLLM for each variant that edits it, the edit made."""
    sites = {}
    for name in names:
        variant = VARIANTS[name]
        if variant.edit and not setup.fake:
            file, old, new = variant.edit
            folder = setup.site.with_name(RECORDS[name])
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run(["cp", "-r", str(setup.site), str(folder)], check=True)
            text = (folder / file).read_text()
            if text.count(old) != 1:
                raise RuntimeError(f"{name}: {file} holds the old text {text.count(old)} times")
            (folder / file).write_text(text.replace(old, new))
            sites[name] = folder
    return sites


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("weights", "agree", "answers", "tables"))
    parser.add_argument("--model", type=Path, default=Path("model"))
    parser.add_argument("--site", type=Path, default=Path())
    parser.add_argument("--deps", type=Path, default=Path())
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=1, help="of the weights")
    parser.add_argument("--sharp", type=float, default=2.0, help="factor of queries and keys")
    parser.add_argument("--only", nargs="*", default=(), help="words in the names of variants")
    parser.add_argument("--python", default=sys.executable, help="vLLM's")
    parser.add_argument("--fake", action="store_true", help="try the script without a GPU")
    options = parser.parse_args()
    setup = Setup(
        options.model.resolve(), options.site.resolve() if options.site != Path() else Path(),
        options.deps.resolve() if options.deps != Path() else Path(),
        options.out.resolve(), options.python, options.fake,
    )  # fmt: skip
    setup.out.mkdir(parents=True, exist_ok=True)
    if options.action == "weights":
        weights(setup.model, options.seed, options.sharp)
    elif options.action == "agree":
        agree(setup)
    elif options.action == "answers":
        answers(setup, options.only)
    else:
        from gpu_tables import tables

        tables(setup.out)


if __name__ == "__main__":
    main()
