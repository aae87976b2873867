"""`patchbench classify`: what a log says about a failure, and who would be charged for it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.failures import attribution, signatures, tracebacks
from patchbench.failures.causes import CAUSES
from patchbench.importing import result_file
from patchbench.records import BASELINE, HUMAN, Evidence, GradedRun, Record
from patchbench.system import raw_logs

# What a failure at a stage is called as long as no signature knows better.
STAGES = {
    "build_image": "patch.import",
    "server_start": "server.crash",
    "output_check": "check.failed",
    "benchmark": "bench.crash",
}
ARMS = {"agent": result_file.AGENT, "human": HUMAN, "baseline": BASELINE}
WHY = {
    "agent": "the log shows it, and the baseline worked",
    "task": "it strikes every arm alike, or the task's own arms fail",
    "infra": "the machine failed, whichever arm it struck",
    "harness": "our own mistake, whichever arm it struck",
    "unknown": "nothing explains it, or nothing says whether the baseline worked",
}
REFUSED = "the patch never became a tree: that is its agent's own"


class Classified(Record, frozen=True, kw_only=True):
    """One failure as the command shows it; without a cause the run worked."""

    file: str
    arm: str
    cause: str | None
    stage: str = ""
    blame: str = ""
    title: str = ""
    advice: str = ""
    evidence: Evidence | None = None
    other_causes: tuple[str, ...] = ()
    attempts: int = 0
    wait_seconds: float = 0.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        type=Path,
        help="logs of one launch, the likeliest first, plain or .zst; or result files of "
        "ISO-Bench's harness, each a run of its own",
    )
    parser.add_argument(
        "--stage",
        choices=STAGES,
        default="server_start",
        help="where it failed (default: %(default)s)",
    )
    parser.add_argument("--arm", choices=ARMS, default="agent", help="whose log it is")
    parser.add_argument(
        "--baseline",
        choices=("worked", "failed"),
        help="how the baseline of the same block ended; without it no agent is charged",
    )
    parser.add_argument("--runtime", choices=("process", "docker"), default="process")
    parser.add_argument(
        "--version",
        action="append",
        default=[],
        metavar="ENGINE=VERSION",
        help="a package's version, for signatures that hold for some versions only",
    )
    parser.add_argument(
        "--package", action="append", default=[], help="a package of the subject's own"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> None:
    """Show what failed, who is charged, the line that shows it and what to do.

    Reads any log, and the predecessor's result files as they are."""
    results, logs = [], []
    for path in args.logs:
        if raw_logs.find(path) is None:
            raise BadInput(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
        old = result_file.read(path)
        if old is None:
            logs.append(path)
        else:
            results.append(_of_result(old, args.baseline))
    if logs:
        results.append(_of_logs(logs, args))
    if args.json:
        plain = msgspec.to_builtins(results)
        print(json.dumps(plain[0] if len(plain) == 1 else plain, indent=2))
    else:
        print("\n\n".join(page(result) for result in results))


def page(found: Classified) -> str:
    """A failure in lines for a person."""
    if found.cause is None:
        return f"{found.file}\n  worked   no failure: the run has its metrics"
    evidence = found.evidence or Evidence(text="")
    where = f"{evidence.file}:{evidence.line}" if evidence.line else evidence.file
    again = f"{found.attempts} launches in all" if found.attempts > 1 else "no"
    pause = f", {found.wait_seconds:.0f} s apart at first" if found.wait_seconds else ""
    rows = {
        "cause": f"{found.cause}: {found.title}",
        "stage": found.stage,
        "blame": f"{found.blame} ({_why(found)})",
        "evidence": f"{where}: {evidence.text}",
        "next": found.advice,
        "retry": again + pause,
        "other": ", ".join(found.other_causes) or "none",
    }
    return "\n".join([found.file, *(f"  {name:<8} {text}" for name, text in rows.items())])


def _why(found: Classified) -> str:
    refused = found.blame == "agent" and found.stage in attribution.STAGES_BEFORE_LAUNCH
    return REFUSED if refused else WHY[found.blame]


def _named(stage: str, arm: str, log: Path) -> str:
    """What a failure is called that no signature knows."""
    if stage == "build_image" and arm == BASELINE:
        return "image.smoke_failed"
    if stage == "benchmark" and log.name.startswith("server"):
        return "server.crash_under_load"
    return STAGES[stage]


def _of_result(old: result_file.OldResult, baseline: str | None) -> Classified:
    found = result_file.causes(old)
    if not found:
        return Classified(file=str(old.path), arm=old.arm, cause=None)
    return _classified(str(old.path), old.arm, result_file.stage(old), found, baseline)


def _of_logs(logs: list[Path], args: argparse.Namespace) -> Classified:
    arm = ARMS[args.arm]
    versions = dict(pair.partition("=")[::2] for pair in args.version)
    origin = signatures.Origin(versions=versions, runtime=args.runtime, packages=args.package)
    matches = signatures.matches(logs, origin)
    machine_first = sorted(matches, key=lambda match: not match.signature.of_machine)
    found = [(match.cause, match.evidence) for match in machine_first]
    ended = tracebacks.ending(logs)
    if ended and ended[0].exception:
        line = ended[0].exception
        evidence = Evidence(
            text=line.text[: raw_logs.MAX_LINE], file=str(ended[1]), line=line.number
        )
        found.append((_named(args.stage, arm, ended[1]), evidence))
    if not found:
        words = (tracebacks.last_line(log) for log in logs)
        empty = Evidence(text="the logs are empty", file=str(logs[0]))
        found.append(("unknown", next((said for said in words if said), empty)))
    return _classified(", ".join(map(str, logs)), arm, args.stage, found, args.baseline)


def _classified(
    file: str, arm: str, stage: str, found: list[tuple[str, Evidence]], baseline: str | None
) -> Classified:
    (cause, evidence), *others = found
    row = CAUSES[cause]
    run = GradedRun(
        arm=arm,
        block=1,
        position=1,
        status="failed",
        cause=cause,
        stage=stage if row.stage == "any" else row.stage,
        evidence=evidence,
        other_causes=tuple(dict.fromkeys(name for name, _ in others if name != cause)),
    )
    beside = [] if baseline is None or arm == BASELINE else [_baseline(baseline)]
    run = attribution.attribute([*beside, run])[-1]
    assert run.cause is not None
    row = CAUSES[run.cause]
    return Classified(
        file=file,
        arm=arm,
        cause=run.cause,
        stage=run.stage or stage,
        blame=run.blame or "unknown",
        title=row.title,
        advice=row.advice,
        evidence=run.evidence,
        other_causes=run.other_causes,
        attempts=row.retry.attempts,
        wait_seconds=row.retry.wait_seconds,
    )


def _baseline(ended: str) -> GradedRun:
    cause = None if ended == "worked" else "unknown"
    status = "measured" if ended == "worked" else "failed"
    return GradedRun(arm=BASELINE, block=1, position=0, status=status, cause=cause)  # type: ignore[arg-type]
