"""Read the campaign that the `--config` option of a command names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from patchbench.errors import BadInput

if TYPE_CHECKING:
    from patchbench.plan.campaign import Campaign

DEFAULT = Path("config/config.yaml")


def add(parser: argparse._ActionsContainer) -> None:
    """Add ``--config`` to a parser or to one of its groups."""
    parser.add_argument(
        "--config",
        "--configfile",
        dest="configfile",
        type=Path,
        default=DEFAULT,
        metavar="FILE",
        help="configuration of the campaign (default: %(default)s)",
    )


def check(path: Path) -> None:
    """Raise BadInput, with the way to a configuration, if there is no such file."""
    if not path.exists():
        raise BadInput(
            f"{path}: no such file | next: name a configuration (--config FILE), or have one "
            "written: patchbench init NAME --tasks FILE --patches FOLDER"
        )


def load_campaign(path: Path) -> Campaign:
    """Return the campaign of a configuration file. Raises BadInput."""
    check(path)
    from patchbench.plan import campaign

    return campaign.load_file(path)
