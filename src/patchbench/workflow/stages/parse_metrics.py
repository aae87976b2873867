"""Grade all launches of one commit from their raw files: metrics, causes, blame. Needs no GPU."""

import argparse
from pathlib import Path

from patchbench.grading.commit import grade_commit
from patchbench.grading.run_folder import read_block
from patchbench.records import Task
from patchbench.system import program
from patchbench.system.files import read_json, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the task record")
    parser.add_argument("--blocks", type=Path, nargs="+", required=True, help="block records")
    parser.add_argument("--arms", nargs="+", required=True, help="all arms, the baseline first")
    parser.add_argument("--min-blocks", type=int, default=3, help="fewer measured: the arm failed")
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    args = parser.parse_args()
    blocks = [read_block(path) for path in args.blocks]
    task = read_json(args.task, Task)
    write_json(args.out, grade_commit(task, blocks, args.arms, args.min_blocks))


if __name__ == "__main__":
    program.run(main)
