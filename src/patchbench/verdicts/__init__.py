"""Statistics, comparisons and the rules that turn them into verdicts."""
