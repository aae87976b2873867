# patchbench: does an AI agent's performance patch really make the inference engine faster?
# What is planned stands in rules/common.smk, one file of rules per phase.
from snakemake.utils import min_version

min_version("9.21.1")


# A file given with --configfile takes this one's place; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"


pathvars:
    results=CAMPAIGN.results,


wildcard_constraints:
    commit="[0-9a-f]{7,40}",
    arm="|".join(map(re.escape, CAMPAIGN.arms)),
    block="[0-9]+",
    cohort="[0-9]+",


onstart:
    collect_garbage()
    hold_results()
    look_ahead()
    warm_up()


# Jobs that were killed and made again in this run have left theirs.
onsuccess:
    sweep()


onerror:
    sweep()


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
        records,
        collect("<results>/tables/{table}.parquet", table=TABLES),
        collect("<results>/images/{commit}/released.json", commit=CAMPAIGN.commits),


# Trees are made in the shared work folder. Images are made by an engine: each node has its own.
if CAMPAIGN.runtime != "docker":

    localrules:
        build_image,


include: "rules/prepare.smk"
include: "rules/measure.smk"
include: "rules/report.smk"
