"""Remove a commit's images once all its blocks are done. They can be made again at any time.

Where each machine has images of its own, this only says that nobody needs them any more: the next
job on a machine takes them away.
"""

import argparse
from pathlib import Path

from patchbench.records import Task
from patchbench.runtimes import open_runtime
from patchbench.system import program, slurm
from patchbench.system.files import read_json, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the task record")
    parser.add_argument("--results", type=Path, required=True, help="the campaign's results")
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    args = parser.parse_args()
    task = read_json(args.task, Task)
    elsewhere = task.runtime == "docker" and slurm.images_per_node()
    left = task.exclusion or elsewhere
    removed = [] if left else open_runtime(task, args.results).remove(task)
    write_json(args.out, {"commit": task.commit, "removed": removed})


if __name__ == "__main__":
    program.run(main)
