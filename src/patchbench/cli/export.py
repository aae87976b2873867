"""Write results in a format of others."""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("swebench", "llm-d", "bencher", "hub")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--to", choices=FORMATS, required=True, help="the format (docs/exports.md)")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="results folder with tables (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="folder to write (default: RESULTS/export/FORMAT)")
    parser.add_argument(
        "--license", default="", help="licence in the card of a data set, such as cc-by-4.0 (hub)"
    )


def run(args: argparse.Namespace) -> None:
    """Write a campaign's results in a format of others, from its tables alone."""
    from patchbench.exporting import bencher, hub, llm_d, results, swebench
    from patchbench.system.files import write_json

    found = results.read(args.results)
    out = args.out or args.results / "export" / args.to
    if args.to == "hub":
        written = hub.write_folder(found, out, args.license)
    else:
        formats = {"swebench": swebench.files, "llm-d": llm_d.files, "bencher": bencher.files}
        written = []
        for name, content in formats[args.to](found):
            write_json(out / name, content)
            written.append(out / name)
    print(f"{len(written)} file{'' if len(written) == 1 else 's'} in {out}")
