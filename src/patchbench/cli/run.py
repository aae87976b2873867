"""Run a campaign: the workflow of this package, by Snakemake, in the working folder."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from patchbench.cli import config_option
from patchbench.errors import BadInput
from patchbench.system import source_folder

# Options of Snakemake's by which a person says where jobs run, and how many.
OF_PLACES = ("--cores", "-c", "--jobs", "-j", "--executor", "-e", "--profile")
# Options whose profile may be one of the workflow's own (profiles/slurm), in any folder.
PROFILES = ("--profile", "--workflow-profile")
FEWEST_CORES = 2  # a block takes one while the next image is built


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command; all others go to Snakemake."""
    config_option.add(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one key of the configuration for this run (Snakemake's --config)",
    )
    parser.epilog = (
        "All other words go to Snakemake: -n shows what would run, --cores N and --resources gpu=N "
        "say how much of the machine is used (default: all cores, one GPU slot), `report` renders "
        "the report alone. The same command goes on where an earlier one ended. Exit codes: 0 all "
        "done, 1 something is left (also after Ctrl-C) or the input can't be used."
    )


def run(args: argparse.Namespace) -> None:
    """Run a campaign, or go on with one: prints Snakemake's command and runs it.

    Works in any folder; results go where the configuration says."""
    words = command(args.configfile, args.set, args.rest, source_folder.own())
    print(f"patchbench: {shlex.join(['snakemake', *words])}", file=sys.stderr, flush=True)
    os.environ[source_folder.COMMAND] = shlex.join(["patchbench", *sys.argv[1:]])
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *words])


def command(
    config: Path, changes: Sequence[str], rest: Sequence[str], source: str, cores: int | None = None
) -> list[str]:
    """Return the words of Snakemake's command. ``rest`` are those of the person, which win.
    Raises BadInput."""
    config_option.check(config)
    if not source:
        raise BadInput(
            "the files of the workflow are not beside this package | next: install it by pip, from "
            "a clone or a wheel"
        )
    if importlib.util.find_spec("snakemake") is None:
        raise BadInput(
            f"{sys.executable} has no Snakemake | next: {sys.executable} -m pip install snakemake"
        )
    words = ["--snakefile", str(Path(source) / "Snakefile"), "--configfile", str(config)]
    if not _has(rest, "--workflow-profile"):
        words += ["--workflow-profile", str(Path(source) / "profiles/default")]
    if not _has(rest, *OF_PLACES):
        words += ["--cores", str(max(FEWEST_CORES, cores or os.cpu_count() or 1))]
    if not _has(rest, "--resources", "--res"):
        words += ["--resources", "gpu=1"]
    rest = [
        source_folder.find(word, source) if before in PROFILES else word
        for before, word in zip(["", *rest], rest, strict=False)
    ]
    # Before --config: that takes all words that follow it.
    return [*words, *rest, *(["--config", *changes] if changes else [])]


def _has(words: Sequence[str], *options: str) -> bool:
    """Return True if one of the options is among the words, also as --option=VALUE or -oVALUE."""
    return any(
        word == option
        or word.startswith(f"{option}=")
        or (len(option) == 2 and word.startswith(option) and not word.startswith("--"))
        for word in words
        for option in options
    )
