"""The report as JSON, and the JSON schema that it follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from patchbench.report.model import Report
from patchbench.system.files import write_bytes

READABLE = 4 << 20


def schema() -> dict[str, Any]:
    """The JSON schema of ``report.json``, made from the structs themselves."""
    found: dict[str, Any] = _unwrapped(msgspec.json.schema(Report))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The report of a campaign",
        **found,
    }


def _unwrapped(schema: Any) -> Any:
    """The same with each description in one line: how docstrings are indented depends on Python."""
    if isinstance(schema, list | tuple):
        return [_unwrapped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else value
        for key, value in ((key, _unwrapped(value)) for key, value in schema.items())
    }


def write_json(report: Report, path: Path) -> None:
    """The whole report as JSON, numbers unrounded; a small one is laid out for people."""
    data = msgspec.json.encode(report)
    if len(data) < READABLE:
        data = msgspec.json.format(data, indent=1)
    write_bytes(path, data + b"\n")


if __name__ == "__main__":
    # What workflow/schemas/report.schema.json holds.
    print(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())
