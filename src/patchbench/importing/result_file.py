"""Result files of ISO-Bench's harness: what happened in a run that it called a success or an error.

Its ``error`` names effects ("No metrics in agent output"); the reason stands in ``raw_output``, the
end of one log of container engine, patch, server and client. Facts about the format: sections 1.4,
2 and 3 of ../shared/reference/isobench.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.errors import BadInput
from patchbench.failures import signatures, tracebacks
from patchbench.failures.causes import CAUSES
from patchbench.failures.tracebacks import Line
from patchbench.parsing import detect, grade
from patchbench.records import BASELINE, HUMAN, Evidence
from patchbench.system import raw_logs

# A larger file is no result of one run.
MAX_BYTES = 64 << 20
AGENT = "agent"
# COMMIT_ARM_result.json; copies may have more words before and behind.
NAME = re.compile(r"(?:^|_)(?P<commit>[0-9a-f]{8})_(?P<arm>baseline|human|agent)_result")
ARMS = {"baseline": BASELINE, "human": HUMAN, "agent": AGENT}

# What its error texts mean where the log shows nothing else.
ERRORS = (
    (re.compile(r"^Missing parent_commit"), "task.no_parent"),
    (re.compile(r"^Server crashed"), "server.crash"),
    (re.compile(r"^Server startup timeout"), "server.timeout"),
    (re.compile(r"timed out after|^Timeout after|exceeded .* timeout"), "bench.timeout"),
    (re.compile(r"^No (?:\w+ )?metrics in"), "bench.no_metrics"),
)
# What its patch step prints. A patch that does not apply is forced on, and the run goes on; an
# empty one is "applied" without a file being patched.
FORCED, APPLIED = "AGENT_PATCH_APPLIED_FALLBACK", "AGENT_PATCH_APPLIED"
HUNKS_FAILED = re.compile(r"^(?P<failed>\d+) out of \d+ hunks? (?:FAILED|ignored)")
PATCHING = re.compile(r"^patching file ")


class _File(msgspec.Struct):
    """The fields that all versions of the format have; the others are not needed."""

    human_commit: str
    status: str
    raw_output: str | None
    error: str | None = None


class OldResult(NamedTuple):
    """One run as the predecessor recorded it. ``lines`` are those of its log."""

    path: Path
    commit: str
    arm: str
    status: str
    error: str
    lines: tuple[str, ...]

    def at(self, line: Line) -> Evidence:
        """A line of the log as evidence; the log stands in a field of the file."""
        text = line.text[: raw_logs.MAX_LINE]
        return Evidence(text=text, file=f"{self.path}#raw_output", line=line.number)


def read(path: Path) -> OldResult | None:
    """The run in a result file; None for any other file. Raises BadInput for one that can't be
    read, or whose name does not say which arm it is about."""
    first = next(iter(raw_logs.blocks(path)), (1, b""))[1]
    data = raw_logs.read_bytes(path, MAX_BYTES) if first.lstrip()[:1] == b"{" else None
    if data is None:
        return None
    try:
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, RecursionError):
        return None
    named = NAME.search(path.name)
    if named is None:
        raise BadInput(
            f"{path}: a result of ISO-Bench's harness whose name does not say the arm | next: name "
            "it COMMIT_agent_result.json (or human, baseline)"
        )
    lines = tuple((found.raw_output or "").split("\n"))
    arm = ARMS[named["arm"]]
    return OldResult(path, found.human_commit, arm, found.status, found.error or "", lines)


def causes(old: OldResult) -> list[tuple[str, Evidence]]:
    """What happened, the deciding cause first; empty for a run that worked.

    The machine goes before the patch, the patch before what the half-patched tree did, and what
    the log shows before what the error says.
    """
    if old.status == "success":
        return []
    said = Evidence(text=old.error, file=f"{old.path}#error")
    by_error = next((cause for shape, cause in ERRORS if shape.search(old.error)), "unknown")
    if CAUSES[by_error].stage == "resolve_task":
        return [(by_error, said)]
    origin = signatures.Origin(writer="both")
    shown = [(cause, old.at(line)) for cause, line in signatures.in_lines(old.lines, origin)]
    found = [(cause, at) for cause, at in shown if CAUSES[cause].blame == "infra"]
    if misread := _result(old):
        found.append(("harness.misread", misread))
    if refused := patch_state(old.lines):
        found.append((refused[0], old.at(refused[1])))
    found += [(cause, at) for cause, at in shown if CAUSES[cause].blame != "infra"]
    ended = tracebacks.read(enumerate(old.lines, 1)).exception
    return [*found, (by_error, old.at(ended) if ended else said)]


def stage(old: OldResult) -> str:
    """Where a run failed, by its error."""
    return next((CAUSES[cause].stage for shape, cause in ERRORS if shape.search(old.error)), "any")


def patch_state(lines: Sequence[str]) -> tuple[str, Line] | None:
    """Why there was nothing to measure in the patch, from what its step printed: forced on after
    hunks had failed, or empty. None if it was applied, or there is no sign of a patch."""
    numbered = [Line(number, text.strip()) for number, text in enumerate(lines, 1)]
    forced = next((line for line in numbered if line.text == FORCED), None)
    if forced:
        failed = [(line, HUNKS_FAILED.match(line.text)) for line in numbered]
        worst = max(
            ((int(m["failed"]), -line.number, line) for line, m in failed if m), default=None
        )
        return "patch.rejected", worst[2] if worst else forced
    applied = next((line for line in numbered if line.text == APPLIED), None)
    if applied and not any(PATCHING.match(line.text) for line in numbered):
        return "patch.empty", applied
    return None


def _result(old: OldResult) -> Evidence | None:
    """Where a good result stands in the log of a run that was recorded as an error."""
    data = "\n".join(old.lines).encode("utf-8", "replace")
    log = grade.Log(f"{old.path}#raw_output", lambda: [(1, data)])
    said = detect.read_any(log)
    judged = grade.decide(grade.Output(log), said, detect.type_of(said, None))
    return judged.evidence if judged.cause is None else None
