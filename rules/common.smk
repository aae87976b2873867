# What is planned, the limits that hold, and the small functions that rules ask. No rules here.
import atexit
import functools
import gc
import inspect
import itertools
import json
import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import msgspec
from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from patchbench.blocks import cohort_of, decided_by, place_in_cohort
from patchbench.errors import BadInput, InfraFault
from patchbench.images.missing import forget_missing
from patchbench.ledger import machine_faults
from patchbench.patches.sources import as_text
from patchbench.plan import campaign
from patchbench.plan.cohorts import remember
from patchbench.runtimes.docker import image_sizes
from patchbench.system import disk, slurm
from patchbench.system.files import remove_dead_parts, remove_dead_temporaries, write_json
from patchbench.system.locks import holder, release, try_lock, way_out
from patchbench.system.processes import end_leftovers
from patchbench.workflow import clock_skew, cluster, snakemake_process
from patchbench.records import BASELINE, HUMAN
from patchbench.warm import Warm

# The interpreter that runs Snakemake also runs the stages, so a venv need not be activated. (Not a
# param: a venv that moved would make every block run again.)
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")
# A large campaign's jobs are millions of objects that live to the end of the run: looking through
# them for garbage takes a fifth of the planning. It begins once the plan is made (onstart).
gc.disable()
TEMPLATES = Path(workflow.basedir) / "src" / "patchbench" / "report"


UNSAID = (
    *(LogEvent.JOB_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED),
    *(LogEvent.PROGRESS, LogEvent.RUN_INFO, LogEvent.RESOURCES_INFO),
)


def only_what_a_person_needs(record):
    """Drop Snakemake's lines about each job that goes well: our progress lines say it better.
    Errors, warnings and everything asked for by --verbose or --printshellcmds stay."""
    event = getattr(record, "event", None)
    return not (event in UNSAID or record.msg == "Select jobs to execute...")


if not (
    workflow.output_settings.verbose
    or workflow.output_settings.printshellcmds
    or workflow.output_settings.dryrun
):
    logger.addFilter(only_what_a_person_needs)


snakemake_process.claim(workflow.snakemake_tmp_dir)
snakemake_process.outlive_readers(logger)


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
# For params, where path variables are not filled in. (A text would be searched for wildcards.)
RESULTS = Path(CAMPAIGN.results)
# Whether jobs go to other machines. (The executor itself isn't known yet when this is read.)
ON_CLUSTER = workflow.resource_settings.nodes is not None or workflow.remote_exec
# There each node has an engine, and images, of its own (docs/slurm.md).
if CAMPAIGN.runtime == "docker" and ON_CLUSTER:
    os.environ[slurm.PER_NODE] = "yes"
# What rules ask of the campaign for job after job, worked out once.
PLACES = {commit: place for place, commit in enumerate(CAMPAIGN.commits)}
ARMS = CAMPAIGN.arms
GPUS = {commit: CAMPAIGN.gpus(commit) for commit in PLACES}
MOST_GPUS = max(GPUS.values(), default=0) or 1
PLANNED_JOBS = len(PLACES) * (3 * len(ARMS) + len(CAMPAIGN.blocks) + 4)

# A dry run lists each job. Nobody reads tens of thousands, and they take longer than the planning:
# the table of how many of each rule is left then.
MANY_JOBS = 1000
if workflow.output_settings.dryrun and PLANNED_JOBS > MANY_JOBS:
    if not (
        workflow.output_settings.verbose or workflow.output_settings.printshellcmds
    ):
        workflow.output_settings.quiet = {Quietness.RULES, Quietness.PROGRESS}
        print(
            f"patchbench: a dry run of more than {MANY_JOBS} jobs shows how many of each rule; "
            "-p lists them all",
            file=sys.stderr,
        )

digest_of = functools.cache(CAMPAIGN.block_digest)
arms_of = functools.cache(CAMPAIGN.arms_of)
if ahead := clock_skew.set_back(RESULTS, time.time()):
    print(
        f"patchbench: warning: {CAMPAIGN.results}: {ahead} files were made while the clock was "
        "ahead; their times are set back",
        file=sys.stderr,
    )

# Defaults for `--resources`; what a person gives there wins. They stand here and not in the
# profile because `--resources gpu=1` replaces a profile's whole resources block.
# A job that a cluster's scheduler started has what it was given, however much that is.
workflow.global_resources.setdefault(
    "gpu",
    MOST_GPUS if workflow.remote_exec else 1,
)
workflow.global_resources.setdefault("build", 2)
# One build at a time may wait for room on the disk.
workflow.global_resources.setdefault("image_slots", 1)
workflow.global_resources.setdefault("disk_mb", image_sizes.spare_mb(CAMPAIGN))


# Cores beside those of running blocks: for the one that waits, a build, and what is cheap.
LEFT_CORES = 3
# A block that may wait so long, in seconds, can wait for another one to end.
LONG_WAIT = 6 * 3600


def limit(name):
    """How much of a resource the whole run may use."""
    return int(workflow.global_resources[name].value)


if MOST_GPUS > limit("gpu") > 0:
    sys.exit(
        f"patchbench: --resources gpu={limit('gpu')}: a task needs more GPUs than that; give more, "
        "or set max_gpus_per_task lower, which excludes such tasks"
    )
if limit("gpu") < 1:
    sys.exit(
        "patchbench: --resources gpu=0: blocks need at least one GPU slot (Snakemake would read "
        "0 as no limit); to render what is there without measuring use `snakemake report`"
    )


@functools.cache
def ask_again():
    """Once, before Snakemake looks at what is there (a function that it asks then is the only place
    where it can be told apart from --lint and the like): forget images that were missing.
    """
    makes = workflow.execution_settings and not workflow.output_settings.dryrun
    elsewhere = workflow.touch or workflow.remote_exec
    if makes and not elsewhere and (missing := forget_missing(RESULTS)):
        print(
            f"patchbench: making {missing} record(s) anew of images that were missing",
            file=sys.stderr,
        )


def collect_garbage():
    """Look for garbage from now on, but not among what the plan is made of."""
    gc.freeze()
    gc.enable()


def only_report():
    """Whether this run does nothing but render what is there."""
    return set(workflow.dag_settings.targets) == {"report"}


def hold_results():
    """Hold the results folder for this run; the kernel lets go when the process ends, however it
    ends. Then end what a run that was killed left behind."""
    if only_report():
        return  # it measures nothing, and people want it while a run goes on
    lock = RESULTS / ".lock"
    global RESULTS_LOCK
    RESULTS_LOCK = try_lock(lock)
    if RESULTS_LOCK is None:
        sys.exit(
            f"patchbench: {CAMPAIGN.results}: another run (process {holder(lock)}) works on this "
            f"results folder | next: {way_out(lock)}"
        )
    atexit.register(release, RESULTS_LOCK)
    told = functools.partial(machine_faults.told_to_end, RESULTS)
    snakemake_process.answer_aside(signal.SIGTERM, told)
    # The progress display counts only what belongs to the present plan.
    disk.set_aside(RESULTS, CAMPAIGN.disk)
    machine_faults.begin(RESULTS, CAMPAIGN.breaker)
    if workflow.non_local_exec:
        cluster.attend(RESULTS)
    write_json(RESULTS / "plan.json", CAMPAIGN.digests)
    remember(RESULTS, CAMPAIGN.members)
    for left in leftovers():
        print(f"patchbench: ended a process of a dead run: {left}", file=sys.stderr)


def warm_up():
    """Start the warm interpreter, unless jobs run elsewhere or in an environment of their own."""
    elsewhere = workflow.deployment_settings.deployment_method
    if only_report() or elsewhere or not workflow.local_exec:
        return
    atexit.register(Warm(CAMPAIGN.runtime).end)


def look_ahead():
    """Let one block more start than there are GPUs: it reads and checks all that it needs, and waits
    for the GPU that comes free next, which so never waits for a job's start. It starts when another
    block has just begun, whose server is still loading its model then. Not where the CPU is what is
    measured, nor on a cluster, whose queue does the same."""
    spare = workflow.cores - limit("gpu") if workflow.local_exec else 0
    if spare < 0:
        print(
            f"patchbench: warning: --cores {workflow.cores}: each block takes one, so not all "
            f"{limit('gpu')} GPUs will be used; give {limit('gpu') + LEFT_CORES} or more",
            file=sys.stderr,
        )
    protocol = CAMPAIGN.protocol
    patient = protocol.limits.gpu_wait >= LONG_WAIT and not protocol.exclusive
    if spare >= LEFT_CORES and patient and MOST_GPUS == 1:
        workflow.register_resource("gpu", limit("gpu") + 1)


def sweep():
    """Remove what processes of ours that were killed have left half done or for a while."""
    remove_dead_temporaries()
    parts = RESULTS.rglob(".*.part"), Path(CAMPAIGN.work).glob("*/.*.part")
    remove_dead_parts(itertools.chain(*parts))


def leftovers():
    """What a dead run left, ended: processes, and containers and torn images if there are any. Ends
    this run with a line if its runtime can't be had here."""
    left = end_leftovers()
    sweep()
    if CAMPAIGN.runtime == "docker" and not slurm.images_per_node():
        from patchbench.runtimes.docker.leftovers import clean_up

        try:
            left += clean_up(CAMPAIGN.containers.engine, RESULTS)
        except BadInput as error:
            sys.exit(f"patchbench: {error}")
        except InfraFault as error:
            # What needs no container can still be done; the jobs that do will say so too.
            print(f"patchbench: warning: {error}", file=sys.stderr)
    return left


def asked(function):
    """Mark a function that rules ask once per job and more. Snakemake inspects its signature at
    every call, which takes longer than the answer; a function that carries it is not inspected.
    """
    function.__signature__ = inspect.signature(function)
    return function


@asked
def task_spec(wildcards):
    """A task as JSON, the only thing that resolve_task depends on."""
    return msgspec.json.encode(CAMPAIGN.tasks[wildcards.commit]).decode()


def config_json(wildcards):
    """The effective configuration as JSON."""
    return json.dumps(dict(config))


@asked
def patch_source(wildcards):
    """Options that tell fetch_patch where an arm's patches lie."""
    if wildcards.arm == HUMAN:
        return []
    return ["--patches", as_text(CAMPAIGN.patch_sources(wildcards.arm))]


@asked
def patch_fingerprint(wildcards):
    """Changes when the patch at its source does: the reason to fetch it again."""
    if wildcards.arm == HUMAN:
        return CAMPAIGN.patch_fingerprint(wildcards.commit, HUMAN)
    # Loading the campaign has looked at every patch already.
    return CAMPAIGN.members[wildcards.arm].fingerprints[wildcards.commit]


@asked
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


@asked
def image_options(wildcards, input):
    """The same as options of the script."""
    return [f"--{name}={input[name]}" for name in image_inputs(wildcards)]


@asked
def block_digest(wildcards):
    """The only reason to measure a block again."""
    return digest_of(wildcards.commit, cohort_of(int(wildcards.block)))


@asked
def arms_of_block(wildcards):
    """Arms of a block: those of its cohort."""
    return arms_of(cohort_of(int(wildcards.block)))


@asked
def images_of_cohort(wildcards):
    """Image records of a cohort's arms."""
    folder = f"{CAMPAIGN.results}/images/{wildcards.commit}"
    return [f"{folder}/{arm}.json" for arm in arms_of(int(wildcards.cohort))]


@asked
def ready_images(wildcards):
    """What says that the image records of a block's arms are there."""
    cohort = cohort_of(int(wildcards.block))
    return f"{CAMPAIGN.results}/images/{wildcards.commit}/cohort-{cohort}.ready"


def waits_for_room(wildcards):
    """Whether an image's build may have to wait: that of a commit's first image."""
    return CAMPAIGN.runtime == "docker" and wildcards.arm == BASELINE


@asked
def building(wildcards):
    """Threads and build jobs of a build: none if it may wait. It must neither keep a core from the
    blocks that it waits for, nor those builds from going on whose commits are on disk.
    """
    return 0 if waits_for_room(wildcards) else 1


@asked
def waiting_builds(wildcards):
    """See image_slots above."""
    return 1 if waits_for_room(wildcards) else 0


@asked
def image_mb(wildcards):
    """What an image takes: measured if there was one, else the recipe's estimate."""
    return image_sizes.image_mb(CAMPAIGN, wildcards.commit, wildcards.arm)


@asked
def first_blocks(wildcards):
    """What a block beyond the first ones decides from: the first ones. Nothing for the others."""
    first = decided_by(int(wildcards.block), CAMPAIGN.protocol.blocks)
    folder = f"{CAMPAIGN.results}/runs/{wildcards.commit}"
    return [f"{folder}/block-{block}/block.json" for block in first]


@asked
def block_rules(wildcards):
    """The statistics as an option, where they decide whether a block is wanted."""
    if not first_blocks(wildcards):
        return []
    return [f"--rules={msgspec.json.encode(CAMPAIGN.statistics).decode()}"]


@asked
def by_commit(wildcards):
    """Priority that drains commits one after another, in the order of the task list."""
    return 100 * (len(PLACES) - PLACES[wildcards.commit])


@asked
def by_block(wildcards):
    """The same, and within a commit block after block: the A/A pairs come first."""
    return by_commit(wildcards) - place_in_cohort(int(wildcards.block))


def block_threads(wildcards):
    """All cores where the CPU is what is measured, so that nothing runs beside a block. What a
    cluster's job gets its profile says (cpus_per_task)."""
    return workflow.cores if CAMPAIGN.protocol.exclusive and not ON_CLUSTER else 1


@asked
def gpus_of_task(wildcards):
    """GPUs that a block's job asks for."""
    return GPUS[wildcards.commit]


@asked
def records(wildcards):
    """What the whole campaign is to leave of its commits: their metrics, and which of their other
    records are gone. Snakemake does not miss a file that lies between others: a block whose folder
    was deleted would else not be measured again, and a damaged record that was deleted, as its
    message says, not be made again. (All named always, they were a third of a plan's edges.)
    """
    ask_again()
    found = []
    for commit in CAMPAIGN.commits:
        made = records_of(commit)
        gone = [path for path in made if not os.path.exists(path)]
        # Without any, its metrics ask for all.
        found += gone if len(gone) < len(made) else []
        found.append(f"{CAMPAIGN.results}/metrics/{commit}.json")
    return found


def records_of(commit):
    """Records of a commit from its task to its last block."""
    under = CAMPAIGN.results
    patches = ("patch.diff", "fetch.json", "applied.diff", "validation.json")
    return [
        f"{under}/tasks/{commit}.json",
        *(f"{under}/images/{commit}/{arm}.json" for arm in ARMS),
        *(f"{under}/runs/{commit}/block-{block}/block.json" for block in BLOCKS),
        *(
            f"{under}/patches/{commit}/{arm}/{record}"
            for arm in ARMS
            for record in patches
            if arm != BASELINE
        ),
    ]


BLOCKS = CAMPAIGN.blocks
# Where images are built by a cluster's jobs, one builds all of a commit's: a job of its own costs
# more than most of them. (A group is submitted even if its rule is local, so there is none else.)
IMAGES_GROUP = "images" if slurm.images_per_node() else None
TABLES = ["tasks", "patches", "runs", "outcomes", "comparisons"]
