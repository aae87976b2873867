"""Make the campaign's tables (Parquet) from all records that exist; what is missing is pending."""

import argparse
from pathlib import Path

from patchbench import script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    script.add_campaign(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    args = parser.parse_args()
    from patchbench import tables  # pandas and pyarrow: 0.5 s that --help need not cost

    campaign = script.load_campaign(args)
    for name, table in tables.tables(campaign).items():
        tables.write(table, args.out / f"{name}.parquet")


if __name__ == "__main__":
    script.run(main)
