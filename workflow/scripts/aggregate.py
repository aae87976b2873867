"""Make the campaign's tables (Parquet) from all records that exist; what is missing is pending."""

import argparse
from pathlib import Path

from patchbench import script
from patchbench.errors import BadInput


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    script.add_campaign(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    args = parser.parse_args()
    from patchbench import tables  # pandas and pyarrow: 0.5 s that --help need not cost

    campaign = script.load_campaign(args)
    try:
        made = tables.tables(campaign)
    except tables.Inconsistent as error:
        raise BadInput(f"{args.out}: records contradict each other: {error}") from error
    for name, table in made.items():
        tables.write(table, args.out / f"{name}.parquet")


if __name__ == "__main__":
    script.run(main)
