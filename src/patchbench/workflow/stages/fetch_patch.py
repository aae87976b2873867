"""Fetch one arm's patch: an agent's from its sources, the human's from git."""

import argparse
import sys
from pathlib import Path

import msgspec

from patchbench.ledger import progress
from patchbench.patches.early_ends import exclusion
from patchbench.patches.repository import ensure_repository
from patchbench.patches.sources import fetch, parse
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


if __name__ == "__main__":
    program.run(main)
