"""Subjects: engines under test, read from ``config/subjects/NAME.yaml`` and checked."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec

from patchbench.errors import BadInput
from patchbench.plan import config_file
from patchbench.plan.configuration import Config
from patchbench.subject import Source, Subject, SubjectFile
from patchbench.system.command_words import placeholders

# Placeholders of a subject's commands, by key of its file.
PLACEHOLDERS = {
    "source.prepare": {"python", "repo"},
    "smoke": {"python"},
    "server.command": {"python", "host", "port", "model", "model_name", "seed", "server_args"},
    "clients": {
        "python", "host", "port", "model", "model_name", "seed", "client_args", "result",
        "result_dir", "result_name", "check_args",
    },
}  # fmt: skip


def check_placeholders(file: SubjectFile, path: str) -> None:
    """Raise BadInput for an unknown placeholder, before anything is built."""
    commands = {
        "source.prepare": file.source.prepare,
        "smoke": file.smoke,
        "server.command": file.server.command,
        **{f"clients.{type_}.command": c.command for type_, c in file.clients.items()},
    }
    for key, words in commands.items():
        known = PLACEHOLDERS["clients" if key.startswith("clients.") else key]
        unknown = sorted(placeholders(words) - known)
        if unknown:
            raise BadInput(
                f"{path}: {key}: unknown placeholder {{{unknown[0]}}}; known: "
                f"{', '.join(sorted(known))}"
            )


def subject(config: Config, name: str, origin: str) -> Subject:
    """Return a subject's data by name, with {work} filled in. Raises BadInput."""
    path = Path(config.subjects) / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise BadInput(f"{origin}: subject: unknown subject {name!r} (no {path}); known: {known}")
    found = _subject(str(path), name, config.work)
    if name not in config.repositories:
        return found
    repo = git_folder(Path(config.repositories[name]).expanduser())
    if repo is None:
        where = f"{origin}: repositories.{name}"
        raise BadInput(f"{where}: no git repository at {config.repositories[name]}")
    return msgspec.structs.replace(found, source=Source(repo=str(repo)))


def git_folder(path: Path) -> Path | None:
    """Return the folder of git's own files of a repository, bare or with a work tree, or None."""
    for folder in (path, path / ".git"):
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return folder
    return None


@functools.cache
def _subject(path: str, name: str, work: str) -> Subject:
    loaded = _fill(config_file.read_yaml(Path(path)), work)
    file = config_file.read(loaded, SubjectFile, path)
    check_placeholders(file, path)
    return Subject(name=name, **{key: getattr(file, key) for key in file.__struct_fields__})


def _fill(value: Any, work: str) -> Any:
    """Return the value with {work} replaced in every string; other placeholders are filled when a
    command is run."""
    if isinstance(value, str):
        return value.replace("{work}", work)
    if isinstance(value, dict):
        return {key: _fill(item, work) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, work) for item in value]
    return value
