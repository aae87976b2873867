"""Make the campaign's tables (Parquet) from all records that exist; what is missing is pending."""

import argparse
from pathlib import Path

from patchbench.errors import BadInput
from patchbench.system import program
from patchbench.workflow import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    stage.add_campaign(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    args = parser.parse_args()
    from patchbench.report.tables import (
        collect,  # pandas and pyarrow: 0.5 s that --help need not cost
    )

    campaign = stage.load_campaign(args)
    try:
        made = collect.tables(campaign)
    except collect.Inconsistent as error:
        raise BadInput(f"{args.out}: records contradict each other: {error}") from error
    for name, table in made.items():
        collect.write(table, args.out / f"{name}.parquet")
    collect.record_looks(campaign, made)


if __name__ == "__main__":
    program.run(main)
