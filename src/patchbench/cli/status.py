"""Show the progress of a campaign."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from patchbench.cli import config_option

WIDTH = 120  # of lines that go to a pipe or a file


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    config_option.add(parser)
    parser.add_argument(
        "--lines", type=int, default=5, help="number of last events to show (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Show the launches done, the time left and the last events of a campaign."""
    from rich.console import Console
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from patchbench.ledger import display, progress

    campaign = config_option.load_campaign(args.configfile)
    results = Path(campaign.results)
    now = progress.state(results, campaign.launches, campaign.protocol)
    line = Table.grid(padding=(0, 1))
    line.add_row(
        f"{campaign.name}:",
        ProgressBar(total=max(1, now.whole), completed=now.done, width=20),
        f"{now.done} of {now.whole} launches, {now.words}",
    )
    # Of a pipe COLUMNS says nothing.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(line)
    log = results / progress.LOG
    if log.is_file():
        for text in log.read_text(encoding="utf-8", errors="replace").splitlines()[-args.lines :]:
            console.print(display.styled(text), soft_wrap=True)
