"""Explain a failure from its logs: the cause, the evidence, and who is to blame."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.failures import attribution, log_kinds, signatures, tracebacks
from patchbench.failures.causes import CAUSES, retry
from patchbench.importing import diagnosis, formats
from patchbench.records import BASELINE, HUMAN, Evidence, GradedRun, Record
from patchbench.system import raw_logs

# The cause of a failure at each stage that no signature explains.
STAGES = {
    "build_image": "patch.import",
    "server_start": "server.crash",
    "output_check": "check.failed",
    "benchmark": "bench.crash",
}
ARMS = {"agent": formats.AGENT, "human": HUMAN, "baseline": BASELINE}
# Causes that no baseline of the same block refutes here: that it worked does not say that it was
# started in the same way, on the same machine.
UNREFUTED = (
    "task.bad_flag", "task.no_program", "task.bad_model", "task.gated_model", "task.no_data",
    "image.gpu_arch", "image.cpu",
)  # fmt: skip
# The end of a process that a person or a signal ended: no fault of its own.
TOLD_TO_END = re.compile(r"^KeyboardInterrupt|^SystemExit|CancelledError|\bSIG(?:TERM|INT)\b")
# A fault of the model's files may be what a network or a hub made of them.
FETCHED = ("task.bad_model", "task.gated_model", "task.tokenizer", "infra.model_missing")
PARENTS = {"patch.compile": "image.build_failed"}
SUSPICION = (
    "a suspicion, as a patch can print any line: launch again; if only this arm fails again, "
    "charge it"
)
REASONS = {
    "agent": "the log shows it, and the baseline worked",
    "task": "it strikes every arm alike, or the task's own arms fail",
    "infra": "the machine failed, whichever arm it struck",
    "harness": "our own mistake, whichever arm it struck",
    "unknown": "nothing explains it, or nothing says if the baseline worked",
}
BEFORE_BUILD = ("fetch_patch", "validate_patch", "resolve_task")
BEFORE_LAUNCH = "the patch failed before any launch, so no baseline is needed"

Found = list[tuple[str, Evidence]]


class Explanation(Record, frozen=True, kw_only=True):
    """One explained failure; ``cause`` is None if the run worked. ``log`` is what the log was taken
    for, ``suspected`` are faults that no arm pays for, which the log names beside its cause. The
    retry is in seconds."""

    file: str
    log: str = ""
    arm: str
    cause: str | None
    stage: str = ""
    blame: str = ""
    title: str = ""
    advice: str = ""
    evidence: Evidence | None = None
    other_causes: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    attempts: int = 0
    wait_seconds: float = 0.0

    @property
    def is_suspicion(self) -> bool:
        """True if a campaign would not believe the cause from this log alone."""
        nobodys = self.blame in ("infra", "harness") or bool(self.suspected)
        return nobodys and self.arm == formats.AGENT


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        type=Path,
        help="logs of one launch, the likeliest first, plain or .zst; or result files of "
        "ISO-Bench's harness, each explained by itself",
    )
    parser.add_argument(
        "--stage",
        choices=STAGES,
        help="stage that failed (default: by the contents of the logs)",
    )
    parser.add_argument("--arm", choices=ARMS, default="agent", help="arm that wrote the log")
    parser.add_argument(
        "--baseline",
        choices=("worked", "failed"),
        help="outcome of the baseline of the same block; without it no agent is charged",
    )
    parser.add_argument(
        "--runtime", choices=("process", "docker"), default="", help="where the process ran"
    )
    parser.add_argument(
        "--version",
        action="append",
        default=[],
        metavar="ENGINE=VERSION",
        help="version of a package, for signatures that hold for some versions only",
    )
    parser.add_argument(
        "--package", action="append", default=[], help="package that belongs to the subject"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Show what failed, who is charged, the line that shows it and what to do next.

    Reads any log, and the result files of ISO-Bench's harness."""
    explanations, logs = [], []
    for path in args.logs:
        if raw_logs.find(path) is None:
            raise BadInput(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
        runs = formats.runs_in(path)
        explanations += [_of_run(run, args.baseline) for run in runs]
        if not runs:
            logs.append(path)
    if logs:
        explanations.append(_of_logs(logs, args))
    if args.json:
        plain = msgspec.to_builtins(explanations)
        print(json.dumps(plain[0] if len(plain) == 1 else plain, indent=2))
    else:
        print("\n\n".join(page(explanation) for explanation in explanations))


def page(explanation: Explanation) -> str:
    """Return an explanation as lines of text."""
    if explanation.cause is None:
        return f"{explanation.file}\n  worked   no failure: the run has its metrics"
    evidence = explanation.evidence or Evidence(text="")
    place = f"{evidence.file}:{evidence.line}" if evidence.line else evidence.file
    attempts, wait = explanation.attempts, explanation.wait_seconds
    pause = f", {wait:.0f} s apart at first" if wait else ""
    early = explanation.blame == "agent" and explanation.stage in BEFORE_BUILD
    rows = {
        "log": explanation.log,
        "cause": f"{explanation.cause}: {explanation.title}",
        "stage": explanation.stage,
        "blame": f"{explanation.blame} ({BEFORE_LAUNCH if early else REASONS[explanation.blame]})",
        "evidence": f"{place}: {evidence.text}",
        "next": explanation.advice,
        "retry": f"{attempts} launches in all{pause}" if attempts > 1 else "no",
        "other": ", ".join(explanation.other_causes) or "none",
        "suspect": ", ".join(explanation.suspected),
        "believe": SUSPICION if explanation.is_suspicion else "",
    }
    shown = [f"  {key:<8} {text}" for key, text in rows.items() if text]
    return "\n".join([explanation.file, *shown])


def _of_run(run: formats.Run, baseline: str | None) -> Explanation:
    """Explain a run of ISO-Bench's harness."""
    if run.ok:
        return Explanation(file=run.place, arm=run.arm, cause=None)
    causes = diagnosis.causes(run, f"{run.place}#raw_output", f"{run.place}#error")
    stage = CAUSES[diagnosis.error_cause(run.error)].stage
    return _explained(run.place, run.arm, stage, causes, baseline)


def _of_logs(logs: list[Path], args: argparse.Namespace) -> Explanation:
    """Explain a failed launch from its logs."""
    arm, taken = ARMS[args.arm], log_kinds.take(logs)
    stage = args.stage or taken.stage
    versions = dict(pair.partition("=")[::2] for pair in args.version)
    origin = signatures.Origin(
        versions=versions, runtime=args.runtime, packages=args.package, writer="any"
    )
    matches = signatures.matches(logs, origin)
    if not args.stage and matches and all(one.signature.scope == "build" for one in matches):
        stage = "build_image"
    nobodys = [match for match in matches if CAUSES[match.cause].blame in ("infra", "harness")]
    rest = [match for match in matches if match not in nobodys]
    fetched = bool(rest) and rest[0].cause in FETCHED
    first = [match for match in nobodys if match.at_end or fetched]
    causes = [(match.cause, match.evidence) for match in (*first, *rest)]
    ending = tracebacks.ending(logs)
    if ending and ending[0].exception:
        line, log = ending[0].exception, ending[1]
        text = line.text[: raw_logs.MAX_LINE]
        evidence = Evidence(text=text, file=str(log), line=line.number)
        told = ending[0].points_on and TOLD_TO_END.search(line.text) is not None
        causes.append(("unknown" if told else _default_cause(stage, arm, log, taken), evidence))
    suspected = [(match.cause, match.evidence) for match in nobodys if match not in first]
    if not causes:
        causes, suspected = suspected, []
    if not causes:
        empty = Evidence(text="the logs are empty", file=str(logs[0]))
        last_lines = (tracebacks.last_line(log) for log in logs)
        causes.append(("unknown", next((line for line in last_lines if line), empty)))
    if arm != formats.AGENT:  # there is no patch
        causes = [(PARENTS.get(name, name), evidence) for name, evidence in causes]
    names = ", ".join(map(str, logs))
    explained = _explained(names, arm, stage, causes, args.baseline)
    blame, doubts = explained.blame, tuple(name for name, _ in suspected)
    if blame == "agent" and (
        doubts or (explained.stage == "build_image" and args.baseline != "worked")
    ):
        blame = "task" if args.baseline == "failed" else "unknown"
    return msgspec.structs.replace(explained, log=taken.title, blame=blame, suspected=doubts)


def _default_cause(stage: str, arm: str, log: Path, taken: log_kinds.Taken) -> str:
    """Return the cause of a failure that no signature explains."""
    if stage == "build_image" and arm == BASELINE:
        return "image.smoke_failed"
    if stage == "build_image" and "build" in taken.kinds:
        return "image.build_failed"
    if stage == "benchmark" and (log.name.startswith("server") or taken.kinds[:1] == ("server",)):
        return "server.crash_under_load"
    return STAGES[stage]


def _explained(file: str, arm: str, stage: str, causes: Found, baseline: str | None) -> Explanation:
    """Explain a failure by its causes, the decisive one first; ``baseline`` is the outcome of the
    baseline of the same block, if known."""
    (cause, evidence), *others = causes
    of_build = stage == "build_image" and cause.startswith("image.")
    if of_build or cause in UNREFUTED or CAUSES[cause].blame in ("infra", "harness"):
        baseline = None
    own_stage = CAUSES[cause].stage
    run = GradedRun(
        arm=arm,
        block=1,
        position=1,
        status="failed",
        cause=cause,
        stage=stage if own_stage == "any" else own_stage,
        evidence=evidence,
        other_causes=tuple(dict.fromkeys(name for name, _ in others if name != cause)),
    )
    control = [] if baseline is None or arm == BASELINE else [_baseline(baseline == "worked")]
    run = attribution.attribute([*control, run])[-1]
    assert run.cause is not None
    row = CAUSES[run.cause]
    return Explanation(
        file=file,
        arm=arm,
        cause=run.cause,
        stage=run.stage or stage,
        blame=run.blame or "unknown",
        title=row.title,
        advice=attribution.advice(run.cause, run.blame),
        evidence=run.evidence,
        other_causes=run.other_causes,
        attempts=retry(run.cause).attempts,
        wait_seconds=retry(run.cause).wait_seconds,
    )


def _baseline(worked: bool) -> GradedRun:
    if worked:
        return GradedRun(arm=BASELINE, block=1, position=0, status="measured")
    return GradedRun(arm=BASELINE, block=1, position=0, status="failed", cause="unknown")
