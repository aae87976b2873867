# The only rule that needs a GPU, and what follows from its raw files.


# Says that all arms of a cohort are there. Each of its blocks needs them all: without this file
# between them, a campaign of 20 agents had a third more edges to plan.
rule images_ready:
    input:
        RULES.images_of_cohort,
    output:
        touch("<results>/images/{commit}/cohort-{cohort}.ready"),
    priority: RULES.by_commit


# A block is a job because blocks are paired and resumed as a whole. What decides whether anything is
# launched again is the digest, not Snakemake: the job compares it with the journal and ends at once
# if every arm is there. So its inputs need not be ancient. (With ancient ones Snakemake does not
# look at a job's params at all while a job before it runs: a changed patch would be fetched and
# built, but measured only by the next invocation.) The raw files and the journal are not declared,
# for Snakemake deletes what it declares before it runs a job again.
rule run_benchmark:
    input:
        task="<results>/tasks/{commit}.json",
        images=RULES.ready_images,
        first=RULES.first_blocks,
    output:
        ensure("<results>/runs/{commit}/block-{block}/block.json", non_empty=True),
    log:
        "<results>/logs/run_benchmark/{commit}/block-{block}.log",
    priority: RULES.by_block
    conda:
        "../envs/patchbench.yaml"
    threads: BLOCK_THREADS
    resources:
        gpu=RULES.gpus,
        gpu_slots=LIMITS["gpu"],
        launches=RULES.launches,
    params:
        results=RULES.results,
        options=RULES.block_options,
    shell:
        "exec python -m patchbench.workflow.stages.run_benchmark --task {input.task} --block {wildcards.block}"
        " {params.options:q} --results {params.results:q}"
        " --images {params.results:q}/images/{wildcards.commit}"
        " --gpus {resources.gpu} --slots {resources.gpu_slots} --planned {resources.launches} --out {output}"
        " 2> >(tee -p {log} >&2)"


# Frees the disk as soon as a commit's last block is done.
rule release_image:
    input:
        task=ancient("<results>/tasks/{commit}.json"),
        blocks=collect(
            "<results>/runs/{{commit}}/block-{block}/block.json", block=RULES.blocks
        ),
    output:
        "<results>/images/{commit}/released.json",
    log:
        "<results>/logs/release_image/{commit}.log",
    priority: RULES.by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RULES.results,
    shell:
        "exec python -m patchbench.workflow.stages.release_image --task {input.task}"
        " --results {params.results:q} --out {output} 2> >(tee -p {log} >&2)"


# From the raw files alone, so that a better parser never costs GPU time.
rule parse_metrics:
    input:
        task="<results>/tasks/{commit}.json",
        blocks=collect(
            "<results>/runs/{{commit}}/block-{block}/block.json", block=RULES.blocks
        ),
    output:
        ensure("<results>/metrics/{commit}.json", non_empty=True),
    log:
        "<results>/logs/parse_metrics/{commit}.log",
    priority: RULES.by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        arms=RULES.arms,
        min_blocks=CAMPAIGN.statistics.min_blocks,
    shell:
        "exec python -m patchbench.workflow.stages.parse_metrics --task {input.task} --blocks {input.blocks}"
        " --arms {params.arms} --min-blocks {params.min_blocks} --out {output}"
        " 2> >(tee -p {log} >&2)"
