"""Checking a person's YAML against a JSON Schema, with one line per mistake.

Schemas stand in ``workflow/schemas``; every object there refuses keys that it doesn't know.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from patchbench.errors import BadInput

SCHEMAS = Path(__file__).resolve().parents[3] / "workflow" / "schemas"


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """A schema by its short name (config, tasks, subject)."""
    loaded: dict[str, Any] = read_yaml(SCHEMAS / f"{name}.schema.yaml")
    return loaded


def read_yaml(path: Path) -> Any:
    """Load a YAML file. Raises BadInput with file and line."""
    import yaml  # 0.03 s that a job which reads no YAML need not pay

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise BadInput(f"{path}: {where}not valid YAML: {reason}") from error


def check(value: Any, name: str, origin: str) -> None:
    """Raise BadInput that names the file and key of the first mistake, if there is one."""
    import jsonschema  # 0.1 s: only where a person's file is read, never in a job

    validator = jsonschema.Draft202012Validator(schema(name))
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "top level"
        raise BadInput(f"{origin}: {where}: {_explain(error)}")


def _explain(error: Any) -> str:
    """The mistake in a person's words."""
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = [*error.schema.get("properties", {})]
        if "patternProperties" in error.schema:
            known += ["serving", "latency", "throughput", "prefix_caching"]
        unknown = [str(key) for key in error.instance if key not in known]
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
        return f"unknown key {unknown[0]!r}; {hint}"
    return str(error.message)


# How a text is read where the schema wants one of these.
READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": {"true": True, "false": False}.__getitem__,
}


def typed(value: Any, part: dict[str, Any]) -> Any:
    """A copy of a value with texts turned into the numbers and truth values that the schema wants
    in their place. What stands in braces or brackets on Snakemake's command line
    (``--config protocol={blocks: 3}``) arrives as text. What can't be read so stays as it is."""
    for option in part.get("oneOf", ()):
        read = typed(value, option)
        if read != value:
            return read
    if isinstance(value, dict):
        properties, others = part.get("properties", {}), part.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {key: typed(item, properties.get(key, others)) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item, part.get("items", {})) for item in value]
    if isinstance(value, str) and part.get("type") in READERS:
        with suppress(ValueError, KeyError):
            return READERS[part["type"]](value)
    return value


def with_defaults(value: Any, part: dict[str, Any]) -> Any:
    """A copy of a value with the schema's defaults filled in, at every depth."""
    if not isinstance(value, dict):
        return value
    properties = part.get("properties", {})
    out = {key: with_defaults(item, properties.get(key, {})) for key, item in value.items()}
    for key, sub in properties.items():
        if key not in out and "default" in sub:
            out[key] = with_defaults(sub["default"], sub)
    return out
