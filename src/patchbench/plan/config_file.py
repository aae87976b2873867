"""Read the files that a person writes into structs, with one line per mistake: file, key, value,
wanted type."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from patchbench.errors import BadInput

T = TypeVar("T")
Keys = tuple[str, ...]

NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    tuple: "a list",
    dict: "a mapping",
    type(None): "null",
}
MOST_SHOWN = 60  # characters of a value
BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


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


def read(value: Any, kind: type[T], origin: str) -> T:
    """Return a value as the type ``kind``, with defaults filled in. Texts are read as the numbers
    and truth values that the type wants, for what stands in braces on Snakemake's command line
    (``--config 'protocol={blocks: 3}'``) arrives as text.

    Raises BadInput that names the origin, the key, the value and what is wanted there.
    """
    if _fits(value, kind):
        return msgspec.convert(value, kind, strict=False)
    path, text = mistake(value, kind)
    raise BadInput(f"{origin}: {'.'.join(path) or 'top level'}{_of_commit(value, path)}: {text}")


def _of_commit(value: Any, path: Keys) -> str:
    """Return the commit of the entry of a list that a key stands in, in brackets: people know
    entries by it, not by their numbers."""
    commit = None
    for key in path:
        value = value[int(key)] if isinstance(value, list | tuple) else value.get(key)
        if not isinstance(value, list | tuple | Mapping):
            break
        if isinstance(value, Mapping):
            commit = value.get("commit", commit)
    return f" (commit {str(commit)[:8]})" if commit else ""


def mistake(value: Any, kind: Any, path: Keys = ()) -> tuple[Keys, str]:
    """Return the first mistake in a value that doesn't fit: its key and a sentence, as deep as the
    value's shape leads."""
    known = options(kind)
    for option in known:
        for part, wanted_part, at in _parts(value, option, path):
            if not _fits(part, wanted_part):
                return mistake(part, wanted_part, at)
    if isinstance(value, Mapping):
        for text in (text for option in known for text in _wrong_keys(value, option)):
            return path, text
    return path, f"{_shown(value)}; wanted: {wanted(kind)}"


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def bare(kind: Any) -> tuple[Any, tuple[msgspec.Meta, ...]]:
    """Return a type without its annotations, and the annotations."""
    if get_origin(kind) is Annotated:
        base, *metas = get_args(kind)
        return base, tuple(metas)
    return kind, ()


def options(kind: Any) -> list[Any]:
    """Return the types of a union, or the type itself, without annotations."""
    base, _ = bare(kind)
    if get_origin(base) in (Union, types.UnionType):
        return [inner for option in get_args(base) for inner in options(option)]
    return [base]


def _parts(value: Any, kind: Any, path: Keys) -> Iterator[tuple[Any, Any, Keys]]:
    """Return the parts of a value, each with its key and the type that it must have."""
    origin, given = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list | tuple):
        yield from ((item, given[0], (*path, str(at))) for at, item in enumerate(value))
    elif origin is dict and isinstance(value, Mapping):
        known = get_args(given[0]) if get_origin(given[0]) is Literal else None
        for key, item in value.items():
            if known is None:
                yield key, given[0], path
            if known is None or key in known:
                yield item, given[1], (*path, str(key))
    elif isinstance(value, Mapping) and _is_struct(kind):
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            if (key := field.encode_name) in value:
                yield value[key], hints[field.name], (*path, key)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _wrong_keys(value: Mapping[Any, Any], kind: Any) -> Iterator[str]:
    """Return sentences on keys that are unknown or missing."""
    known, required = [], []
    if get_origin(kind) is dict and get_origin(keys := get_args(kind)[0]) is Literal:
        known = list(get_args(keys))
    elif _is_struct(kind):
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        required = [f.encode_name for f in msgspec.structs.fields(kind) if f.required]
    else:
        return
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
            )
            yield f"unknown key {str(key)!r}; {hint}"
    yield from (f"key {key!r} is missing" for key in required if key not in value)


def wanted(kind: Any) -> str:
    """Return a type in words, with its limits."""
    base, metas = bare(kind)
    for meta in metas:
        if meta.title:
            return meta.title
    origin, given = get_origin(base), get_args(base)
    if origin is Literal:
        words = f"one of {', '.join(map(str, given))}"
    elif origin in (Union, types.UnionType):
        words = ", or ".join(wanted(option) for option in given)
    else:
        words = NAMES.get(origin or base, NAMES[dict])
    if any(meta.min_length for meta in metas):
        words += " that is not empty"
    bounds = [
        f"{word} {limit:g}"
        for meta in metas
        for name, word in BOUNDS.items()
        if (limit := getattr(meta, name)) is not None
    ]
    return words + (f", {' and '.join(bounds)}" if bounds else "")


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
