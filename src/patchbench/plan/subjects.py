"""Subjects: engines under test, read from ``config/subjects/NAME.yaml`` and checked."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec

from patchbench.errors import BadInput
from patchbench.plan import config_schema
from patchbench.subject import Subject
from patchbench.system.command_words import placeholders

# What a subject's commands may be filled with, by key of its file.
PLACEHOLDERS = {
    "source.prepare": {"python", "repo"},
    "smoke": {"python"},
    "server.command": {"python", "host", "port", "model", "model_name", "seed", "server_args"},
    "clients": {
        "python", "host", "port", "model", "model_name", "seed", "client_args", "result",
        "result_dir", "result_name", "check_args",
    },
}  # fmt: skip


def check_placeholders(found: Subject, path: str) -> None:
    """Raise BadInput for a placeholder that nobody fills, before anything is built."""
    commands = {
        "source.prepare": found.source.prepare,
        "smoke": found.smoke,
        "server.command": found.server.command,
        **{f"clients.{type_}.command": c.command for type_, c in found.clients.items()},
    }
    for key, words in commands.items():
        known = PLACEHOLDERS["clients" if key.startswith("clients.") else key]
        unknown = sorted(placeholders(words) - known)
        if unknown:
            raise BadInput(
                f"{path}: {key}: unknown placeholder {{{unknown[0]}}}; known: "
                f"{', '.join(sorted(known))}"
            )


def check_preloads(found: Subject, path: str) -> None:
    """Raise BadInput for modules to be imported ahead by a client that can't be held."""
    for type_, client in found.clients.items():
        if client.preload and not (type_ == "serving" and client.command[1:2] == ("-m",)):
            raise BadInput(
                f"{path}: clients.{type_}.preload: only a serving client whose command is "
                '["{python}", -m, MODULE, ...] can import ahead'
            )


def subject(config: dict[str, Any], name: str, origin: str) -> Subject:
    """A subject's data by name, with {work} filled in. Raises BadInput."""
    path = Path(config["subjects"]) / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise BadInput(f"{origin}: subject: unknown subject {name!r} (no {path}); known: {known}")
    return _subject(str(path), name, config["work"])


@functools.cache
def _subject(path: str, name: str, work: str) -> Subject:
    loaded = config_schema.read_yaml(Path(path))
    config_schema.check(loaded, "subject", path)
    found = msgspec.convert(_fill(loaded, work) | {"name": name}, Subject, strict=False)
    check_placeholders(found, path)
    check_preloads(found, path)
    return found


def _fill(value: Any, work: str) -> Any:
    """Replace {work} in every string; other placeholders are filled when a command is run."""
    if isinstance(value, str):
        return value.replace("{work}", work)
    if isinstance(value, dict):
        return {key: _fill(item, work) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, work) for item in value]
    return value
