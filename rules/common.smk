# What is planned, the limits that hold, and the small functions that rules ask. No rules here.
import atexit
import json
import os
import re
import shlex
import sys
from pathlib import Path

import msgspec
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from patchbench import budget, campaign, disk, faults, nodes, remote
from patchbench.cohorts import cohort_of, decided_by, place_in_cohort, remember
from patchbench.errors import BadInput, InfraFault
from patchbench.files import remove_dead_temporaries, write_json
from patchbench.locks import holder, release, try_lock, way_out
from patchbench.patches.sources import as_text
from patchbench.processes import end_leftovers
from patchbench.records import BASELINE, HUMAN

# The interpreter that runs Snakemake also runs the stages, so a venv need not be activated. (Not a
# param: a venv that moved would make every block run again.)
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")
TEMPLATES = Path(workflow.basedir) / "src" / "patchbench" / "report"


def only_what_a_person_needs(record):
    """Drop Snakemake's lines about each job that starts well: our progress lines say it better.
    Errors, warnings and everything asked for by --verbose or --printshellcmds stay."""
    event = getattr(record, "event", None)
    return not (
        event in (LogEvent.JOB_INFO, LogEvent.JOB_STARTED)
        or record.msg == "Select jobs to execute..."
    )


if not (
    workflow.output_settings.verbose
    or workflow.output_settings.printshellcmds
    or workflow.output_settings.dryrun
):
    logger.addFilter(only_what_a_person_needs)


def load():
    """The campaign, checked; a mistake of the person ends Snakemake with one line."""
    origin = (
        " + ".join(os.path.relpath(f) for f in workflow.configfiles[-1:]) or "config"
    )
    try:
        found = campaign.load(dict(config), origin)
    except BadInput as error:
        sys.exit(f"patchbench: {error}")
    for warning in found.warnings:
        print(f"patchbench: warning: {warning}", file=sys.stderr)
    return found


CAMPAIGN = load()
# On a cluster each node has an engine, and images, of its own (docs/slurm.md).
if CAMPAIGN.runtime == "docker" and (workflow.non_local_exec or workflow.remote_exec):
    os.environ[nodes.PER_NODE] = "yes"

# Defaults for `--resources`; what a person gives there wins. They stand here and not in the
# profile because `--resources gpu=1` replaces a profile's whole resources block.
# A job that a cluster's scheduler started has what it was given, however much that is.
workflow.global_resources.setdefault(
    "gpu",
    max(1, *map(CAMPAIGN.gpus, CAMPAIGN.commits)) if workflow.remote_exec else 1,
)
workflow.global_resources.setdefault("build", 2)
# One build at a time may wait for room on the disk.
workflow.global_resources.setdefault("image_slots", 1)
workflow.global_resources.setdefault("disk_mb", budget.spare_mb(CAMPAIGN))


def limit(name):
    """How much of a resource the whole run may use."""
    return int(workflow.global_resources[name].value)


if max(map(CAMPAIGN.gpus, CAMPAIGN.commits), default=1) > limit("gpu") > 0:
    sys.exit(
        f"patchbench: --resources gpu={limit('gpu')}: a task needs more GPUs than that; give more, "
        "or set max_gpus_per_task lower, which excludes such tasks"
    )
if limit("gpu") < 1:
    sys.exit(
        "patchbench: --resources gpu=0: blocks need at least one GPU slot (Snakemake would read "
        "0 as no limit); to render what is there without measuring use `snakemake report`"
    )


def hold_results():
    """Hold the results folder for this run; the kernel lets go when the process ends, however it
    ends. Then end what a run that was killed left behind."""
    if set(workflow.dag_settings.targets) == {"report"}:
        return  # it measures nothing, and people want it while a run goes on
    lock = Path(CAMPAIGN.results) / ".lock"
    global RESULTS_LOCK
    RESULTS_LOCK = try_lock(lock)
    if RESULTS_LOCK is None:
        sys.exit(
            f"patchbench: {CAMPAIGN.results}: another run (process {holder(lock)}) works on this "
            f"results folder | next: {way_out(lock)}"
        )
    atexit.register(release, RESULTS_LOCK)
    # The progress display counts only what belongs to the present plan.
    results = Path(CAMPAIGN.results)
    disk.set_aside(results, CAMPAIGN.disk)
    faults.begin(results, CAMPAIGN.breaker)
    if workflow.non_local_exec:
        remote.attend(results)
    write_json(results / "plan.json", CAMPAIGN.digests)
    remember(results, CAMPAIGN.members)
    for left in leftovers():
        print(f"patchbench: ended a process of a dead run: {left}", file=sys.stderr)


def leftovers():
    """What a dead run left, ended: processes, and containers and torn images if there are any. Ends
    this run with a line if its runtime can't be had here."""
    if CAMPAIGN.runtime == "apptainer":
        from patchbench.runtimes.apptainer import program

        try:
            program.find()
        except BadInput as error:
            sys.exit(f"patchbench: {error}")
    left = end_leftovers()
    remove_dead_temporaries()
    if CAMPAIGN.runtime == "docker" and not nodes.images_per_node():
        from patchbench.runtimes.docker.leftovers import clean_up

        try:
            left += clean_up(CAMPAIGN.containers.engine, Path(CAMPAIGN.results))
        except BadInput as error:
            sys.exit(f"patchbench: {error}")
        except InfraFault as error:
            # What needs no container can still be done; the jobs that do will say so too.
            print(f"patchbench: warning: {error}", file=sys.stderr)
    return left


def under(path):
    """A path under the results folder, for params, where path variables are not filled in."""
    return lambda wildcards: f"{CAMPAIGN.results}/{path}".format(**wildcards)


def results_folder(wildcards):
    """The results folder, for scripts that write to the progress log and the journal."""
    return CAMPAIGN.results


def task_spec(wildcards):
    """A task as JSON, the only thing that resolve_task depends on."""
    return msgspec.json.encode(CAMPAIGN.tasks[wildcards.commit]).decode()


def config_json(wildcards):
    """The effective configuration as JSON."""
    return json.dumps(dict(config))


def patch_source(wildcards):
    """Options that tell fetch_patch where an arm's patches lie."""
    if wildcards.arm == HUMAN:
        return []
    return ["--patches", as_text(CAMPAIGN.patch_sources(wildcards.arm))]


def patch_fingerprint(wildcards):
    """Changes when the patch at its source does: the reason to fetch it again."""
    return CAMPAIGN.patch_fingerprint(wildcards.commit, wildcards.arm)


def image_inputs(wildcards):
    """What an arm's image is made from: the baseline needs the task alone."""
    if wildcards.arm == BASELINE:
        return {}
    folder = f"{CAMPAIGN.results}/patches/{wildcards.commit}/{wildcards.arm}"
    return {
        "validation": f"{folder}/validation.json",
        "applied": f"{folder}/applied.diff",
        "base": f"{CAMPAIGN.results}/images/{wildcards.commit}/{BASELINE}.json",
    }


def image_options(wildcards, input):
    """The same as options of the script."""
    return [f"--{name}={input[name]}" for name in image_inputs(wildcards)]


def block_digest(wildcards):
    """The only reason to measure a block again."""
    return CAMPAIGN.block_digest(wildcards.commit, cohort_of(int(wildcards.block)))


def arms_of_block(wildcards):
    """Arms of a block: those of its cohort."""
    return CAMPAIGN.arms_of(cohort_of(int(wildcards.block)))


def images_of_block(wildcards):
    """Image records of a block's arms."""
    folder = f"{CAMPAIGN.results}/images/{wildcards.commit}"
    return [f"{folder}/{arm}.json" for arm in arms_of_block(wildcards)]


def waits_for_room(wildcards):
    """Whether an image's build may have to wait: that of a commit's first image."""
    return CAMPAIGN.runtime == "docker" and wildcards.arm == BASELINE


def building(wildcards):
    """Threads and build jobs of a build: none if it may wait. It must neither keep a core from the
    blocks that it waits for, nor those builds from going on whose commits are on disk.
    """
    return 0 if waits_for_room(wildcards) else 1


def waiting_builds(wildcards):
    """See image_slots above."""
    return 1 if waits_for_room(wildcards) else 0


def image_mb(wildcards):
    """What an image takes: measured if there was one, else the recipe's estimate."""
    return budget.image_mb(CAMPAIGN, wildcards.commit, wildcards.arm)


def first_blocks(wildcards):
    """What a block beyond the first ones decides from: the first ones. Nothing for the others."""
    first = decided_by(int(wildcards.block), CAMPAIGN.protocol.blocks)
    folder = f"{CAMPAIGN.results}/runs/{wildcards.commit}"
    return [f"{folder}/block-{block}/block.json" for block in first]


def block_rules(wildcards):
    """The statistics as an option, where they decide whether a block is wanted."""
    if not first_blocks(wildcards):
        return []
    return [f"--rules={msgspec.json.encode(CAMPAIGN.statistics).decode()}"]


def by_commit(wildcards):
    """Priority that drains commits one after another, in the order of the task list."""
    return 100 * (len(CAMPAIGN.commits) - CAMPAIGN.commits.index(wildcards.commit))


def by_block(wildcards):
    """The same, and within a commit block after block: the A/A pairs come first."""
    return by_commit(wildcards) - place_in_cohort(int(wildcards.block))


def block_threads(wildcards):
    """All cores where the CPU is what is measured, so that nothing runs beside a block. What a
    cluster's job gets its profile says (cpus_per_task)."""
    on_cluster = workflow.non_local_exec or workflow.remote_exec
    return workflow.cores if CAMPAIGN.protocol.exclusive and not on_cluster else 1


def gpus_of_task(wildcards):
    """GPUs that a block's job asks for."""
    return CAMPAIGN.gpus(wildcards.commit)


BLOCKS = CAMPAIGN.blocks
# Where images are built by a cluster's jobs, one builds all of a commit's: a job of its own costs
# more than most of them. (A group is submitted even if its rule is local, so there is none else.)
IMAGES_GROUP = "images" if nodes.images_per_node() else None
TABLES = ["tasks", "patches", "runs", "outcomes", "comparisons"]
