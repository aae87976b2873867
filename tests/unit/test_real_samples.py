"""Output that real engines printed, through `patchbench parse`: metrics, or the cause of their
absence with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from patchbench.parsing.read_output import read_output
from tests.unit.conftest import DATA, Parse

Sample = Callable[[str], Path]
Metrics = dict[str, float]

LATENCY = "isobench/codex_3b61cb45_agent_result.latency_success.trimmed.json"
PARSER_BUG = "isobench/trae_sonnet45_61b8cea3_agent_result.throughput_PARSER_BUG.trimmed.json"
OLD_CLIENT = "isobench/raw_serving_throughput_only_old_client.txt"
STUB = "isobench/trae_gpt5_0ec82edd_human_result.deprecated_stub.trimmed.json"
DEAD = "vllm-cpu/serve_bench_deadserver"
# The sample, the type of its benchmark, the line of its evidence, and metrics or the cause.
SAMPLES: list[tuple[str, str | None, int | None, Metrics | str]] = [
    ("isobench/claude_code_6e36f4fa_human_result.serving_success.trimmed.json", "serving", 8,
     {"ttft_median_ms": 808.99, "total_tps": 10736.69, "completed": 100, "itl_p99_ms": 210.19}),
    (LATENCY, "latency", 12,
     {"latency_avg_s": 2.433738502232882, "latency_p10_s": 2.4195874112985623,
      "latency_p25_s": 2.421012492499358, "latency_p50_s": 2.4229741185008606,
      "latency_p75_s": 2.429222814500463, "latency_p90_s": 2.434470770598273,
      "latency_p99_s": 2.6116396869787426}),
    (PARSER_BUG, "throughput", 12,
     {"request_rate_rps": 49.51, "total_tps": 19012.61, "output_tps": 6337.70,
      "input_tokens": 25599, "output_tokens": 12800}),
    ("isobench/raw_prefix_caching_2deb029d_baseline.txt", "prefix_caching", 11,
     {"cost_time_s": 3.5913496017456055}),
    ("isobench/raw_serving_openhands_b55ed6ef.txt", "serving", 6,
     {"ttft_mean_ms": 301.73, "tpot_median_ms": 18.51, "total_tps": 3100.59}),
    (OLD_CLIENT, "serving", 1, "bench.partial"),
    (STUB, "serving", 7, "bench.deprecated_client"),
    ("isobench/codex_015069b0_agent_result.server_crash_is_HF_404.trimmed.json", None, 7,
     "bench.no_metrics"),
    ("isobench/codex_35fad35a_agent_result.server_crash_is_CUDA_ABI.trimmed.json", None, 31,
     "bench.no_metrics"),
    ("isobench/codex_8aa1485f_agent_result.image_missing.json", None, 2, "bench.no_metrics"),
    ("isobench/codex_baeded25_agent_result.missing_parent.json", None, None, "bench.no_metrics"),
    ("isobench/codex_ce6bf3a2_agent_result.patch_rejected_plus_env_error.trimmed.json", None, 85,
     "bench.no_metrics"),
    ("isobench/trae_gpt5_22d33bac_baseline_result.FLAT_SCHEMA.trimmed.json", None, 15,
     "bench.no_metrics"),
    ("isobench/trae_gpt5_2deb029d_agent_result.disk_full.json", None, 50, "bench.no_metrics"),
    ("isobench/trae_gpt5_fb0acb6c_agent_result.image_missing.json", None, 2, "bench.no_metrics"),
    ("isobench/trae_sonnet45_ad8d696a_agent_result.server_crash_is_transformers.trimmed.json",
     None, 37, "bench.no_metrics"),
    ("isobench/trae_sonnet45_d7740ea4_agent_result.EMPTY_PATCH_plus_env_error.trimmed.json",
     None, 15, "bench.no_metrics"),
    ("vllm-cpu/latency2.stdout", "latency", 32,
     {"latency_avg_s": 1.5181266022000273, "latency_p99_s": 1.816293201919998}),
    ("vllm-cpu/latency2.json", "latency", None,
     {"latency_avg_s": 1.5181266022000273, "latency_p10_s": 1.2956982280000375,
      "latency_p25_s": 1.5357063129999915, "latency_p50_s": 1.5363119520000055,
      "latency_p75_s": 1.5557737280000765, "latency_p90_s": 1.7185983992000273,
      "latency_p99_s": 1.816293201919998}),
    ("vllm-cpu/throughput.stdout", "throughput", 34,
     {"request_rate_rps": 21.01, "total_tps": 1009.34, "output_tps": 336.23,
      "output_tokens": 512}),
    ("vllm-cpu/throughput.json", "throughput", None, {"total_tps": 1009.3421544540806}),
    ("vllm-cpu/serve_bench.stdout", "serving", 12,
     {"completed": 32, "failed": 0, "tpot_median_ms": 0.0, "e2e_median_ms": 72.21,
      "e2e_p99_ms": 111.0, "itl_p99_ms": 35.35}),
    ("vllm-cpu/serve_bench.json", "serving", None, {"total_tps": 2548.813907209324}),
    (f"{DEAD}.stdout", "serving", 197, "bench.dead_server"),
    (f"{DEAD}.json", "serving", 1, "bench.requests_failed"),
    (f"{DEAD}.stderr", None, 3, "bench.no_metrics"),
    ("vllm-cpu/serve.stdout", None, 151, "bench.no_metrics"),
    ("vllm-cpu/fail_badflag.stderr", None, 5, "bench.no_metrics"),
    ("vllm-cpu/fail_nomodel.stderr", None, 27, "bench.no_metrics"),
    ("vllm-h100/docker-client-base.log", "serving", 25,
     {"completed": 400, "ttft_median_ms": 1361.82, "total_tps": 68369.12, "itl_p99_ms": 68.22}),
    ("vllm-h100/throughput.json", "throughput", None, {"total_tps": 126013.78568142622}),
    ("vllm-h100/docker-server-base.log", None, 81, "bench.no_metrics"),
    ("vllm-h100/server.log", None, 289, "bench.no_metrics"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "type_", "line", "found"), SAMPLES, ids=[row[0] for row in SAMPLES]
)
def test_a_real_sample(
    parse: Parse,
    sample: Sample,
    name: str,
    type_: str | None,
    line: int | None,
    found: Metrics | str,
) -> None:
    code, shown, err = parse(sample(name))
    assert err == ""
    assert (shown["type"], shown["evidence"]["line"]) == (type_, line)
    if isinstance(found, str):
        assert (code, shown["cause"], shown["metrics"]) == (1, found, {})
    else:
        assert (code, shown["cause"]) == (0, None)
        assert shown["metrics"].items() >= found.items()


def test_no_real_sample_is_left_out() -> None:
    """Whatever looks like a benchmark's output among the samples has its row above."""
    if not DATA.is_dir():
        pytest.skip("no real samples on this machine")
    patterns = ("isobench/*_result.*", "isobench/raw_*", "vllm-cpu/*.stdout", "vllm-*/*.json")
    found = {str(path.relative_to(DATA)) for glob in patterns for path in DATA.glob(glob)}
    assert found <= {row[0] for row in SAMPLES}


@pytest.mark.parametrize(
    ("words", "name", "count", "metrics"),
    [
        ("--primary ttft_median_ms --requests 32", "serve_bench", 32,
         {"completed": 32, "request_rate_rps": 53.06574172459231, "total_tps": 2548.813907209324,
          "ttft_median_ms": pytest.approx(56.42, abs=0.005),
          "tpot_median_ms": pytest.approx(0, abs=0.005)}),
        ("--primary latency_p50_s", "latency2", 7, {"latency_p50_s": 1.5363119520000055}),
        ("--primary output_tps", "throughput", 6,
         {"total_tps": 1009.3421544540806, "output_tps": 336.23, "output_tokens": 512}),
    ],
)  # fmt: skip
def test_a_text_and_its_file_are_one_result(
    parse: Parse, sample: Sample, words: str, name: str, count: int, metrics: Metrics
) -> None:
    text, file = (sample(f"vllm-cpu/{name}.{ending}") for ending in ("stdout", "json"))
    code, shown, _ = parse(*words.split(), "--json", file, text)
    assert (code, shown["source"], len(shown["metrics"])) == (0, "json", count)
    assert {metric: shown["metrics"][metric] for metric in metrics} == metrics


def test_a_dead_servers_zeros_are_no_metrics_in_any_combination(
    parse: Parse, sample: Sample
) -> None:
    stdout, file = sample(f"{DEAD}.stdout"), sample(f"{DEAD}.json")
    for words in ([stdout], [file], ["--json", file, stdout], [sample(f"{DEAD}.stderr")]):
        code, shown, _ = parse(*words)
        assert (code, shown["metrics"]) == (1, {})
    both = read_output("serving", stdout, file, primary="ttft_median_ms", requests=4)
    assert (both.cause, both.evidence.file, both.evidence.line) == (
        "bench.dead_server", str(stdout), 197,
    )  # fmt: skip


def test_a_latency_run_has_no_throughput_whatever_its_engine_logged(
    parse: Parse, sample: Sample
) -> None:
    assert "Avg prompt throughput: 7359.5 tokens/s" in sample(LATENCY).read_text(encoding="utf-8")
    for type_ in ("auto", "latency", "throughput", "serving"):
        shown = parse("--type", type_, sample(LATENCY))[1]
        assert not any(metric.endswith(("_tps", "_rps")) for metric in shown["metrics"])


@pytest.mark.parametrize("type_", ["serving", "latency", "throughput"])
def test_a_benchmark_of_another_kind_is_not_misread(
    parse: Parse, sample: Sample, type_: str
) -> None:
    file = sample("isobench/raw_prefix_caching_2deb029d_baseline.txt")
    assert parse("--type", type_, file)[1]["cause"] == "bench.no_metrics"
    # The text of the predecessor's result files stands in one line of JSON.
    found = read_output(type_, sample(LATENCY), None, primary="total_tps")
    assert found.cause == "bench.no_metrics"


def test_a_home_made_client_without_latencies_lacks_the_primary_metric(
    parse: Parse, sample: Sample
) -> None:
    shown = parse("--primary", "output_tps", sample(OLD_CLIENT))[1]
    assert shown["metrics"]["output_tps"] == 3402.63
