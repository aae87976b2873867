# patchbench: does an AI agent's performance patch really make the inference engine faster?
# What is planned stands in rules/common.smk, one file of rules per phase.
from snakemake.utils import min_version

from patchbench.system.source_folder import find
from patchbench.workflow import snakemake_private

min_version("9.19.0")


SOURCE = snakemake_private.source_folder(workflow)

# Without --configfile or a module's config: the working folder's, else the demo's. (Snakemake would
# merge it with a file that is given; in a module that has a config it passes over this line.)
if not snakemake_private.config_files(workflow):

    configfile: find("config/config.yaml", SOURCE)


include: "rules/common.smk"


pathvars:
    results=CAMPAIGN.results,


wildcard_constraints:
    commit="[0-9a-f]{7,40}",
    arm="|".join(map(re.escape, RULES.arms)),
    block="[0-9]+",
    cohort="[0-9]+",


onstart:
    begin()


# Jobs that were killed and made again in this run have left theirs.
onsuccess:
    run_start.sweep(CAMPAIGN)


onerror:
    run_start.sweep(CAMPAIGN)


# What a cluster's scheduler would cost more than it takes (docs/slurm.md) stays with this process.
localrules:
    all,
    images_ready,
    report,
    resolve_task,
    fetch_patch,
    validate_patch,
    release_image,
    parse_metrics,
    aggregate,
    render_report,


rule all:
    input:
        "<results>/report.md",
        RULES.records,
        collect("<results>/tables/{table}.parquet", table=TABLES),
        collect("<results>/images/{commit}/released.json", commit=RULES.commits),


# Trees are made in the shared work folder. Images are made by an engine: each node has its own.
if CAMPAIGN.runtime != "docker":

    localrules:
        build_image,


include: "rules/prepare.smk"
include: "rules/measure.smk"
include: "rules/report.smk"
