"""The bodies of the rules, one module each: ``python -m patchbench.workflow.stages.RULE``, run by
the interpreter that runs Snakemake, whatever the working folder is."""
