"""Outputs of every benchmark and version, as they come: whole, decorated, echoed, torn, mutated."""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.failures.causes import CAUSES
from patchbench.parsing import detect, evidence, result_json
from patchbench.parsing.layouts import LAYOUTS
from patchbench.parsing.names import METRICS
from patchbench.parsing.read_output import Log, ParsedOutput, RawOutput, parse
from tests.unit import outputs
from tests.unit.outputs import MAKERS, Numbers, make

PLAIN = Numbers([1.25, 2.5, 3.75, 40.0, 5.5, 6.25, 70.75, 8.0])


def numbers() -> Numbers:
    return Numbers(PLAIN.values)


def read_output(text: str | bytes, saved: object = None, **more: object) -> ParsedOutput:
    """What `patchbench parse` makes of a text, in memory."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    log = Log("log", lambda: [(1, data)])
    loaded = result_json.read_json(json.dumps(saved).encode()) if saved else None
    said = detect.read_any(log)
    return parse(
        RawOutput(log, "result.json", loaded), said, detect.bench_type(said, loaded), **more
    )


# --- what was printed is read back ----------------------------------------------------------------

PREFIXES = (
    "",
    "(APIServer pid=1) ",
    "(APIServer pid=1) INFO 11-22 11:58:03 [serve.py:1] ",
    "INFO 01-14 14:31:32 metrics.py:460] ",
    "[2026-02-26 10:25:20 TP0] ",
    "[1,0]<stdout>:",
    "[rank0]: ",
    "(RayWorkerWrapper pid=4242, ip=10.0.0.7) ",
    "(VllmWorker rank=1 pid=4242) INFO 03-01 10:00:00 [worker.py:1] ",
    "2026-01-14T10:00:00.123456789Z ",
    "2026-01-14T10:00:00.123Z stdout F ",
    "client-1  | ",
    "\x1b[36m",
    "\x1b]0;title\x07\x1b[1;32m",
    " 99%|█████████▉| 99/100 [00:03<00:00, 28.36it/s]\r",
    "Profiling iterations: 100%|██████████| 30/30 [01:13<00:00,  2.43s/it]",
)
NOISE = (
    "INFO 01-14 14:31:32 metrics.py:460] Avg prompt throughput: 7348.3 tokens/s, Avg generation "
    "throughput: 1687.3 tokens/s, Running: 1 reqs",
    "Traffic request rate: inf",
    "Maximum request concurrency: 4",
    'INFO:     127.0.0.1:55314 - "POST /v1/completions HTTP/1.1" 200 OK',
    "User throughput (tok/s): 120.5",
    "Median TTFT (ms):                        1.00      ",
    "99% percentile latency: 77.0 seconds",
    "Total num output tokens:  12",
    "cost time 12.5",
    "Decode.  median latency: 0.01178 s, median throughput:    339.57 token/s",
    "x" * 3000,
    "",
)
values = st.lists(st.floats(0.02, 99_999, allow_nan=False), min_size=1, max_size=40)


@pytest.mark.parametrize("name", MAKERS)
def test_every_version_is_read_by_its_own_layout_alone(name: str) -> None:
    output = make(name, numbers())
    found = read_output(output.text)
    assert (found.cause, found.type) == (None, output.type)
    assert found.metrics == output.metrics
    log = output.text.split("\n")
    assert set(found.lines) == set(output.metrics)
    assert all(any(ch.isdigit() for ch in log[line - 1]) for line in found.lines.values())


@given(
    st.sampled_from(sorted(MAKERS)),
    values,
    st.integers(1, 10**6),
    st.floats(0.001, 50),
    st.sampled_from(PREFIXES),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.sampled_from(NOISE), max_size=5),
    st.lists(st.sampled_from(NOISE), max_size=5),
)
def test_whatever_a_tool_printed_is_read_back(
    name: str,
    values: list[float],
    completed: int,
    each: float,
    prefix: str,
    end: str,
    before: list[str],
    after: list[str],
) -> None:
    output = make(name, Numbers(values, completed, max(completed * each, 0.5)))
    # What follows at once might be taken for a row of the result.
    lines = [*before, *output.text.split("\n")[:-1], "done", *["-"] * 50, *after]
    found = read_output("".join(f"{prefix if line else ''}{line}{end}" for line in lines))
    assert (found.cause, found.type) == (None, output.type)
    assert found.metrics == pytest.approx(output.metrics)


def test_rows_without_trailing_blanks_and_other_forms_of_numbers_are_read() -> None:
    output = make("vllm 0.8", numbers())
    bare = "\n".join(line.rstrip() for line in output.text.splitlines())
    assert read_output(bare).metrics == output.metrics
    rows = (outputs.row("Successful requests:", "1,250"), outputs.row("Mean TTFT (ms):", "1.5e+04"))
    rate = outputs.row("Request throughput (req/s):", "5.00")
    found = read_output(outputs.box(*rows, rate))
    assert (found.metrics["completed"], found.metrics["ttft_mean_ms"]) == (1250, 15000.0)
    assert read_output("Avg latency: 2.5 seconds\n").metrics == {"latency_avg_s": 2.5}


@pytest.mark.parametrize("name", MAKERS)
def test_an_output_printed_twice_is_one_result(name: str) -> None:
    """The predecessor shows a benchmark's output while it runs, and once more afterwards."""
    output = make(name, numbers())
    found = read_output(output.text + "BENCHMARK_DONE\n" + output.text)
    assert (found.cause, found.metrics) == (None, output.metrics)


@pytest.mark.parametrize("name", MAKERS)
def test_two_runs_in_one_log_are_ambiguous(name: str) -> None:
    one = make(name, numbers())
    other = make(name, Numbers([value + 1 for value in PLAIN.values]))
    found = read_output(one.text + other.text)
    assert (found.cause, found.metrics) == ("bench.ambiguous", {})
    assert found.evidence.line > one.text.count("\n")
    assert " then " in found.evidence.text


def test_results_of_two_benchmarks_in_one_log_are_ambiguous() -> None:
    one, other = make("vllm 0.8", numbers()), make("vllm latency", numbers())
    assert read_output(one.text + other.text).cause == "bench.ambiguous"


def test_a_row_that_stands_twice_in_a_box_and_says_two_things_is_ambiguous() -> None:
    output = make("vllm 0.8", numbers())
    line = next(line for line in output.text.split("\n") if line.startswith("Median TTFT"))
    assert read_output(output.text.replace(line, f"{line}\n{line}")).metrics == output.metrics
    other = outputs.row("Median TTFT (ms):", "99.75")
    found = read_output(output.text.replace(line, f"{line}\n{other}"))
    assert (found.cause, found.metrics) == ("bench.ambiguous", {})
    assert "then 99.75" in found.evidence.text


def test_an_echo_of_a_few_rows_is_part_of_the_result() -> None:
    output = make("vllm 0.8", numbers())
    rows = [row for row in output.text.split("\n") if row.startswith(("Mean", "P99"))]
    assert read_output(output.text + outputs.box(*rows)).metrics == output.metrics
    other = outputs.box(*(row.replace(".", "1.") for row in rows))
    assert read_output(output.text + other).cause == "bench.ambiguous"


# --- what is left of a result is none -------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in MAKERS if "serving" in MAKERS[name][0]])
def test_a_box_without_its_end_is_a_part_of_a_result(name: str) -> None:
    output = make(name, numbers())
    lines = output.text.strip().split("\n")
    needed = "Request throughput" if "0.1" not in name else "Average latency:"
    cut = next(at for at, line in enumerate(lines) if line.startswith(needed))
    found = read_output("\n".join(lines[:cut]) + "\n")
    assert found.cause in ("bench.partial", "bench.no_metrics")
    assert found.metrics == {}


def test_the_end_of_a_log_may_hold_only_an_echo() -> None:
    """The predecessor keeps the last 5000 characters."""
    rows = [row for row in make("vllm 0.8", numbers()).text.split("\n") if "TTFT" in row]
    found = read_output("\n".join(rows) + "\n" + outputs.box(*rows))
    assert found.cause == "bench.partial"
    assert "ttft_median_ms" in found.evidence.text
    assert found.evidence.line == 4


@pytest.mark.parametrize(
    "text",
    [
        "Avg latency: 2.5181",
        "Throughput: 12.50 requests/s, 4500.00 total tok",
        "Throughput: 12.50 requests/s, 4500.00 total tokens/s, 20",
        "------warm up------\ncost time 5.33\n",
        "------warm up------\ncost time 5.33\n------start generating------\n",
        "Warmup ...\nPrefill. latency: 0.4 s, throughput: 9316.59 token/s\n"
        "Total. latency:  1.112 s, throughput:   3981.76 token/s\n",
        "Benchmark ...\nPrefill. latency: 0.4 s, throughput: 9316.59 token/s\n",
        "======== Warmup Begin ========\nbatch size: 16\nlatency: 0.50 s\n"
        "======== Warmup End   ========\n",
        "Avg prompt throughput: 7348.3 tokens/s\n",
        "total tokens: 494250\nTotal time: 111.37 s\n",
    ],
)
def test_what_was_torn_off_or_only_warmed_up_is_no_result(text: str) -> None:
    found = read_output(text)
    assert found.cause in ("bench.partial", "bench.no_metrics")
    assert found.metrics == {}


def test_a_stub_that_only_says_that_it_moved_is_named() -> None:
    found = read_output("starting\n" + outputs.DEPRECATED + outputs.EMPTY_BOX + "BENCHMARK_DONE\n")
    assert found.cause == "bench.deprecated_client"
    assert CAUSES[found.cause].blame == "harness"
    assert (found.evidence.line, found.evidence.text[:10]) == (2, "DEPRECATED")


def test_a_deprecated_client_that_measures_all_the_same_has_a_result() -> None:
    output = make("sglang 0.5.15", numbers())
    assert read_output(outputs.DEPRECATED + output.text).metrics == output.metrics


def zeros(name: str = "vllm 0.32") -> str:
    text = make(name, Numbers([0.0], completed=0)).text
    return text.replace(
        "Failed requests:                         0", "Failed requests:" + " " * 25 + "4"
    )


REFUSED = "ClientConnectorError: Cannot connect to host 127.0.0.1:8000 ssl:default [Connect call]\n"


@pytest.mark.parametrize(
    "name", [n for n in MAKERS if n.startswith(("vllm 0.3", "vllm 0.8", "sgl"))]
)
def test_zeros_are_never_metrics(name: str) -> None:
    if "completed" not in make(name, numbers()).metrics:
        return
    found = read_output(zeros(name))
    assert (found.cause, found.metrics) == ("bench.requests_failed", {})
    assert "0 of" in found.evidence.text
    assert found.evidence.line is not None


@pytest.mark.parametrize("name", ["vllm 0.32", "sglang 0.4.6", "sglang 0.5.15"])
def test_zeros_of_a_server_that_was_gone_are_named(name: str) -> None:
    start = "Traffic request rate: inf\n"
    box = zeros(name).removeprefix(start)
    found = read_output(start + "Error 0: Traceback\n" + REFUSED + box)
    assert (found.cause, found.metrics) == ("bench.dead_server", {})
    assert found.evidence.line == 3
    assert "Cannot connect" in found.evidence.text


def test_a_refusal_before_the_measurement_does_not_mean_that_the_server_was_gone() -> None:
    """While a server starts, those who ask whether it is ready are refused."""
    found = read_output(REFUSED + "Starting main benchmark run...\n" + zeros())
    assert found.cause == "bench.requests_failed"


def test_the_errors_in_the_file_say_that_the_server_was_gone() -> None:
    saved = {"completed": 0, "duration": 0.01, "median_ttft_ms": 0.0, "request_throughput": 0.0}
    error = f"Traceback (most recent call last):\n{REFUSED}"
    assert read_output("", saved).cause == "bench.requests_failed"
    found = read_output("", saved | {"errors": [error, error]})
    assert found.cause == "bench.dead_server"
    assert "Cannot connect" in found.evidence.text


def test_requests_that_failed_are_counted_where_the_file_only_has_their_errors() -> None:
    """vLLM counts them since 0.11; before, the saved errors are all there is."""
    good = {"completed": 3, "duration": 1.0, "request_throughput": 3.0, "mean_ttft_ms": 5.0}
    assert read_output("", good | {"errors": ["", "", ""]}).cause is None
    found = read_output("", good | {"errors": ["", "HTTP 500", ""]})
    assert found.cause == "bench.requests_failed"
    assert "1 failed" in found.evidence.text


def test_a_rate_that_its_own_counts_deny_is_ambiguous() -> None:
    text = make("vllm 0.8", numbers()).text.replace(" 250 ", " 125 ")
    found = read_output(text)
    assert found.cause == "bench.ambiguous"
    assert "12.5 requests/s, but 125 requests in 20 s make 6.25" in found.evidence.text


def test_rounding_of_a_short_run_denies_nothing() -> None:
    row, box = outputs.row, outputs.box
    text = box(
        row("Successful requests:", 4),
        row("Benchmark duration (s):", "0.01"),
        row("Request throughput (req/s):", "275.30"),
        row("Mean TTFT (ms):", "3.00"),
    )
    assert read_output(text).cause is None


def test_a_unit_other_than_the_usual_is_converted_and_a_wrong_one_refused() -> None:
    row, box = outputs.row, outputs.box
    rows = [row("Successful requests:", 4), row("Request throughput (req/s):", "1.00")]
    found = read_output(box(*rows, row("Mean TTFT (s):", "0.25"), row("Median ITL (%):", "3.00")))
    assert found.metrics["ttft_mean_ms"] == 250.0
    assert "itl_median_ms" not in found.metrics


# --- the reason why there is none -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "line", "words"),
    [
        ("a\nInitial test run failed - Please make sure. Error: x\nbye\n", 2, "Initial test run"),
        ("vllm: error: unrecognized arguments: --no-such-flag\n\n", 1, "--no-such-flag"),
        ("Traceback:\nmod.KeyError: 'x'\nbye\n", 2, "mod.KeyError: 'x'"),
        ("(EngineCore pid=1) ERROR 11-22 11:58:03 [x.py:1] ValueError: 3\nend\n", 1, "ValueError"),
        (f"ready\n{outputs.EMPTY_BOX}end\n", 2, "an empty block"),
        ("ready\nloading\n\n", 2, "it ends: loading"),
        (
            "SERVER_CRASHED\nUnable to find image 'i' locally\n9cb31e2e37ea: Already exists\n"
            "Digest: sha256:4d\nStatus: Downloaded newer image\n",
            1,
            "SERVER_CRASHED",
        ),
        ("", None, "empty"),
    ],
)
def test_a_log_without_a_result_says_why(log: str, line: int | None, words: str) -> None:
    found = read_output(log)
    assert (found.cause, found.metrics) == ("bench.no_metrics", {})
    assert found.evidence.line == line
    assert words in found.evidence.text


def test_a_reason_is_looked_for_near_the_end_of_a_large_log() -> None:
    noise = [(1 + 100 * i, b"loading\n" * 100) for i in range(evidence.END_BLOCKS)]
    gone = [(1, b"Cannot connect to host\n" * 100)]
    found = evidence.read_log_end([*gone, *((first + 100, data) for first, data in noise)])
    assert found.no_server() is None
    assert found.last == (100 * evidence.END_BLOCKS + 100, "loading")
    found = evidence.read_log_end([*gone, *((first + 100, data) for first, data in noise[1:])])
    assert found.no_server() == (100, "Cannot connect to host")


# --- nothing breaks it ----------------------------------------------------------------------------

FIXTURES = [make(name, numbers()).text for name in MAKERS]
WORDS = [outputs.DEPRECATED, outputs.EMPTY_BOX, zeros(), zeros() + REFUSED, *NOISE]
PIECES = [
    *(line + "\n" for text in (*FIXTURES, *WORDS) for line in text.split("\n")),
    *(layout.anchor.decode() for layout in LAYOUTS),
]
SCRAPS = [
    "\r", "\n", "\x00", "\x1b[", "\x1b]", "=" * 50, "nan", "inf", "1e999", "-", ",", "%|",
    " " * 900, "９", "\udcff", "(ms):", "0" * 400, '{"', "Total. latency: ",
]  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    """A text made of known pieces, then damaged in a few places."""
    kinds = (FIXTURES, FIXTURES, WORDS, PIECES)
    text = "".join(rng.choice(rng.choice(kinds)) for _ in range(rng.randint(0, 3)))
    for _ in range(rng.randint(0, 6)):
        at = rng.randint(0, len(text))
        end = min(len(text), at + rng.choice((0, 0, 1, 5, 60)))
        new = rng.choice(
            ("", rng.choice(SCRAPS), rng.choice(PIECES)[:80], chr(rng.randint(0, 0x2FF)))
        )
        text = text[:at] + new + text[end:]
    data = text.encode("utf-8", "surrogateescape")
    return rng.randbytes(rng.randint(0, 200)) if rng.random() < 0.1 else data


def test_ten_thousand_mutated_outputs_end_in_metrics_or_a_cause() -> None:
    rng = random.Random(20260101)
    ends: dict[str | None, int] = {}
    for _ in range(10_000):
        found = read_output(mutated(rng))
        ends[found.cause] = ends.get(found.cause, 0) + 1
        if found.cause is None:
            assert found.metrics
            assert found.metrics.keys() <= METRICS.keys()
            assert found.metrics.get("completed") != 0
            assert not found.metrics.get("failed")
        else:
            assert found.cause in CAUSES
            assert found.metrics == {}
            assert found.evidence.text
    # Each way to end was taken.
    causes = [
        "no_metrics",
        "partial",
        "ambiguous",
        "requests_failed",
        "dead_server",
        "deprecated_client",
    ]
    assert set(ends) >= {None, *(f"bench.{cause}" for cause in causes)}, ends


def test_ten_thousand_mutated_result_files_are_read_or_refused() -> None:
    rng = random.Random(20260102)
    good = json.dumps(
        {"completed": 3, "failed": 0, "errors": ["", "x"], "percentiles": {"50": 1.5, "99": 2}}
    )
    pieces = [good, '{"completed": NaN}', "\n", "[", "}", '"ttfts": [0.1]', ",", "1e999", "\\ud800"]
    for _ in range(10_000):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 3)))
        for _ in range(rng.randint(0, 4)):
            at = rng.randint(0, len(text))
            text = (
                text[:at] + rng.choice(pieces)[: rng.randint(0, 9)] + text[at + rng.randint(0, 3) :]
            )
        saved = result_json.read_json(text.encode())
        assert saved is None or saved.metrics
        assert saved is None or saved.lines.keys() == saved.metrics.keys()


@given(st.text(), st.integers(0, 3))
def test_no_text_can_break_it(text: str, times: int) -> None:
    found = read_output((text + "\n") * times)
    assert (found.cause is None) == bool(found.metrics)


LONG = [part * 10**5 for part in ("a" * 10, " " * 10, "\x1b[", "9" * 10, "1%|", "A (", "\r" * 10)]


@pytest.mark.parametrize("line", LONG)
def test_no_line_takes_long(line: str) -> None:
    text = f"============ Serving Benchmark Result ============\n{line}\n"
    started = time.process_time()
    found = read_output(text + f"Throughput: {line}\nAvg latency: {line}\nbatch size: {line}\n" * 3)
    assert found.metrics == {}
    assert time.process_time() - started < 5
