# From the task list to images, all before any GPU time.


# A rule of its own because only the task's own entry may be a reason to resolve it again.
rule resolve_task:
    output:
        "<results>/tasks/{commit}.json",
    log:
        "<results>/logs/resolve_task/{commit}.log",
    priority: RULES.by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        spec=RULES.task_spec,
    shell:
        "exec python -m patchbench.workflow.stages.resolve_task --spec {params.spec:q} --out {output}"
        " 2> >(tee -p {log} >&2)"


# Per arm, so that a new agent fetches nothing of the others.
rule fetch_patch:
    input:
        task="<results>/tasks/{commit}.json",
    output:
        patch="<results>/patches/{commit}/{arm}/patch.diff",
        record=ensure("<results>/patches/{commit}/{arm}/fetch.json", non_empty=True),
    log:
        "<results>/logs/fetch_patch/{commit}/{arm}.log",
    priority: RULES.by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RULES.results,
        source=RULES.patch_source,
        fingerprint=RULES.patch_fingerprint,
    shell:
        "exec python -m patchbench.workflow.stages.fetch_patch --task {input.task} --arm {wildcards.arm}"
        " {params.source:q} --fingerprint {params.fingerprint:q} --results {params.results:q} --patch {output.patch} --out {output.record}"
        " 2> >(tee -p {log} >&2)"


rule validate_patch:
    input:
        task="<results>/tasks/{commit}.json",
        patch="<results>/patches/{commit}/{arm}/patch.diff",
        fetched="<results>/patches/{commit}/{arm}/fetch.json",
    output:
        record=ensure(
            "<results>/patches/{commit}/{arm}/validation.json", non_empty=True
        ),
        applied="<results>/patches/{commit}/{arm}/applied.diff",
    log:
        "<results>/logs/validate_patch/{commit}/{arm}.log",
    priority: RULES.by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RULES.results,
    shell:
        "exec python -m patchbench.workflow.stages.validate_patch --task {input.task} --fetched {input.fetched}"
        " --results {params.results:q} --patch {input.patch} --applied {output.applied} --out {output.record}"
        " 2> >(tee -p {log} >&2)"


# The baseline's image comes first: it is the control that an arm's own image is held against.
rule build_image:
    input:
        unpack(RULES.image_inputs),
        task="<results>/tasks/{commit}.json",
    output:
        ensure("<results>/images/{commit}/{arm}.json", non_empty=True),
    log:
        "<results>/logs/build_image/{commit}/{arm}.log",
    priority: RULES.by_commit
    group:
        "images" if CAMPAIGN.runtime == "docker" else None
    conda:
        "../envs/patchbench.yaml"
    threads: BUILD["threads"]
    resources:
        build=BUILD["build"],
        image_slots=BUILD["image_slots"],
        disk_mb=BUILD["disk_mb"],
    params:
        results=RULES.results,
        options=RULES.image_options,
    shell:
        "exec python -m patchbench.workflow.stages.build_image --task {input.task} --arm {wildcards.arm}"
        " {params.options:q}"
        " --results {params.results:q} --logs {params.results:q}/logs/build_image/{wildcards.commit}/{wildcards.arm}"
        " --out {output} 2> >(tee -p {log} >&2)"
