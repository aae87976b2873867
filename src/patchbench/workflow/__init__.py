"""What the rules ask, and the only door to Snakemake."""
