"""Whole outputs of every benchmark and version, made from given numbers, with the metrics that
must be read from them. The layouts are the tools'; the numbers are ours.

In a box labels fill 40 columns, values 10, so rows end in blanks; titles are centred in 50 columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Metrics = dict[str, float]


def row(label: str, value: object) -> str:
    """One printed row."""
    return f"{label:<40} {value:<10}"


def title(text: str) -> str:
    """The title of a section."""
    return f"{text:-^50}"


def box(*lines: str, name: str = "Serving Benchmark Result") -> str:
    """A whole result box."""
    return "\n".join((f" {name} ".center(50, "="), *lines, "=" * 50)) + "\n"


class Output(NamedTuple):
    """What a benchmark printed, of which type it is, and what it says."""

    type: str
    text: str
    metrics: Metrics


class Numbers:
    """A row of numbers to fill an output with, over and over; what is printed is what counts."""

    def __init__(self, values: list[float], completed: int = 250, seconds: float = 20.0) -> None:
        self.values, self.at = values or [1.25], 0
        self.completed, self.seconds = completed, float(f"{seconds:.2f}")
        self.metrics: Metrics = {}

    def next(self) -> float:
        self.at += 1
        return self.values[(self.at - 1) % len(self.values)]

    def put(self, name: str, form: str = ".2f", factor: float = 1.0) -> str:
        """The next number as it is printed; it becomes the metric's value."""
        text = format(self.next(), form)
        self.metrics[name] = float(text) * factor
        return text

    def count(self, name: str) -> str:
        text = str(int(self.next()))
        self.metrics[name] = float(text)
        return text

    def times(self, stem: str, label: str, kinds: tuple[str, ...]) -> Iterator[str]:
        for kind in kinds:
            name = f"{stem}_{kind.lower()}_ms"
            yield row(f"{kind} {label} (ms):", self.put(name))

    def known(self, *names: str) -> dict[str, str]:
        """The counts that must agree with each other."""
        values = {
            "completed": str(self.completed),
            "duration_s": f"{self.seconds:.2f}",
            "request_rate_rps": f"{self.completed / self.seconds:.2f}",
        }
        self.metrics.update({name: float(values[name]) for name in names or values})
        return values


USUAL = ("Mean", "Median", "P99")


def vllm_0(n: Numbers) -> str:
    known = n.known("duration_s", "request_rate_rps")
    return (
        f"Total time: {known['duration_s']} s\n"
        f"Throughput: {known['request_rate_rps']} requests/s\n"
        f"Average latency: {n.put('e2e_mean_ms', factor=1000.0)} s\n"
        f"Average latency per token: {n.put('token_latency_mean_ms', factor=1000.0)} s\n"
        "Average latency per output token: "
        f"{n.put('output_token_latency_mean_ms', factor=1000.0)} s\n"
    )


def vllm_1(n: Numbers) -> str:
    known = n.known()
    lines = [
        f"Successful requests: {known['completed']}",
        f"Benchmark duration: {n.seconds:2f} s",
        f"Total input tokens: {n.count('input_tokens')}",
        f"Total generated tokens: {n.count('output_tokens')}",
        f"Request throughput: {known['request_rate_rps']} requests/s",
        f"Input token throughput: {n.put('input_tps')} tokens/s",
        f"Output token throughput: {n.put('output_tps')} tokens/s",
    ]
    for stem in ("ttft", "tpot"):
        for kind in USUAL:
            value = n.put(f"{stem}_{kind.lower()}_ms")
            lines.append(f"{kind} {stem.upper()}: {value} ms")
    return "\n".join(lines) + "\n"


def _vllm_box(n: Numbers, *, itl: bool, new: bool, six: bool = False) -> str:
    known = n.known()
    rows = [row("Successful requests:", known["completed"])]
    if six:
        n.metrics["failed"] = 0.0
        rows += [row("Failed requests:", 0), row("Maximum request concurrency:", 4)]
    rows += [
        row("Benchmark duration (s):", known["duration_s"]),
        row("Total input tokens:", n.count("input_tokens")),
        row("Total generated tokens:", n.count("output_tokens")),
        row("Request throughput (req/s):", known["request_rate_rps"]),
    ]
    if not new:
        rows.append(row("Input token throughput (tok/s):", n.put("input_tps")))
    rows.append(row("Output token throughput (tok/s):", n.put("output_tps")))
    if six:
        rows += [
            row("Peak output token throughput (tok/s):", "1.00"),
            row("Peak concurrent requests:", "2.00"),
        ]
    if new:
        word = "token" if six else "Token"
        rows.append(row(f"Total {word} throughput (tok/s):", n.put("total_tps")))
    kinds = ("Mean", "Median", "P50", "P90", "P99") if six else USUAL
    rows += [title("Time to First Token"), *n.times("ttft", "TTFT", kinds)]
    rows += [title("Time per Output Token (excl. 1st token)"), *n.times("tpot", "TPOT", kinds)]
    if itl:
        rows += [title("Inter-token Latency"), *n.times("itl", "ITL", kinds)]
    if six:
        rows += [title("End-to-end Latency"), *n.times("e2e", "E2EL", kinds)]
        rows += [title("Speculative Decoding"), row("Acceptance rate (%):", "61.00")]
        rows += ["Per-position acceptance (%):", row("  Position 0:", "80.00")]
    return "Traffic request rate: inf\n" + box(*rows)


# Which SGLang versions print what: the table in the notes on output formats.
class Sglang(NamedTuple):
    """What one version of SGLang's bench_serving adds to its box."""

    concurrency: str = ""
    measured_concurrency: bool = False
    tpot: bool = True
    itl: str = "Inter-token Latency"
    itl_kinds: tuple[str, ...] = USUAL
    peaks: bool = False
    e2e_kinds: tuple[str, ...] = ("Mean", "Median")
    kinds: tuple[str, ...] = USUAL
    more: tuple[str, ...] = ()


MANY = ("Mean", "Median", "P90", "P95", "P99")
CACHE = (
    title("Cache Hit Details"),
    row("Total prompt tokens:", 102400),
    row("Total cached tokens:", 512),
    row("  Device:", 512),
    row("  Host:", 0),
    row("Cache hit rate:", "0.5%"),
    row("  Device:", "100.0%"),
    row("  Host:", "0.0%"),
)
GOODPUT = (
    title("Goodput"),
    row("SLOs (ms):", "ttft:200 tpot:50"),
    row("Request goodput (req/s):", "3.00"),
    row("SLO attainment (%):", "55.00"),
    row("TTFT SLO attainment (%):", "60.00"),
)
ITL_P95 = ("Inter-Token Latency", ("Mean", "Median", "P95", "P99"))
SGLANG: dict[str, Sglang] = {
    "0.3.6": Sglang(),
    "0.4.0": Sglang("Max reqeuest"),
    "0.4.3": Sglang("Max reqeuest", True),
    "0.4.6": Sglang("Max reqeuest", True, False, *ITL_P95),
    "0.4.9": Sglang("Max request", True, False, *ITL_P95),
    "0.5.6": Sglang("Max request", True, True, *ITL_P95, True),
    "0.5.9": Sglang("Max request", True, True, *ITL_P95, True, ("Mean", "Median", "P90", "P99")),
    "0.5.15": Sglang(
        "Max request", True, True, "Inter-Token Latency", MANY, True, MANY, MANY, CACHE
    ),
    "0.5.23": Sglang(
        "Max request", True, True, "Inter-Token Latency", MANY, True, MANY, MANY, GOODPUT
    ),
}


def sglang_serving(n: Numbers, version: Sglang) -> str:
    known = n.known()
    rows = [row("Backend:", "sglang"), row("Traffic request rate:", "inf")]
    if version.concurrency:
        rows.append(row(f"{version.concurrency} concurrency:", "not set"))
    rows += [
        row("Successful requests:", known["completed"]),
        row("Benchmark duration (s):", known["duration_s"]),
        row("Total input tokens:", n.count("input_tokens")),
    ]
    if version.peaks:
        rows.append(row("Total input text tokens:", 77))
    rows += [
        row("Total generated tokens:", n.count("output_tokens")),
        row("Total generated tokens (retokenized):", 78),
        row("Request throughput (req/s):", known["request_rate_rps"]),
        row("Input token throughput (tok/s):", n.put("input_tps")),
        row("Output token throughput (tok/s):", n.put("output_tps")),
    ]
    if version.peaks:
        rows.append(row("Peak output token throughput (tok/s):", "79.00"))
        rows.append(row("Peak concurrent requests:", 18))
    rows.append(row("Total token throughput (tok/s):", n.put("total_tps")))
    if version.measured_concurrency:
        rows.append(row("Concurrency:", "7.90"))
        rows.append(row("Accept length:", "2.10"))
    rows += [title("End-to-End Latency"), *n.times("e2e", "E2E Latency", version.e2e_kinds)]
    rows += [title("Time to First Token"), *n.times("ttft", "TTFT", version.kinds)]
    if version.tpot:
        rows.append(title("Time per Output Token (excl. 1st token)"))
        rows += n.times("tpot", "TPOT", version.kinds)
    rows += [title(version.itl), *n.times("itl", "ITL", version.itl_kinds)]
    rows.append(row("Max ITL (ms):", "90.00"))
    return "\n" + box(*rows, *version.more)


def sglang_offline(n: Numbers) -> str:
    known = n.known()
    rows = [
        row("Backend:", "engine"),
        row("Successful requests:", known["completed"]),
        row("Benchmark duration (s):", known["duration_s"]),
        row("Total input tokens:", n.count("input_tokens")),
        row("Total generated tokens:", n.count("output_tokens")),
        row("Last generation throughput (tok/s):", "81.00"),
        row("Request throughput (req/s):", known["request_rate_rps"]),
        row("Input token throughput (tok/s):", n.put("input_tps")),
        row("Output token throughput (tok/s):", n.put("output_tps")),
        row("Total token throughput (tok/s):", n.put("total_tps")),
    ]
    return "\n" + box(*rows, name="Offline Throughput Benchmark Result")


def one_batch(n: Numbers, word: str = "median", steps: bool = True) -> str:
    """SGLang's bench_one_batch: the warm-up prints the same lines before it."""
    other = Numbers([x + 3 for x in n.values])
    return (
        f"Warmup ...\n{_one_batch(other, word, steps)}Benchmark ...\n{_one_batch(n, word, steps)}"
    )


def _one_batch(n: Numbers, word: str, steps: bool) -> str:
    decode = "".join(
        f"Decode {i}. Batch size: 4, latency: 9.01210 s, throughput:    330.38 token/s\n"
        if steps
        else "Decode.  latency: 9.01210 s, throughput:    330.38 token/s\n"
        for i in range(5)
    )
    return (
        f"Prefill. latency: {n.put('prefill_latency_s', '6.5f')} s, "
        f"throughput: {n.put('prefill_tps', '9.2f')} token/s\n{decode}"
        f"Decode.  {word} latency: {n.put('decode_latency_s', '6.5f')} s, "
        f"{word} throughput: {n.put('decode_tps', '9.2f')} token/s\n"
        f"Total. latency: {n.put('latency_total_s', '6.3f')} s, "
        f"throughput: {n.put('total_tps', '9.2f')} token/s\n"
    )


def one_batch_server_old(n: Numbers) -> str:
    return (
        "batch size: 16\n"
        f"latency: {n.put('latency_total_s')} s\n"
        f"output throughput: {n.put('output_tps')} token/s\n"
        f"(input + output) throughput: {n.put('total_tps')} token/s\n"
        "\nResults are saved to result.jsonl\n"
    )


def one_batch_server(n: Numbers, ttft: str = "last_ttft") -> str:
    def group(n: Numbers) -> str:
        return (
            "#Input tokens: 16384\n#Output tokens: 16384\n"
            "batch size: 16\ninput_len: 1024\noutput_len: 1024\n"
            f"latency: {n.put('latency_total_s')} s\n"
            f"input throughput: {n.put('input_tps')} tok/s\n"
            f"output throughput: {n.put('output_tps')} tok/s\n"
            f"{ttft}: {n.put('ttft_batch_s')} s\n"
            "last generation throughput: 1337.14 tok/s\n"
        )

    warm_up = group(Numbers([x + 3 for x in n.values]))
    return (
        "======== Warmup Begin ========\nWarmup with batch_size=[16]\n"
        f"{warm_up}======== Warmup End   ========\n\n{group(n)}\nResults are saved to r.jsonl\n"
    )


PERCENTS = (10, 25, 50, 75, 90, 99)


def latency(n: Numbers, *more: str) -> str:
    rows = [f"Avg latency: {n.put('latency_avg_s', '')} seconds"]
    rows += more
    rows += [f"{p}% percentile latency: {n.put(f'latency_p{p}_s', '')} seconds" for p in PERCENTS]
    return "Warming up...\n" + "\n".join(rows) + "\n"


def throughput_old(n: Numbers) -> str:
    return f"Throughput: {n.put('request_rate_rps')} requests/s, {n.put('total_tps')} tokens/s\n"


def throughput(n: Numbers) -> str:
    return (
        f"Throughput: {n.put('request_rate_rps')} requests/s, {n.put('total_tps')} total tokens/s, "
        f"{n.put('output_tps')} output tokens/s\n"
        f"Total num prompt tokens:  {n.count('input_tokens')}\n"
        f"Total num output tokens:  {n.count('output_tokens')}\n"
    )


def prefix_caching(n: Numbers) -> str:
    bar = "Processed prompts:  1%|          | 1/100 [00:05<08:41,  5.26s/it, est. speed input: 1]\n"
    return (
        f"------warm up------\n{bar * 3}cost time 5.331376314163208\n"
        f"------start generating------\n{bar * 3}cost time {n.put('cost_time_s', '')}\n"
    )


MAKERS: dict[str, tuple[str, Callable[[Numbers], str]]] = {
    "vllm 0.1": ("serving", vllm_0),
    "vllm 0.3": ("serving", vllm_1),
    "vllm 0.4": ("serving", lambda n: _vllm_box(n, itl=False, new=False)),
    "vllm 0.5": ("serving", lambda n: _vllm_box(n, itl=True, new=False)),
    "vllm 0.8": ("serving", lambda n: _vllm_box(n, itl=True, new=True)),
    "vllm 0.32": ("serving", lambda n: _vllm_box(n, itl=True, new=True, six=True)),
    **{
        f"sglang {version}": ("serving", lambda n, s=shape: sglang_serving(n, s))
        for version, shape in SGLANG.items()
    },
    "vllm latency": ("latency", latency),
    "vllm latency, std": ("latency", lambda n: latency(n, "Std latency: 0.5 seconds")),
    "vllm throughput, old": ("throughput", throughput_old),
    "vllm throughput": ("throughput", throughput),
    "vllm prefix caching": ("prefix_caching", prefix_caching),
    "sglang offline": ("throughput", sglang_offline),
    "sglang one batch": ("latency", one_batch),
    "sglang one batch 0.4": ("latency", lambda n: one_batch(n, steps=False)),
    "sglang one batch 0.2.13": ("latency", lambda n: one_batch(n, "avg", steps=False)),
    "sglang server, old": ("latency", one_batch_server_old),
    "sglang server 0.4.6": ("latency", lambda n: one_batch_server(n, "ttft")),
    "sglang server": ("latency", one_batch_server),
}


def make(name: str, numbers: Numbers) -> Output:
    """One output, filled with the numbers."""
    type_, maker = MAKERS[name]
    text = maker(numbers)
    return Output(type_, text, numbers.metrics)


DEPRECATED = (
    "DEPRECATED: This script has been moved to the vLLM CLI.\n\n"
    "Please use the following command instead:\n    vllm bench serve\n\n"
)
EMPTY_BOX = box()
V3 = make(
    "vllm 0.5",
    Numbers([50000, 40000, 2500, 2000, 210.5, 190.25, 480.75, 21.5, 20.25, 44, 19.5, 18.25, 61]),
)
