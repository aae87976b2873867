"""llm-d's Benchmark Report v0.2.1: one file per measured launch, COMMIT/ARM/block-N.json.

Source of the format: ``br_v0_2_1_json_schema.json`` and ``base.py`` (units) of llm-d-benchmark,
``llmdbenchmark/analysis/benchmark_report``. The format holds one run; verdicts have no place there
and stand in the run's keywords.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec

from patchbench import __version__
from patchbench.exporting.results import Results
from patchbench.load import (
    DataSet,
    FixedRate,
    Lengths,
    Load,
    Poisson,
    RandomPrompts,
    SharedPrefix,
    most_in_flight,
)
from patchbench.records import Task
from patchbench.report.tables.columns import RunRow

VERSION = "0.2.1"
COMPONENT_VERSION = "0.0.1"
# Their latencies, by the stem of our metrics, and their units.
LATENCIES = {
    "ttft": ("time_to_first_token", "ms"),
    "tpot": ("time_per_output_token", "ms/token"),
    "itl": ("inter_token_latency", "ms/token"),
    "e2e": ("request_latency", "ms"),
}
RATES = {
    "input_tps": ("input_token_rate", "tokens/s"),
    "output_tps": ("output_token_rate", "tokens/s"),
    "total_tps": ("total_token_rate", "tokens/s"),
    "request_rate_rps": ("request_rate", "queries/s"),
}
# Their statistics by the ending of our metrics.
STATISTICS = {"mean": "mean", "std": "stddev", "median": "p50"}
STATISTICS |= {f"p{rank}": f"p{rank}" for rank in (10, 25, 50, 75, 90, 95, 99)}


def files(results: Results) -> Iterator[tuple[str, Any]]:
    """Yield the name and the content of each measured launch's report."""
    records = {task.commit: results.record(task.commit) for task in results.tasks}
    verdicts = {(row.commit, row.arm): row.verdict for row in results.outcomes}
    for (commit, arm, block), rows in groupby(results.runs, lambda r: (r.commit, r.arm, r.block)):
        metrics = list(rows)
        values = {r.metric: r.value for r in metrics if r.metric and r.value is not None}
        if values:
            words = verdicts.get((commit, arm), "")
            campaign = results.about.name
            content = report(campaign, metrics[0], values, records.get(commit), words)
            yield f"{commit[:12]}/{arm}/block-{block}.json", content


def report(
    campaign: str, launch: RunRow, values: Mapping[str, float], task: Task | None, verdict: str
) -> dict[str, Any]:
    """Return the report of one launch. ``values`` are its metrics, by our names."""
    run = {
        "uid": f"{campaign}/{launch.commit}/{launch.arm}/block-{launch.block}",
        "eid": f"{campaign}/{launch.commit}",
        "time": times(launch),
        "description": (task.title or None) if task else None,
        "keywords": [word for word in (campaign, launch.arm, verdict) if word],
    }
    out: dict[str, Any] = {
        "version": VERSION,
        "run": run,
        "results": {"request_performance": performance(values)},
    }
    if observed := observability(launch):
        out["results"]["observability"] = observed
    if task is not None and task.workload is not None:
        out["scenario"] = scenario(task, launch, values)
    return out


def times(launch: RunRow) -> dict[str, str] | None:
    """Return start, end and duration of a launch, if they are known."""
    if not (launch.started and launch.ended):
        return None
    start, end = map(datetime.fromisoformat, (launch.started, launch.ended))
    seconds = (end - start).total_seconds()
    return {"start": start.isoformat(), "end": end.isoformat(), "duration": f"PT{seconds:g}S"}


def performance(values: Mapping[str, float]) -> dict[str, Any]:
    """Return what requests met with: counts, latencies and rates. A latency needs a mean."""
    latency = {
        field: {"units": unit, **found}
        for stem, (field, unit) in LATENCIES.items()
        if "mean" in (found := statistics(values, stem))
    }
    rates = {
        field: {"units": unit, "mean": values[name]}
        for name, (field, unit) in RATES.items()
        if name in values
    }
    aggregate: dict[str, Any] = {"latency": latency or None, "throughput": rates or None}
    if "completed" in values:
        failed = int(values.get("failed", 0))
        aggregate["requests"] = {"total": int(values["completed"]) + failed, "failures": failed}
    return {"aggregate": aggregate}


def statistics(values: Mapping[str, float], stem: str) -> dict[str, float]:
    """Return the statistics of one latency, by their names there."""
    names = {f"{stem}_{ours}_ms": theirs for ours, theirs in STATISTICS.items()}
    return {theirs: values[name] for name, theirs in names.items() if name in values}


def observability(launch: RunRow) -> dict[str, Any] | None:
    """Return memory and power of the GPU in the time in which a kernel ran, if they were seen."""
    seen = {
        "gpu_memory_usage": ("MiB", launch.gpu_memory_mib),
        "power_consumption": ("Watts", launch.gpu_power_w),
    }
    known = {k: {"units": unit, "mean": value} for k, (unit, value) in seen.items() if value}
    return {"components": [{"component_label": launch.arm, "aggregate": known}]} if known else None


def scenario(task: Task, launch: RunRow, values: Mapping[str, float]) -> dict[str, Any]:
    """Return the engine and the load. A load whose prompts' length is not known is left out."""
    assert task.workload is not None
    load = task.workload.load
    length = input_length(load, values) if load else None
    out: dict[str, Any] = {"stack": [engine(task, launch)]}
    if load is not None and length is not None:
        out["load"] = {
            "metadata": {"schema_version": COMPONENT_VERSION, "cfg_id": task.workload_id},
            "standardized": standard_load(load, length),
            "native": {"config": msgspec.to_builtins(load)},
        }
    return out


def engine(task: Task, launch: RunRow) -> dict[str, Any]:
    """Return the engine at the arm's code: the parent's commit, and the arm's name."""
    assert task.workload is not None
    workload = task.workload
    return {
        "metadata": {
            "schema_version": COMPONENT_VERSION,
            "label": launch.arm,
            "cfg_id": (launch.image or task.commit).rpartition("/")[2],
        },
        "standardized": {
            "kind": "inference_engine",
            "tool": task.subject.name,
            "tool_version": f"{task.parent} {launch.arm}",
            "role": "replica",
            "replicas": 1,
            "model": {"name": workload.model},
            "accelerator": {
                "model": launch.gpu_model or "CPU",
                "count": max(1, workload.gpus),
                "parallelism": {"tp": max(1, workload.gpus)},
            },
        },
        "native": {"args": {"argv": list(workload.server_args)}, "envars": dict(workload.env)},
    }


def standard_load(load: Load, length: dict[str, Any]) -> dict[str, Any]:
    """Return the load in their words."""
    made: dict[str, Any] = {
        "tool": "patchbench",
        "tool_version": __version__,
        "source": "sampled" if isinstance(load.prompts, DataSet) else "random",
        "input_seq_len": length,
        "concurrency": max(1, most_in_flight(load.shape)),
    }
    if isinstance(load.prompts, RandomPrompts | SharedPrefix):
        made["output_seq_len"] = lengths(load.prompts.output)
    if isinstance(load.shape, FixedRate | Poisson):
        made["rate_qps"] = load.shape.rate
    return made


def input_length(load: Load, values: Mapping[str, float]) -> dict[str, Any] | None:
    """Return the length of the prompts, tokens: as ordered, else as counted in the mean."""
    if isinstance(load.prompts, RandomPrompts):
        return lengths(load.prompts.prompt)
    if isinstance(load.prompts, SharedPrefix):
        return lengths(load.prompts.suffix, load.prompts.prefix)
    if values.get("completed") and "input_tokens" in values:
        return {"distribution": "other", "value": values["input_tokens"] / values["completed"]}
    return None


def lengths(given: Lengths, more: int = 0) -> dict[str, Any]:
    """Return lengths as a distribution; ``more`` tokens stand before each."""
    low, high = given.low + more, given.high + more
    if low == high:
        return {"distribution": "fixed", "value": low}
    kind = "other" if given.inner else "uniform"
    return {"distribution": kind, "value": (low + high) / 2, "min": low, "max": high}
