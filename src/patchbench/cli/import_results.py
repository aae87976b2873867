"""`patchbench import`: the report of old results, or of a table of counts."""

from __future__ import annotations

import argparse
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from patchbench.errors import BadInput

if TYPE_CHECKING:
    from patchbench.importing.folders import Imported
    from patchbench.report.about import About

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# Commits that a note names; of more their number is told.
NAMED = 12


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="*",
        help="a table of counts (CSV: agent, commit, status, cause, type); or folders of result "
        "files, each the agent that the folder is named after",
    )
    parser.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help="one agent's result files: a folder, a file, or a pattern in quotes",
    )
    parser.add_argument("--mapping", type=Path, help="the task list that the results belong to")
    parser.add_argument("--name", default="imported", help="the campaign's name")
    parser.add_argument("--subject", default="", help="the engine that was patched")
    parser.add_argument("--date", type=_day, help="YYYY-MM-DD (default: today)")
    parser.add_argument("--out", type=Path, help="results folder to make (default: results/NAME)")


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: no day like 2026-01-15") from error


def run(args: argparse.Namespace) -> None:
    """Make the report of old results: of ISO-Bench's result folders, or of a table of counts.

    Results are read again from their raw output. Nothing imported was repeated or paired, so the
    report shows rates with their intervals, causes and coverage, and no speedup verdicts."""
    if not NAME.fullmatch(args.name):
        raise BadInput(f"--name {args.name}: letters, digits, and . _ - between them")
    out = args.out or Path("results") / args.name
    tables = [Path(source) for source in args.sources if source.endswith(".csv")]
    if tables and (len(args.sources) > 1 or args.agent):
        raise BadInput(
            "a table of counts is imported by itself | next: give one CSV and no --agent"
        )
    if not args.sources and not args.agent:
        raise BadInput("nothing to import | next: give a CSV, folders, or --agent NAME=FOLDER")
    print(_counts(args, tables[0], out) if tables else _results(args, out))


def _counts(args: argparse.Namespace, table: Path, out: Path) -> str:
    from patchbench.importing import counts, ended
    from patchbench.report.about import About

    read = counts.read(table)
    about = About(
        name=args.name,
        kind="counts",
        agents=read.agents,
        subjects=(args.subject,) if args.subject else (),
        results=str(out),
        date=args.date or "",
        origins={arm: str(table) for arm in read.agents},
        notes=(
            "Imported from a table of counts: it says how patches ended, and nothing of it can be "
            "checked against a log.",
            "A patch that the table does not name by its commit stands in all counts, and in no "
            "comparison of agents on common commits.",
        ),
    )
    ended.write(read.found, read.listed, out / "tables")
    return _render(about, out)


def _results(args: argparse.Namespace, out: Path) -> str:
    from patchbench.importing import ended, folders
    from patchbench.importing.folders import Source
    from patchbench.report.about import About

    sources = [Source(Path(place).name, place) for place in args.sources]
    for word in args.agent:
        title, equals, place = word.partition("=")
        if not (title and equals and place):
            raise BadInput(f"--agent {word}: NAME=FOLDER, such as --agent codex=results/codex")
        sources.append(Source(title, place))
    read = folders.read(sources, args.mapping, out)
    about = About(
        name=args.name,
        kind="single-shot",
        agents=read.agents,
        subjects=(args.subject,) if args.subject else (),
        results=str(out),
        date=args.date or "",
        origins={ended.arm_of(source.title): source.place for source in sources},
        notes=notes(read),
    )
    ended.write(read.found, read.listed, out / "tables")
    return _render(about, out)


def notes(read: Imported) -> tuple[str, ...]:
    """What the report says of where its numbers come from."""
    again = sum(row.format == "text" for row in read.found)
    kept = sum(row.format == "recorded" for row in read.found)
    out = [
        f"Imported from {read.files} result files. {again} runs were read again from their raw "
        f"output; of {kept} it holds no result, and their recorded values are shown.",
        "No launch was repeated or paired with its baseline: what a launch shows is charged to no "
        "agent, only what the patch shows by itself.",
    ]
    for ok, said in (
        (False, "recorded as errors hold a result"),
        (True, "recorded as successes are no measurement of the patch"),
    ):
        rows = [row for row in read.corrected if row.recorded_ok is ok]
        named = ", ".join(f"{row.found.commit[:8]} {row.found.arm}" for row in rows[:NAMED])
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        if rows:
            out.append(f"{len(rows)} runs {said}: {named}{more}.")
    return tuple(out)


def _render(about: About, out: Path) -> str:
    from patchbench.cli import report
    from patchbench.report import render

    written = render.write(about, out / "tables", out / "report.md", out / render.FIGURES)
    return "\n".join(report.summary(written, out / "report.md"))
