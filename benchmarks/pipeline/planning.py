"""How long Snakemake plans: a dry run of a new campaign, and a run that finds everything done."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from campaigns import Campaign
from usage import Failed, Usage, measured

FINISHED = Path(__file__).with_name("finished.py")
NOTHING = "Nothing to be done"


class Planning(NamedTuple):
    """What planning one campaign costs."""

    commits: int
    agents: int
    jobs: int
    dry_run: Usage
    resume_dry_run: Usage
    resume: Usage


def planning(campaign: Campaign) -> Planning:
    """Plan a campaign, say that all of it is done, and plan it again."""

    def run(*words: str) -> Usage:
        return measured(words, campaign.folder, campaign.env, campaign.folder / "snakemake.log")

    new = run(*campaign.snakemake("-n"))
    common = campaign.snakemake("--cores", "2", "--resources", "gpu=1")
    run(sys.executable, str(FINISHED), *common[1:])
    again, resume = run(*campaign.snakemake("-n")), run(*common)
    for used in (again, resume):
        if NOTHING not in used.said:
            raise Failed(f"there was something left to do:\n{used.said[-2000:]}")
    jobs = next(line for line in new.said.splitlines() if line.startswith("total"))
    return Planning(campaign.commits, campaign.agents, int(jobs.split()[1]), new, again, resume)
