"""Translate a benchmark command into the load that the judge sends."""
