"""Render the report and its figures from the campaign's tables alone."""

import argparse
from pathlib import Path

from patchbench.system import program
from patchbench.workflow import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    stage.add_campaign(parser)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--out", type=Path, required=True, help="the markdown report to write")
    parser.add_argument("--figures", type=Path, required=True, help="folder for the figures")
    args = parser.parse_args()
    from patchbench.report import render  # pandas and matplotlib: slow to import

    render.render(stage.load_campaign(args), args.tables, args.out, args.figures)


if __name__ == "__main__":
    program.run(main)
