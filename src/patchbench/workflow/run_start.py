"""What a run does before its first job and after its last one: the only writes of the process that
schedules it."""

from __future__ import annotations

import atexit
import functools
import itertools
import signal
import sys
from pathlib import Path

from patchbench.errors import BadInput, InfraFault
from patchbench.images import missing
from patchbench.ledger.display import Display
from patchbench.ledger.standing_lines import View
from patchbench.plan import results_folder
from patchbench.plan.campaign import Campaign
from patchbench.plan.cohorts import remember
from patchbench.plan.overview import overview
from patchbench.system import disk, slurm
from patchbench.system.files import LOCK, remove_dead_parts, remove_dead_temporaries, write_json
from patchbench.system.locks import holder, release, try_lock, way_out
from patchbench.system.processes import end_leftovers
from patchbench.workflow import breaker, cluster, ending, signals
from patchbench.workflow.rules import Rules
from patchbench.workflow.stale import stale

# Cores beside those of running blocks: for a build, and for what is cheap.
SPARE_CORES = 2


def begin(rules: Rules, *, elsewhere: bool, touch: bool = False) -> None:
    """Take the results folder for this run and clear what a dead one left. ``elsewhere`` is whether
    jobs go to other machines, ``touch`` whether they only get new times. Raises BadInput and
    InfraFault."""
    campaign, results = rules.campaign, rules.results
    if touch:
        refuse_touch(campaign)
    hold(results)
    results_folder.claim(results, campaign.name)
    signals.answer_aside(signal.SIGTERM, functools.partial(breaker.told_to_end, results))
    # The progress display counts only what belongs to the present plan.
    disk.set_aside(results, campaign.disk)
    breaker.begin(results, campaign.breaker)
    write_json(results / "plan.json", campaign.digests)
    plan = overview(campaign)
    atexit.register(ending.tell, plan)
    if elsewhere or sys.stderr.isatty():
        cluster.attend(results, to=Display(campaign.name, functools.partial(View.of, plan)))
    remember(results, campaign.members)
    if again := missing.ask_again(results, rules.asked, touch=touch):
        say(f"making {again} record(s) anew of images that were missing")
    for left in end_leftovers():
        say(f"ended a process of a dead run: {left}")
    sweep(campaign)
    clean_engine(campaign, results)


def refuse_touch(campaign: Campaign) -> None:
    """Raise BadInput if records that don't fit the plan would pass for new ones."""
    if found := list(stale(campaign)):
        raise BadInput(
            f"--touch: {len(found)} record(s) are of another plan than today's (the first: "
            f"{found[0]}), and touched they would never be made again | next: run the same command "
            "without --touch"
        )


def hold(results: Path) -> None:
    """Take the lock of the results folder until this process ends, however it ends. Raises BadInput
    if another run has it."""
    lock = results / LOCK
    taken = try_lock(lock)
    if taken is None:
        raise BadInput(
            f"{results}: another run (process {holder(lock)}) works on this results folder | next: "
            f"{way_out(lock)}"
        )
    atexit.register(release, taken)


def clean_engine(campaign: Campaign, results: Path) -> None:
    """Remove containers and torn images of dead runs from this machine's engine. Raises BadInput if
    the campaign's engine can't be had."""
    if campaign.runtime != "docker" or slurm.images_per_node():
        return
    from patchbench.runtimes.docker.leftovers import clean_up

    try:
        for left in clean_up(campaign.containers.engine, results):
            say(f"ended a process of a dead run: {left}")
    except InfraFault as error:
        # What needs no container can still be done; the jobs that do will say so too.
        say(f"warning: {error}")


def sweep(campaign: Campaign) -> None:
    """Remove temporary files and half-written records of processes that were killed."""
    remove_dead_temporaries()
    parts = Path(campaign.results).rglob(".*.part"), Path(campaign.work).glob("*/.*.part")
    remove_dead_parts(itertools.chain(*parts))


def warn_of_few_cores(cores: int | None, gpus: int) -> None:
    """Say so if not all GPUs can be used, because each block takes a core."""
    if cores is not None and cores < gpus:
        say(
            f"warning: --cores {cores}: each block takes one, so not all {gpus} GPUs will be used; "
            f"give {gpus + SPARE_CORES} or more"
        )


def say(text: str) -> None:
    """Print one line of ours beside Snakemake's."""
    print(f"patchbench: {text}", file=sys.stderr, flush=True)
