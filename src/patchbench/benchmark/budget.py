"""GPU time that further blocks may take (``protocol.budget_gpu_hours``).

The budget pays for the first blocks of all tasks; what they leave over becomes free as they are
done, so that early tasks can't spend what later ones need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.ledger import journal
from patchbench.ledger.blocks import place_in_cohort
from patchbench.records import Task
from patchbench.verdicts.worth import Worth, is_affordable

HOUR = 3600.0


class Spent(NamedTuple):
    """GPU seconds of launches so far: of first blocks, with their number, and of further ones."""

    first: float
    launches: int
    further: float

    def free(self, hours: float, planned: int) -> float:
        """Return the GPU seconds that further blocks may have taken by now. ``planned`` counts the
        launches of all first blocks, of which the rest will take as long as those done."""
        if not self.launches:
            return 0.0
        share = min(1.0, self.launches / planned) if planned else 1.0
        return max(0.0, share * (hours * HOUR - self.first / share))


def spent(results: Path, first: int) -> Spent:
    """Return what the journals say. ``first`` are the blocks of a cohort that always run."""
    seconds, launches, further = 0.0, 0, 0.0
    for folder in (results / "journal").glob("*"):
        gpus = _gpus(results / "tasks" / f"{folder.name}.json")
        for file in folder.glob("block-*.jsonl"):
            for event in journal.read(file):
                if event.event not in ("run_finished", "run_spoilt"):
                    continue
                if place_in_cohort(event.block) > first:
                    further += gpus * event.seconds
                    continue
                seconds += gpus * event.seconds
                launches += event.event == "run_finished"
    return Spent(seconds, launches, further)


def _gpus(record: Path) -> int:
    with suppress(OSError, msgspec.MsgspecError):
        workload = msgspec.json.decode(record.read_bytes(), type=Task).workload
        return max(1, workload.gpus) if workload else 1
    return 1


def allows(
    task: Task, wanted: Worth, others: Callable[[], Iterator[Worth]], results: Path, planned: int
) -> bool:
    """Return True if a task's further blocks fit into the budget, beside those of ``others`` (the
    other tasks seen so far) that are worth more. Seconds of a Worth are GPU seconds."""
    hours = task.protocol.budget_gpu_hours
    if not hours or not wanted.blocks:
        return True
    so_far = spent(results, task.protocol.blocks)
    free = so_far.free(hours, planned)
    if so_far.further + wanted.seconds / wanted.blocks > free:
        return False
    return is_affordable(wanted, [*others()], free)
