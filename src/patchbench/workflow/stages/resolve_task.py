"""Resolve one task: its parent commit, its workload, or the reason why it can't be run."""

import argparse
from pathlib import Path

import msgspec

from patchbench.plan.resolve import resolve
from patchbench.records import Task
from patchbench.system import program
from patchbench.system.files import write_json
from patchbench.workflow import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec",
        type=stage.json_argument,
        required=True,
        help="the task as JSON or @FILE (`patchbench plan --commit C` prints it)",
    )
    parser.add_argument("--out", type=Path, required=True, help="the task record to write")
    args = parser.parse_args()
    write_json(args.out, resolve(msgspec.convert(args.spec, Task)))


if __name__ == "__main__":
    program.run(main)
