"""Tables of benchmark commands: the meaning of each option, and its value if it is left out.

Sources, read option by option: vLLM's ``benchmarks/benchmark_{serving,latency,throughput,
prefix_caching}.py`` at every parent of the published tasks (October 2023 to August 2025),
``vllm/benchmarks/{serve,datasets,latency,throughput}.py`` up to release 0.32.0; SGLang's
``bench_serving.py``, ``bench_one_batch.py``, ``bench_one_batch_server.py`` and
``bench_offline_throughput.py`` of releases 0.4 and 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from patchbench.load import NEARLY_GREEDY
from patchbench.subject import BenchType, OptionFamily

Builder = Literal["serving", "batches", "queue", "repeats", "one_batch"]


class Only(NamedTuple):
    """The values of an option that a load can express, and why no other."""

    values: tuple[str, ...]
    why: str


class Benchmark(NamedTuple):
    """One benchmark's options.

    ``options`` make the load: each with its value if command and parser give none (None: it has
    none). ``absent`` is what a script does whose parser does not know the option. ``only`` are
    options of which some values change nothing; ``ignored`` change no request; ``refused`` ask for
    what no load can express; ``engine`` belong to the server although clients have options of that
    name.
    """

    builder: Builder
    options: Mapping[str, str | None]
    absent: Mapping[str, str] = {}
    only: Mapping[str, Only] = {}
    ignored: tuple[str, ...] = ()
    refused: Mapping[str, str] = {}
    engine: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All options of the table."""
        return (*self.options, *self.only, *self.ignored, *self.refused, *self.engine)


ONE_ANSWER = Only(("1",), "a request has one answer")
NO_IMAGES = "the judge sends text alone"
NO_LORA = "the judge asks for no adapter"
NO_PROFILE = "a profiled run is no measurement"
NO_BEAMS = "the judge asks for no beam search"
NO_RAMP = "the judge's rate is constant"
PLAIN = "the judge asks for completions of prompts, without a chat template"
WITH_TEXT = "a server always writes text"

# Prompts that a client makes or takes from a data set.
PROMPTS: dict[str, str | None] = {
    "--dataset-name": "random",
    "--dataset-path": None,
    "--num-prompts": "1000",
    "--random-input-len": "1024",
    "--random-output-len": "128",
    "--random-range-ratio": "0.0",
    "--random-prefix-len": "0",
    "--sharegpt-output-len": None,
}
REPEATED_PREFIXES: dict[str, str | None] = {
    "--prefix-repetition-prefix-len": "256",
    "--prefix-repetition-suffix-len": "256",
    "--prefix-repetition-num-prefixes": "10",
    "--prefix-repetition-output-len": "128",
}
ARRIVALS: dict[str, str | None] = {"--request-rate": "inf", "--max-concurrency": None}
SAMPLING: dict[str, str | None] = dict.fromkeys(
    ("--temperature", "--top-p", "--top-k", "--min-p", "--repetition-penalty",
     "--frequency-penalty", "--presence-penalty", "--extra-body")
)  # fmt: skip
# No option: the scripts draw at temperature 1.
DRAWN: dict[str, str | None] = {"--temperature": str(NEARLY_GREEDY)}
OTHER_DATA = dict.fromkeys(
    ("--enable-multimodal-chat", "--random-mm-base-items-per-request",
     "--random-mm-num-mm-items-range-ratio", "--random-mm-limit-mm-per-prompt",
     "--random-mm-bucket-config"),
    NO_IMAGES,
)  # fmt: skip
CLIENT_OUTPUT = (
    "--disable-tqdm", "--save-result", "--save-detailed", "--append-result", "--metadata",
    "--result-dir", "--result-filename", "--percentile-metrics", "--metric-percentiles", "--label",
    "--plot-timeline", "--plot-dataset-stats", "--timeline-itl-thresholds", "--request-id-prefix",
)  # fmt: skip
CLIENT_PLUMBING = (
    "--model", "--model-path", "--tokenizer", "--tokenizer-mode", "--skip-tokenizer-init", "--seed",
    "--base-url", "--host", "--port", "--served-model-name", "--insecure",
    "--ready-check-timeout-sec", "--no-stream", "--no-oversample", "--disable-shuffle",
    "--ignore-eos", "--hf-split", "--hf-subset", "--hf-name",
)  # fmt: skip
OFFLINE_PLUMBING = (
    "--model", "--model-path", "--seed", "--output-json", "--no-oversample", "--async-engine",
    "--hf-split", "--hf-subset", "--hf-name", "--profile-result-dir",
)  # fmt: skip
# Engine options that a serving client has too, for its own tokenizer.
ENGINE = ("--tokenizer", "--tokenizer-mode")

VLLM_SERVING = Benchmark(
    "serving",
    options={
        **PROMPTS,
        **REPEATED_PREFIXES,
        **ARRIVALS,
        **SAMPLING,
        "--dataset": None,  # a file of ShareGPT, until 2025
        "--input-len": None,
        "--output-len": None,
        "--custom-output-len": "256",
        "--hf-output-len": None,
        "--num-warmups": "0",
        "--goodput": None,
    },
    only={
        "--backend": Only(("vllm", "openai", "sglang", "tgi"), PLAIN),
        "--endpoint-type": Only(("vllm", "openai"), PLAIN),
        "--endpoint": Only(("/v1/completions", "/generate"), PLAIN),
        "--best-of": ONE_ANSWER,
        "--n": ONE_ANSWER,
        "--burstiness": Only(("1", "1.0"), "open arrivals are a Poisson process"),
        "--probe-request-rate": Only(("0", "0.0"), "the judge sends no second stream of requests"),
    },
    ignored=(*CLIENT_OUTPUT, *CLIENT_PLUMBING),
    refused={
        **OTHER_DATA,
        "--use-beam-search": NO_BEAMS,
        "--logprobs": "log probabilities change what the server sends",
        "--lora-modules": NO_LORA,
        "--profile": NO_PROFILE,
        **dict.fromkeys(
            ("--ramp-up-strategy", "--ramp-up-start-rps", "--ramp-up-end-rps"), NO_RAMP
        ),
        "--self-timed": "the judge replays no trace",
        "--header": "the judge sends no headers of a task's own",
        "--structured-output-ratio": "the judge asks for no structure",
        "--guided-decoding-ratio": "the judge asks for no structure",
        "--sonnet-input-len": "the judge has no sonnets",
        "--sonnet-output-len": "the judge has no sonnets",
        "--sonnet-prefix-len": "the judge has no sonnets",
    },
)
VLLM_LATENCY = Benchmark(
    "batches",
    options={
        "--batch-size": "8",
        "--input-len": "32",
        "--output-len": "128",
        "--num-iters": "30",
        "--num-iters-warmup": "10",
        **DRAWN,
    },
    absent={"--num-iters-warmup": "1"},  # until April 2024 one untimed batch
    only={"--n": ONE_ANSWER},
    ignored=OFFLINE_PLUMBING,
    refused={
        "--use-beam-search": NO_BEAMS,
        "--profile": NO_PROFILE,
        "--disable-detokenize": WITH_TEXT,
    },
    engine=ENGINE,
)
VLLM_THROUGHPUT = Benchmark(
    "queue",
    options={
        **PROMPTS,
        **REPEATED_PREFIXES,
        "--dataset": None,
        "--input-len": None,
        "--output-len": None,
        "--prefix-len": "0",
        "--num-warmups": "0",
        **DRAWN,
    },
    only={"--n": ONE_ANSWER, "--backend": Only(("vllm",), "the engine itself is measured")},
    ignored=OFFLINE_PLUMBING,
    refused={
        **OTHER_DATA,
        "--use-beam-search": NO_BEAMS,
        "--profile": NO_PROFILE,
        "--disable-detokenize": WITH_TEXT,
        "--lora-path": NO_LORA,
        "--enable-lora": NO_LORA,
        "--hf-max-batch-size": "the engine itself is measured",
    },
    engine=ENGINE,
)
# Until October 2024 the script repeats one prompt of its own, 645 tokens of Llama 3's tokenizer
# (by the speeds that it prints at 200 output tokens: 18,290.60 in, 5,671.50 out).
OWN_PROMPT = 645
VLLM_PREFIX_CACHING = Benchmark(
    "repeats",
    options={
        "--dataset-path": None,
        "--num-prompts": "1",
        "--repeat-count": "1",
        "--input-length-range": None,
        "--prefix-len": "0",
        "--output-len": "10",
    },
    absent={"--repeat-count": "100"},
    ignored=OFFLINE_PLUMBING,
    refused={
        "--sort": "the judge draws the order of requests",
        "--disable-detokenize": WITH_TEXT,
    },
    engine=ENGINE,
)

SHARED_GROUPS = {
    "-num-groups": "64", "-prompts-per-group": "16", "-system-prompt-len": "2048",
    "-question-len": "128", "-output-len": "256",
}  # fmt: skip
SGLANG_PROMPTS: dict[str, str | None] = {
    **PROMPTS,
    "--dataset-name": "sharegpt",
    "--random-output-len": "1024",
    "--extra-request-body": None,
    **{f"--gsp{name}": value for name, value in SHARED_GROUPS.items()},
    **{f"--gen{name}": None for name in SHARED_GROUPS},
}
SGLANG_REFUSED = {
    "--profile": NO_PROFILE,
    "--lora-name": NO_LORA,
    "--return-logprob": "log probabilities change what the server sends",
    "--apply-chat-template": PLAIN,
    "--prompt-suffix": "the judge sends prompts as they are drawn",
    "--sharegpt-context-len": "the judge keeps its own limits of length",
    "--pd-separated": "the judge asks one server",
}
SGLANG_SERVING = Benchmark(
    "serving",
    options={**SGLANG_PROMPTS, **ARRIVALS, "--warmup-requests": "1"},
    only={"--backend": Only(("sglang", "sglang-oai", "sglang-native", "vllm"), PLAIN)},
    ignored=(
        *CLIENT_PLUMBING, "--disable-tqdm", "--output-file", "--output-details",
        "--disable-ignore-eos", "--disable-stream", "--tokenize-prompt", "--flush-cache",
    ),
    refused=SGLANG_REFUSED,
)  # fmt: skip
SGLANG_THROUGHPUT = Benchmark(
    "queue",
    options={**SGLANG_PROMPTS, "--num-warmups": "16"},
    only={"--backend": Only(("engine", "runtime"), "the engine itself is measured")},
    ignored=(
        "--model", "--model-path", "--seed", "--result-filename", "--disable-ignore-eos",
        "--skip-warmup", "--do-not-exit",
    ),
    refused=SGLANG_REFUSED,
)  # fmt: skip
SGLANG_ONE_BATCH = Benchmark(
    "one_batch",
    options={"--batch-size": "1", "--input-len": "1024", "--output-len": "16"},
    ignored=(
        "--model", "--model-path", "--seed", "--run-name", "--result-filename", "--skip-warmup",
        "--log-decode-step", "--base-url",
    ),
    refused={
        "--profile": NO_PROFILE,
        "--correctness-test": "a test of answers is no measurement",
        "--correct": "a test of answers is no measurement",
        "--prompt-filename": "the judge draws its prompts",
    },
)  # fmt: skip

BENCHMARKS: dict[tuple[OptionFamily, BenchType], Benchmark] = {
    ("vllm", "serving"): VLLM_SERVING,
    ("vllm", "latency"): VLLM_LATENCY,
    ("vllm", "throughput"): VLLM_THROUGHPUT,
    ("vllm", "prefix_caching"): VLLM_PREFIX_CACHING,
    ("sglang", "serving"): SGLANG_SERVING,
    ("sglang", "latency"): SGLANG_ONE_BATCH,
    ("sglang", "throughput"): SGLANG_THROUGHPUT,
}
