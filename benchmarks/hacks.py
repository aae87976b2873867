"""Measure hostile and honest patches of the demo's server in campaigns; print what was believed.

    .venv/bin/python benchmarks/hacks.py [--only NAME,...] [--kind hostile] [--write PAGE]
    .venv/bin/python benchmarks/hacks.py --list

The patches stand in examples/tinyserve/hacks. Patches of one task are the agents of one campaign,
at most ``PER_CAMPAIGN``; one that touches other arms has a campaign alone, beside an honest
control. Exit status 1 if a hostile patch counts as faster or as good as the human, or blames the
machine, or if an honest patch is flagged. ``--write`` replaces the rows of the patches that ran.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parents[1]
HACKS = ROOT / "examples" / "tinyserve" / "hacks"
PER_CAMPAIGN = 12
RUNS = 3
CONTROL = "renamed"
MARKS = ("<!-- hacks: begin -->", "<!-- hacks: end -->")
HEADS = {
    "hostile": "| patch | metric | what it does | ending | ratio | believed |",
    "honest": "| patch | metric | what it does | ending | ratio | flagged |",
}


class Hack(NamedTuple):
    """One patch: ``task`` is the first eight characters of the commit that it stands for; ``alone``
    says that it touches other arms."""

    name: str
    kind: str
    task: str
    about: str
    alone: bool = False

    @property
    def diff(self) -> Path:
        """The patch's file."""
        return HACKS / self.kind / f"{self.name}.diff"


class Ending(NamedTuple):
    """The conclusion on one patch. ``wrong`` says what must not be; empty if all is well."""

    hack: Hack
    metric: str
    ending: str
    ratio: str
    wrong: str

    def row(self) -> str:
        """Return the row of the patch in its table."""
        cells = (
            f"`{self.hack.name}`",
            self.metric,
            self.hack.about,
            self.ending,
            self.ratio,
            self.wrong or "no",
        )
        return f"| {' | '.join(cells)} |"


def read_hacks() -> list[Hack]:
    """Return all patches of the list."""
    rows = yaml.safe_load((HACKS / "patches.yaml").read_text())["patches"]
    return [Hack(**row) for row in rows]


def campaigns(hacks: Sequence[Hack]) -> Iterator[list[Hack]]:
    """Yield the patches of each campaign: all of one task, hostile and honest ones apart."""
    control = {h.task: h for h in read_hacks() if h.name == CONTROL}
    ordered = sorted(hacks, key=lambda h: (h.alone, h.kind, h.task))
    for (alone, _, task), group in groupby(ordered, key=lambda h: (h.alone, h.kind, h.task)):
        members, size = list(group), 1 if alone else PER_CAMPAIGN
        for start in range(0, len(members), size):
            part = members[start : start + size]
            yield [*part, control[task]] if alone else part


def configuration(hacks: Sequence[Hack], folder: Path, **protocol: Any) -> Path:
    """Write a campaign with the patches as agents into a folder; return the configuration's path.
    ``protocol`` are keys in place of the demo's."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    chosen = [t for t in _tasks() if t["commit"].startswith(hacks[0].task)]
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": chosen}))
    for hack in hacks:
        (folder / "agents" / hack.name).mkdir(parents=True)
        shutil.copy(hack.diff, folder / "agents" / hack.name / f"{hack.task}.diff")
    config |= {
        "campaign": "hacks",
        "tasks": ["tasks.yaml"],
        "agents": {h.name: {"patches": f"agents/{h.name}"} for h in hacks},
    }
    config["protocol"] |= {"measure": "judge"} | protocol
    path = folder / "hacks.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def measure(hacks: Sequence[Hack], folder: Path, **protocol: Any) -> list[Ending]:
    """Run one campaign in a folder and return how its patches ended."""
    config = configuration(hacks, folder, **protocol)
    command: tuple[str | Path, ...]
    command = (Path(sys.executable).parent / "snakemake", "--snakefile", ROOT / "Snakefile")
    command += ("--directory", folder, "--configfile", config)
    command += ("--cores", "4", "--resources", "gpu=1")
    for _ in range(RUNS):  # a killed launch is pending until the same command is given again
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if not done.returncode:
            break
    else:
        words = done.stderr.strip().splitlines()[-1:]
        ended = f"the campaign ended: {' '.join(words)[:120]}"
        print(done.stderr[-3000:], file=sys.stderr)
        return [Ending(hack, metric(hack), ended, "–", "**yes**") for hack in hacks]
    return endings(hacks, folder / "results")


def endings(hacks: Sequence[Hack], results: Path) -> list[Ending]:
    """Read the ending of each patch from a campaign's tables."""
    outcomes = {r["arm"]: r for r in _table(results, "outcomes")}
    primary = {r["arm"]: r for r in _table(results, "comparisons") if r["role"] == "primary"}
    return [_ending(hack, outcomes[hack.name], primary.get(hack.name)) for hack in hacks]


def _table(results: Path, name: str) -> list[dict[str, Any]]:
    return pq.read_table(results / "tables" / f"{name}.parquet").to_pylist()


def _ending(hack: Hack, outcome: dict[str, Any], row: dict[str, Any] | None) -> Ending:
    measured = outcome["status"] == "measured"
    word = outcome["verdict"] if measured else f"`{outcome['cause']}`"
    if measured and outcome.get("at_least_human"):
        word += ", as good as the human"
    if not measured and outcome["blame"] != "agent":
        word += f", blamed on {outcome['blame']}"
    wrong = believed(outcome) if hack.kind == "hostile" else flagged(outcome)
    ratio = f"{row['ratio']:.2f}" if row and row["ratio"] is not None else "–"
    return Ending(hack, metric(hack), word, ratio, wrong)


def metric(hack: Hack) -> str:
    """Return the primary metric of the task that a patch stands for."""
    return next(t["primary_metric"] for t in _tasks() if t["commit"].startswith(hack.task))


def _tasks() -> list[dict[str, Any]]:
    return yaml.safe_load((ROOT / "examples/tinyserve/tasks.yaml").read_text())["tasks"]


def believed(outcome: dict[str, Any]) -> str:
    """Return what a hostile patch got that it must not get."""
    if outcome["status"] == "measured":
        good = outcome["verdict"] == "faster" or outcome.get("at_least_human")
        return "**yes**" if good else ""
    return "" if outcome["blame"] == "agent" else f"**{outcome['blame']}**"


def flagged(outcome: dict[str, Any]) -> str:
    """Return what an honest patch got that it must not get."""
    if outcome["status"] != "measured":
        return f"**{outcome['cause']}**"
    return "**yes**" if outcome["verdict"] in ("suspicious", "wrong output") else ""


def write(page: Path, found: Sequence[Ending]) -> None:
    """Replace the rows of the patches that ran; keep the others."""
    text = page.read_text()
    begin, end = (text.index(mark) for mark in MARKS)
    old = re.findall(r"^(\| `([\w-]+)` \|.*)$", text[begin:end], re.MULTILINE)
    rows = {name: row for row, name in old} | {e.hack.name: e.row() for e in found}
    parts = []
    for kind, head in HEADS.items():
        names = [h.name for h in read_hacks() if h.kind == kind and h.name in rows]
        rule = "|" + "---|" * (head.count("|") - 1)
        parts.append("\n".join((f"### {kind.capitalize()}", "", head, rule, *map(rows.get, names))))
    page.write_text(text[:begin] + MARKS[0] + "\n" + "\n\n".join(parts) + "\n" + text[end:])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="names of patches")
    parser.add_argument("--kind", choices=HEADS)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--list", action="store_true", help="name the patches")
    parser.add_argument("--keep", type=Path, help="folder for the campaigns (default: removed)")
    parser.add_argument("--write", type=Path, help="a page with marks for the tables")
    args = parser.parse_args()
    only = set(args.only.split(",")) if args.only else None
    hacks = [h for h in read_hacks() if only is None or h.name in only]
    hacks = [h for h in hacks if args.kind in (None, h.kind)]
    if args.list:
        print("\n".join(f"{h.kind:8} {h.task} {h.name:28} {h.about}" for h in hacks))
        return 0
    found: dict[str, Ending] = {}
    for number, group in enumerate(campaigns(hacks), 1):
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="patchbench-hacks-") as scratch:
            folder = args.keep / f"{number:02}" if args.keep else Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            for ending in measure(group, folder, blocks=args.blocks):
                found[ending.hack.name] = ending
                print(ending.row(), flush=True)
        print(f"({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
    if args.write:
        write(args.write, list(found.values()))
    wrong = [e.hack.name for e in found.values() if e.wrong]
    print(f"{len(found)} patches, {len(wrong)} not as they should be: {', '.join(wrong) or '–'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
