"""Costs of a launch, measured from outside: start-up, GPU memory, energy, processor time.

They guard gains (``verdicts.guards``): a patch may buy speed with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from patchbench.grading.launch_value import launch_value
from patchbench.judge.record import Window
from patchbench.records import Run, Workload
from patchbench.system import telemetry

# Samples of power are a second apart: over less time they say too little.
SHORTEST_SECONDS = 5.0
ROUNDS = ("--num-iters", "--num-iterations")
CPU = "cpu_s"  # metric, and its key in a launch's provenance


def launch_costs(run: Run, folder: Path) -> dict[str, float]:
    """Return what a launch cost: seconds until its server was ready, the highest memory of a GPU
    (MiB), processor seconds of the server; each only if it was measured."""
    costs = {}
    for phase in run.phases:
        if phase.name == "server_start" and phase.status == "ok":
            costs["startup_s"] = phase.seconds
    if (summary := telemetry.summary(folder / telemetry.FILE)) and summary.highest:
        costs["gpu_memory_peak_mib"] = summary.highest.get("memory_mib", 0.0)
    with suppress(KeyError, ValueError):
        costs[CPU] = float(run.provenance[CPU])
    return {name: value for name, value in costs.items() if value > 0}


def energy(
    folder: Path, windows: Sequence[Window], metrics: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the joules per output token over all windows of a launch; empty if the telemetry does
    not cover them, or they are shorter than ``SHORTEST_SECONDS`` together."""
    seconds, joules, tokens = 0.0, 0.0, 0.0
    for window, measured in zip(windows, metrics, strict=True):
        begin = datetime.fromisoformat(window.started)
        length = window.duration_ns / 1e9
        part = telemetry.energy(folder / telemetry.FILE, begin, begin + timedelta(seconds=length))
        if part is None:
            return {}
        seconds, joules = seconds + length, joules + part
        tokens += measured.get("output_tokens", 0.0)
    if seconds < SHORTEST_SECONDS or tokens <= 0 or joules <= 0:
        return {}
    return {"joules_per_token": joules / tokens}


def own_times(
    workload: Workload, run: Run, windows: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the seconds that a commit's own benchmark claims to have measured in a window, and
    those of the clock outside, which also sees the process start; each only if it is known."""
    claimed = [claimed_seconds(workload, metrics) for metrics in windows]
    outside = [phase.seconds for phase in run.phases if phase.name == "benchmark"]
    known = {"claimed_s": [c for c in claimed if c is not None], "clock_s": outside}
    return {name: launch_value(seconds) for name, seconds in known.items() if seconds}


def claimed_seconds(workload: Workload, metrics: Mapping[str, float]) -> float | None:
    """Return the measured seconds that follow from a benchmark's figures; None if none does. Of a
    latency benchmark whose line names no number of rounds one round is known."""
    for name in ("duration_s", "cost_time_s", "latency_total_s"):
        if name in metrics:
            return metrics[name]
    requests, rate = metrics.get("completed", workload.requests), metrics.get("request_rate_rps")
    if requests and rate:
        return requests / rate
    if "latency_avg_s" in metrics:
        return metrics["latency_avg_s"] * rounds(workload.client_args)
    return None


def rounds(words: Sequence[str]) -> int:
    """Return the number of rounds that a latency benchmark's line asks for; 1 if it names none."""
    spread = [part for word in words for part in word.split("=", 1)]
    named = (value for flag, value in pairwise(spread) if flag in ROUNDS and value.isdecimal())
    return int(next(named, 1))
