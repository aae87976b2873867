"""Reference of the files that people write: JSON schemas, and the tables of config/README.md.

``python -m patchbench.plan.reference`` writes the tables anew (``make reference``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from patchbench.config import Section
from patchbench.plan.config_file import bare, options
from patchbench.plan.configuration import Config, ListedTask, TaskList
from patchbench.subject import RecipeFile, SubjectFile

README = Path("config/README.md")
FILES: dict[str, type[Section]] = {
    "config": Config,
    "subject": SubjectFile,
    "recipe": RecipeFile,
    "tasks": TaskList,
}
TABLES = FILES | {"tasks": ListedTask}
MARKED = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end of keys -->)", re.DOTALL)


def json_schema(kind: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a struct."""
    schema: dict[str, Any] = _unwrapped(msgspec.json.schema(kind))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **schema,
    }


def _unwrapped(schema: Any) -> Any:
    """Return a schema with each description in one line: the indentation of docstrings depends on
    Python's version."""
    if isinstance(schema, list | tuple):
        return [_unwrapped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else value
        for key, value in ((key, _unwrapped(value)) for key, value in schema.items())
    }


def table(kind: type[Section]) -> str:
    """Return the keys of a file as a Markdown table, nested ones with dots between."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    lines += [f"| `{key}` | {default} | {text} |" for key, default, text in rows(kind)]
    return "\n".join(lines) + "\n"


def rows(
    kind: type[Section], prefix: str = "", default: str | None = None
) -> Iterator[tuple[str, str, str]]:
    """Yield key, default and meaning of every key; ``default`` replaces the defaults of a section
    that come from elsewhere."""
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        base, metas = bare(hints[field.name])
        text = next((meta.description for meta in metas if meta.description), "")
        extra: dict[str, str] = {k: v for meta in metas for k, v in (meta.extra or {}).items()}
        shown, key = default or extra.get("default"), prefix + field.encode_name
        inner = _sections(base)
        if inner and {*options(base)} <= {*inner, type(None)}:
            yield from rows(inner[0], f"{key}.", shown)
        elif inner and get_origin(base) is dict:
            yield from rows(inner[0], f"{key}.{extra['key']}.", shown)
        else:
            yield key, shown or _default(field), " ".join([text, *map(_braces, inner)])


def _braces(kind: type[Section]) -> str:
    names = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
    return f"(`{{{names}}}`)"


def _sections(kind: Any) -> list[type[Section]]:
    """Return the sections that a value of a type may hold: itself, in a list, or as values of a
    mapping."""
    out: list[type[Section]] = []
    for option in options(kind):
        if get_origin(option) in (tuple, dict):
            out += _sections([part for part in get_args(option) if part is not ...][-1])
        elif isinstance(option, type) and issubclass(option, Section):
            out.append(option)
    return out


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default
    if field.required:
        return "required"
    if value is msgspec.NODEFAULT:  # an empty mapping
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"{value:g}" if value < 1e6 else str(value)
    return f"`{value}`" if value else "none"


def with_tables(text: str) -> str:
    """Return a Markdown text with new tables between its markers."""
    return MARKED.sub(lambda match: f"{match[1]}{table(TABLES[match[2]])}{match[3]}", text)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
