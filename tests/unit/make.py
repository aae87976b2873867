"""Records for tests, with only what a test wants to say spelt out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from patchbench.config import Protocol, VerdictRules
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.plan.configuration import Agent, Config
from patchbench.records import (
    AA,
    BASELINE,
    HUMAN,
    ArmResult,
    Evidence,
    GradedRun,
    Metrics,
    Phase,
    Run,
    Task,
    Workload,
)
from patchbench.subject import Client, Server, Source, Subject

COMMIT = "c0ffee" + "0" * 34
PARENT = "beef" + "0" * 36
RULES = VerdictRules(
    confidence=0.95, margin=0.02, min_blocks=3, implausible=10, review_human_gain=3
)


def config(**more: Any) -> Config:
    """A campaign's configuration of one agent."""
    base = {"campaign": "test", "tasks": ("tasks.yaml",), "agents": {"alba": Agent(patches="p")}}
    return Config(**{**base, **more})


def subject(**more: Any) -> Subject:
    """A subject with a judge's folder and a pattern of files that can't matter."""
    return Subject(
        **{
            "name": "small",
            "title": "Small engine",
            "source": Source(repo="nowhere.git"),
            "clients": {
                "serving": Client(command=("client",), detect=("bench serve",)),
                "latency": Client(command=("client",), detect=("bench latency",)),
                "throughput": Client(command=("client",), detect=("bench throughput",)),
            },
            "server": Server(command=("server",), flags=("--dtype", "-tp")),
            "judge_paths": ("bench/",),
            "out_of_scope": ("tests/*", "*.md"),
            "gpu_flags": ("--tensor-parallel-size", "-tp"),
            **more,
        }
    )


def workload(**more: Any) -> Workload:
    """A serving workload of 100 requests."""
    return Workload(
        **{
            "type": "serving",
            "model": "tiny",
            "server_args": (),
            "client_args": (),
            "env": {},
            "gpus": 1,
            "requests": 100,
            **more,
        }
    )


def task(commit: str = COMMIT, **more: Any) -> Task:
    """A resolved task that can be run."""
    return Task(
        **{
            "commit": commit,
            "title": "Make it fast",
            "subject": subject(),
            "perf_command": "bench serve --model tiny",
            "primary_metric": "ttft_median_ms",
            "guard_metrics": (),
            "parent": PARENT,
            "parent_origin": "task list",
            "workload": workload(),
            "workload_id": "w1",
            "exclusion": None,
            "protocol": Protocol(measure="own"),
            "runtime": "process",
            "work": ".patchbench",
            **more,
        }
    )


def phase(
    name: str, status: str = "ok", code: int | None = 0, detail: str = "", seconds: float = 1.0
) -> Phase:
    """One phase of a launch."""
    return Phase(name=name, status=status, seconds=seconds, exit_code=code, detail=detail)


def launch(folder: Path, *phases: Phase, **more: Any) -> Run:
    """The facts of one launch of alba."""
    return Run(
        **{
            "commit": COMMIT,
            "block": 1,
            "arm": "alba",
            "position": 2,
            "status": "launched",
            "block_digest": "d",
            "workload_id": "w1",
            "started": "2026-01-01T10:00:00.000+00:00",
            "ended": "2026-01-01T10:00:05.000+00:00",
            "folder": str(folder),
            "phases": phases,
            **more,
        }
    )


def event(arm: str, kind: str = "run_finished", digest: str = "d1", **more: Any) -> Event:
    """A line of the journal of block 1."""
    fields = {"at": journal.now(), "commit": "c" * 40, "block": 1, **more}
    return Event(event=kind, digest=digest, arm=arm, **fields)


def run(arm: str, block: int = 1, **more: Any) -> GradedRun:
    """A launched and measured run, or a failed one if a cause is given."""
    cause = more.get("cause")
    return GradedRun(
        **{
            "arm": arm,
            "block": block,
            "position": 0,
            "status": "failed" if cause else "measured",
            "evidence": Evidence(text=f"{cause} shown here", file="x.log", line=7)
            if cause
            else None,
            "started": "2026-01-01T10:00:00.000+00:00",
            "ended": "2026-01-01T10:00:05.000+00:00",
            "folder": f"runs/{arm}/{block}",
            "provenance": {"host": "here", "runtime": "process", "load_1min": "0.50"},
            **more,
        }
    )


def measured(
    commit: str, values: dict[str, list[float]], metric: str = "ttft_median_ms"
) -> Metrics:
    """Metrics of one commit from the values of each arm, one per block from block 1 on."""
    runs = [
        run(arm, block, metrics={metric: value})
        for arm, series in values.items()
        for block, value in enumerate(series, 1)
    ]
    arms = tuple(
        ArmResult(arm=arm, status="measured", blocks_measured=len(series))
        for arm, series in values.items()
        if arm != AA
    )
    return Metrics(commit=commit, digests=("d",), runs=tuple(runs), arms=arms)


__all__ = ["BASELINE", "COMMIT", "HUMAN", "PARENT", "RULES", "measured", "run", "subject", "task"]
