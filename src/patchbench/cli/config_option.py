"""Read the campaign that the `--config` option of a command names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patchbench.plan.campaign import Campaign

DEFAULT = Path("config/config.yaml")


def add(parser: argparse._ActionsContainer) -> None:
    """Add ``--config`` to a parser or to one of its groups."""
    parser.add_argument(
        "--config",
        dest="configfile",
        type=Path,
        default=DEFAULT,
        help="configuration of the campaign (default: %(default)s)",
    )


def load_campaign(path: Path) -> Campaign:
    """Return the campaign of a configuration file. Raises BadInput."""
    from patchbench.plan import campaign

    return campaign.load_file(path)
