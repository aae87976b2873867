"""Make a report of old results, or of a table of counts."""

from __future__ import annotations

import argparse
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from patchbench.errors import BadInput

if TYPE_CHECKING:
    from patchbench.importing.tables import Imported
    from patchbench.report.about import About

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NAMED = 12  # a note names up to so many runs
COUNTS_NOTES = (
    "Imported from a table of counts: it says how patches ended, and nothing of it can be checked "
    "against a log.",
    "A patch that the table does not name by its commit stands in all counts, and in no comparison "
    "of agents on common commits.",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="*",
        help="a table of counts (CSV: agent, commit, status, cause, type); or folders of result "
        "files, each named after its agent",
    )
    parser.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help="result files of one agent: a folder, a file, or a pattern in quotes",
    )
    parser.add_argument("--mapping", type=Path, help="task list that the results belong to")
    parser.add_argument("--name", default="imported", help="name of the campaign")
    parser.add_argument("--subject", default="", help="engine that was patched")
    parser.add_argument("--date", type=_date, help="YYYY-MM-DD (default: today)")
    parser.add_argument("--out", type=Path, help="results folder to write (default: results/NAME)")


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: not a date like 2026-01-15") from error


def run(args: argparse.Namespace) -> None:
    """Make the report of old results: of ISO-Bench's result folders, or of a table of counts.

    Results are read again from their raw output. Nothing imported was repeated or paired, so the
    report shows rates with their intervals, causes and coverage, and no speedup verdicts."""
    from patchbench.importing import tables
    from patchbench.report.about import About

    if not NAME.fullmatch(args.name):
        raise BadInput(f"--name {args.name}: letters, digits, and . _ - between them")
    out = args.out or Path("results") / args.name
    counts = [source for source in args.sources if source.endswith(".csv")]
    if counts and (len(args.sources) > 1 or args.agent):
        raise BadInput(
            "a table of counts is imported by itself | next: give one CSV and no --agent"
        )
    if not args.sources and not args.agent:
        raise BadInput("nothing to import | next: give a CSV, folders, or --agent NAME=FOLDER")
    imported, origins = _counts(counts[0]) if counts else _folders(args, out)
    about = About(
        name=args.name,
        kind="counts" if counts else "single-shot",
        agents=imported.agents,
        subjects=(args.subject,) if args.subject else (),
        results=str(out),
        date=args.date or "",
        origins=origins,
        notes=COUNTS_NOTES if counts else notes(imported),
    )
    tables.write(imported, out / "tables")
    print(_render(about, out))


def _counts(table: str) -> tuple[Imported, dict[str, str]]:
    from patchbench.importing import counts

    imported = counts.read(Path(table))
    return imported, dict.fromkeys(imported.agents, table)


def _folders(args: argparse.Namespace, out: Path) -> tuple[Imported, dict[str, str]]:
    from patchbench.importing import folders
    from patchbench.importing.tables import arm_name

    sources = [folders.Source(Path(place).name, place) for place in args.sources]
    for word in args.agent:
        title, _, place = word.partition("=")
        if not (title and place):
            raise BadInput(f"--agent {word}: NAME=FOLDER, such as --agent codex=results/codex")
        sources.append(folders.Source(title, place))
    imported = folders.read(sources, args.mapping, out)
    return imported, {arm_name(source.title): source.place for source in sources}


def notes(imported: Imported) -> tuple[str, ...]:
    """Return the notes of the report on the origin of its numbers."""
    formats = [ending.format for ending in imported.endings]
    lines = [
        f"Imported from {imported.files} result files. {formats.count('text')} runs were read "
        f"again from their raw output; of {formats.count('recorded')} it holds no result, and "
        "their recorded values are shown.",
        "No launch was repeated or paired with its baseline: what a launch shows is charged to no "
        "agent, only what the patch shows by itself.",
    ]
    corrected = [ending for ending in imported.endings if ending.corrected]
    for ok, text in (
        (False, "recorded as errors hold a result"),
        (True, "recorded as successes are no measurement of the patch"),
    ):
        runs = [f"{e.commit[:8]} {e.arm}" for e in corrected if e.recorded_ok is ok]
        more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
        if runs:
            lines.append(f"{len(runs)} runs {text}: {', '.join(runs[:NAMED])}{more}.")
    return tuple(lines)


def _render(about: About, out: Path) -> str:
    from patchbench.cli import report
    from patchbench.report import render

    written = render.write(about, out / "tables", out / "report.md", out / render.FIGURES)
    return "\n".join(report.summary(written, out / "report.md"))
