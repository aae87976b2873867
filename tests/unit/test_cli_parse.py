"""`patchbench parse`: what it prints and how it ends; every real sample through it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from patchbench.cli import main
from patchbench.parsing.names import METRICS
from patchbench.system import raw_logs
from tests.unit import outputs
from tests.unit.conftest import DATA
from tests.unit.outputs import Numbers, make

Parse = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Parse:
    """Runs the command; gives its exit code, what it printed as JSON, and its errors."""

    def run(*words: object) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["patchbench", "parse", *map(str, words)])
        try:
            main.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return run


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    """Writes a log."""

    def write(text: str, name: str = "benchmark.stdout") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


def output(name: str = "vllm 0.32") -> outputs.Output:
    return make(name, Numbers([1.25, 2.5, 3.75, 40.0, 5.5, 6.25, 70.75, 8.0]))


KEYS = ["file", "type", "layout", "source", "metrics", "lines", "cause", "evidence"]


def test_a_result_is_shown_in_the_tables_order_and_ends_with_0(parse: Parse, log) -> None:
    path, wanted = log(output().text), output()
    code, shown, err = parse(path)
    assert (code, err) == (0, "")
    assert list(shown) == KEYS
    assert shown["metrics"] == wanted.metrics
    assert list(shown["metrics"]) == [name for name in METRICS if name in wanted.metrics]
    assert list(shown["lines"]) == list(shown["metrics"])
    assert isinstance(shown["metrics"]["completed"], int)
    assert (shown["type"], shown["layout"], shown["source"]) == ("serving", "serving box", "text")
    assert shown["cause"] is None
    assert shown["evidence"]["line"] == 2
    assert "Serving Benchmark Result" in shown["evidence"]["text"]


def test_the_same_file_gives_the_same_bytes(
    parse: Parse, log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log(output().text)
    said = []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["patchbench", "parse", str(path)])
        main.main()
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_a_log_without_a_result_shows_its_cause_and_ends_with_1(parse: Parse, log) -> None:
    code, shown, err = parse(log("DEPRECATED: This script has been moved to the vLLM CLI.\n"))
    assert (code, err) == (1, "")
    assert list(shown) == KEYS
    assert (shown["cause"], shown["metrics"]) == ("bench.deprecated_client", {})
    assert shown["evidence"]["line"] == 1


def test_several_logs_give_a_list_that_ends_with_1_if_one_has_none(parse: Parse, log) -> None:
    good, bad = log(output().text, "a"), log("nothing\n", "b")
    assert parse(good, good)[0] == 0
    code, shown, _ = parse(good, bad)
    assert code == 1
    assert [one["cause"] for one in shown] == [None, "bench.no_metrics"]
    assert [one["file"] for one in shown] == [str(good), str(bad)]


def test_the_saved_result_goes_before_the_text(parse: Parse, log) -> None:
    path = log(output().text)
    exact = output().metrics["ttft_median_ms"] + 0.0012
    file = log(json.dumps({"median_ttft_ms": exact, "completed": 250}), "result.json")
    shown = parse("--json", file, path)[1]
    assert shown["source"] == "json"
    assert shown["metrics"]["ttft_median_ms"] == exact
    assert "ttft_median_ms" not in shown["lines"]
    assert shown["lines"]["ttft_mean_ms"]
    file.write_text(json.dumps({"median_ttft_ms": 99.0}))
    code, shown, _ = parse("--json", file, path)
    assert (code, shown["cause"]) == (1, "bench.ambiguous")


def test_a_saved_result_is_a_log_too(parse: Parse, log) -> None:
    file = log(json.dumps({"avg_latency": 2.5, "percentiles": {"50": 2.25}}), "result.json")
    code, shown, _ = parse(file)
    assert (code, shown["type"], shown["source"]) == (0, "latency", "json")
    assert shown["metrics"] == {"latency_avg_s": 2.5, "latency_p50_s": 2.25}


def test_a_compressed_log_is_read_by_either_name(parse: Parse, log) -> None:
    path = log(output().text)
    packed = raw_logs.compress(path, over=10)
    assert packed.name == "benchmark.stdout.zst"
    for name in (path, packed):
        code, shown, _ = parse(name)
        assert (code, shown["metrics"]) == (0, output().metrics)


@pytest.mark.parametrize("name", outputs.MAKERS)
def test_a_type_reads_its_own_outputs_and_no_others(parse: Parse, log, name: str) -> None:
    path, wanted = log(output(name).text), output(name)
    for type_ in ("serving", "latency", "throughput", "prefix"):
        code, shown, _ = parse("--type", type_, path)
        mine = wanted.type.startswith(type_)
        assert (code, shown["metrics"]) == ((0, wanted.metrics) if mine else (1, {})), type_
    code, shown, _ = parse("--type", "sglang", path)
    if name.startswith("sglang"):
        assert (code, shown["metrics"]) == (0, wanted.metrics)


def test_the_primary_metric_and_the_requests_can_be_asked_for(parse: Parse, log) -> None:
    path = log(output().text)
    assert parse("--primary", "ttft_p95_ms", path)[1]["cause"] == "bench.partial"
    assert parse("--requests", 251, path)[1]["cause"] == "bench.requests_failed"
    assert parse("--requests", 250, "--primary", "ttft_p99_ms", path)[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.log"], "none.log: no such file"),
        (["."], ".: is a folder"),
        (["--json", "none.json", "a"], "none.json: no such file"),
        (["--json", "a", "a", "a"], "--json belongs to one log"),
        (["--primary", "speed", "a"], "--primary speed: no such metric"),
        (["broken.zst"], "can't be decompressed"),
    ],
)
def test_what_cant_be_read_is_one_line_and_ends_with_2(
    parse: Parse, log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    log(output().text, "a")
    log("no zstd", "broken.zst")
    monkeypatch.chdir(tmp_path)
    code, shown, err = parse(*words)
    assert (code, shown) == (2, None)
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


# --- every real sample ----------------------------------------------------------------------------

Expected = tuple[str | None, str | None, int | None, dict[str, float]]
ISOBENCH: dict[str, Expected] = {
    "claude_code_6e36f4fa_human_result.serving_success.trimmed.json": (
        None,
        "serving",
        8,
        {"ttft_median_ms": 808.99, "total_tps": 10736.69, "completed": 100, "itl_p99_ms": 210.19},
    ),
    "codex_3b61cb45_agent_result.latency_success.trimmed.json": (
        None,
        "latency",
        12,
        {"latency_avg_s": 2.433738502232882, "latency_p99_s": 2.6116396869787426},
    ),
    "trae_sonnet45_61b8cea3_agent_result.throughput_PARSER_BUG.trimmed.json": (
        None,
        "throughput",
        12,
        {"request_rate_rps": 49.51, "total_tps": 19012.61, "output_tps": 6337.70},
    ),
    "raw_prefix_caching_2deb029d_baseline.txt": (
        None,
        "prefix_caching",
        11,
        {"cost_time_s": 3.5913496017456055},
    ),
    "raw_serving_openhands_b55ed6ef.txt": (
        None,
        "serving",
        6,
        {"ttft_mean_ms": 301.73, "tpot_median_ms": 18.51, "total_tps": 3100.59},
    ),
    "raw_serving_throughput_only_old_client.txt": ("bench.partial", "serving", 1, {}),
    "trae_gpt5_0ec82edd_human_result.deprecated_stub.trimmed.json": (
        "bench.deprecated_client",
        "serving",
        7,
        {},
    ),
    "codex_015069b0_agent_result.server_crash_is_HF_404.trimmed.json": (
        "bench.no_metrics",
        None,
        7,
        {},
    ),
    "codex_35fad35a_agent_result.server_crash_is_CUDA_ABI.trimmed.json": (
        "bench.no_metrics",
        None,
        31,
        {},
    ),
    "codex_8aa1485f_agent_result.image_missing.json": ("bench.no_metrics", None, 2, {}),
    "codex_baeded25_agent_result.missing_parent.json": ("bench.no_metrics", None, None, {}),
    "codex_ce6bf3a2_agent_result.patch_rejected_plus_env_error.trimmed.json": (
        "bench.no_metrics",
        None,
        85,
        {},
    ),
    "trae_gpt5_22d33bac_baseline_result.FLAT_SCHEMA.trimmed.json": (
        "bench.no_metrics",
        None,
        15,
        {},
    ),
    "trae_gpt5_2deb029d_agent_result.disk_full.json": ("bench.no_metrics", None, 50, {}),
    "trae_gpt5_fb0acb6c_agent_result.image_missing.json": ("bench.no_metrics", None, 2, {}),
    "trae_sonnet45_ad8d696a_agent_result.server_crash_is_transformers.trimmed.json": (
        "bench.no_metrics",
        None,
        37,
        {},
    ),
    "trae_sonnet45_d7740ea4_agent_result.EMPTY_PATCH_plus_env_error.trimmed.json": (
        "bench.no_metrics",
        None,
        15,
        {},
    ),
}
VLLM: dict[str, Expected] = {
    "vllm-cpu/latency2.stdout": (
        None,
        "latency",
        32,
        {"latency_avg_s": 1.5181266022000273, "latency_p99_s": 1.816293201919998},
    ),
    "vllm-cpu/latency2.json": (None, "latency", None, {"latency_p50_s": 1.5363119520000055}),
    "vllm-cpu/throughput.stdout": (
        None,
        "throughput",
        34,
        {"request_rate_rps": 21.01, "total_tps": 1009.34, "output_tps": 336.23},
    ),
    "vllm-cpu/throughput.json": (None, "throughput", None, {"total_tps": 1009.3421544540806}),
    "vllm-cpu/serve_bench.stdout": (
        None,
        "serving",
        12,
        {"completed": 32, "failed": 0, "tpot_median_ms": 0.0, "e2e_p99_ms": 111.0},
    ),
    "vllm-cpu/serve_bench.json": (None, "serving", None, {"total_tps": 2548.813907209324}),
    "vllm-cpu/serve_bench_deadserver.stdout": ("bench.dead_server", "serving", 197, {}),
    "vllm-cpu/serve_bench_deadserver.json": ("bench.requests_failed", "serving", 1, {}),
    "vllm-cpu/serve_bench_deadserver.stderr": ("bench.no_metrics", None, 3, {}),
    "vllm-cpu/serve.stdout": ("bench.no_metrics", None, 151, {}),
    "vllm-cpu/fail_badflag.stderr": ("bench.no_metrics", None, 5, {}),
    "vllm-cpu/fail_nomodel.stderr": ("bench.no_metrics", None, 27, {}),
    "vllm-h100/docker-client-base.log": (
        None,
        "serving",
        25,
        {"completed": 400, "ttft_median_ms": 1361.82, "total_tps": 68369.12},
    ),
    "vllm-h100/throughput.json": (None, "throughput", None, {"total_tps": 126013.78568142622}),
    "vllm-h100/docker-server-base.log": ("bench.no_metrics", None, 81, {}),
    "vllm-h100/server.log": ("bench.no_metrics", None, 289, {}),
}
SAMPLES = {f"isobench/{name}": expected for name, expected in ISOBENCH.items()} | VLLM


@pytest.mark.parametrize("name", SAMPLES)
def test_a_real_sample(parse: Parse, sample: Callable[[str], Path], name: str) -> None:
    cause, type_, line, metrics = SAMPLES[name]
    code, shown, err = parse(sample(name))
    assert err == ""
    assert code == (1 if cause else 0)
    assert (shown["cause"], shown["type"], shown["evidence"]["line"]) == (cause, type_, line)
    assert shown["metrics"].items() >= metrics.items()
    assert bool(shown["metrics"]) == bool(metrics)


def test_no_real_sample_is_left_out() -> None:
    """Whatever looks like a benchmark's output among the samples has its line above."""
    if not DATA.is_dir():
        pytest.skip("no real samples on this machine")
    patterns = ("isobench/*_result.*", "isobench/raw_*", "vllm-cpu/*.stdout", "vllm-*/*.json")
    found = {str(path.relative_to(DATA)) for glob in patterns for path in DATA.glob(glob)}
    assert found <= SAMPLES.keys()


def test_a_latency_run_has_no_throughput_whatever_its_engine_logged(
    parse: Parse, sample: Callable[[str], Path]
) -> None:
    name = "isobench/codex_3b61cb45_agent_result.latency_success.trimmed.json"
    for type_ in ("auto", "latency", "throughput", "serving"):
        shown = parse("--type", type_, sample(name))[1]
        assert not any(metric.endswith(("_tps", "_rps")) for metric in shown["metrics"])


def test_a_dead_servers_zeros_are_no_metrics_in_any_combination(
    parse: Parse, sample: Callable[[str], Path]
) -> None:
    stem = "vllm-cpu/serve_bench_deadserver"
    stdout, file = sample(f"{stem}.stdout"), sample(f"{stem}.json")
    for words in ([stdout], [file], ["--json", file, stdout], [sample(f"{stem}.stderr")]):
        code, shown, _ = parse(*words)
        assert (code, shown["metrics"]) == (1, {})
