"""Output that real engines printed: what is in it is read, what only looks like it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbench.parsing.layouts import LAYOUTS
from patchbench.parsing.read_output import read_output
from patchbench.parsing.text import read as read_blocks

Sample = Callable[[str], Path]


def raw_output(path: Path) -> str:
    """The log that stands in a field of one of the predecessor's result files."""
    return str(json.loads(path.read_text(encoding="utf-8"))["raw_output"])


def read(text: str, type_: str) -> dict[str, float] | None:
    wanted = [layout for layout in LAYOUTS if layout.type == type_]
    found = read_blocks([(1, text.encode())], wanted).result
    return found.metrics if found else None


def test_vllm_on_a_cpu_serving(sample: Sample) -> None:
    found = read_output(
        "serving",
        sample("vllm-cpu/serve_bench.stdout"),
        sample("vllm-cpu/serve_bench.json"),
        primary="ttft_median_ms",
        requests=32,
    )
    assert (found.cause, found.format) == (None, "json")
    assert found.metrics["completed"] == 32
    assert found.metrics["request_rate_rps"] == 53.06574172459231
    assert found.metrics["total_tps"] == 2548.813907209324
    assert found.metrics["ttft_median_ms"] == pytest.approx(56.42, abs=0.005)
    assert found.metrics["tpot_median_ms"] == pytest.approx(0, abs=0.005)


def test_vllm_on_a_cpu_serving_from_its_text_alone(sample: Sample, tmp_path: Path) -> None:
    found = read_output(
        "serving",
        sample("vllm-cpu/serve_bench.stdout"),
        tmp_path / "no.json",
        primary="e2e_median_ms",
    )
    assert (found.cause, found.format) == (None, "text")
    assert len(found.metrics) == 28
    assert found.metrics["e2e_median_ms"] == 72.21
    assert found.metrics["failed"] == 0
    assert found.metrics["itl_p99_ms"] == 35.35


def test_vllm_whose_server_is_dead_prints_zeros_that_are_refused(sample: Sample) -> None:
    files = (
        sample("vllm-cpu/serve_bench_deadserver.stdout"),
        sample("vllm-cpu/serve_bench_deadserver.json"),
    )
    found = read_output("serving", *files, primary="ttft_median_ms", requests=4)
    assert found.cause == "bench.dead_server"
    assert found.metrics == {}
    assert (found.evidence.file, found.evidence.line) == (str(files[0]), 197)
    alone = read_output("serving", files[0], None, primary="ttft_median_ms", requests=4)
    assert (alone.cause, alone.metrics) == ("bench.dead_server", {})
    # Zeros are zeros, even where nothing says why.
    saved = read_output("serving", files[0].with_name("none"), files[1], primary="ttft_median_ms")
    assert (saved.cause, saved.metrics) == ("bench.requests_failed", {})


def test_vllm_on_a_cpu_latency(sample: Sample) -> None:
    found = read_output(
        "latency",
        sample("vllm-cpu/latency2.stdout"),
        sample("vllm-cpu/latency2.json"),
        primary="latency_p50_s",
    )
    assert found.cause is None
    assert found.metrics == {
        "latency_avg_s": 1.5181266022000273,
        "latency_p10_s": 1.2956982280000375,
        "latency_p25_s": 1.5357063129999915,
        "latency_p50_s": 1.5363119520000055,
        "latency_p75_s": 1.5557737280000765,
        "latency_p90_s": 1.7185983992000273,
        "latency_p99_s": 1.816293201919998,
    }


def test_vllm_on_a_cpu_throughput(sample: Sample) -> None:
    found = read_output(
        "throughput",
        sample("vllm-cpu/throughput.stdout"),
        sample("vllm-cpu/throughput.json"),
        primary="output_tps",
        requests=32,
    )
    assert found.cause is None
    assert found.metrics["total_tps"] == 1009.3421544540806
    assert found.metrics["output_tps"] == 336.23
    assert found.metrics["output_tokens"] == 512


def test_vllm_on_an_h100_behind_a_progress_bar(sample: Sample) -> None:
    found = read_output(
        "serving",
        sample("vllm-h100/docker-client-base.log"),
        None,
        primary="ttft_median_ms",
        requests=400,
    )
    assert found.cause is None
    assert found.metrics["ttft_median_ms"] == 1361.82
    assert found.metrics["total_tps"] == 68369.12
    assert found.metrics["itl_p99_ms"] == 68.22


def test_vllm_on_an_h100_saved_throughput(sample: Sample, tmp_path: Path) -> None:
    found = read_output(
        "throughput",
        tmp_path / "none",
        sample("vllm-h100/throughput.json"),
        primary="total_tps",
    )
    assert found.cause is None
    assert found.metrics["total_tps"] == 126013.78568142622


def test_a_benchmark_that_the_predecessor_could_not_read_was_a_success(sample: Sample) -> None:
    text = raw_output(
        sample("isobench/trae_sonnet45_61b8cea3_agent_result.throughput_PARSER_BUG.trimmed.json")
    )
    assert read(text, "throughput") == {
        "request_rate_rps": 49.51,
        "total_tps": 19012.61,
        "output_tps": 6337.70,
        "input_tokens": 25599,
        "output_tokens": 12800,
    }


def test_a_latency_run_has_no_throughput_whatever_the_engine_logs(sample: Sample) -> None:
    text = raw_output(sample("isobench/codex_3b61cb45_agent_result.latency_success.trimmed.json"))
    assert "Avg prompt throughput: 7359.5 tokens/s" in text
    assert read(text, "throughput") is None
    assert read(text, "latency") == {
        "latency_avg_s": 2.433738502232882,
        "latency_p10_s": 2.4195874112985623,
        "latency_p25_s": 2.421012492499358,
        "latency_p50_s": 2.4229741185008606,
        "latency_p75_s": 2.429222814500463,
        "latency_p90_s": 2.434470770598273,
        "latency_p99_s": 2.6116396869787426,
    }


@pytest.mark.parametrize("type_", ["serving", "latency", "throughput"])
def test_a_log_inside_a_json_field_is_not_read_as_a_log(sample: Sample, type_: str) -> None:
    """The predecessor's result files are no benchmark output: their text stands in one line."""
    file = sample("isobench/codex_3b61cb45_agent_result.latency_success.trimmed.json")
    found = read_output(type_, file, None, primary="total_tps")
    assert found.cause == "bench.no_metrics"


def test_of_a_box_and_its_echo_the_whole_box_is_read(sample: Sample) -> None:
    name = "isobench/claude_code_6e36f4fa_human_result.serving_success.trimmed.json"
    found = read(raw_output(sample(name)), "serving")
    assert found is not None
    assert len(found) == 16
    assert found["completed"] == 100
    assert found["ttft_median_ms"] == 808.99
    assert found["total_tps"] == 10736.69


def test_a_client_that_only_says_that_it_moved_measured_nothing(sample: Sample) -> None:
    name = "isobench/trae_gpt5_0ec82edd_human_result.deprecated_stub.trimmed.json"
    text = raw_output(sample(name))
    assert "============ Serving Benchmark Result ============" in text
    assert read(text, "serving") is None
    assert read(text, "throughput") is None


def test_an_older_clients_box(sample: Sample) -> None:
    found = read_output(
        "serving",
        sample("isobench/raw_serving_openhands_b55ed6ef.txt"),
        None,
        primary="tpot_median_ms",
        requests=100,
    )
    assert found.cause is None
    assert found.metrics["tpot_median_ms"] == 18.51
    assert found.metrics["total_tps"] == 3100.59
    assert len(found.metrics) == 16


def test_a_home_made_client_without_latencies_lacks_the_primary_metric(sample: Sample) -> None:
    file = sample("isobench/raw_serving_throughput_only_old_client.txt")
    assert read_output("serving", file, None, primary="ttft_median_ms").cause == "bench.partial"
    assert read_output("serving", file, None, primary="output_tps").metrics["output_tps"] == 3402.63


def test_a_benchmark_of_another_kind_is_not_misread(sample: Sample) -> None:
    file = sample("isobench/raw_prefix_caching_2deb029d_baseline.txt")
    for type_ in ("serving", "latency", "throughput"):
        assert read_output(type_, file, None, primary="total_tps").cause == "bench.no_metrics"
