"""The program that starts containers, and a clear word where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from patchbench.errors import BadInput
from patchbench.records import Recipe

# Apptainer's former name is still what some clusters install.
NAMES = ("apptainer", "singularity")
# Puts a process and those beside it into a network of their own (util-linux).
NETWORK_TOOLS = ("unshare", "nsenter")


def find(which: Callable[[str], str | None] = shutil.which) -> str:
    """Path of the program. Raises BadInput if this machine can't run containers with it."""
    found = next(filter(None, map(which, NAMES)), None)
    if found is None:
        raise BadInput(
            f"runtime: apptainer: neither {' nor '.join(NAMES)} is on the path of this machine | "
            "next: load it (module load apptainer) before snakemake, or give runtime: docker, or "
            "process for trusted patches"
        )
    if missing := [tool for tool in NETWORK_TOOLS if which(tool) is None]:
        raise BadInput(
            f"runtime: apptainer: no {missing[0]} on the path, which keeps arms off the network | "
            "next: install util-linux"
        )
    return found


def refuse(recipe: Recipe, subject: str) -> None:
    """Raise BadInput for what this runtime can't do: it binds trees over a base and builds none."""
    asked = {
        "fixes": bool(recipe.fixes),
        "rebuild": bool(recipe.rebuild),
        "a prebuilt image": recipe.prebuilt is not None,
    }
    if wanted := [name for name, given in asked.items() if given]:
        raise BadInput(
            f"runtime: apptainer: the recipe of {subject} wants {' and '.join(wanted)}, which need "
            "an engine that builds images | next: runtime: docker, or a recipe whose base has all "
            "that is needed"
        )
