"""`patchbench parse`: what it prints and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbench.parsing.names import METRICS
from patchbench.system import raw_logs
from tests.unit import outputs
from tests.unit.conftest import Parse
from tests.unit.outputs import Numbers, make


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
