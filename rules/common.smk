# Binds what rules ask (src/patchbench/workflow) to this workflow. No rules here.
import os
import re
from pathlib import Path

from patchbench.ledger.machine_faults import INVOCATION
from patchbench import report as report_room
from patchbench.images import missing
from patchbench.plan import campaign, places, source_paths
from patchbench.system import program, slurm
from patchbench.system.source_folder import SOURCE as SOURCE_VARIABLE
from patchbench.workflow import (
    resources,
    run_start,
    snakemake_private,
    stage,
)
from patchbench.workflow.bad_input import told_in_one_line
from patchbench.workflow.rules import Rules

program.ignore_warnings()
TEMPLATES = Path(report_room.__file__).parent
TABLES = ["tasks", "patches", "runs", "outcomes", "comparisons"]


def load():
    """Return the campaign as rules ask it; warnings go to the terminal."""
    origin = " + ".join(
        map(os.path.relpath, snakemake_private.config_files(workflow)[-1:])
    )
    with told_in_one_line():
        places.check_source(SOURCE)
        whole = source_paths.resolve(config, SOURCE)
        found = campaign.load(whole, origin or "config")
        results = Path(found.results)
        places.check_folder(results)
        asked = missing.recall(results) if JOB else missing.counts(results)
    for warning in found.warnings:
        run_start.say(f"warning: {warning}")
    return Rules(found, whole, asked)


# True in a job of a run that another process schedules.
JOB = INVOCATION in os.environ
# Jobs look up relative paths there too (the command that makes a subject's repository).
os.environ[SOURCE_VARIABLE] = SOURCE
RULES = load()
CAMPAIGN = RULES.campaign
# Each node has an engine, and images, of its own there (docs/slurm.md).
ON_CLUSTER = JOB or snakemake_private.on_cluster(workflow)
if CAMPAIGN.runtime == "docker" and ON_CLUSTER:
    os.environ[slurm.PER_NODE] = "yes"


def limits():
    """Return the limits of this run: what --resources names, and defaults of ours for the rest. A
    job that a cluster's scheduler started has what it was given, however much that is.
    """
    defaults = resources.limits(CAMPAIGN, RULES.most_gpus if JOB else 1)
    holding, warnings = snakemake_private.limits(workflow, defaults)
    for warning in warnings:
        run_start.say(f"warning: {warning}")
    with told_in_one_line():
        resources.check(holding, RULES.most_gpus)
    return holding


LIMITS = limits()


CORES = None if ON_CLUSTER else snakemake_private.cores(workflow)
BLOCK_THREADS = RULES.block_threads(CORES)
# Threads and resources of a build: figures if all builds are alike.
BUILD = resources.of_builds(CAMPAIGN)


def begin():
    """Begin a run. One that only renders the report measures nothing, so it may go on beside one
    that does."""
    snakemake_private.lift_job_rate(workflow)
    if snakemake_private.targets(workflow) == {"report"}:
        return
    run_start.warn_of_few_cores(CORES, LIMITS["gpu"])
    with told_in_one_line():
        run_start.begin(
            RULES, elsewhere=ON_CLUSTER, touch=snakemake_private.is_touch(workflow)
        )


# Not a param: a venv that moved would make every block run again.
shell.prefix(stage.interpreter_first())
