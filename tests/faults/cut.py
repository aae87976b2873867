"""A small cut of the demo: two commits, four arms, one block each; some twenty seconds in all.
As plain processes, where nothing is built beside a block, one commit will do.

Alba's patches work. Corso's fail in two ways of their own, so that it shows if a fault of the
machine is mixed up with a failure of a patch.
"""

from __future__ import annotations

from typing import Any

import yaml

from tests.workflow.project import Project

LATENCY = "991779dc924cf07ed18d0e6811165cb8462677ce"
SERVING = "c5d882c7ae86d1d34a2d5de382bbf75e08170365"
SERVING_PARENT = "aaa3c93daff194965e830547aae22f97ee4b00e9"
COMMITS = {"docker": (LATENCY, SERVING), "process": (SERVING,)}
ARMS = ("baseline", "human", "alba", "corso")
CONFIG = "cut.yaml"

Ending = tuple[str, str | None, str | None]
MEASURED: Ending = ("measured", None, None)
# Status, cause and blame of each arm, by the first eight characters of its commit.
ENDINGS: dict[tuple[str, str], Ending] = {
    **{(commit[:8], arm): MEASURED for commit in COMMITS["docker"] for arm in ARMS},
    (LATENCY[:8], "corso"): ("failed", "server.crash_under_load", "agent"),
    (SERVING[:8], "corso"): ("failed", "server.crash_under_load", "agent"),
}

# Small disks need small reserves; what hangs should not hang for long.
DISK = {"reserve_mb": 6, "reserve_inodes": 60, "outcomes_mb": 2, "patience": 2, "image_slots": 3}
LIMITS = {
    "build": 90,
    "smoke": 30,
    "start": 20,
    "check": 12,
    "benchmark": 20,
    "stop": 2,
    "gpu_wait": 4,
}


def commits(runtime: str, slots: int) -> tuple[str, ...]:
    """Return the commits of a campaign: both if its blocks may run side by side."""
    return COMMITS["docker" if slots > 1 else runtime]


def endings(runtime: str, slots: int) -> dict[tuple[str, str], Ending]:
    """Return the endings of a campaign's arms."""
    short = {commit[:8] for commit in commits(runtime, slots)}
    return {key: ending for key, ending in ENDINGS.items() if key[0] in short}


def launches(runtime: str, slots: int) -> int:
    """Return the number of a campaign's launches."""
    return len(commits(runtime, slots)) * len(ARMS)


def read(project: Project) -> dict[str, Any]:
    """Return the campaign's configuration as it is now."""
    config: dict[str, Any] = yaml.safe_load((project.folder / CONFIG).read_text())
    return config


def change(project: Project, **changes: Any) -> None:
    """Set keys of the configuration; a dictionary is merged into what is there."""
    config = read(project)
    for key, value in changes.items():
        config[key] = config.get(key, {}) | value if isinstance(value, dict) else value
    (project.folder / CONFIG).write_text(yaml.safe_dump(config))


def make(project: Project, runtime: str, slots: int) -> list[str]:
    """Write the campaign; returns Snakemake's options."""
    config = yaml.safe_load((project.folder / "config/config.yaml").read_text())
    tasks = yaml.safe_load((project.folder / "examples/tinyserve/tasks.yaml").read_text())
    chosen = [task for task in tasks["tasks"] if task["commit"] in commits(runtime, slots)]
    (project.folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": chosen}))
    config |= {"runtime": runtime, "tasks": ["tasks.yaml"], "disk": DISK}
    config["agents"].pop("brio")
    config["protocol"] |= {"blocks": 1, "aa_blocks": 0, "exclusive": False, "limits": LIMITS}
    (project.folder / CONFIG).write_text(yaml.safe_dump(config))
    return ["--cores", "4", "--resources", f"gpu={slots}", "--configfile", CONFIG]
