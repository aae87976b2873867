"""The state of a campaign as lines of at most 80 columns, for `status`, the live view and the end
of a run."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

from patchbench.ledger.blocks import cohort_of, place_in_cohort
from patchbench.ledger.progress import duration
from patchbench.ledger.standing import KINDS, Launching, Plan, Standing, standing

WIDTH = 80
GB = 1e9
MOST_RUNNING = 4
PHASES = {
    "not begun": "not begun",
    "interrupted": "interrupted: no process works on it",
    "unrendered": "measured, but the report is not rendered",
    "done": "done",
}


class View(NamedTuple):
    """The figures and lines of the live view."""

    done: int
    whole: int
    words: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan) -> View:
        """Return the view of a campaign now."""
        now = standing(plan)
        lines = (*table(plan, now), *running(plan, now), *machine(now))
        return cls(now.launches.done, now.launches.whole, now.launches.words, lines)


def cropped(text: str, width: int = WIDTH) -> str:
    """Return a text that fits a line; what is cut off is marked by dots."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


def phase(now: Standing) -> str:
    """Return the phase in words; of a run that goes on, its process, and since when."""
    if now.phase != "running":
        return PHASES[now.phase]
    since = f" since {now.since.astimezone():%H:%M}" if now.since else ""
    return f"running{since} (process {now.holder})"


def table(plan: Plan, now: Standing) -> list[str]:
    """Return outcomes by arm: a head, and a line for the human's commit and for each agent. Kinds
    that no arm has are left out, but for the first two and the last."""
    kinds = [
        kind
        for kind in KINDS
        if kind in ("measured", "failed", "pending")
        or any(count[kind] for count in now.outcomes.values())
    ]
    room = WIDTH - sum(len(kind) + 2 for kind in kinds)
    names = {arm: cropped(title, min(room, 24)) for arm, title in plan.titles.items()}
    width = max([len(name) for name in names.values()], default=0)
    lines = [" " * width + "".join(f"  {kind}" for kind in kinds)]
    for arm, count in now.outcomes.items():
        cells = (f"  {count[kind] or '-':>{len(kind)}}" for kind in kinds)
        lines.append(f"{names[arm]:<{width}}" + "".join(cells))
    return lines


def running(plan: Plan, now: Standing, at: datetime | None = None) -> list[str]:
    """Return a line for each launch that goes on, MOST_RUNNING at most."""
    at = at or datetime.now(UTC)
    lines = [f"now: {_launching(plan, one, at)}" for one in now.running[:MOST_RUNNING]]
    if len(now.running) > MOST_RUNNING:
        lines.append(f"     and {len(now.running) - MOST_RUNNING} more")
    return [cropped(line) for line in lines]


def _launching(plan: Plan, one: Launching, at: datetime) -> str:
    cohort = cohort_of(one.block)
    group = f" cohort {cohort}" if cohort else ""
    seconds = max(0.0, (at - one.since).total_seconds())
    block = f"block {place_in_cohort(one.block)}/{plan.protocol.most_blocks}{group}"
    return (
        f"{one.commit[:8]} {block} {one.arm}, since {one.since.astimezone():%H:%M:%S} "
        f"({duration(seconds)})"
    )


def machine(now: Standing) -> list[str]:
    """Return lines on the disk, and on faults of the machine in the last run."""
    lines = [f"disk: {now.free / GB:.1f} GB free"]
    if now.faults:
        causes = Counter(fault.cause for fault in now.faults).most_common()
        counted = ", ".join(f"{count} {cause}" for cause, count in causes)
        lines += [cropped(f"faults of the machine in the last run: {counted}")]
        lines += [cropped(f"the last: {now.faults[-1].text}")]
    return lines
