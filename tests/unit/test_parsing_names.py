"""One name per metric, whatever the tool called it."""

from __future__ import annotations

import re

import pytest

from patchbench.failures.causes import CAUSES
from patchbench.parsing.names import ALIASES, METRICS, canonical
from tests.unit.conftest import ROOT


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Mean TTFT", "ttft_mean_ms"),
        ("median_ttft_ms", "ttft_median_ms"),
        ("median_ttft", "ttft_median_ms"),
        ("std_tpot_ms", "tpot_std_ms"),
        ("P99 ITL", "itl_p99_ms"),
        ("Mean E2EL", "e2e_mean_ms"),
        ("Median E2E Latency", "e2e_median_ms"),
        ("p90_e2e_latency_ms", "e2e_p90_ms"),
        ("p99_e2el_ms", "e2e_p99_ms"),
        ("request_inthroughput", "request_rate_rps"),
        ("Total Token throughput", "total_tps"),
        ("Total token throughput", "total_tps"),
        ("total_throughput", "total_tps"),
        ("tokens_per_second", "total_tps"),
        ("output_throughput", "output_tps"),
        ("Avg latency", "latency_avg_s"),
        ("50% percentile latency", "latency_p50_s"),
        ("  Successful requests ", "completed"),
    ],
)
def test_what_each_tool_calls_a_metric_leads_to_its_one_name(said: str, name: str) -> None:
    assert canonical(said) == name


@pytest.mark.parametrize(
    "said",
    [
        "Peak output token throughput", "Peak concurrent requests", "Maximum request concurrency",
        "Request goodput", "User throughput", "Last generation throughput",
        "Avg prompt throughput", "P99.9 TTFT", "Max ITL", "latencies", "ttfts",
        "33% percentile latency", "p99", "",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_metric_has_no_name(said: str) -> None:
    assert canonical(said) is None


def test_every_alias_leads_to_a_metric_that_exists() -> None:
    assert set(ALIASES.values()) <= METRICS.keys()


def test_aliases_are_written_as_they_are_looked_up() -> None:
    assert [name for name in ALIASES if name != name.strip().lower()] == []


def test_times_and_latencies_are_better_lower_and_rates_higher() -> None:
    for name, metric in METRICS.items():
        if metric.direction != "check":
            rate = name.endswith(("_tps", "_rps"))
            assert metric.direction == ("higher" if rate else "lower"), name


def test_counts_and_spreads_are_never_compared() -> None:
    for name in ("completed", "failed", "duration_s", "output_tokens", "ttft_std_ms"):
        assert METRICS[name].direction == "check"


def test_the_page_about_parsing_names_every_metric_and_cause() -> None:
    page = (ROOT / "docs" / "parsing.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_.*]+)`", page))
    for name in METRICS:
        kinds = re.sub(r"_(?:mean|median|std|p\d+)_ms$", "_*_ms", name)
        percentile = re.fullmatch(r"latency_p\d+_s", name)
        assert name in named or kinds in named or percentile, name
    for name in named:
        if name.endswith(("_ms", "_s", "_tps", "_rps")) and "*" not in name:
            assert name in METRICS, name
    rules = "".join(
        (ROOT / "src/patchbench/parsing" / file).read_text(encoding="utf-8")
        for file in ("validity.py", "read_output.py")
    )
    assert set(re.findall(r'"(bench\.[a-z_]+)"', rules)) == {
        name for name in named if name.startswith("bench.") and name in CAUSES
    }
