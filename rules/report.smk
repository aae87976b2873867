# From the records of all commits to tables, and from the tables alone to the report.


rule aggregate:
    input:
        collect("<results>/metrics/{commit}.json", commit=CAMPAIGN.commits),
    output:
        collect("<results>/tables/{table}.parquet", table=TABLES),
    log:
        "<results>/logs/aggregate.log",
    conda:
        "../envs/patchbench.yaml"
    params:
        config=config_json,
        out=under("tables"),
    shell:
        "exec python workflow/scripts/aggregate.py --config-json {params.config:q} --out {params.out}"
        " 2> >(tee {log} >&2)"


rule render_report:
    input:
        tables=collect("<results>/tables/{table}.parquet", table=TABLES),
        template=TEMPLATES / "report.md.j2",
    output:
        "<results>/report.md",
    log:
        "<results>/logs/render_report.log",
    conda:
        "../envs/patchbench.yaml"
    params:
        config=config_json,
        tables=under("tables"),
        figures=under("figures"),
    shell:
        "exec python workflow/scripts/render_report.py --config-json {params.config:q}"
        " --tables {params.tables} --figures {params.figures} --out {output} 2> >(tee {log} >&2)"


# `snakemake report --cores 1`: tables and report from what is there. It has no inputs, so it can't
# start anything else, and what isn't there yet is shown as pending.
rule report:
    log:
        "<results>/logs/report.log",
    conda:
        "../envs/patchbench.yaml"
    params:
        config=config_json,
        results=results_folder,
    shell:
        "python workflow/scripts/aggregate.py --config-json {params.config:q}"
        " --out {params.results:q}/tables 2> >(tee {log} >&2)"
        " && exec python workflow/scripts/render_report.py --config-json {params.config:q}"
        " --tables {params.results:q}/tables --figures {params.results:q}/figures"
        " --out {params.results:q}/report.md 2> >(tee -a {log} >&2)"
