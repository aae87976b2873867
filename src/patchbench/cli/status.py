"""Show the state of a campaign: outcomes, what runs now, and what comes next."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from patchbench.cli import config_option

if TYPE_CHECKING:
    from patchbench.ledger.standing import Plan, Standing


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    config_option.add(parser)
    parser.add_argument(
        "--lines", type=int, default=5, help="number of last events to show (default: %(default)s)"
    )
    parser.epilog = "Exit codes: 0, also while it runs or if it was interrupted; 2 for bad input."


def run(args: argparse.Namespace) -> None:
    """Show how far a campaign is: outcomes by agent, the launches that go on, faults of the
    machine, the last events, and the next command. It may run meanwhile."""
    from rich.console import Console

    from patchbench.ledger import display
    from patchbench.ledger.standing import standing
    from patchbench.plan.overview import overview

    plan = overview(config_option.load_campaign(args.configfile))
    console = Console(highlight=False, no_color=not sys.stdout.isatty())
    for line in page(plan, standing(plan), str(args.configfile), args.lines):
        console.print(display.styled(line), soft_wrap=True)


def page(plan: Plan, now: Standing, config: str, events: int) -> Iterator[str]:
    """Yield the lines that the command prints, each within 80 columns."""
    from patchbench.ledger import progress, standing_lines
    from patchbench.ledger.standing_lines import cropped

    launches = now.launches
    left = f", {launches.words}" if now.phase == "running" else ""
    count = f"{launches.done} of {launches.whole} launches{left}"
    yield cropped(f"{plan.name}: {standing_lines.phase(now)}")
    yield cropped(f"{count}; results in {plan.results}")
    yield from standing_lines.table(plan, now)
    yield from standing_lines.running(plan, now)
    yield from standing_lines.machine(now)
    log = plan.results / progress.LOG
    if events > 0 and log.is_file():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (cropped(f"  {progress.without_title(line)}") for line in lines[-events:])
    yield f"next: {next_step(plan, now, config)}"


def next_step(plan: Plan, now: Standing, config: str) -> str:
    """Return the command, or the file, that a person wants next."""
    match now.phase:
        case "running":
            return f"tail -f {plan.results}/progress.log; Ctrl-C in its terminal ends it"
        case "done":
            return f"open {plan.results}/report.html"
        case "unrendered":
            return f"patchbench report --config {config}"
        case "not begun":
            return f"patchbench run --config {config} (before it: patchbench doctor)"
    return f"patchbench run --config {config} (goes on where it ended)"
