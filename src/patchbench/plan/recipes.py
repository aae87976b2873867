"""Image recipes: how a subject's container images are made, read from ``envs/images/NAME``."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import msgspec

from patchbench.config import Sandbox
from patchbench.errors import BadInput
from patchbench.plan import config_schema
from patchbench.subject import Prebuilt, Recipe
from patchbench.system.command_words import placeholders

FILE = "recipe.yaml"
# What a recipe's commands may be filled with.
PLACEHOLDERS = {"python", "root"}


def recipe(config: dict[str, Any], subject: str, origin: str) -> Recipe:
    """A subject's recipe, with what the campaign says of prebuilt images and limits filled in.

    Raises BadInput that names the file and the key.
    """
    folder = Path(config["recipes"]) / subject
    if not (folder / FILE).is_file():
        known = ", ".join(sorted(p.parent.name for p in folder.parent.glob(f"*/{FILE}"))) or "none"
        raise BadInput(
            f"{origin}: runtime: {config.get('runtime', 'docker')}: no image recipe "
            f"{folder / FILE} for subject {subject!r}; there are: {known}"
        )
    found = _read(str(folder))
    sandbox = msgspec.to_builtins(found.sandbox) | config["containers"].get("sandbox", {})
    images = config["images"].get(subject)
    return msgspec.structs.replace(
        found,
        sandbox=msgspec.convert(sandbox, Sandbox, strict=False),
        prebuilt=msgspec.convert(images, Prebuilt) if images else None,
    )


@functools.cache
def _read(name: str) -> Recipe:
    folder = Path(name)
    path = folder / FILE
    loaded = config_schema.read_yaml(path)
    config_schema.check(loaded, "recipe", str(path))
    base = loaded["base"]
    if ("script" in base) == ("image" in base):
        raise BadInput(f"{path}: base: give one of script and image")
    if "script" in base and not (folder / base["script"]).is_file():
        raise BadInput(f"{path}: base.script: no file {folder / base['script']}")
    found = msgspec.convert(loaded | {"folder": name, "digest": content(folder)}, Recipe)
    if not (folder / found.dockerfile).is_file():
        raise BadInput(f"{path}: dockerfile: no file {folder / found.dockerfile}")
    for key, words in {"rebuild": found.rebuild, **{f.name: f.run for f in found.fixes}}.items():
        if unknown := sorted(placeholders(words) - PLACEHOLDERS):
            raise BadInput(f"{path}: {key}: unknown placeholder {{{unknown[0]}}}")
    return found


def content(folder: Path) -> str:
    """sha256 over names and contents of a recipe's files, first 16 characters."""
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        found.update(f"{path.relative_to(folder)}\0{len(data)}\0".encode() + data)
    return found.hexdigest()[:16]
