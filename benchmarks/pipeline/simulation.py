"""A whole campaign on simulated GPUs: its duration, how busy the GPUs are, what the disk bears.

Snakemake, the rules and the stages' scripts are the real ones; only the engine and the launches
sleep (simulated/sleeping.py), for realistic seconds divided by the time scale. What our own
programs take is not scaled, so it weighs that many times more than it will in reality.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import campaigns
from campaigns import BLOCKS, RESULT, ROOT, SUBJECT, Campaign
from usage import Usage, measured

SIMULATED = Path(__file__).parent / "simulated"
SCRIPTS = ROOT / "workflow" / "scripts"
ASLEEP = ("build_image", "run_benchmark", "release_image")
GB = 10**9
# Seconds and bytes of a vLLM commit: a server's start with its benchmark, a parent's image, the
# layer of an arm. A disk for a few commits.
REAL = {
    "launch": 90.0,
    "parent_image": 180.0,
    "arm_image": 30.0,
    "parent_bytes": 20 * GB,
    "arm_bytes": GB // 2,
}
RESERVE_GB = 20


class Simulated(NamedTuple):
    """One simulated campaign. Seconds are those of the simulation; ``sequential`` is one thing
    after the other on one GPU, ``limit`` the launches alone, spread over all GPUs."""

    gpus: int
    commits: int
    agents: int
    scale: float
    slots: int
    makespan: float
    sequential: float
    limit: float
    held: float
    launching: float
    peak_commits: int
    least_free_gb: float
    usage: Usage


def simulate(folder: Path, gpus: int, commits: int, agents: int, scale: float) -> Simulated:
    """Run a campaign of ``commits`` on so many GPUs."""
    slots = max(3, gpus // 2 + 1)
    settings = REAL | {
        "scale": scale,
        "disk_bytes": (slots + 3) * 25 * GB + RESERVE_GB * GB,
        "result": RESULT,
    }
    campaign = campaigns.make(
        folder,
        commits,
        agents,
        runtime="docker",
        recipes="recipes",
        images={SUBJECT: {"baseline": "idle:{parent}"}},
        disk={"image_slots": slots, "reserve_mb": RESERVE_GB * GB // 2**20, "outcomes_mb": 1},
    )
    asleep(campaign)
    env = campaign.env | {
        "PATCHBENCH_SIMULATED": json.dumps(settings),
        "DOCKER_HOST": f"unix://{folder}/no-engine",
    }
    # Enough jobs at once for all blocks, two builds, and what is cheap.
    words = ("--cores", str(gpus + 5), "--resources", f"gpu={gpus}", "disk_mb=1000000000")
    used = measured(campaign.snakemake(*words), folder, env, folder / "snakemake.log")
    return _read(folder, gpus, commits, agents, scale, slots, used)


def asleep(campaign: Campaign) -> None:
    """Put stand-ins in the place of the stages that need an engine or a GPU."""
    scripts = campaign.folder / "workflow" / "scripts"
    scripts.unlink()
    scripts.mkdir()
    for script in SCRIPTS.iterdir():
        if script.stem in ASLEEP:
            told = f"import sys\nfrom pathlib import Path\nsys.path.insert(0, {str(SIMULATED)!r})\n"
            told += f"import sleeping\nsleeping.run(Path({str(script)!r}))\n"
            (scripts / script.name).write_text(told)
        else:
            (scripts / script.name).symlink_to(script)
    recipe = campaign.folder / "recipes" / SUBJECT
    recipe.mkdir(parents=True)
    (recipe / "Dockerfile.j2").write_text("FROM {{ base }}\n")
    (recipe / "recipe.yaml").write_text(
        "root: /opt/idle\npython: /usr/bin/python3\nbase: {image: 'idle:1'}\ndisk_mb: 20000\n"
    )


def _read(
    folder: Path, gpus: int, commits: int, agents: int, scale: float, slots: int, used: Usage
) -> Simulated:
    """What the run wrote down."""
    launches = _lines(folder / "results" / "launches.jsonl")
    planned = commits * (BLOCKS * (agents + 2) + 1)
    if len(launches) != planned:
        raise AssertionError(f"{len(launches)} launches, planned {planned}")
    held: dict[str, list[float]] = {}
    for one in launches:
        span = held.setdefault(one["block"], [one["began"], one["ended"]])
        span[:] = min(span[0], one["began"]), max(span[1], one["ended"])
    first, last = min(s[0] for s in held.values()), max(s[1] for s in held.values())
    seconds = sum(one["seconds"] for one in launches)
    builds = commits * (REAL["parent_image"] + (agents + 1) * REAL["arm_image"]) / scale
    events = _lines(folder / "results" / "disk.jsonl")
    capacity = gpus * (last - first)
    return Simulated(
        gpus=gpus,
        commits=commits,
        agents=agents,
        scale=scale,
        slots=slots,
        makespan=last - first,
        sequential=seconds + builds,
        limit=seconds / gpus,
        held=sum(s[1] - s[0] for s in held.values()) / capacity,
        launching=seconds / capacity,
        peak_commits=max(event["commits"] for event in events),
        least_free_gb=min(event["engine_free"] for event in events if event["engine_free"]) / GB,
        usage=used,
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
