"""What each figure shows, in words, for who can't see it."""

from __future__ import annotations

from patchbench.report.model import Report
from patchbench.report.text.phrases import amount, listed, percent, plural


def alt(report: Report) -> dict[str, str]:
    """Texts by the figures' names. The tables beside them hold every number."""
    machine = report.machine
    faster = [f"{row.title} {row.verdicts['faster']} of {row.measured}" for row in report.agents]
    blames = [
        f"{row.title} {row.total} ("
        + (listed([f"{n} {blame}" for blame, n in row.blames.items() if n]) or "none")
        + ")"
        for row in report.failures
    ]
    ended = [
        f"{row.title}: {row.measured} measured, {row.failed} failed, {row.missing} without a "
        f"patch, {row.pending} pending"
        for row in report.agents
    ]
    busy = [f"{lane} {percent(share)}" for lane, share in machine.busy.items()]
    changes = [abs(pair.ratio - 1) for pair in report.aa]
    return {
        "speedups": f"Ratios to the baseline with intervals. Faster: {listed(faster)} measured.",
        "failures": f"Failures by cause and blame: {listed(blames)}.",
        "outcomes": f"Matrix of commits and agents. {listed(ended)}.",
        "timeline": f"Launches and builds over time. Busy: {listed(busy, 16) or 'nothing'}.",
        "disk": f"Free disk and images over time. At least {amount(machine.disk_free_least or 0)} "
        f"stayed free; at most {plural(machine.images_most, 'image')} at once.",
        "noise": f"{plural(len(changes), 'A/A pair')} differ by up to "
        f"{percent(max(changes, default=None))}.",
    }
