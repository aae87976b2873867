"""An engine that does nothing, whose speed is a number in its source.

A patch changes that number, so every figure of a campaign is made up and no load of the machine
changes a verdict. Everything else is real: repository, patches, images, launches, report.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.workflow.project import Project, wait_for

SUBJECT = "idle"
# Tokens per second of every commit's parent and of the human's commit.
BASELINE, HUMAN = 1000, 1500
# The engine's only file is Python as well as shell.
FILE = "speed.py"
# Run in an arm's tree with three words: the result's file, a launch's seconds, and a file that
# holds up a launch as long as it exists.
CLIENT = f"""\
. ./{FILE}
sleep "$1"
while [ -e "$2" ]; do : > "$2.seen"; sleep 0.1; done
printf '{{"elapsed_time": 1.0, "num_requests": 16, "total_num_tokens": %s, \
"requests_per_second": 16.0, "tokens_per_second": %s.137}}' $SPEED $SPEED > "$0"
"""
CONFIG, HOLD = "idle.yaml", "hold"
OPTIONS = ("--cores", "4", "--resources", "gpu=1", "--configfile", CONFIG)


def make(
    project: Project,
    agents: Mapping[str, int],
    *,
    commits: int = 1,
    seconds: float = 0.0,
    gpus: int = 1,
    **config: Any,
) -> list[str]:
    """Write a campaign into a project; returns Snakemake's options.

    ``agents`` are their speeds, ``seconds`` is the duration of a launch, ``config`` holds further
    keys of the configuration.
    """
    repo = project.folder / ".patchbench" / "repos" / "idle.git"
    parent, *humans = _repository(repo, commits)
    tasks = [
        {
            "commit": commit,
            "parent": parent,
            "subject": SUBJECT,
            "title": f"Commit {number}",
            "perf_command": f"python -m idle throughput --model idle --num-prompts {16 + number}",
            "primary_metric": "total_tps",
        }
        for number, commit in enumerate(humans)
    ]
    for name, speed in agents.items():
        for commit in humans:
            write_patch(project, name, commit, speed)
    _write(
        project.folder / "subjects" / f"{SUBJECT}.yaml", _subject(seconds, project.folder / HOLD)
    )
    _write(project.folder / "tasks.yaml", {"tasks": tasks})
    whole = {
        "campaign": "idle",
        "runtime": "process",
        "trust_patches": True,
        "subjects": "subjects",
        "tasks": ["tasks.yaml"],
        "agents": {name: {"patches": f"patches/{name}"} for name in agents},
    }
    write(project, whole | config)
    return ["--cores", "4", "--resources", f"gpu={gpus}", "--configfile", CONFIG]


def read(project: Project) -> dict[str, Any]:
    """Return a campaign's configuration as it is now."""
    config: dict[str, Any] = yaml.safe_load((project.folder / CONFIG).read_text())
    return config


def write(project: Project, config: dict[str, Any]) -> None:
    """Write a campaign's configuration. Its engine has no server, so it measures itself."""
    protocol = {"measure": "own"} | config.get("protocol", {})
    _write(project.folder / CONFIG, config | {"protocol": protocol})


def hold(project: Project) -> Path:
    """Hold up the next launch and wait until it waits. It goes on once the returned file is gone;
    the call again waits for another launch."""
    path = project.folder / HOLD
    seen = path.with_name(f"{HOLD}.seen")
    seen.unlink(missing_ok=True)
    path.touch()
    wait_for(seen.exists)
    return path


def write_patch(project: Project, agent: str, commit: str, speed: int) -> None:
    """Write an agent's patch for a commit."""
    path = project.folder / "patches" / agent / f"{commit}.diff"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"diff --git a/{FILE} b/{FILE}\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1 +1 @@\n"
        f"-SPEED={BASELINE}\n+SPEED={speed}\n"
    )


def _repository(folder: Path, commits: int) -> list[str]:
    """Make a bare repository of one commit and so many children of it; returns all hashes."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    lines = []
    for number in range(commits + 1):
        text = f"SPEED={HUMAN if number else BASELINE}\n"
        lines += [
            f"commit refs/heads/c{number}",
            f"mark :{number + 1}",
            f"committer p <p@example.org> {1600000000 + number} +0000",
            *("data 0", *(["from :1"] if number else [])),
            *(f"M 100644 inline {FILE}", f"data {len(text)}", text),
        ]
    marks = folder / "marks"
    command = ["git", "--git-dir", str(folder), "fast-import", "--quiet", f"--export-marks={marks}"]
    subprocess.run(command, input="\n".join(lines).encode(), check=True)
    hashes = dict(line.split() for line in marks.read_text().splitlines())
    return [hashes[f":{number + 1}"] for number in range(commits + 1)]


def _subject(seconds: float, hold: Path) -> dict[str, Any]:
    return {
        "title": "idle",
        "source": {"repo": "{work}/repos/idle.git"},
        "judge_paths": ["bench/"],
        "smoke": ["true"],
        "server": {"command": ["true"]},
        "clients": {
            "throughput": {
                "detect": ["idle throughput"],
                "command": ["sh", "-c", CLIENT, "{result}", f"{seconds:g}", str(hold)],
            }
        },
    }


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
