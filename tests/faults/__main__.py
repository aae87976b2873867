"""The fault campaign: `make faults`, or by hand

    python -m tests.faults [--one NAME] [--seed N] [--times 3] [--short] [--again] [--list]

Each case starts the demo's cut, breaks something at a drawn moment, mends it and gives the same
command again. Rows go to results/faults/rows.jsonl: a campaign that was broken off goes on there.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from tests.engine.engines import why_not
from tests.faults import rows, trial
from tests.faults.bed import Bed
from tests.faults.kind import Kind
from tests.faults.kinds import FAMILIES, find
from tests.workflow.project import ROOT

FOLDER = ROOT / "results" / "faults"
PAGE = ROOT / "docs" / "reliability.md"
IN_OWN_NAMESPACE = "PATCHBENCH_FAULTS_OWN_MOUNTS"


def main() -> None:
    """Run the cases that were asked for and write the table. Exits with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--one", action="append", help="only this kind (may be given again)")
    parser.add_argument("--family", help="only this family of kinds")
    parser.add_argument("--seed", type=int, help="only the moment of this seed")
    parser.add_argument("--times", type=int, default=3, help="moments of each kind")
    parser.add_argument("--again", action="store_true", help="also what has a good row already")
    parser.add_argument("--list", action="store_true", help="name all kinds and end")
    parser.add_argument("--publish", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where rows and table go")
    args = parser.parse_args()
    kinds = [find(name) for name in args.one or ()] or [
        kind for name, own in FAMILIES.items() if args.family in (None, name) for kind in own
    ]
    if args.list:
        for kind in kinds:
            print(f"{kind.name:<24} {kind.runtime:<8} {kind.what}")
        return
    if reason := why_not():
        raise SystemExit(f"faults: {reason}")
    _own_mounts()
    # A shell starts what goes on in the background deaf to Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Small disks and engine are taken away on the usual ways to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seeds = [args.seed] if args.seed is not None else range(1, args.times + 1)
    file = args.out / "rows.jsonl"
    bad = _work_off(kinds, seeds, file, args.again)
    table = rows.table(rows.read(file), FAMILIES, _machine())
    (args.out / "table.md").write_text(table)
    if args.publish:
        rows.publish(PAGE, table)
    raise SystemExit(1 if bad else 0)


def _work_off(kinds: list[Kind], seeds: Iterable[int], file: Path, again: bool) -> int:
    done = {key for key, row in rows.latest(rows.read(file)).items() if row.good}
    # Round after round: a campaign that is broken off has tried every kind.
    todo = [(k, s) for s in seeds for k in kinds if again or (k.name, s) not in done]
    bad = 0
    bed = Bed(Path(tempfile.mkdtemp(prefix="pb-faults-")))
    try:
        for number, (kind, seed) in enumerate(todo, 1):
            head = f"[{number}/{len(todo)}] {kind.name} {seed}:"
            if reason := kind.why_not():
                print(f"{head} skipped: {reason}", flush=True)
                continue
            row, output = trial.run(bed, kind, seed)
            rows.add(file, row)
            log = file.parent / "logs" / f"{kind.name}-{seed}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(output)
            bad += not row.good
            print(f"{head} {row.moment}: {row.says()}", flush=True)
    finally:
        bed.close()
    return bad


def _machine() -> str:
    """Versions of what the runs stood on."""
    words = subprocess.run(["dockerd", "--version"], capture_output=True, text=True).stdout.split()
    return (
        f"Docker {words[2].rstrip(',') if len(words) > 2 else '?'}, "
        f"Snakemake {metadata.version('snakemake')}, Python {platform.python_version()}, "
        f"Linux {platform.release().partition('-')[0]}, {os.cpu_count()} cores"
    )


def _own_mounts() -> None:
    """Go on in a mount namespace of our own: small disks end with it, however it ends."""
    if os.environ.get(IN_OWN_NAMESPACE):
        return
    words = [sys.executable, "-m", "tests.faults", *sys.argv[1:]]
    os.environ[IN_OWN_NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *words])


if __name__ == "__main__":
    main()
