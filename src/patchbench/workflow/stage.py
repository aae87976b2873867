"""What every stage's script has in common: exit codes, one-line errors, reading the campaign."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from patchbench.errors import EXIT_BAD_INPUT, EXIT_INFRA, BadInput, InfraFault, Stopped
from patchbench.failures.causes import CAUSES
from patchbench.records import Outcome
from patchbench.system.files import disk_faults

if TYPE_CHECKING:
    from patchbench.plan.campaign import Campaign

R = TypeVar("R", bound=Outcome)

EXIT_STOPPED = 130


def run(main: Callable[[], None]) -> None:
    """Run a script's body and end the process with the exit code that its end deserves."""
    try:
        with disk_faults():
            main()
    except BadInput as error:
        _end(str(error), EXIT_BAD_INPUT)
    except InfraFault as error:
        _end(str(error), EXIT_INFRA)
    except Stopped as error:
        _end(
            f"{error} | what had finished is kept | next: run the same command again", EXIT_STOPPED
        )


def _end(text: str, code: int) -> None:
    print(f"patchbench: {' '.join(text.split())}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def signed(record: R) -> R:
    """An outcome with what a person needs to go on: the command that finds it again, and for a
    failure what can be done. One that was passed on keeps what its own stage said."""
    if record.command:
        return record
    advice = CAUSES[record.cause].advice if record.cause else ""
    words = ["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]
    return msgspec.structs.replace(record, advice=advice, command=shlex.join(words))


def json_argument(text: str) -> Any:
    """A JSON value given on the command line, or in a file named after an @."""
    try:
        return json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error


def add_campaign(parser: argparse.ArgumentParser) -> None:
    """The options by which a script is told the campaign."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--configfile", type=Path, help="configuration file of the campaign")
    given.add_argument("--config-json", type=json_argument, help="the same as JSON, or @FILE")


def load_campaign(args: argparse.Namespace) -> Campaign:
    """The campaign that the options name. Raises BadInput."""
    from patchbench.plan import campaign, config_file

    if args.configfile:
        return campaign.load(config_file.read_yaml(args.configfile), str(args.configfile))
    return campaign.load(args.config_json)
