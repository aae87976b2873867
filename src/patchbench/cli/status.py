"""Show the progress of a campaign."""

from __future__ import annotations

import argparse
from pathlib import Path

from patchbench.cli import config_option


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    config_option.add(parser)
    parser.add_argument(
        "--lines", type=int, default=5, help="number of last events to show (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Show the launches done, the time left and the last events of a campaign."""
    from patchbench.ledger import progress

    campaign = config_option.load_campaign(args.configfile)
    results = Path(campaign.results)
    done = progress.count(results, campaign.protocol)
    whole = campaign.launches + done.more
    left = progress.left(done, whole)
    if done.runs >= whole:
        rest = "all done"
    elif left:
        rest = f"about {progress.duration(left)} of launches left"
    else:
        rest = "not begun"
    bar = progress.bar(done.runs, whole)
    print(f"{campaign.name}: [{bar}] {done.runs} of {whole} launches, {rest}")
    log = results / "progress.log"
    if log.is_file():
        print("\n".join(log.read_text(encoding="utf-8").splitlines()[-args.lines :]))
