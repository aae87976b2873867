"""Validate one arm's patch against the exact parent, without building or running anything."""

import argparse
import sys
from pathlib import Path

import msgspec

from patchbench.ledger import progress
from patchbench.patches.early_ends import earlier_failure
from patchbench.patches.repository import ensure_repository
from patchbench.patches.validate import validate
from patchbench.records import Fetched, Task, Validated
from patchbench.system import program
from patchbench.system.files import digest, read_json, write_bytes, write_json
from patchbench.workflow import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the task record")
    parser.add_argument("--fetched", type=Path, required=True, help="fetch_patch's record")
    parser.add_argument("--patch", type=Path, required=True, help="the patch as it was fetched")
    parser.add_argument("--applied", type=Path, required=True, help="the diff to write that counts")
    parser.add_argument("--results", type=Path, required=True, help="for the progress log")
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    args = parser.parse_args()
    task, fetched = read_json(args.task, Task), read_json(args.fetched, Fetched)
    applied = b""
    if fetched.status != "ok":
        record = earlier_failure(fetched, Validated)
    else:
        repo = ensure_repository(task.subject, sys.executable)
        prompt = Path(fetched.prompt) if fetched.prompt else None
        record, applied = validate(task, fetched.arm, args.patch, repo, prompt)
    write_bytes(args.applied, applied)
    record = msgspec.structs.replace(stage.signed(record), applied_sha256=digest(applied))
    write_json(args.out, record)
    if record.status == "failed" and record.stage == "validate_patch":
        progress.report_refusal(args.results, record)


if __name__ == "__main__":
    program.run(main)
