"""Run one block: every arm of a task once, in rotated order, on one GPU slot."""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

import msgspec

from patchbench.benchmark import block
from patchbench.benchmark.context import BlockContext
from patchbench.config import VerdictRules
from patchbench.errors import BadInput, infra_fault
from patchbench.grading.run_folder import block_folder
from patchbench.ledger import progress
from patchbench.ledger.blocks import block_numbers, cohort_of, decided_by
from patchbench.ledger.journal import Event
from patchbench.patches import applied_diff
from patchbench.patches.repository import ensure_repository
from patchbench.records import Block, Built, Task
from patchbench.runtimes import BuildFailed, ImageMissing, open_runtime
from patchbench.system import program, slurm
from patchbench.system.files import read_json, write_json
from patchbench.system.processes import Guard
from patchbench.workflow import breaker, record_paths, stage


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
    parser.add_argument(
        "--rules", type=stage.json_argument, help="the statistics, for a block beyond the first"
    )
    parser.add_argument("--out", type=Path, required=True, help="the block record to write")
    args = parser.parse_args()
    task = read_json(args.task, Task)
    needed = task.workload.gpus if task.workload else 0
    if args.gpus < needed:
        raise BadInput(f"commit {task.commit[:8]} needs {needed} GPU(s), the job got {args.gpus}")
    with breaker.watched(args.results, task.commit, "run_benchmark"):
        write_json(args.out, measure(task, args))
        if slurm.images_per_node() and task.exclusion is None:
            let_go(task, args)


def let_go(task: Task, args: argparse.Namespace) -> None:
    """Remove this machine's images of a commit after its last block, wherever the others ran."""
    numbers = block_numbers(cohort_of(args.block), task.protocol.most_blocks)
    folders = [block_folder(args.results, task.commit, number) for number in numbers]
    if all((folder / args.out.name).is_file() for folder in folders):
        open_runtime(task, args.results).remove(task)


def measure(task: Task, args: argparse.Namespace) -> Block:
    """Run what is left of the block, if it is wanted."""
    extra, arms = decided_by(args.block, task.protocol.blocks), args.arms
    if args.rules and extra and task.exclusion is None:
        from patchbench.benchmark.extra_blocks import plan_extra_block  # 0.4 s of scipy

        rules = msgspec.convert(args.rules, VerdictRules)
        arms, reason = plan_extra_block(
            task, args.block, args.digest, args.arms, args.results, rules, args.planned
        )
        if not arms:
            return block.skip(task, args.block, args.digest, args.results)
        if reason:
            text = f"{task.commit[:8]}: block {args.block} beyond the first ones: {reason}"
            progress.say(args.results, text)
    runtime = open_runtime(task, args.results)
    guard = Guard()

    def rebuild(built: Built) -> None:
        repo = ensure_repository(task.subject, sys.executable)
        # Not by the path in the record: the results may have been moved since.
        diff = str(args.results), task.commit, built.arm, "applied.diff"
        patch = Path(record_paths.patch(*diff)) if built.patch else None
        if patch:
            applied_diff.check(patch)
        log = args.out.with_name("rebuild.log")
        # A machine of its own has its own room; here the commit has had its place all the time.
        room = runtime.room(task, built.arm, guard) if slurm.images_per_node() else nullcontext()
        try:
            with room:
                place = task, built.arm, built.image
                runtime.build(*place, patch, repo, log, guard, was=built.layers)
        except (BuildFailed, ImageMissing) as error:
            facts = f"commit {task.commit[:8]}", f"arm {built.arm}", "stage run_benchmark"
            lost = f"the image was there once and can't be made again: {error}"
            raise infra_fault("infra.image_lost", *facts, lost, log=log) from error

    def on_finished(event: Event) -> None:
        progress.report(args.results, args.planned, event, task.protocol, task.title)

    context = BlockContext(
        task=task,
        block=args.block,
        digest=args.digest,
        images=block.load_images(args.images, list(arms)),
        results=args.results,
        slots=args.slots,
        runtime=runtime,
        guard=guard,
        rebuild=rebuild,
        on_finished=on_finished,
    )
    return block.measure(context)


if __name__ == "__main__":
    program.run(main)
