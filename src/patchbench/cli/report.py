"""`patchbench report`: tables and report again from what is there, and campaigns compared."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from patchbench.errors import BadInput
from patchbench.workflow import stage

if TYPE_CHECKING:
    from patchbench.report.model import Report


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--config",
        dest="configfile",
        type=Path,
        default=Path("config/config.yaml"),
        help="configuration of the campaign (default: %(default)s)",
    )
    source.add_argument(
        "--results",
        type=Path,
        help="render this results folder from its tables alone (an imported or a finished one)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="RESULTS",
        help="another campaign's results folder: the report also says what changed, and whether "
        "that is noise",
    )
    parser.set_defaults(config_json=None)


def report(args: argparse.Namespace) -> None:
    """Make tables and report again from what is there, partial or not.

    Writes report.md, report.html, report.json, figures/ and csv/ into the results folder."""
    from patchbench.report import about, render
    from patchbench.report.tables import collect

    if args.results:
        results, found = args.results, about.read(args.results)
    else:
        campaign = stage.load_campaign(args)
        results, found = Path(campaign.results), about.of(campaign)
        try:
            made_tables = collect.tables(campaign)
        except collect.Inconsistent as error:
            raise BadInput(
                f"{results}: its records contradict each other, so nothing was written: {error}"
            ) from error
        for name, table in made_tables.items():
            collect.write(table, results / "tables" / f"{name}.parquet")
    out = results / "report.md"
    made = render.write(
        found, results / "tables", out, results / render.FIGURES, other=args.against
    )
    print("\n".join(lines(made, out)))


def lines(made: Report, out: Path) -> list[str]:
    """What to tell a person who waits for it."""
    said = [f"{out} and {out.with_suffix('.html')}"]
    if made.counts.pending:
        said.append(f"PARTIAL: {made.counts.pending} of {made.counts.outcomes} outcomes pending")
    if made.against is not None:
        kinds = [change.judgement for change in made.against.changes]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        said.append(
            f"against {made.against.name}: {made.against.common} outcomes in both, "
            f"{counted or 'nothing differs'}"
        )
    return said
