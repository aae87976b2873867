"""Reading what a benchmark printed: each layout, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.parsing.layouts import LAYOUTS
from patchbench.parsing.text import Reading, Text
from patchbench.parsing.text import read as read_blocks
from patchbench.parsing.validity import finite
from tests.unit import blocks


def said(text: str, type_: str = "serving") -> Text:
    data = text.encode("utf-8", "replace")
    return read_blocks([(1, data)], [layout for layout in LAYOUTS if layout.type == type_])


def result(text: str, type_: str = "serving") -> Reading | None:
    return said(text, type_).result


def read(text: str, type_: str = "serving") -> dict[str, float] | None:
    found = result(text, type_)
    return found.metrics if found else None


@pytest.mark.parametrize("name", blocks.SERVING)
def test_each_serving_layout_gives_exactly_its_metrics(name: str) -> None:
    text, expected = blocks.SERVING[name]
    assert read(text) == expected


def test_the_layout_is_the_one_of_the_tools() -> None:
    assert blocks.V6.splitlines()[3] == "============ Serving Benchmark Result ============"
    assert blocks.row("Median TTFT (ms):", "56.42") == (
        "Median TTFT (ms):                        56.42     "
    )
    assert blocks.title("Inter-token Latency") == (
        "---------------Inter-token Latency----------------"
    )


def test_all_latency_rows_are_read() -> None:
    assert read(blocks.LATENCY, "latency") == blocks.IN_LATENCY


def test_a_very_old_latency_client_prints_the_mean_alone() -> None:
    assert read("Avg latency: 2.5 seconds\n", "latency") == {"latency_avg_s": 2.5}


def test_the_old_throughput_line_has_total_tokens_only() -> None:
    assert read(blocks.THROUGHPUT_OLD, "throughput") == {
        "request_rate_rps": 12.5,
        "total_tps": 4500.0,
    }


def test_the_new_throughput_lines_have_total_and_output_tokens() -> None:
    assert read(blocks.THROUGHPUT_NEW, "throughput") == {
        "request_rate_rps": 12.5,
        "total_tps": 4500.0,
        "output_tps": 2000.0,
        "input_tokens": 50000,
        "output_tokens": 40000,
    }


def test_an_engines_own_throughput_log_is_no_result() -> None:
    log = (
        "INFO 01-14 14:31:32 metrics.py:460] Avg prompt throughput: 6552.5 tokens/s, "
        "Avg generation throughput: 1687.3 tokens/s, Running: 1 reqs\n"
    )
    assert read(log, "throughput") is None
    assert read(log + blocks.LATENCY, "latency") == blocks.IN_LATENCY


def test_rows_outside_a_box_do_not_count() -> None:
    loose = "\n".join((*blocks.COUNTS, *blocks.TTFT)) + "\n"
    assert read(loose) is None
    assert read(loose.replace("250", "999") + blocks.V2) == blocks.SERVING["vllm V2"][1]


def test_a_box_of_one_type_is_no_result_of_another() -> None:
    assert read(blocks.V6, "latency") is None
    assert read(blocks.V6, "throughput") is None
    assert read(blocks.LATENCY, "serving") is None


def test_an_empty_box_is_no_result() -> None:
    assert read(blocks.box()) is None


def test_a_box_cut_off_before_its_end_is_no_result() -> None:
    assert read(blocks.V3.removesuffix(blocks.END + "\n")) is None


def test_a_box_cut_off_is_forgotten_when_the_next_begins() -> None:
    torn = blocks.V3.removesuffix(blocks.END + "\n").replace("250", "999")
    assert read(torn + blocks.V2) == blocks.SERVING["vllm V2"][1]


def test_an_echo_of_some_rows_does_not_hide_the_whole_box() -> None:
    echo = blocks.box(*blocks.TTFT[1:], *blocks.TPOT[1:])
    assert read(blocks.V3 + echo) == blocks.SERVING["vllm V3"][1]
    assert said(blocks.V3 + echo).partial is not None
    assert said(blocks.V3 + echo).clash is None


def test_of_two_whole_boxes_the_last_counts() -> None:
    found = read(blocks.V3 + blocks.V3.replace("190.25", "95.00"))
    assert found is not None
    assert found["ttft_median_ms"] == 95.0


def test_a_home_made_box_without_trailing_blanks_is_read() -> None:
    bare = "\n".join(line.rstrip() for line in blocks.V2.splitlines())
    assert read(bare) == blocks.SERVING["vllm V2"][1]


def test_colours_are_taken_off() -> None:
    coloured = "".join(f"\x1b[32m{line}\x1b[0m\n" for line in blocks.V3.splitlines())
    assert read(coloured) == blocks.SERVING["vllm V3"][1]


@pytest.mark.parametrize(
    "prefix",
    ["(APIServer pid=4711) ", "(EngineCore pid=1) (Worker pid=2) ", "(pid=12) ", "[1,0]<stdout>:"],
)
def test_log_prefixes_are_taken_off(prefix: str) -> None:
    text = "".join(f"{prefix}{line}\n" for line in blocks.V3.splitlines())
    assert read(text) == blocks.SERVING["vllm V3"][1]


def test_a_progress_bar_before_a_line_is_taken_off() -> None:
    bar = "  0%|          | 0/250 [00:00<?, ?it/s]\r100%|██████████| 250/250 [00:20<00:00]\r"
    assert read(bar + blocks.V3) == blocks.SERVING["vllm V3"][1]
    assert read(bar + blocks.THROUGHPUT_OLD, "throughput") == {
        "request_rate_rps": 12.5,
        "total_tps": 4500.0,
    }


def test_crlf_line_ends_are_taken_off() -> None:
    assert read(blocks.V3.replace("\n", "\r\n")) == blocks.SERVING["vllm V3"][1]


def test_thousands_separators_and_exponents_are_numbers() -> None:
    text = blocks.box(
        blocks.row("Successful requests:", "1,250"),
        blocks.row("Total token throughput (tok/s):", "1.5e+04"),
    )
    assert read(text) == {"completed": 1250, "total_tps": 15000.0}


def test_a_reading_says_on_which_line_its_box_begins() -> None:
    found = result(blocks.V4)
    assert found is not None
    assert blocks.V4.splitlines()[found.line.number - 1].strip("= ") == "Serving Benchmark Result"


def test_a_reading_of_another_tools_rows_stays_empty() -> None:
    tensorrt = "User throughput (tok/s): 120.5\n" + blocks.box(
        blocks.row("User throughput (tok/s):", "120.50")
    )
    assert read(tensorrt) is None
    assert read(tensorrt, "throughput") is None


def test_values_that_are_not_finite_are_left_out() -> None:
    assert finite({"a": 1.0, "b": float("inf"), "c": float("nan"), "d": 0.0}) == {
        "a": 1.0,
        "d": 0.0,
    }


LABELS = {
    "Benchmark duration (s):": "duration_s",
    "Total input tokens:": "input_tokens",
    "Request throughput (req/s):": "request_rate_rps",
    "Output token throughput (tok/s):": "output_tps",
    "Total token throughput (tok/s):": "total_tps",
    "Mean TTFT (ms):": "ttft_mean_ms",
    "P90 TPOT (ms):": "tpot_p90_ms",
    "Median ITL (ms):": "itl_median_ms",
    "P99 E2EL (ms):": "e2e_p99_ms",
}
NOISE = st.sampled_from(
    [
        "Traffic request rate: inf",
        "Peak concurrent requests:                32.00",
        "",
        "x" * 200,
        "Avg prompt throughput: 7348.3 tokens/s",
        blocks.title("Inter-token Latency"),
    ]
)


@given(
    values=st.dictionaries(st.sampled_from(sorted(LABELS)), st.floats(0, 1e7), min_size=1),
    completed=st.integers(0, 10**6),
    noise=st.lists(NOISE, max_size=4),
    prefix=st.sampled_from(["", "(APIServer pid=9) ", "\x1b[1m", "5%|▌ | 1/20\r"]),
)
def test_whatever_a_box_holds_is_read_back(
    values: dict[str, float], completed: int, noise: list[str], prefix: str
) -> None:
    rows = [blocks.row(label, f"{value:.2f}") for label, value in values.items()]
    text = blocks.box(blocks.row("Successful requests:", completed), *noise, *rows)
    text = "".join(f"{prefix}{line}\n" for line in (*noise, *text.splitlines(), *noise))
    assert read(text) == {
        "completed": completed,
        **{LABELS[label]: float(f"{value:.2f}") for label, value in values.items()},
    }


PIECES = st.sampled_from(
    ["=" * 50, "============ Serving Benchmark Result ============", "\r", "\n", "Throughput: "]
)


@given(
    st.lists(st.one_of(st.text(), PIECES, st.sampled_from(blocks.V6.splitlines())), max_size=30),
    st.sampled_from(["serving", "latency", "throughput"]),
)
def test_no_text_can_break_the_reader(parts: list[str], type_: str) -> None:
    found = result("\n".join(parts), type_)
    assert found is None or found.metrics
