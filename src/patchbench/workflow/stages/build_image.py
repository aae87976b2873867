"""Build one arm's image and smoke-test it. The baseline's image is the control for all others."""

import argparse
import sys
from pathlib import Path

import msgspec

from patchbench.images.build import build as build_arm
from patchbench.ledger import progress
from patchbench.patches import applied_diff
from patchbench.patches.early_ends import earlier_failure, exclusion
from patchbench.patches.repository import ensure_repository
from patchbench.records import BASELINE, Built, Task, Validated
from patchbench.runtimes import open_runtime
from patchbench.system import program
from patchbench.system.files import read_json, write_json
from patchbench.system.processes import Guard
from patchbench.workflow import breaker, stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the task record")
    parser.add_argument("--arm", required=True)
    parser.add_argument("--validation", type=Path, help="validate_patch's record (not baseline)")
    parser.add_argument("--applied", type=Path, help="the diff that counts (not baseline)")
    parser.add_argument("--base", type=Path, help="the baseline's image record (not baseline)")
    parser.add_argument("--asked", type=int, default=0, help="how often again, if it was missing")
    parser.add_argument("--results", type=Path, required=True, help="for the progress log")
    parser.add_argument("--logs", type=Path, required=True, help="folder for the smoke test's log")
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    args = parser.parse_args()
    task = read_json(args.task, Task)
    with breaker.watched(args.results, task.commit, "build_image"):
        record = stage.signed(build(task, args))
        write_json(args.out, record)
    if record.status == "failed" and record.stage == "build_image":
        progress.report_refusal(args.results, record)


def build(task: Task, args: argparse.Namespace) -> Built:
    """The record of the arm's image, or what was passed on in its place."""
    if task.exclusion is not None:
        return exclusion(task, args.arm, Built)
    patch, sha, control = None, None, ""
    if args.arm != BASELINE:
        base, validated = read_json(args.base, Built), read_json(args.validation, Validated)
        blocking = next((r for r in (validated, base) if r.status != "ok"), None)
        if blocking is not None:
            return msgspec.structs.replace(earlier_failure(blocking, Built), arm=args.arm)
        applied_diff.check(args.applied)
        patch, sha = args.applied, validated.patch_sha256
        control = f"{base.image or 'the parent'}: smoke test {base.status}"
    repo = ensure_repository(task.subject, sys.executable)
    runtime, guard = open_runtime(task, args.results), Guard()
    with runtime.using(task, guard):
        return build_arm(
            task, args.arm, patch, sha, runtime, repo, args.logs, guard, control=control
        )


if __name__ == "__main__":
    program.run(main)
