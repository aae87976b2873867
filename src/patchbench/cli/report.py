"""Render tables and report again from what is there, or compare two campaigns."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from patchbench.cli import config_option
from patchbench.errors import BadInput

if TYPE_CHECKING:
    from patchbench.plan.campaign import Campaign
    from patchbench.report.model import Report


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    source = parser.add_mutually_exclusive_group()
    config_option.add(source)
    source.add_argument(
        "--results",
        type=Path,
        help="render this results folder from its tables alone (an imported or a finished one)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="RESULTS",
        help="results folder of another campaign: the report adds what changed between the two, "
        "and which changes are within the noise",
    )


def run(args: argparse.Namespace) -> None:
    """Render tables and report again from the records that exist, complete or not.

    Writes report.md, report.html, report.json and figures/ into the results folder."""
    from patchbench.report import about, render

    if args.results:
        results, identity = args.results, about.read(args.results)
    else:
        campaign = config_option.load_campaign(args.configfile)
        results, identity = Path(campaign.results), about.of(campaign)
        _write_tables(campaign, results / "tables")
    out = results / "report.md"
    report = render.write(
        identity, results / "tables", out, results / render.FIGURES, other=args.against
    )
    print("\n".join(summary(report, out)))


def _write_tables(campaign: Campaign, folder: Path) -> None:
    """Write the tables of a campaign. Raises BadInput if its records contradict each other."""
    from patchbench.report.tables import collect

    try:
        tables = collect.tables(campaign)
    except collect.Inconsistent as error:
        raise BadInput(
            f"{campaign.results}: its records contradict each other, so nothing was written: "
            f"{error}"
        ) from error
    for name, table in tables.items():
        collect.write(table, folder / f"{name}.parquet")
    collect.record_looks(campaign, tables)


def summary(report: Report, out: Path) -> list[str]:
    """Return the lines that the command prints: paths, what is pending, and the comparison."""
    lines = [f"{out} and {out.with_suffix('.html')}"]
    if report.counts.pending:
        counts = report.counts
        lines.append(f"PARTIAL: {counts.pending} of {counts.outcomes} outcomes pending")
    if report.compared_with is not None:
        kinds = [change.conclusion for change in report.compared_with.changes]
        changes = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        lines.append(
            f"against {report.compared_with.name}: {report.compared_with.common} outcomes in both, "
            f"{changes or 'nothing differs'}"
        )
    return lines
