"""A data set for a hub: the tables as Parquet, and a card whose head says how to load them.

Source of the format: the hub's documentation of dataset cards: YAML between two lines of ``---`` at
the top of README.md; ``configs`` names the files of each table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patchbench import __version__
from patchbench.exporting.results import Results
from patchbench.report.tables.collect import write
from patchbench.report.tables.columns import ROWS
from patchbench.system.files import write_bytes

CARD = "README.md"
# What tells more of a machine than of a measurement.
PRIVATE = ("host", "node", "slurm_job")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_folder(results: Results, out: Path, licence: str = "") -> list[Path]:
    """Write the data set and return its files."""
    tables = {
        name: public(pq.read_table(path), results.folder)
        for name in ROWS
        if (path := results.folder / "tables" / f"{name}.parquet").is_file()
    }
    for name, table in tables.items():
        write(table, out / file_of(name))
    write_bytes(out / CARD, card(results, tables, licence).encode())
    return [out / CARD, *(out / file_of(name) for name in tables)]


def file_of(name: str) -> str:
    """Return the file of a table, relative to the data set's folder."""
    return f"data/{name}.parquet"


def public(table: pa.Table, folder: Path) -> pa.Table:
    """Return a table without the machine's names, and without the folders of results and trees in
    its texts."""
    table = table.drop_columns([name for name in PRIVATE if name in table.schema.names])
    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = table.column(at)
            for root in (f"{folder.absolute()}/", f"{folder}/"):
                texts = pc.replace_substring(texts, root, "")
            if field.name == "image":  # in the process runtime a folder
                texts = pc.replace_substring_regex(texts, "^/.*/", "")
            table = table.set_column(at, field, texts)
    return table


def card(results: Results, tables: Mapping[str, pa.Table], licence: str = "") -> str:
    """Return the card: its head, the campaign in a few lines, and every column with its unit."""
    import yaml

    rows = sum(table.num_rows for table in tables.values())
    head: dict[str, object] = {
        "pretty_name": results.about.name,
        **({"license": licence} if licence else {}),
        "language": ["en"],
        "tags": ["benchmark", "performance", "inference", "agents", "patchbench"],
        "size_categories": [next((name for most, name in SIZES if rows < most), "n>1M")],
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": "train", "path": file_of(name)}],
                **({"default": True} if name == "outcomes" else {}),
            }
            for name in tables
        ],
    }
    return "\n".join(
        [
            "---",
            yaml.safe_dump(head, sort_keys=False).strip(),
            "---",
            "",
            f"# {results.about.name}",
            "",
            *_text(results),
            *(line for name, table in tables.items() for line in _columns(name, table)),
            "",
        ]
    )


def _text(results: Results) -> list[str]:
    subjects = ", ".join(results.about.subjects) or "an inference engine"
    excluded = sum(task.status == "excluded" for task in results.tasks)
    agents = ", ".join(results.about.agents.values())
    return [
        f"Performance patches of {subjects}, measured against the commit that they were made for: "
        f"{len(results.tasks)} tasks ({excluded} excluded), patches of {agents}. Made by "
        f"patchbench {__version__}.",
        "",
        "`outcomes` has a row per task and arm: its verdict, or the cause of its failure and who "
        "is to blame. `comparisons` has the speedups with their intervals (a ratio over 1 is "
        "better for every metric), `runs` one row per metric of each launch. The split is called "
        "train because readers want one; nothing was trained.",
        "",
        "Names of machines are left out, and paths are relative to the results folder. Texts of "
        "logs (`evidence`) are as the engine printed them.",
    ]


def _columns(name: str, table: pa.Table) -> list[str]:
    lines = ["", f"## {name}", "", f"{table.num_rows} rows.", "", "| column | type | unit |"]
    lines.append("|---|---|---|")
    for field in table.schema:
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        lines.append(f"| `{field.name}` | {field.type} | {unit} |")
    return lines
