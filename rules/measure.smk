# The only rule that needs a GPU, and what follows from its raw files.


# Says that all arms of a cohort are there. Each of its blocks needs them all: without this file
# between them, a campaign of 20 agents had a third more edges to plan.
rule images_ready:
    input:
        images_of_cohort,
    output:
        touch("<results>/images/{commit}/cohort-{cohort}.ready"),
    priority: by_commit


# A block is a job because blocks are paired and resumed as a whole. What decides whether anything is
# launched again is the digest, not Snakemake: the job compares it with the journal and ends at once
# if every arm is there. So its inputs need not be ancient. (With ancient ones Snakemake does not
# look at a job's params at all while a job before it runs: a changed patch would be fetched and
# built, but measured only by the next invocation.) The raw files and the journal are not declared,
# for Snakemake deletes what it declares before it runs a job again.
rule run_benchmark:
    input:
        task="<results>/tasks/{commit}.json",
        images=ready_images,
        first=first_blocks,
    output:
        ensure("<results>/runs/{commit}/block-{block}/block.json", non_empty=True),
    log:
        "<results>/logs/run_benchmark/{commit}/block-{block}.log",
    priority: by_block
    conda:
        "../envs/patchbench.yaml"
    threads: block_threads
    resources:
        gpu=gpus_of_task,
        gpu_slots=limit("gpu"),
        launches=CAMPAIGN.launches,
    params:
        results=RESULTS,
        digest=block_digest,
        arms=arms_of_block,
        rules=block_rules,
    shell:
        "exec python workflow/scripts/run_benchmark.py --task {input.task} --block {wildcards.block}"
        " {params.rules:q} --digest {params.digest} --arms {params.arms} --results {params.results:q}"
        " --images {params.results:q}/images/{wildcards.commit}"
        " --gpus {resources.gpu} --slots {resources.gpu_slots} --planned {resources.launches} --out {output}"
        " 2> >(tee -p {log} >&2)"


# Frees the disk as soon as a commit's last block is done.
rule release_image:
    input:
        task=ancient("<results>/tasks/{commit}.json"),
        blocks=collect(
            "<results>/runs/{{commit}}/block-{block}/block.json", block=BLOCKS
        ),
    output:
        "<results>/images/{commit}/released.json",
    log:
        "<results>/logs/release_image/{commit}.log",
    priority: by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RESULTS,
    shell:
        "exec workflow/scripts/stage workflow/scripts/release_image.py --task {input.task}"
        " --results {params.results:q} --out {output} 2> >(tee -p {log} >&2)"


# From the raw files alone, so that a better parser never costs GPU time.
rule parse_metrics:
    input:
        task="<results>/tasks/{commit}.json",
        blocks=collect(
            "<results>/runs/{{commit}}/block-{block}/block.json", block=BLOCKS
        ),
    output:
        ensure("<results>/metrics/{commit}.json", non_empty=True),
    log:
        "<results>/logs/parse_metrics/{commit}.log",
    priority: by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        arms=ARMS,
        min_blocks=CAMPAIGN.statistics.min_blocks,
    shell:
        "exec workflow/scripts/stage workflow/scripts/parse_metrics.py --task {input.task} --blocks {input.blocks}"
        " --arms {params.arms} --min-blocks {params.min_blocks} --out {output}"
        " 2> >(tee -p {log} >&2)"
