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
    hold_results()
    look_ahead()
    warm_up()


localrules:
    all,
    images_ready,
    report,


# Blocks are named here too: Snakemake does not miss a file that lies between others, so a block
# whose folder was deleted would else not be measured again.
rule all:
    input:
        "<results>/report.md",
        collect(
            "<results>/runs/{commit}/block-{block}/block.json",
            commit=CAMPAIGN.commits,
            block=BLOCKS,
        ),
        collect("<results>/images/{commit}/released.json", commit=CAMPAIGN.commits),


include: "rules/prepare.smk"
include: "rules/measure.smk"
include: "rules/report.smk"
