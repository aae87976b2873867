"""A campaign as its state is counted (``ledger.standing``)."""

from __future__ import annotations

from pathlib import Path

from patchbench.ledger.standing import Plan
from patchbench.plan.campaign import Campaign
from patchbench.records import HUMAN


def overview(campaign: Campaign) -> Plan:
    """Return the campaign's plan with titles of arms, the human's first, and exclusions."""
    titles = {arm: HUMAN for arm in campaign.patched_arms if arm == HUMAN}
    titles |= {name: agent.title or name for name, agent in campaign.agents.items()}
    return Plan(
        name=campaign.name,
        results=Path(campaign.results),
        launches=campaign.launches,
        protocol=campaign.protocol,
        titles=titles,
        digests={commit: campaign.remembered_digests(commit) for commit in campaign.commits},
        excluded={commit for commit, task in campaign.tasks.items() if task.exclusion},
    )
