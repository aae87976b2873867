"""Image recipes: how a subject's container images are made, read from ``envs/images/NAME``."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import msgspec

from patchbench.errors import BadInput
from patchbench.plan import config_file
from patchbench.plan.configuration import Config
from patchbench.subject import Recipe, RecipeFile
from patchbench.system.command_words import placeholders

FILE = "recipe.yaml"
# Placeholders of a recipe's commands.
PLACEHOLDERS = {"python", "root"}


def recipe(config: Config, subject: str, origin: str, limits: dict[str, Any]) -> Recipe:
    """Return a subject's recipe with the campaign's prebuilt images and ``limits`` (keys of the
    sandbox) filled in.

    Raises BadInput that names the file and the key.
    """
    folder = Path(config.recipes) / subject
    if not (folder / FILE).is_file():
        known = ", ".join(sorted(p.parent.name for p in folder.parent.glob(f"*/{FILE}"))) or "none"
        raise BadInput(
            f"{origin}: runtime: {config.runtime}: no image recipe {folder / FILE} for subject "
            f"{subject!r}; there are: {known}"
        )
    file = _read(str(folder))
    return msgspec.structs.replace(
        file,
        sandbox=msgspec.structs.replace(file.sandbox, **limits),
        prebuilt=config.images.get(subject),
    )


@functools.cache
def _read(name: str) -> Recipe:
    folder = Path(name)
    path = folder / FILE
    parsed = config_file.read(config_file.read_yaml(path), RecipeFile, str(path))
    base = parsed.base
    if bool(base.script) == bool(base.image):
        raise BadInput(f"{path}: base: give one of script and image")
    for key, file in (("base.script", base.script), ("dockerfile", parsed.dockerfile)):
        if file and not (folder / file).is_file():
            raise BadInput(f"{path}: {key}: no file {folder / file}")
    for key, words in {"rebuild": parsed.rebuild, **{f.name: f.run for f in parsed.fixes}}.items():
        if unknown := sorted(placeholders(words) - PLACEHOLDERS):
            raise BadInput(f"{path}: {key}: unknown placeholder {{{unknown[0]}}}")
    fields = {key: getattr(parsed, key) for key in parsed.__struct_fields__}
    return Recipe(folder=name, digest=content(folder), **fields)


def content(folder: Path) -> str:
    """Return the first 16 characters of the sha256 of names and contents of a recipe's files."""
    sha256 = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        sha256.update(f"{path.relative_to(folder)}\0{len(data)}\0".encode() + data)
    return sha256.hexdigest()[:16]
