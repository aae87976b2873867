"""Columns of the campaign's tables, with types and units: data, one schema per Parquet file."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

TEXT, WHOLE, REAL, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _schema(columns: dict[str, Any]) -> pa.Schema:
    """A schema; a (type, unit) pair keeps the unit in the column's metadata."""
    fields = []
    for name, kind in columns.items():
        type_, unit = kind if isinstance(kind, tuple) else (kind, None)
        fields.append(pa.field(name, type_, metadata={"unit": unit} if unit else None))
    return pa.schema(fields)


SCHEMAS: dict[str, pa.Schema] = {
    "tasks": _schema(
        {
            "commit": TEXT,
            "title": TEXT,
            "subject": TEXT,
            "type": TEXT,
            "parent": TEXT,
            "parent_origin": TEXT,
            "primary_metric": TEXT,
            "workload_id": TEXT,
            "perf_command": TEXT,
            "status": TEXT,
            "exclusion": TEXT,
            "exclusion_evidence": TEXT,
            "warnings": TEXT,
            "reference": TEXT,
        }
    ),
    "patches": _schema(
        {
            "commit": TEXT,
            "arm": TEXT,
            "source": TEXT,
            "path": TEXT,
            "sha256": TEXT,
            "size": (WHOLE, "bytes"),
            "measured_sha256": TEXT,
            "status": TEXT,
            "stage": TEXT,
            "cause": TEXT,
            "evidence": TEXT,
            "files": WHOLE,
            "lines_added": WHOLE,
            "lines_removed": WHOLE,
            "normalised": TEXT,
            "stripped": TEXT,
            "flags": TEXT,
            "build_seconds": (REAL, "s"),
            "hunks": WHOLE,
            "python_only": FLAG,
            "tests_touched": FLAG,
            "similarity": (REAL, "1, token Jaccard with the human's added lines"),
            "prompt_overlap": (REAL, "1, share of the human's added lines in the prompt"),
            "why_missing": TEXT,
            "conflict": FLAG,
            "warnings": TEXT,
        }
    ),
    "runs": _schema(
        {
            "commit": TEXT,
            "arm": TEXT,
            "block": WHOLE,
            "position": WHOLE,
            "launched": FLAG,
            "status": TEXT,
            "metric": TEXT,
            "value": REAL,
            "unit": TEXT,
            "direction": TEXT,
            "format": TEXT,
            "stage": TEXT,
            "cause": TEXT,
            "blame": TEXT,
            "evidence": TEXT,
            "evidence_file": TEXT,
            "evidence_line": WHOLE,
            "agreement": REAL,
            "started": TEXT,
            "ended": TEXT,
            "folder": TEXT,
            "image": TEXT,
            "patch_sha256": TEXT,
            "workload_id": TEXT,
            "host": TEXT,
            "node": TEXT,
            "slurm_job": TEXT,
            "runtime": TEXT,
            "gpu_slot": TEXT,
            "load_1min": TEXT,
            "versions": TEXT,
            "gpu_model": TEXT,
            "gpu_driver": TEXT,
            "gpu_working": (REAL, "1, share of the launch in which a kernel ran"),
            "gpu_sm_mhz": (REAL, "MHz, mean while a kernel ran"),
            "gpu_memory_mhz": (REAL, "MHz, mean while a kernel ran"),
            "gpu_power_w": (REAL, "W, mean while a kernel ran"),
            "gpu_temperature_c": (REAL, "degrees Celsius, mean while a kernel ran"),
            "gpu_memory_mib": (REAL, "MiB, mean while a kernel ran"),
            "gpu_throttle": TEXT,
            "windows": pa.list_(REAL),
        }
    ),
    "outcomes": _schema(
        {
            "commit": TEXT,
            "arm": TEXT,
            "type": TEXT,
            "status": TEXT,
            "stage": TEXT,
            "cause": TEXT,
            "blame": TEXT,
            "evidence": TEXT,
            "evidence_file": TEXT,
            "evidence_line": WHOLE,
            "log": TEXT,
            "blocks_measured": WHOLE,
            "blocks_failed": WHOLE,
            "verdict": TEXT,
            "at_least_human": FLAG,
            "review": TEXT,
        }
    ),
    "comparisons": _schema(
        {
            "commit": TEXT,
            "arm": TEXT,
            "reference": TEXT,
            "metric": TEXT,
            "unit": TEXT,
            "role": TEXT,
            "pairs": (WHOLE, "blocks"),
            "value": REAL,
            "reference_value": REAL,
            "ratio": (REAL, "1, over 1 is better"),
            "low": REAL,
            "high": REAL,
            "p": REAL,
            "p_adjusted": REAL,
            "floor": REAL,
            "verdict": TEXT,
            "blocks_needed": (WHOLE, "blocks"),
            "at_least_human": FLAG,
            "level": (REAL, "1, confidence of the interval"),
            "looks": WHOLE,
            "floor_pairs": (WHOLE, "pairs of launches"),
            "floor_source": TEXT,
            "review": TEXT,
        }
    ),
}
