# From the task list to images, all before any GPU time.


# A rule of its own because only the task's own entry may be a reason to resolve it again.
rule resolve_task:
    output:
        "<results>/tasks/{commit}.json",
    log:
        "<results>/logs/resolve_task/{commit}.log",
    priority: by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        spec=task_spec,
    shell:
        "exec workflow/scripts/stage workflow/scripts/resolve_task.py --spec {params.spec:q} --out {output}"
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
    priority: by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RESULTS,
        source=patch_source,
        fingerprint=patch_fingerprint,
    shell:
        "exec workflow/scripts/stage workflow/scripts/fetch_patch.py --task {input.task} --arm {wildcards.arm}"
        " {params.source:q} --results {params.results:q} --patch {output.patch} --out {output.record}"
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
    priority: by_commit
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RESULTS,
    shell:
        "exec workflow/scripts/stage workflow/scripts/validate_patch.py --task {input.task} --fetched {input.fetched}"
        " --results {params.results:q} --patch {input.patch} --applied {output.applied} --out {output.record}"
        " 2> >(tee -p {log} >&2)"


# The baseline's image comes first: it is the control that an arm's own image is held against.
rule build_image:
    input:
        unpack(image_inputs),
        task="<results>/tasks/{commit}.json",
    output:
        ensure("<results>/images/{commit}/{arm}.json", non_empty=True),
    log:
        "<results>/logs/build_image/{commit}/{arm}.log",
    priority: by_commit
    group:
        IMAGES_GROUP
    conda:
        "../envs/patchbench.yaml"
    threads: building
    resources:
        build=building,
        image_slots=waiting_builds,
        disk_mb=image_mb,
    params:
        results=RESULTS,
        options=image_options,
    shell:
        "exec workflow/scripts/stage workflow/scripts/build_image.py --task {input.task} --arm {wildcards.arm}"
        " {params.options:q}"
        " --results {params.results:q} --logs {params.results:q}/logs/build_image/{wildcards.commit}/{wildcards.arm}"
        " --out {output} 2> >(tee -p {log} >&2)"
