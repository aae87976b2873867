"""Read the records about the machine beside the tables: the journals of launches, the disks'
events, the machine's faults, and the duration of each stage. All of them may be missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from patchbench.ledger import disk_log, journal, machine_faults
from patchbench.ledger.disk_log import DiskEvent
from patchbench.ledger.machine_faults import FaultEvent


class Recorded(NamedTuple):
    """Records about the machine. ``repeated`` counts launches that a fault of the machine spoilt,
    by cause; ``cut_short`` counts launches that were killed with the run. ``stages`` are
    seconds."""

    disk: tuple[DiskEvent, ...] = ()
    faults: tuple[FaultEvent, ...] = ()
    repeated: Mapping[str, int] = MappingProxyType({})
    cut_short: int = 0
    stages: Mapping[str, float] = MappingProxyType({})


class _Timed(msgspec.Struct):
    """The durations of a graded run's phases."""

    phase_seconds: dict[str, float] = msgspec.field(default_factory=dict)
    launched: bool = True


class _Metrics(msgspec.Struct):
    runs: list[_Timed] = []


def read(results: Path) -> Recorded:
    """Return the records about the machine in a results folder."""
    repeated: Counter[str] = Counter()
    cut_short = 0
    for path in sorted((results / "journal").glob("*/block-*.jsonl")):
        running: set[str] = set()
        for event in journal.read(path):
            if event.event == "run_started":
                # A second start of the same arm: the first launch never ended.
                cut_short += event.arm in running
                running.add(event.arm)
            elif event.event in ("run_finished", "run_spoilt"):
                running.discard(event.arm)
                if event.event == "run_spoilt":
                    # What only an arm's own log showed.
                    doubt = f" ({event.detail})" if event.detail else ""
                    repeated[f"{event.cause}{doubt}"] += 1
    return Recorded(
        disk=tuple(disk_log.read(results)),
        faults=tuple(machine_faults.events(results)),
        repeated=dict(repeated.most_common()),
        cut_short=cut_short,
        stages=_stages(results),
    )


def _stages(results: Path) -> dict[str, float]:
    """Return the seconds in each phase, summed over all graded launches."""
    total: Counter[str] = Counter()
    for path in sorted((results / "metrics").glob("*.json")):
        try:
            metrics = msgspec.json.decode(path.read_bytes(), type=_Metrics)
        except (OSError, msgspec.MsgspecError):
            continue
        for run in metrics.runs:
            if run.launched:
                total.update(run.phase_seconds)
    return {name: round(seconds, 3) for name, seconds in total.items()}
