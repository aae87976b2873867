"""A made-up campaign of any size in a folder of its own: repository, tasks, patches, subject.

The engine does nothing: its benchmark is a shell that waits and writes a result file. So what a run
costs is what the pipeline itself costs.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = "idle"
BLOCKS = 5
# Files of the engine; each commit changes one.
FILES = 40
LINES = 60
RESULT = {
    "elapsed_time": 1.0,
    "num_requests": 16,
    "total_num_tokens": 4096,
    "requests_per_second": 16.0,
    "tokens_per_second": 4096.0,
}


class Campaign(NamedTuple):
    """A campaign in a folder that looks like the project's to a run: ``snakemake`` gives the words
    of a command, ``env`` its environment."""

    folder: Path
    commits: int
    agents: int

    @property
    def env(self) -> dict[str, str]:
        """The environment of a run: this checkout's package, locks of its own."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "PATCHBENCH_LOCKS": str(self.folder / "locks"),
            # Snakemake keeps copies of sources there.
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def snakemake(self, *args: str, snakefile: Path = ROOT / "Snakefile") -> list[str]:
        """A Snakemake command line on this campaign."""
        return [
            str(Path(sys.executable).with_name("snakemake")),
            *("--snakefile", str(snakefile), "--directory", str(self.folder)),
            *("--configfile", str(self.folder / "config.yaml"), *args),
        ]


def source(number: int, change: str = "") -> str:
    """One of the engine's files, with a changed line or as it was."""
    lines = [f"VALUE_{at} = {number * LINES + at}" for at in range(LINES)]
    if change:
        lines[LINES // 2] = f"CHANGED = {change!r}"
    return "\n".join(lines) + "\n"


def diff(number: int, before: str, after: str) -> str:
    """A patch from one state of a file to another."""
    old, new = source(number, before).splitlines(), source(number, after).splitlines()
    at = LINES // 2
    path = f"engine/part_{number:02}.py"
    return "\n".join(
        [
            f"diff --git a/{path} b/{path}",
            *(f"--- a/{path}", f"+++ b/{path}"),
            f"@@ -{at - 2},7 +{at - 2},7 @@",
            *(f" {line}" for line in old[at - 3 : at]),
            *(f"-{old[at]}", f"+{new[at]}"),
            *(f" {line}" for line in old[at + 1 : at + 4]),
            "",
        ]
    )


def repository(folder: Path, commits: int) -> list[str]:
    """A bare repository with a first commit and so many more; returns the hashes of all."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)

    def commit(at: int, files: dict[str, str]) -> str:
        told = f"commit refs/heads/main\ncommitter p <p@example.org> {1600000000 + at} +0000\n"
        told += f"data 2\nc{at % 10}\n"
        for path, text in files.items():
            told += f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"
        return told

    whole = {f"engine/part_{number:02}.py": source(number) for number in range(FILES)}
    told = commit(0, whole | {"engine/__init__.py": ""})
    for at in range(1, commits + 1):
        number = at % FILES
        told += commit(at, {f"engine/part_{number:02}.py": source(number, f"human {at}")})
    git = ["git", "--git-dir", str(folder)]
    subprocess.run([*git, "fast-import", "--quiet"], input=told.encode(), check=True)
    listed = subprocess.run(
        [*git, "rev-list", "--reverse", "main"], check=True, capture_output=True, text=True
    )
    return listed.stdout.split()


def make(
    folder: Path, commits: int, agents: int, *, seconds: float = 0.0, **config: Any
) -> Campaign:
    """Make a campaign whose benchmark takes so long; ``config`` are more keys of it."""
    (folder / "workflow").mkdir(parents=True)
    (folder / "workflow" / "scripts").symlink_to(ROOT / "workflow" / "scripts")
    (folder / "envs").symlink_to(ROOT / "envs")
    hashes = repository(folder / "work" / "idle.git", commits)
    names = [f"agent{at:02}" for at in range(1, agents + 1)]
    tasks = []
    for at, (parent, commit) in enumerate(itertools.pairwise(hashes), start=1):
        command = f"python -m idle throughput --model idle --num-prompts {16 + at}"
        tasks.append(
            {"commit": commit, "parent": parent, "subject": SUBJECT, "perf_command": command,
             "title": f"Commit {at}"}
        )  # fmt: skip
        before = "" if at <= FILES else f"human {at - FILES}"
        for name in names:
            place = folder / "patches" / name / f"{commit}.diff"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(diff(at % FILES, before, f"{name} {at}"))
    (folder / "subjects").mkdir()
    _yaml(folder / "subjects" / f"{SUBJECT}.yaml", subject(folder, seconds))
    _yaml(folder / "tasks.yaml", {"tasks": tasks})
    whole = {
        "campaign": "pipeline-speed",
        "results": "results",
        "work": "work",
        "runtime": "process",
        "trust_patches": True,
        "subjects": "subjects",
        "tasks": ["tasks.yaml"],
        "agents": {name: {"patches": f"patches/{name}"} for name in names},
        "protocol": {"blocks": BLOCKS},
        "disk": {"reserve_mb": 16, "outcomes_mb": 1, "reserve_inodes": 10},
    }
    _yaml(folder / "config.yaml", whole | config)
    return Campaign(folder, commits, agents)


def subject(folder: Path, seconds: float) -> dict[str, Any]:
    """The engine that waits."""
    words = f"sleep {seconds:g}; " if seconds else ""
    text = words + """printf '%s' "$1" > "$0" """
    return {
        "title": "idle",
        "source": {"repo": "{work}/idle.git"},
        "judge_paths": ["bench/"],
        "smoke": ["true"],
        "server": {"command": ["true"]},
        "clients": {
            "throughput": {
                "detect": ["idle throughput"],
                "command": ["sh", "-c", text, "{result}", json.dumps(RESULT), "{client_args}"],
            }
        },
    }


def _yaml(path: Path, value: Any) -> None:
    path.write_text(yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
