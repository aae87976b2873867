"""Outputs that are no plain result: what is there is read, what is doubtful is named."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

import pytest

from patchbench.cli import parse
from patchbench.parsing.lines import number, row
from tests.unit import outputs
from tests.unit.outputs import Numbers, make
from tests.unit.test_parsing_outputs import PLAIN

BOX = make("vllm 0.8", Numbers(PLAIN.values)).text
LATENCY = make("vllm latency", Numbers(PLAIN.values)).text
HEAD = "Namespace(input_len=32, output_len=128)\n"
BAR = "Processed prompts: 100%|##########| 1000/1000 [00:30<00:00, 33.05it/s, output: 9 toks/s]"
THROUGHPUT = "Throughput: 33.05 requests/s, 15020.52 total tokens/s, 7510.26 output tokens/s"


def run(capsys: pytest.CaptureFixture[str], log: Path, *words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    parse.add_options(parser)
    with contextlib.suppress(SystemExit):
        parse.run(parser.parse_args([str(log), *words]))
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def read(text: str, *words: str, name: str = "bench.log") -> dict[str, object]:
        (tmp_path / name).write_text(text)
        return run(capsys, tmp_path / name, *words)

    return read


def test_a_run_that_was_cut_off_before_a_whole_one_is_ambiguous(read) -> None:
    cut = f"{HEAD}Warming up...\n"
    cut += "Profiling iterations:  30%|###       | 9/30 [00:22<00:51,  2.43s/it]\n"
    found = read(cut + HEAD + LATENCY)
    assert (found["cause"], found["metrics"]) == ("bench.ambiguous", {})
    assert read(HEAD + LATENCY)["cause"] is None
    assert read(LATENCY + HEAD + "Warming up...\n")["cause"] == "bench.ambiguous"


def test_a_second_box_that_only_begins_is_ambiguous(read) -> None:
    begun = "============ Serving Benchmark Result ============\n"
    for more in ("", outputs.row("Successful requests:", "250") + "\n"):
        found = read(BOX + begun + more)
        assert found["cause"] == "bench.ambiguous"
        assert found["evidence"]["line"] > BOX.count("\n")


def test_times_that_were_not_measured_are_no_values(read) -> None:
    row = {
        "backend": "sglang", "completed": 100, "duration": 20.0, "request_throughput": 5.0,
        "output_throughput": 640.0, "mean_e2e_latency_ms": 812.5, "median_e2e_latency_ms": 800.0,
    }  # fmt: skip
    zeros = {f"{kind}_{stem}_ms": 0.0 for kind in ("mean", "median", "std", "p99")
             for stem in ("ttft", "itl", "tpot")}  # fmt: skip
    found = read(json.dumps(row | zeros), name="result.json")
    assert found["cause"] is None
    assert not [name for name in found["metrics"] if name.startswith(("ttft", "itl", "tpot"))]
    one = read(json.dumps(row | zeros | {"mean_ttft_ms": 26.5, "p99_ttft_ms": 30.0}), name="r.json")
    assert (one["metrics"]["ttft_mean_ms"], one["metrics"]["ttft_median_ms"]) == (26.5, 0.0)


def test_json_lines_that_differ_are_ambiguous(read) -> None:
    first = {"completed": 100, "duration": 20.0, "request_throughput": 5.0, "mean_ttft_ms": 26.5}
    rows = [first, first | {"mean_ttft_ms": 27.5}]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    assert read(text, name="r.jsonl")["cause"] == "bench.ambiguous"
    assert read(f"{json.dumps(first)}\n" * 2, name="r.jsonl")["cause"] is None


def test_a_note_behind_a_row_does_not_take_its_value_away(read) -> None:
    failed = outputs.row("Failed requests:", "7")
    for note in (" <<< note", " # of 257", " (see below)", " of 257", " requests failed here"):
        text = BOX.replace("Benchmark duration", f"{failed.rstrip()}{note}\nBenchmark duration", 1)
        found = read(text)
        assert found["cause"] == "bench.requests_failed", note
        assert "7 failed" in found["evidence"]["text"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("26,56", 26.56), ("2,656.0", 2656.0), ("2.656,5", 2656.5), ("1,234,567.8", 1234567.8),
        ("26.56", 26.56), ("26,560", None), ("1.2.3", None), ("1,2,3", None), ("1.5e+04", 15000.0),
    ],
)  # fmt: skip
def test_a_comma_is_of_decimals_or_thousands_or_refused(text: str, value: float | None) -> None:
    read = number(text)
    assert read == value if value is not None else read != read


def test_a_decimal_comma_in_a_box(read) -> None:
    rows = (
        outputs.row("Successful requests:", "1,250"),
        outputs.row("Request throughput (req/s):", "5,25"),
        outputs.row("Mean TTFT (ms):", "26,56"),
        outputs.row("Median TTFT (ms):", "2,656.0"),
        outputs.row("P99 TTFT (ms):", "26,560"),
    )
    metrics = read(outputs.box(*rows))["metrics"]
    assert metrics == {
        "completed": 1250, "request_rate_rps": 5.25, "ttft_mean_ms": 26.56,
        "ttft_median_ms": 2656.0,
    }  # fmt: skip


@pytest.mark.parametrize("mark", ["  ", "> ", "# ", "- ", "> > ", "\t", "* "])
def test_a_line_behind_a_mark_is_read(read, mark: str) -> None:
    assert read(f"{mark}{THROUGHPUT}\n")["metrics"]["total_tps"] == 15020.52
    lines = "".join(f"{mark}{line}\n" for line in LATENCY.splitlines())
    assert read(lines)["metrics"] == read(LATENCY)["metrics"]


@pytest.mark.parametrize(
    "line", [f"{BAR}{THROUGHPUT}", f"{BAR} {THROUGHPUT}", f"{THROUGHPUT} {BAR}"]
)
def test_a_line_beside_a_bar_is_read(read, line: str) -> None:
    assert read(f"{line}\n")["metrics"]["request_rate_rps"] == 33.05


def test_json_below_a_line_of_text_is_read(read) -> None:
    row = {"completed": 100, "duration": 20.0, "request_throughput": 5.0, "mean_ttft_ms": 26.5}
    found = read(f"Saving the result\n{json.dumps(row)}\n")
    assert found["metrics"]["ttft_mean_ms"] == 26.5
    log = read('starting\n{"level": "info", "duration": 3}\n{"completed": 1}\n')
    assert (log["cause"], log["metrics"]) == ("bench.no_metrics", {})


def test_two_results_of_an_old_version_are_ambiguous_whatever_the_type(read) -> None:
    one, two = (make("vllm 0.1", Numbers([v + d for v in PLAIN.values])) for d in (0, 1))
    for words in ((), ("--type", "serving")):
        assert read(one.text + two.text, *words)["cause"] == "bench.ambiguous"


BARE = "\n".join(BOX.splitlines()[1:-1])
MARKDOWN = "| metric | value |\n|---|---|\n| Mean TTFT (ms) | 26.5 |\n| Mean ITL (ms) | 7.5 |\n"
TURNS = (
    "            count   mean    std    min    50%    99%    max\n"
    "ttft_ms     24.0  26.50   3.10  20.00  26.00  33.00  34.00\n"
    "tpot_ms     24.0   7.50   0.30   7.00   7.40   8.10   8.20\n"
)


@pytest.mark.parametrize("text", [BARE, MARKDOWN, TURNS], ids=["no title", "markdown", "turns"])
def test_rows_outside_of_a_layout_are_named_and_refused(read, text: str) -> None:
    found = read(f"{text}\nbye\n")
    assert found["metrics"] == {}
    assert found["cause"] in ("bench.no_metrics", "bench.partial")
    said = str(found["evidence"]["text"])
    assert "title" in said or "missing" in said
    assert "ttft_mean_ms" in said or "completed" in said


@pytest.mark.parametrize("value", ["seven", "7%", "7/250", "7k", "1,2"])
def test_a_count_that_is_no_number_is_refused(read, value: str) -> None:
    failed = outputs.row("Failed requests:", value)
    found = read(BOX.replace("Benchmark duration", f"{failed.rstrip()}\nBenchmark duration", 1))
    assert (found["cause"], found["metrics"]) == ("bench.partial", {})
    assert "failed" in found["evidence"]["text"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("Mean TTFT (ms): 26.56 <-- worse", 26.56),
        ("Mean TTFT (ms): 26.56 (median of 3)", 26.56),
        ("Mean TTFT (ms): 26.56 us", None),
        ("Mean TTFT (ms): 26'560.5", None),
        ("Mean TTFT (ms): 2_656.0", None),
        ("Mean TTFT (ms): ~26.56", None),
        ("Mean TTFT (s): 0.5", 500.0),
        ("Failed requests: 7, see the log", 7.0),
        ("Failed requests: 7.", 7.0),
    ],
)
def test_a_row_is_read_or_left_and_never_invented(line: str, value: float | None) -> None:
    parsed = row(line)
    assert (parsed[1] if parsed else None) == value


def test_a_negative_time_is_no_value(read) -> None:
    rows = (
        outputs.row("Successful requests:", "100"),
        outputs.row("Request throughput (req/s):", "5.00"),
        outputs.row("Mean TTFT (ms):", "-5.00"),
    )
    found = read(outputs.box(*rows))
    assert found["cause"] == "bench.partial"
