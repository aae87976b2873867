"""Launches that were set aside for another digest and count again: a patch was away, or changed
back."""

from __future__ import annotations

from pathlib import Path

from patchbench.benchmark import resume
from patchbench.grading.run_folder import block_folder, read_run, superseded_folder
from patchbench.ledger import journal
from patchbench.records import Run


def take_back(results: Path, commit: str, block: int, digest: str) -> list[str]:
    """Move the finished launches of a block under a digest back into its folder, if none of them is
    there; what lies there is set aside in their place. Return their arms. (Some next to newer ones
    of the same digest were made at another place: they stay aside.)"""
    folder, aside = block_folder(results, commit, block), superseded_folder(results, commit, block)
    events = journal.finished(journal.read(journal.path(results, commit, block)), digest)
    present = [read_run(folder / arm) for arm in events]
    if not aside.is_dir() or any(run and run.block_digest == digest for run in present):
        return []
    latest: dict[str, tuple[Run, Path]] = {}
    for place in sorted(aside.iterdir()):
        run = read_run(place)
        if run is None or run.block_digest != digest or run.arm not in events:
            continue
        if run.arm not in latest or latest[run.arm][0].ended < run.ended:
            latest[run.arm] = run, place
    if latest:
        resume.set_aside(results, commit, block, ())
        folder.mkdir(parents=True, exist_ok=True)
    for arm, (_, place) in latest.items():
        place.rename(folder / arm)
    return sorted(latest)
