# What is planned, the limits that hold, and the small functions that rules ask. No rules here.
import json
import os
import re
import shlex
import sys
from pathlib import Path

import msgspec
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from patchbench import campaign
from patchbench.cohorts import cohort_of, place_in_cohort, remember
from patchbench.errors import BadInput
from patchbench.files import write_json
from patchbench.locks import holder, try_lock
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

# Defaults for `--resources`; what a person gives there wins. They stand here and not in the
# profile because `--resources gpu=1` replaces a profile's whole resources block.
workflow.global_resources.setdefault("gpu", 1)
workflow.global_resources.setdefault("build", 2)


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
            "results folder | next: let it end or stop it, then run the same command again"
        )
    # The progress display counts only what belongs to the present plan.
    write_json(Path(CAMPAIGN.results) / "plan.json", CAMPAIGN.digests)
    remember(Path(CAMPAIGN.results), CAMPAIGN.members)
    for left in end_leftovers():
        print(f"patchbench: ended a process of a dead run: {left}", file=sys.stderr)


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


def by_commit(wildcards):
    """Priority that drains commits one after another, in the order of the task list."""
    return 100 * (len(CAMPAIGN.commits) - CAMPAIGN.commits.index(wildcards.commit))


def by_block(wildcards):
    """The same, and within a commit block after block: the A/A pairs come first."""
    return by_commit(wildcards) - place_in_cohort(int(wildcards.block))


def block_threads(wildcards):
    """All cores where the CPU is what is measured, so that nothing runs beside a block."""
    return workflow.cores if CAMPAIGN.protocol.exclusive else 1


def gpus_of_task(wildcards):
    """GPUs that a block's job asks for."""
    return CAMPAIGN.gpus(wildcards.commit)


BLOCKS = CAMPAIGN.blocks
TABLES = ["tasks", "patches", "runs", "outcomes", "comparisons"]
