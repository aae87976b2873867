"""A campaign in the middle of its way, written through the pipeline's own records.

Commit A: every arm measured; alba and the human faster, brio the same.
Commit B: alba's server crashed, brio delivered nothing; the human is not faster.
Commit C: planned, nothing measured yet.
Commit D: excluded, it needs eight GPUs.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from patchbench.failures.attribution import arm_result, attribute
from patchbench.plan import campaign
from patchbench.plan.campaign import Campaign
from patchbench.records import Built, Evidence, Exclusion, Fetched, GradedRun, Metrics, Validated
from patchbench.system.files import write_json
from tests.unit import make

A, B, C, D = (letter * 40 for letter in "abcd")
TITLES = {A: "Reuse prefixes", B: "Batch | decode", C: "Chunk prefill", D: "Split the model"}
STEADY = [100.0, 101.0, 99.0, 100.5, 99.5]
CRASH = "IndexError: list index out of range | at <core>"
METRIC = "ttft_median_ms"
# The configuration, for the campaign's own folder.
CONFIG: dict[str, object] = {
    "campaign": "synthetic",
    "tasks": ["tasks.yaml"],
    "subjects": "subjects",
    "trust_patches": True,
    "tasks_without_patches": "measure",
    "statistics": {"margin": 0.02},
    "agents": {n: {"patches": f"patches/{n}", "title": n.title()} for n in ("alba", "brio")},
}


def times(factor: float) -> list[float]:
    return [v / factor * w for v, w in zip(STEADY, (1.002, 0.998, 1, 1.002, 0.998), strict=True)]


def plan(folder: Path) -> Campaign:
    """The campaign's plan; its results folder is still empty. Call it from inside ``folder``."""
    for name in ("alba", "brio"):
        (folder / "patches" / name).mkdir(parents=True)
    (folder / "subjects").mkdir()
    clients = {"serving": {"command": ["client"], "detect": ["bench serve"]}}
    subject = {"title": "Small engine", "source": {"repo": "r.git"}, "clients": clients}
    subject["server"] = {"command": ["server"]}
    (folder / "subjects" / "small.yaml").write_text(yaml.safe_dump(subject))
    command = "bench serve --model m"
    tasks = [
        {"commit": commit, "subject": "small", "perf_command": command, "title": title}
        for commit, title in TITLES.items()
    ]
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    return planned_again(folder)


def planned_again(folder: Path) -> Campaign:
    """The campaign as its files now have it."""
    return campaign.load(CONFIG | {"subjects": str(folder / "subjects")})


def fill(found: Campaign) -> None:
    """Write what the pipeline would have written so far."""
    results = Path(found.results)
    for commit in found.commits:
        excluded = Exclusion(reason="needs_gpus:8", evidence="asks for 8") if commit == D else None
        more = {"workload": None, "workload_id": None, "parent": None} if excluded else {}
        task = make.task(commit, title=TITLES[commit], exclusion=excluded, **more)
        write_json(results / "tasks" / f"{commit}.json", task)
    for commit in (A, B, C):
        for arm in ("human", "alba", "brio"):
            patch(results, commit, arm, missing=(commit, arm) == (B, "brio"))
    values = {"baseline": STEADY, "human": times(1.3), "alba": times(1.4), "brio": times(1.001)}
    runs = measured(values)
    runs.append(make.run("baseline-aa", 1, metrics={METRIC: STEADY[0] * 1.01}))
    metrics(found, A, runs)
    runs = measured({"baseline": STEADY, "human": times(0.999)})
    evidence = Evidence(text=CRASH, file=f"results/runs/{B}/block-1/alba/server.stderr", line=42)
    for block in range(1, 6):
        crash = {"cause": "server.crash", "stage": "server_start", "evidence": evidence}
        runs.append(make.run("alba", block, **crash))
        gone = {"cause": "patch.missing", "stage": "fetch_patch", "launched": False}
        runs.append(make.run("brio", block, **gone))
    metrics(found, B, runs)
    nothing = [{"arm": arm, "status": "excluded", "stage": "resolve_task"} for arm in found.arms]
    record = {"commit": D, "digests": [found.block_digest(D)], "runs": [], "arms": nothing}
    write_json(results / "metrics" / f"{D}.json", msgspec.convert(record, Metrics))


def measured(values: dict[str, list[float]]) -> list[GradedRun]:
    return [
        make.run(arm, block, metrics={METRIC: value, "completed": 100.0})
        for arm, series in values.items()
        for block, value in enumerate(series, 1)
    ]


def metrics(found: Campaign, commit: str, runs: list[GradedRun]) -> None:
    charged = attribute(runs)
    arms = [arm_result(arm, [run for run in charged if run.arm == arm], 3) for arm in found.arms]
    record = Metrics(
        commit=commit, digests=(found.block_digest(commit),), runs=tuple(charged), arms=tuple(arms)
    )
    write_json(Path(found.results) / "metrics" / f"{commit}.json", record)


def patch(results: Path, commit: str, arm: str, *, missing: bool) -> None:
    folder = results / "patches" / commit / arm
    base = {"commit": commit, "arm": arm, "status": "failed" if missing else "ok"}
    if missing:
        base |= {"cause": "patch.missing", "evidence": Evidence(text="no such file")}
    source = None if missing else "git" if arm == "human" else "folder"
    fetched = Fetched(stage="fetch_patch", source=source, size=9, **base)
    stage = "fetch_patch" if missing else "validate_patch"
    flags = ("edits_benchmark",) if (commit, arm) == (A, "alba") else ()
    stripped = ("bench/client.py",) if flags else ()
    more = {} if missing else {"files": ("core.py",), "lines_added": 3, "patch_sha256": "s"}
    write_json(folder / "fetch.json", fetched)
    write_json(
        folder / "validation.json",
        Validated(stage=stage, flags=flags, stripped=stripped, **base, **more),
    )
    built = Built(
        stage=stage if missing else "build_image", seconds=0.0 if missing else 2.0, **base
    )
    write_json(results / "images" / commit / f"{arm}.json", built)
