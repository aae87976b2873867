"""Run one block: every arm of a task once, in rotated order, on one GPU slot."""

import argparse
import sys
from pathlib import Path

from patchbench import block, git, progress, script
from patchbench.errors import BadInput, InfraFault
from patchbench.files import read_json, write_json
from patchbench.journal import Event
from patchbench.processes import Guard
from patchbench.records import Built, Task
from patchbench.runtimes import BuildFailed, open_runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the task record")
    parser.add_argument("--block", type=int, required=True, help="number of the block, from 1")
    parser.add_argument("--digest", required=True, help="what the block depends on")
    parser.add_argument("--images", type=Path, required=True, help="folder of the image records")
    parser.add_argument("--arms", nargs="+", required=True, help="all arms, the baseline first")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--gpus", type=int, required=True, help="GPUs that Snakemake gave this job")
    parser.add_argument("--slots", type=int, required=True, help="GPU slots of this machine")
    parser.add_argument("--planned", type=int, default=0, help="launches of the campaign, in all")
    parser.add_argument("--out", type=Path, required=True, help="the block record to write")
    args = parser.parse_args()
    task = read_json(args.task, Task)
    needed = task.workload.gpus if task.workload else 0
    if args.gpus < needed:
        raise BadInput(f"commit {task.commit[:8]} needs {needed} GPU(s), the job got {args.gpus}")
    runtime = open_runtime(task, args.results)

    def rebuild(built: Built) -> None:
        repo = git.ensure_repository(task.subject, sys.executable)
        try:
            runtime.build(task, built.image, Path(built.patch) if built.patch else None, repo)
        except BuildFailed as error:
            raise InfraFault(
                f"infra.image_lost | commit {task.commit[:8]} | arm {built.arm} | stage "
                f"run_benchmark | the image was there once and can't be made again: {error}"
            ) from error

    def finished(event: Event) -> None:
        progress.report(args.results, args.planned, event, task.protocol.blocks, task.title)

    setting = block.Setting(
        task=task,
        block=args.block,
        digest=args.digest,
        images=block.load_images(args.images, args.arms),
        results=args.results,
        slots=args.slots,
        runtime=runtime,
        guard=Guard(),
        rebuild=rebuild,
        finished=finished,
    )
    write_json(args.out, block.measure(setting))


if __name__ == "__main__":
    script.run(main)
