"""The stage run_benchmark: blocks of launches."""
