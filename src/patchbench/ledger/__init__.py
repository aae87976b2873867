"""Append-only facts of a campaign."""
