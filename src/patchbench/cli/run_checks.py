"""The checks with which a run begins, made beforehand: nothing is written, and all are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from patchbench.errors import BadInput, InfraFault
from patchbench.images import room
from patchbench.plan import places
from patchbench.plan.campaign import Campaign
from patchbench.system import locks
from patchbench.system.files import LOCK

Check = Callable[[], None]


def refusals(campaign: Campaign, source: str) -> list[str]:
    """Return the reasons why a run of the campaign would not begin, or would end at once."""
    results = Path(campaign.results)
    checks: list[Check] = [
        lambda: places.check_source(source),
        lambda: places.check_folder(results),
        lambda: _is_free(results),
        lambda: _has_room(campaign),
    ]
    if campaign.runtime == "docker":
        checks.append(lambda: _engine_answers(campaign.containers.engine))
    return [text for check in checks if (text := _refusal(check))]


def _refusal(check: Check) -> str:
    try:
        check()
    except (BadInput, InfraFault) as error:
        return str(error)
    return ""


def _is_free(results: Path) -> None:
    """Raise BadInput if a run works on the results folder."""
    if locks.is_held(results / LOCK):
        raise BadInput(
            f"{results}: a run (process {locks.holder(results / LOCK)}) works on it | next: "
            f"{locks.way_out(results / LOCK)}"
        )


def _has_room(campaign: Campaign) -> None:
    """Raise BadInput if no image fits on the disk beside the reserve."""
    spare = room.spare_mb(campaign)
    need = max((room.commit_mb(campaign, commit) for commit in campaign.commits), default=0)
    if spare < need:
        raise BadInput(
            f"{spare} MiB are free beside the reserve (disk.reserve_mb: "
            f"{campaign.disk.reserve_mb}), and the images of one commit take about {need} | next: "
            "free space, or name another work folder"
        )


def _engine_answers(url: str) -> None:
    """Raise InfraFault without a container engine, BadInput for one that can't be used."""
    from patchbench.runtimes.docker.engine import Engine

    _ = Engine(url).client
