"""Print the JSON schema of a file that people write or read."""

from __future__ import annotations

import argparse

TITLES = {
    "config": "A campaign's configuration",
    "subject": "A subject, an inference engine under test",
    "recipe": "An image recipe",
    "tasks": "A list of tasks",
    "report": "The report of a campaign",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("file", choices=TITLES, help="kind of file")


def run(args: argparse.Namespace) -> None:
    """Print the JSON schema (draft 2020-12) of a kind of file, for editors and other programs."""
    import msgspec

    from patchbench.plan.reference import FILES, json_schema
    from patchbench.report.model import Report

    kinds: dict[str, type[msgspec.Struct]] = {**FILES, "report": Report}
    schema = json_schema(kinds[args.file], TITLES[args.file])
    print(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
