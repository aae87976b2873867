"""What each stage costs per job, and how much of it is more than a bare workflow's job.

Both workflows are worked off stage after stage with ``--until``. A stage's cost is the CPU of the
run that does it, less the CPU of the same command once more, which finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from campaigns import ROOT, Campaign
from usage import Failed, measured

# What each stage leaves, one file per job.
OUTPUTS = {
    "resolve_task": "tasks/*.json",
    "fetch_patch": "patches/*/*/fetch.json",
    "validate_patch": "patches/*/*/validation.json",
    "build_image": "images/*/[!r]*.json",
    "run_benchmark": "runs/*/*/block.json",
    "parse_metrics": "metrics/*.json",
    "release_image": "images/*/released.json",
    "aggregate": "tables/tasks.parquet",
    "render_report": "report.md",
}
BARE = Path(__file__).parent / "bare" / "Snakefile"


class Stage(NamedTuple):
    """One stage: how many jobs, and CPU milliseconds of each, ours and the bare workflow's."""

    name: str
    jobs: int
    ours: float
    bare: float

    @property
    def above(self) -> float:
        """What a job costs more than a bare one."""
        return self.ours - self.bare


def stages(campaign: Campaign) -> Iterator[Stage]:
    """Work the campaign off, and beside it the bare one, stage after stage."""
    for name in OUTPUTS:
        (jobs, ours), (bare_jobs, bare) = (
            _worked_off(campaign, name, snakefile, results)
            for snakefile, results in ((ROOT / "Snakefile", "results"), (BARE, "bare"))
        )
        if not jobs or jobs != bare_jobs:
            raise Failed(f"{name}: {jobs} jobs, in the bare workflow {bare_jobs}")
        yield Stage(name, jobs, 1000 * ours / jobs, 1000 * bare / jobs)


def _worked_off(campaign: Campaign, stage: str, snakefile: Path, results: str) -> tuple[int, float]:
    """Jobs of a stage, and CPU seconds of them all."""
    words = campaign.snakemake(
        *("--cores", "2", "--resources", "gpu=1", "--until", stage),
        # The bare workflow takes the profile too.
        *("--workflow-profile", str(ROOT / "profiles" / "default")),
        snakefile=snakefile,
    )
    cpu: list[float] = []
    counted = [-1, 0]
    # More than once: ``--until`` ends before jobs of the stage that depend on others of it.
    while counted[-1] > counted[-2]:
        used = measured(words, campaign.folder, campaign.env, campaign.folder / "snakemake.log")
        cpu.append(used.cpu)
        counted.append(len(list((campaign.folder / results).glob(OUTPUTS[stage]))))
    return counted[-1], sum(cpu) - len(cpu) * cpu[-1]
