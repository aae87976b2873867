"""A campaign of many small commits with ballast in their images, for tests of disks and leases."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from patchbench.plan import recipes
from tests.engine.patches import PARENT, repository
from tests.workflow.project import Project

# Offline, within a second: what is tried here are images, not speed.
COMMAND = (
    "python -m tinybench latency --model tiny --batch-size 1 --input-len 8 --output-len {tokens}"
    " --num-iters-warmup 1 --num-iters 2"
)
# A GPU that works leaves the machine's cores alone: here it sleeps.
ON_GPU = (
    "import runpy, sys, time; time.sleep({seconds}); sys.argv[0] = 'tinybench';"
    " runpy.run_module('tinybench', run_name='__main__', alter_sys=True)"
)
GIT = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]


def make(
    project: Project,
    commits: int,
    *,
    ballast_mb: int = 1,
    gpu_seconds: float = 0.0,
    tokens: int = 8,
    blocks: int = 1,
    patched: bool = True,
    **changes: Any,
) -> list[str]:
    """Write the campaign; returns Snakemake's options. Each commit changes a number."""
    repo = repository(project)
    tree = project.folder / "many"
    env = {"GIT_CONFIG_GLOBAL": "/dev/null"}
    subprocess.run(["git", "clone", "-q", str(repo), str(tree)], check=True, env={**env})
    run = lambda *words: subprocess.run(  # noqa: E731
        [*GIT, *words], cwd=tree, check=True, capture_output=True, text=True
    ).stdout.strip()
    run("checkout", "-q", "-B", "many", PARENT)
    tasks = []
    for number in range(commits):
        parent = run("rev-parse", "HEAD")
        file = tree / "tinyserve" / "__init__.py"
        file.write_text(f"{file.read_text()}\nCOUNT = {number}\n")
        run("commit", "-q", "-a", "-m", f"[Perf] Count to {number}")
        tasks.append(
            {
                "commit": run("rev-parse", "HEAD"),
                "parent": parent,
                "subject": "tinyserve",
                "title": f"Count to {number}",
                "perf_command": COMMAND.format(tokens=tokens),
                "primary_metric": "latency_avg_s",
            }
        )
    subprocess.run(
        ["git", "push", "-q", str(repo), "many"], cwd=tree, check=True, capture_output=True
    )
    (project.folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    recipe = project.folder / "envs/images/tinyserve"
    _ballast(recipe, ballast_mb)
    keep_archive(project)
    config = yaml.safe_load((project.folder / "config/config.yaml").read_text())
    agents = project.folder / "agents"
    (agents / "one").mkdir(parents=True)
    for number, task in enumerate(tasks if patched else ()):
        (agents / "one" / f"{task['commit']}.diff").write_text(_patch(number))
    subject = project.folder / "config/subjects/tinyserve.yaml"
    loaded = yaml.safe_load(subject.read_text())
    client = loaded["clients"]["latency"]["command"]
    client[1:3] = ["-c", ON_GPU.format(seconds=gpu_seconds)]
    subject.write_text(yaml.safe_dump(loaded))
    config |= {
        "runtime": "docker",
        "tasks": ["tasks.yaml"],
        "tasks_without_patches": "measure",
        "agents": {"one": {"patches": "agents/one"}},
    }
    # The client stands in for an engine on a GPU.
    config["protocol"] |= {"measure": "own", "blocks": blocks, "aa_blocks": 0, "exclusive": False}
    config["protocol"]["limits"] |= {"build": 120, "benchmark": 60}
    for key, value in changes.items():
        config[key] = config.get(key, {}) | value if isinstance(value, dict) else value
    (project.folder / "many.yaml").write_text(yaml.safe_dump(config))
    return ["--cores", "4", "--resources", "gpu=1", "--configfile", "many.yaml"]


def keep_archive(project: Project) -> None:
    """Let a changed recipe use the archive that is there, if there is one."""
    folder = project.folder / ".patchbench/images"
    digest = recipes.content(project.folder / "envs/images/tinyserve")
    if archive := next(folder.glob("*.tar"), None):
        shutil.copyfile(archive, folder / f"tinyserve-{digest}.tar")


def _patch(number: int) -> str:
    return (
        "diff --git a/tinyserve/layers.py b/tinyserve/layers.py\n--- a/tinyserve/layers.py\n"
        "+++ b/tinyserve/layers.py\n@@ -1,3 +1,4 @@\n"
        ' """The elementary operations of a transformer, on float32 arrays."""\n \n'
        f" import numpy as np\n+NUMBER = {number}\n"
    )


def _ballast(recipe: Path, megabytes: int) -> None:
    """Random bytes in each parent's own layer: they can be neither shared nor compressed."""
    text = (recipe / "Dockerfile.j2").read_text()
    program = f"import os; open('/ballast', 'wb').write(os.urandom({megabytes} << 20))"
    text += f'RUN ["{{{{ python }}}}", "-c", "{program}"]\n'
    (recipe / "Dockerfile.j2").write_text(text)
    loaded = yaml.safe_load((recipe / "recipe.yaml").read_text())
    loaded["disk_mb"] = megabytes + 5
    loaded.pop("server_smoke", None)
    (recipe / "recipe.yaml").write_text(yaml.safe_dump(loaded))
