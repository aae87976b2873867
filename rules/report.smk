# From the records of all commits to tables, and from the tables alone to the report.
FIGURES = ["speedups", "outcomes", "timeline", "disk", "noise"]


rule aggregate:
    input:
        collect("<results>/metrics/{commit}.json", commit=RULES.commits),
    output:
        collect("<results>/tables/{table}.parquet", table=TABLES),
    log:
        "<results>/logs/aggregate.log",
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RULES.results,
        config=RULES.config_json,
    shell:
        "exec python -m patchbench.workflow.stages.aggregate --config-json {params.config:q} --out {params.results:q}/tables"
        " 2> >(tee -p {log} >&2)"


# What `snakemake --report` shows of these files, and the words beside them, stands in
# workflow/report. Tables are small files that Snakemake can't show; the page has them all.
rule render_report:
    input:
        tables=collect("<results>/tables/{table}.parquet", table=TABLES),
        templates=collect(
            TEMPLATES / "{name}.j2",
            name=[
                "report.md",
                "text/words",
                "page/page.html",
                "page/parts.html",
                "page/style.css",
                "page/page.js",
            ],
        ),
    output:
        markdown="<results>/report.md",
        numbers="<results>/report.json",
        about="<results>/about.json",
        png=collect("<results>/figures/{figure}.png", figure=FIGURES),
        page=report(
            "<results>/report.html",
            caption="../workflow/report/page.rst",
            category="Report",
            labels={"what": "the whole report"},
        ),
        speedups=report(
            "<results>/figures/speedups.svg",
            caption="../workflow/report/speedups.rst",
            category="Patches",
            labels={"what": "speedups"},
        ),
        outcomes=report(
            "<results>/figures/outcomes.svg",
            caption="../workflow/report/outcomes.rst",
            category="Patches",
            labels={"what": "what became of each patch"},
        ),
        timeline=report(
            "<results>/figures/timeline.svg",
            caption="../workflow/report/timeline.rst",
            category="Machine",
            labels={"what": "GPU slots and builds"},
        ),
        disk=report(
            "<results>/figures/disk.svg",
            caption="../workflow/report/disk.rst",
            category="Machine",
            labels={"what": "disk"},
        ),
        noise=report(
            "<results>/figures/noise.svg",
            caption="../workflow/report/noise.rst",
            category="Machine",
            labels={"what": "A/A noise"},
        ),
    log:
        "<results>/logs/render_report.log",
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RULES.results,
        config=RULES.config_json,
    shell:
        "exec python -m patchbench.workflow.stages.render_report --config-json {params.config:q}"
        " --tables {params.results:q}/tables --figures {params.results:q}/figures --out {output.markdown}"
        " 2> >(tee -p {log} >&2)"


# `snakemake report --cores 1`: tables and report from what is there. It has no inputs, so it can't
# start anything else, and what isn't there yet is shown as pending.
rule report:
    log:
        "<results>/logs/report.log",
    conda:
        "../envs/patchbench.yaml"
    params:
        results=RULES.results,
        config=RULES.config_json,
    shell:
        "python -m patchbench.workflow.stages.aggregate --config-json {params.config:q}"
        " --out {params.results:q}/tables 2> >(tee -p {log} >&2)"
        " && exec python -m patchbench.workflow.stages.render_report --config-json {params.config:q}"
        " --tables {params.results:q}/tables --figures {params.results:q}/figures"
        " --out {params.results:q}/report.md 2> >(tee -p -a {log} >&2)"
