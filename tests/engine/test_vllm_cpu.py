"""Real vLLM in real containers: agents that are slow, and agents that are quick but wrong.

Needs `.venv-vllm-cpu` (examples/vllm_cpu/setup.sh), 7 GB of disk and ten minutes, so it runs only
where PATCHBENCH_SLOW is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbench.plan import recipes
from tests.engine.engines import PrivateEngine
from tests.engine.patches import at, edit
from tests.engine.tasks import Bench
from tests.workflow.conftest import copy_project
from tests.workflow.project import ROOT, Project

SLOW = "PATCHBENCH_SLOW"
VENV = ROOT / ".venv-vllm-cpu"
EXAMPLE = ROOT / "examples" / "vllm_cpu"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get(SLOW), reason=f"{SLOW} is not set"),
    pytest.mark.skipif(not (VENV / "bin/python").exists(), reason=f"no {VENV.name}"),
]

sys.path[:0] = [str(EXAMPLE), str(ROOT / "examples" / "vllm_common")]
import edits  # noqa: E402

SLEEP_MS = 3.0


def sleeps(text: str) -> str:
    """Sleep at each step of the engine."""
    place = edits.find_function(text, "schedule", "Scheduler")
    return edits.insert_before(
        text, edits.without_docstring(place)[0], f"time.sleep({SLEEP_MS / 1000})"
    )


def next_token(text: str) -> str:
    """Take the token beside the likeliest one."""
    place = edits.find_function(text, "greedy_sample", "Sampler")
    return edits.replace_body(
        text, place, "return (logits.argmax(dim=-1).view(-1) + 1) % logits.shape[-1]"
    )


def wrong_blocks(text: str) -> str:
    """Reuse as many cached blocks as the human's commit does, each time a prompt's first one."""
    text = edits.brio_prefix_walk(text)
    return text.replace("request.block_hashes[len(hits)]", "request.block_hashes[0]")


# Agent: the file that its patch edits, and how.
AGENTS: dict[str, tuple[str, Callable[[str], str]]] = {
    "sleeps": ("vllm/v1/core/sched/scheduler.py", sleeps),
    "next_token": ("vllm/v1/sample/sampler.py", next_token),
    "wrong_blocks": (edits.CACHE_MANAGER, wrong_blocks),
}


@pytest.fixture(scope="module")
def own_engine(can_start_engines: None) -> Iterator[PrivateEngine]:
    """An engine that removes its 3 GB afterwards: pytest keeps its own folders for days."""
    folder = Path(tempfile.mkdtemp(prefix="patchbench-vllm-engine-"))
    engine = PrivateEngine(folder)
    try:
        yield engine.start()
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def project(own_engine: PrivateEngine) -> Iterator[Project]:
    """A copy of the project with the vLLM example in it, as `make vllm-cpu-docker` sets it up."""
    folder = Path(tempfile.mkdtemp(prefix="patchbench-vllm-"))
    copy = copy_project(folder / "project")
    copy.env["DOCKER_HOST"] = own_engine.url
    (copy.folder / VENV.name).symlink_to(VENV)
    subject = copy.folder / ".patchbench" / "vllm-cpu"
    site = VENV / "lib/python3.11/site-packages"
    for python, program, *more in (
        (sys.executable, "make_subject.py", "--site", site, "--out", subject),
        (VENV / "bin/python", "make_model.py", "--out", subject / "model"),
    ):
        subprocess.run([python, EXAMPLE / program, *more], check=True)
    # Two minutes less if the example was worked off here before.
    recipe = f"vllm-cpu-{recipes.content(ROOT / 'envs/images/vllm-cpu')}.tar"
    archive = ROOT / ".patchbench" / "images" / recipe
    if archive.is_file():
        place = copy.folder / ".patchbench" / "images" / recipe
        place.parent.mkdir()
        place.symlink_to(archive)
    try:
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def task(project: Project) -> dict[str, Any]:
    """The entry of the task that is measured."""
    listed = yaml.safe_load((project.folder / ".patchbench/vllm-cpu/tasks.yaml").read_text())
    return next(t for t in listed["tasks"] if "bench serve" in t["perf_command"])


@pytest.fixture(scope="module")
def worked_off(project: Project, task: dict[str, Any]) -> Project:
    """One block of one task with this test's agents, measured."""
    (project.folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": [task]}))
    repo = project.folder / ".patchbench/vllm-cpu/repo.git"
    for name, (path, change) in AGENTS.items():
        old = at(repo, path, task["parent"])
        new = change(old)
        assert new != old
        place = project.folder / "agents" / name / f"{task['commit']}.diff"
        place.parent.mkdir(parents=True)
        place.write_text(edit(project.folder / "edits" / name, path, old, new))
    config = yaml.safe_load((project.folder / "config/vllm-cpu.yaml").read_text())
    config |= {
        "results": "results",
        "tasks": ["tasks.yaml"],
        "agents": {name: {"patches": f"agents/{name}"} for name in AGENTS},
        "trust_patches": False,
    }
    config["protocol"]["blocks"] = 1
    (project.folder / "one.yaml").write_text(yaml.safe_dump(config))
    done = project.snakemake(
        *("--cores", "2", "--resources", "gpu=1", "--configfile", "one.yaml"),
        *("--config", "runtime=docker"),
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return project


def medians(project: Project, metric: str) -> dict[str, float]:
    """Return a metric of each arm's launch."""
    return {
        row["arm"]: row["value"]
        for row in project.table("runs")
        if row["metric"] == metric and row["status"] == "measured"
    }


def test_the_human_commit_is_measured_and_faster(worked_off: Project) -> None:
    ttft = medians(worked_off, "ttft_median_ms")
    assert ttft["human"] < 0.6 * ttft["baseline"]


def test_a_slow_patch_shows_with_what_it_loses(worked_off: Project) -> None:
    tpot = medians(worked_off, "tpot_median_ms")
    lost = tpot["sleeps"] - tpot["baseline"]
    assert 0.6 * SLEEP_MS < lost < 3 * SLEEP_MS


@pytest.mark.parametrize("arm", ["next_token", "wrong_blocks"])
def test_a_wrong_answer_is_no_speedup(worked_off: Project, arm: str) -> None:
    outcome = next(r for r in worked_off.table("outcomes") if r["arm"] == arm)
    assert (outcome["status"], outcome["cause"]) == ("failed", "bench.wrong_output"), outcome
    assert outcome["blame"] == "agent"


def test_nothing_is_left(worked_off: Project, own_engine: PrivateEngine) -> None:
    client = own_engine.client()
    assert not client.containers.list(all=True)
    assert not [t for i in client.images.list() for t in i.tags if "-base:" not in t]
    assert not worked_off.processes()


def test_the_image_has_the_trees_files_and_no_others(
    worked_off: Project,
    task: dict[str, Any],
    own_engine: PrivateEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """vLLM's own files are those of the commit, all compiled; compiled extensions lie beside."""
    from patchbench.plan import campaign, resolve

    monkeypatch.chdir(worked_off.folder)
    monkeypatch.setenv("PATCHBENCH_LOCKS", worked_off.env["PATCHBENCH_LOCKS"])
    config = yaml.safe_load((worked_off.folder / "one.yaml").read_text())
    config |= {"runtime": "docker", "containers": {"engine": own_engine.url}}
    spec = campaign.load(config, "test").tasks[task["commit"]]
    bench = Bench(worked_off, resolve.resolve(spec))
    name, facts = bench.make()
    program = (
        "import pathlib; root = pathlib.Path('/opt/vllm');"
        "names = sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file());"
        "print(chr(10).join(names))"
    )
    inside = bench.output(name, "-I", "-c", program).splitlines()
    listed = subprocess.run(
        ["git", "--git-dir", str(bench.repo), "ls-tree", "-r", "--name-only", task["parent"]],
        check=True,
        capture_output=True,
        text=True,
    )
    tracked = listed.stdout.splitlines()
    compiled = [n for n in inside if n.endswith(".pyc")]
    extensions = [n for n in inside if n.endswith(".so")]
    assert set(inside) - set(compiled) - set(extensions) == set(tracked)
    assert len(compiled) == sum(n.endswith(".py") for n in tracked)
    assert "vllm/_C.abi3.so" in extensions
    stale = (
        "import importlib.util, pathlib\n"
        "places = [pathlib.Path('/opt'), pathlib.Path('/usr')]\n"
        "for p in (p for place in places for p in place.rglob('*.py')):\n"
        "    c = pathlib.Path(importlib.util.cache_from_source(p))\n"
        "    if not c.is_file(): continue\n"
        "    head = c.read_bytes()[:16]\n"
        "    if head[4] == 0 and (int.from_bytes(head[8:12], 'little'),"
        " int.from_bytes(head[12:16], 'little')) != (int(p.stat().st_mtime), p.stat().st_size):\n"
        "        print(p)\n"
    )
    assert bench.output(name, "-I", "-c", stale) == ""
    assert facts.own_size < 200 << 20
    bench.runtime.remove(bench.task)
