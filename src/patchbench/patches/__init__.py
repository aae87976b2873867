"""Stages fetch_patch and validate_patch: patches, mended and checked before any GPU time."""
