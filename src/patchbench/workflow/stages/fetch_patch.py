"""Fetch one arm's patch: an agent's from its sources, the human's from git."""

import argparse
import sys
from pathlib import Path

import msgspec

from patchbench.errors import infra_fault
from patchbench.ledger import progress
from patchbench.patches.early_ends import exclusion
from patchbench.patches.repository import ensure_repository
from patchbench.patches.sources import (
    UNREADABLE,
    Patches,
    PatchQuery,
    fetch,
    fingerprint,
    parse,
    problems,
)
from patchbench.records import HUMAN, Fetched, Task
from patchbench.system import program
from patchbench.system.files import read_json, write_bytes, write_json
from patchbench.workflow import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the task record")
    parser.add_argument("--arm", required=True, help="'human' or an agent's name")
    parser.add_argument(
        "--patches", type=parse, help="the agent's folder of patches, or its sources as JSON"
    )
    parser.add_argument("--fingerprint", default="", help="what the plan knows of the patch")
    parser.add_argument("--results", type=Path, required=True, help="for the progress log")
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    parser.add_argument("--patch", type=Path, required=True, help="the patch to write")
    args = parser.parse_args()
    task = read_json(args.task, Task)
    if task.exclusion is not None and args.arm == HUMAN:
        record, data = exclusion(task, args.arm, Fetched), b""
    else:
        human = args.arm == HUMAN
        repo = ensure_repository(task.subject, sys.executable) if human else None
        if not human:
            check_is_there(task, args.arm, args.patches, args.fingerprint)
        record, data = fetch(task, args.arm, args.patches, repo)
        if task.exclusion is not None:
            # The patch still counts as coverage, but nobody is charged for its absence.
            record = msgspec.structs.replace(
                exclusion(task, args.arm, Fetched),
                candidates=record.candidates,
                source=record.source,
                sha256=record.sha256,
                size=record.size,
                conflict=record.conflict,
                conflicts=record.conflicts,
                why_missing=record.why_missing,
            )
    write_bytes(args.patch, data)
    record = stage.signed(record)
    write_json(args.out, record)
    if record.status == "failed":
        progress.report_refusal(args.results, record)


def check_is_there(task: Task, arm: str, patches: Patches, planned: str) -> None:
    """Raise InfraFault if a patch was read by an earlier run and its place is away now: it is not
    missing."""
    reasons = problems(patches)
    now = fingerprint(patches, PatchQuery(task.commit, task.subject.name, task.parent))
    if planned in ("", now) or not (reasons or now == UNREADABLE):
        return
    raise infra_fault(
        "infra.patches_away",
        f"commit {task.commit[:8]}",
        f"arm {arm}",
        reasons[0].rpartition(", so ")[0] if reasons else "the machine refuses to read the patch",
        f"an earlier run read it ({planned})",
        step="bring it back, or take the agent out of the configuration",
    )


if __name__ == "__main__":
    program.run(main)
