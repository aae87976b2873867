"""Find the causes of a recorded failure in its raw output.

The ``error`` of a record names an effect ("No metrics in agent output"). The reason stands in the
raw output: one log of container engine, patch, server and client.
"""

from __future__ import annotations

import re

from patchbench.failures import signatures, tracebacks
from patchbench.failures.causes import CAUSES
from patchbench.failures.tracebacks import Line
from patchbench.importing.formats import Run
from patchbench.parsing import detect, read_output
from patchbench.parsing.read_output import ParsedOutput
from patchbench.records import Evidence
from patchbench.system.raw_logs import MAX_LINE

# Causes of errors that the log does not explain.
ERRORS = (
    (re.compile(r"^Missing parent_commit"), "task.no_parent"),
    (re.compile(r"^Server crashed"), "server.crash"),
    (re.compile(r"^Server startup timeout"), "server.timeout"),
    (re.compile(r"timed out after|^Timeout after|exceeded .* timeout"), "bench.timeout"),
    (re.compile(r"^No (?:\w+ )?metrics in"), "bench.no_metrics"),
)
# Printed by the patch step. A patch that does not apply is forced on, and the run goes on; an empty
# patch is "applied" without a patched file.
FORCED, APPLIED = "AGENT_PATCH_APPLIED_FALLBACK", "AGENT_PATCH_APPLIED"
HUNKS_FAILED = re.compile(r"^(?P<failed>\d+) out of \d+ hunks? (?:FAILED|ignored)")
PATCHING = re.compile(r"^patching file ")


def error_cause(error: str) -> str:
    """Return the cause that the text of an error stands for."""
    return next((cause for text, cause in ERRORS if text.search(error)), "unknown")


def regrade(run: Run, log: str) -> ParsedOutput | None:
    """Read the metrics in a raw output again; None without one. ``log`` names it in evidence."""
    if not run.log:
        return None
    data = run.log.encode("utf-8", "replace")
    output = read_output.RawOutput(read_output.Log(log, lambda: [(1, data)]))
    text = detect.read_any(output.stdout)
    return read_output.parse(output, text, detect.bench_type(text, None))


def causes(run: Run, log: str, record: str) -> list[tuple[str, Evidence]]:
    """Return the causes of a failed run with their evidence, the decisive one first.

    The machine goes before the patch, the patch before a result that the harness overlooked, that
    before failures of a half-patched tree, and the log before the error. ``log`` and ``record``
    are the files that evidence refers to.
    """

    error, cause = Evidence(text=run.error, file=record), error_cause(run.error)
    if CAUSES[cause].stage == "resolve_task":
        return [(cause, error)]
    in_log = [
        (name, _evidence(line, log))
        for name, line in signatures.in_lines(run.lines, signatures.Origin(writer="any"))
    ]
    machine = [row for row in in_log if CAUSES[row[0]].blame == "infra"]
    patch = patch_failure(run, log)
    graded = regrade(run, log) if cause == "bench.no_metrics" else None
    overlooked = []
    if graded and graded.cause is None and graded.evidence:
        overlooked.append(("harness.misread", graded.evidence))
    exception = tracebacks.read(enumerate(run.lines, 1)).exception
    return [
        *machine,
        *([patch] if patch else []),
        *overlooked,
        *(row for row in in_log if row not in machine),
        (cause, _evidence(exception, log) if exception else error),
    ]


def patch_failure(run: Run, log: str) -> tuple[str, Evidence] | None:
    """Return the cause if the patch had nothing to measure, from the output of the patch step:
    forced on after failed hunks, or empty. None if it was applied, or left no sign in the log."""
    lines = [Line(number, text.strip()) for number, text in enumerate(run.lines, 1)]
    forced = next((line for line in lines if line.text == FORCED), None)
    if forced:
        hunks = [(line, HUNKS_FAILED.match(line.text)) for line in lines]
        failed = [(int(match["failed"]), line) for line, match in hunks if match]
        worst = max(failed, key=lambda pair: pair[0], default=(0, forced))
        return "patch.rejected", _evidence(worst[1], log)
    applied = next((line for line in lines if line.text == APPLIED), None)
    if applied and not any(PATCHING.match(line.text) for line in lines):
        return "patch.empty", _evidence(applied, log)
    return None


def _evidence(line: Line, log: str) -> Evidence:
    return Evidence(text=line.text[:MAX_LINE], file=log, line=line.number)
