"""The cost of a campaign before it begins: launches, and disk space."""

from __future__ import annotations

from collections.abc import Iterator

from patchbench.cli.words import counted
from patchbench.images import room
from patchbench.plan.campaign import Campaign
from patchbench.records import BASELINE


def lines(campaign: Campaign) -> Iterator[str]:
    """Yield the lines of the section on cost."""
    runnable = [commit for commit in campaign.commits if campaign.gpus(commit)]
    protocol = campaign.protocol
    yield "\nCost:"
    more = protocol.last_block - protocol.blocks
    extra = f", and up to {more} more of each for arms that stay open" if more else ""
    yield (
        f"  {campaign.launches} launches: {counted(len(runnable), 'task')}, "
        f"{counted(protocol.blocks, 'block')} each, {counted(len(campaign.arms), 'arm')} "
        f"({BASELINE}, human, {counted(len(campaign.agents), 'agent')}) and A/A pairs{extra}"
    )
    if runnable:
        largest = max(room.commit_mb(campaign, commit) for commit in runnable)
        slots = campaign.disk.image_slots if campaign.runtime == "docker" else 1
        yield (
            f"  disk: about {largest * slots} MiB of images or trees at a time; "
            f"{room.spare_mb(campaign)} MiB are free beside the reserve"
        )
