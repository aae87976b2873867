"""Options and records that all stages have in common."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from patchbench.failures.causes import CAUSES
from patchbench.records import Outcome

if TYPE_CHECKING:
    from patchbench.plan.campaign import Campaign

R = TypeVar("R", bound=Outcome)

STAGES = "patchbench.workflow.stages"


def interpreter_first() -> str:
    """Return a prefix of shell commands that makes ``python`` the interpreter of this process, so
    that a venv need not be activated; but in an environment that Snakemake made for the job
    (``--sdm conda``) that one's. Settings of Python's in the environment that could change what a
    job does are undone. Braces are doubled, as Snakemake wants them."""
    here, conda = str(Path(sys.executable).parent), os.environ.get("CONDA_PREFIX", "")
    command = (
        f'if [ "${{CONDA_PREFIX-}}" = {shlex.quote(conda)} ]; then '
        f"export PATH={shlex.quote(here)}:$PATH; fi; "
        "unset PYTHONWARNINGS PYTHONOPTIMIZE PYTHONINSPECT; "
        "export PYTHONUTF8=1 PYTHONSAFEPATH=1; "
    )
    return command.replace("{", "{{").replace("}", "}}")


def signed(record: R) -> R:
    """An outcome with what a person needs to go on: the command that finds it again, and for a
    failure what can be done. One that was passed on keeps what its own stage said."""
    if record.command:
        return record
    advice = CAUSES[record.cause].advice if record.cause else ""
    words = ["python", "-m", f"{STAGES}.{Path(sys.argv[0]).stem}", *sys.argv[1:]]
    return msgspec.structs.replace(record, advice=advice, command=shlex.join(words))


def json_argument(text: str) -> Any:
    """A JSON value given on the command line, or in a file named after an @."""
    try:
        return json.loads(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error


def add_campaign(parser: argparse.ArgumentParser) -> None:
    """The options by which a script is told the campaign."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--configfile", type=Path, help="configuration file of the campaign")
    given.add_argument("--config-json", type=json_argument, help="the same as JSON, or @FILE")


def load_campaign(args: argparse.Namespace) -> Campaign:
    """The campaign that the options name. Raises BadInput."""
    from patchbench.plan import campaign

    if args.configfile:
        return campaign.load_file(args.configfile)
    return campaign.load(args.config_json)
