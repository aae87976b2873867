"""Build one arm's image and smoke-test it. The baseline's image is the control for all others."""

import argparse
import sys
from pathlib import Path

import msgspec

from patchbench import git, images, progress, script
from patchbench.files import read_json, write_json
from patchbench.patches import excluded, passed_on
from patchbench.processes import Guard
from patchbench.records import BASELINE, Built, Task, Validated
from patchbench.runtimes import open_runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the task record")
    parser.add_argument("--arm", required=True)
    parser.add_argument("--validation", type=Path, help="validate_patch's record (not baseline)")
    parser.add_argument("--applied", type=Path, help="the diff that counts (not baseline)")
    parser.add_argument("--base", type=Path, help="the baseline's image record (not baseline)")
    parser.add_argument("--results", type=Path, required=True, help="for the progress log")
    parser.add_argument("--logs", type=Path, required=True, help="folder for the smoke test's log")
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    args = parser.parse_args()
    task = read_json(args.task, Task)
    runtime = open_runtime(task, args.results)
    guard = Guard()
    if task.exclusion is not None:
        record = excluded(task, args.arm, Built)
    elif args.arm == BASELINE:
        repo = git.ensure_repository(task.subject, sys.executable)
        record = images.build(task, BASELINE, None, None, runtime, repo, args.logs, guard)
    else:
        base, validated = read_json(args.base, Built), read_json(args.validation, Validated)
        blocking = next((r for r in (validated, base) if r.status != "ok"), None)
        if blocking is not None:
            record = msgspec.structs.replace(passed_on(blocking, Built), arm=args.arm)
        else:
            repo = git.ensure_repository(task.subject, sys.executable)
            sha = validated.patch_sha256
            record = images.build(
                task, args.arm, args.applied, sha, runtime, repo, args.logs, guard
            )
    record = script.signed(record)
    write_json(args.out, record)
    if record.status == "failed" and record.stage == "build_image":
        progress.refused(args.results, record)


if __name__ == "__main__":
    script.run(main)
