"""The stage parse_metrics: from raw files to metrics or a cause."""
