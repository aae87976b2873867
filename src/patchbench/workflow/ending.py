"""The last six lines of a run: result, noise, what is kept, the report, and the next command."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import suppress

import msgspec

from patchbench.ledger.standing import Plan, Standing, standing
from patchbench.ledger.standing_lines import WIDTH, cropped
from patchbench.system.source_folder import COMMAND

HEADS = {
    "done": "done",
    "unrendered": "measured, but the report could not be rendered: see above",
    "interrupted": "ended before all was measured",
}
NO_NOISE = "not known: no pair of launches of identical code was compared"


class _Rate(msgspec.Struct):
    part: int
    whole: int


class _Agent(msgspec.Struct):
    title: str
    failed: int
    faster: _Rate


class _Noise(msgspec.Struct):
    limit: float
    margin: float


class _Report(msgspec.Struct):
    """The figures of report.json that are told here."""

    agents: tuple[_Agent, ...]
    noise: _Noise | None = None


def tell(plan: Plan) -> None:
    """Print the lines on stderr. Called as this process ends, however it ends."""
    with suppress(Exception):  # the run is over; words about it must not change its exit code
        for line in lines(plan, standing(plan, ended=True)):
            print(line, file=sys.stderr, flush=True)


def lines(plan: Plan, now: Standing) -> list[str]:
    """Return the six lines, each within 80 columns if its paths are short enough."""
    report = _report(plan) if now.phase == "done" else None
    done = f"{now.launches.done} launch{'es' * (now.launches.done != 1)}"
    facts = {
        "result": _result(report) if report else _counts(now),
        "noise": _noise(report) if report else "known once the report is rendered",
        "kept": f"{done} in {plan.results}; none of them is measured again",
        "report": _place(plan, now),
        "next": _next(plan, now),
    }
    head = f"{plan.name}: {HEADS.get(now.phase, now.phase)}{_faults(now)}"
    return [cropped(head), *(f"  {name:<7} {text}" for name, text in facts.items())]


def _faults(now: Standing) -> str:
    if not now.faults or now.phase == "done":
        return ""
    many = "a fault" if len(now.faults) == 1 else f"{len(now.faults)} faults"
    return f"; {many} of the machine, the last {now.faults[-1].cause}"


def _report(plan: Plan) -> _Report | None:
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((plan.results / "report.json").read_bytes(), type=_Report)
    return None


def _result(report: _Report) -> str:
    agents = report.agents
    faster = ", ".join(f"{a.title} {a.faster.part} of {a.faster.whole}" for a in agents)
    failed = ", ".join(f"{a.title} {a.failed}" for a in agents if a.failed)
    text = f"faster: {faster}" + (f"; failed: {failed}" if failed else "")
    if len(text) <= WIDTH - 10:
        return text
    part, whole = sum(a.faster.part for a in agents), sum(a.faster.whole for a in agents)
    return f"{part} of {whole} patches faster, {sum(a.failed for a in agents)} failed"


def _counts(now: Standing) -> str:
    whole = sum(now.outcomes.values(), start=Counter[str]())
    told = ", ".join(f"{whole[k]} {k}" for k in ("measured", "failed", "pending") if whole[k])
    return f"no verdict yet; outcomes: {told or 'none'}"


def _noise(report: _Report) -> str:
    if report.noise is None:
        return NO_NOISE
    found, wanted = report.noise.limit, report.noise.margin
    text = f"identical code differed by up to {found:.0%} (wanted {wanted:.0%})"
    return f"{text}: small gains lost" if found > wanted else text


def _place(plan: Plan, now: Standing) -> str:
    if now.phase == "done":
        return f"{plan.results}/report.html, and report.md beside it"
    return "`patchbench report --config FILE` renders what is there"


def _next(plan: Plan, now: Standing) -> str:
    if now.phase == "done":
        return f"open {plan.results}/report.html"
    command = os.environ.get(COMMAND, "the same command")
    return f"{command} goes on where this ended"
