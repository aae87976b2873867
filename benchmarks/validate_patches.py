"""Time the validation of 300 patches: 100 commits of a synthetic repository, 3 agents each.

    .venv/bin/python benchmarks/validate_patches.py [--scripts]

The repository has 2,000 files (some of 3,000 lines); patches are good, stripped, fenced, without
prefixes, made for an older base, or broken, as agents' are. Two processes. With --scripts each
patch is one run of workflow/scripts/validate_patch.py, as Snakemake starts it.
Targets: under 30 s and under 500 MB.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import random
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.fixtures.bad_patches.repo import subject  # noqa: E402
from tests.unit.history import run_git  # noqa: E402

from patchbench.config import Protocol  # noqa: E402
from patchbench.patches.validate import validate  # noqa: E402
from patchbench.records import Fetched, Task  # noqa: E402
from patchbench.subject import Source  # noqa: E402
from patchbench.system.files import digest, write_bytes, write_json  # noqa: E402

FILES, COMMITS, AGENTS, PROCESSES = 2000, 100, ("alba", "brio", "corso"), 2
SECONDS, MEGABYTES = 30.0, 500.0


class Job(NamedTuple):
    """One patch of one agent."""

    task: Task
    arm: str
    patch: Path
    repo: Path


def source(number: int, lines: int) -> list[str]:
    """Lines of a Python file."""
    body = [
        f"def step_{number}_{i}(x, y=None):\n    return x * {i} + {number}\n"
        for i in range(lines // 2)
    ]
    return "".join(["import math\n\n\n", *body]).splitlines(keepends=True)


def make(folder: Path) -> list[Job]:
    """The repository and all patches."""
    rng = random.Random(0)
    repo = folder / "repo.git"
    run_git(folder, "init", "--quiet", "--bare", str(repo))
    names = [f"engine/part_{i % 40}/module_{i}.py" for i in range(FILES)]
    files = {n: source(i, 3000 if i % 50 == 0 else 200) for i, n in enumerate(names)}
    stream = []

    def commit(mark: int, changed: list[str]) -> None:
        stream.append(
            f"commit refs/heads/main\nmark :{mark}\n"
            f"committer A <a@b> {1700000000 + mark} +0000\ndata 1\nx\n"
        )
        if mark > 1:
            stream.append(f"from :{mark - 1}\n")
        for name in changed:
            text = "".join(files[name])
            stream.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n")

    def edit(name: str, remark: str) -> None:
        at = rng.randrange(5, len(files[name]) - 5)
        files[name][at] = files[name][at].rstrip("\n") + f"  # {remark}\n"

    commit(1, names)
    history: list[dict[str, list[str]]] = []
    for number in range(COMMITS):
        chosen = rng.sample(names[:200], 3)
        history.append({name: list(files[name]) for name in chosen})
        for name in chosen:
            edit(name, f"faster {number}")
        commit(number + 2, chosen)
    subprocess.run(
        ["git", "--git-dir", str(repo), "fast-import", "--quiet", "--done"],
        input="".join([*stream, "done\n"]).encode(), check=True,
    )  # fmt: skip
    hashes = run_git(repo, "rev-list", "--reverse", "main").decode().split()
    jobs = []
    for number, before in enumerate(history):
        parent, human = hashes[number], hashes[number + 1]
        for agent in AGENTS:
            path = folder / "patches" / agent / f"{human}.diff"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(patch(rng, before, number))
            jobs.append(Job(task(human, parent, repo), agent, path, repo))
    return jobs


def patch(rng: random.Random, before: dict[str, list[str]], number: int) -> str:
    """One agent's patch, in one of the shapes that they come in."""
    import difflib

    shape = rng.choice(("plain",) * 5 + ("fenced", "bare", "broken", "drifted", "syntax"))
    out = []
    for name, lines in list(before.items())[: rng.randint(1, 3)]:
        old, new = list(lines), list(lines)
        for _ in range(3):
            at = rng.randrange(6, len(new) - 6)
            new[at] = "    return x + y" + (" (\n" if shape == "syntax" else f"  # {number}\n")
        if shape == "drifted":
            old = [line.replace("def ", "def  ") for line in old]
            new = [line.replace("def ", "def  ") for line in new]
        if shape == "broken":
            old = ["# another file\n", *(line.replace("x *", "z *") for line in old)]
        a, b = (name, name) if shape == "bare" else (f"a/{name}", f"b/{name}")
        out += difflib.unified_diff(old, new, a, b)
    text = "".join(out)
    return f"Here it is:\n```diff\n{text}```\n" if shape == "fenced" else text


def task(commit: str, parent: str, repo: Path) -> Task:
    """A task of the synthetic engine."""
    return Task(
        commit=commit, title="x", subject=subject(source=Source(repo=str(repo))),
        perf_command="bench serve", primary_metric="ttft_median_ms", guard_metrics=(),
        parent=parent, parent_origin="git", workload=None, workload_id=None, exclusion=None,
        protocol=Protocol(), runtime="process", work=".patchbench",
    )  # fmt: skip


def in_process(job: Job) -> str:
    """The verdict of one patch."""
    record, _ = validate(job.task, job.arm, job.patch, job.repo)
    return record.cause or "ok"


def by_script(job: Job, folder: Path) -> str:
    """The same through the script of the rule."""
    place = folder / "out" / job.task.commit / job.arm
    data = job.patch.read_bytes()
    write_json(place / "task.json", job.task)
    write_bytes(place / "patch.diff", data)
    fetched = Fetched(
        stage="fetch_patch", commit=job.task.commit, arm=job.arm, status="ok",
        sha256=digest(data), size=len(data),
    )  # fmt: skip
    write_json(place / "fetch.json", fetched)
    options = {"task": "task.json", "patch": "patch.diff", "fetched": "fetch.json",
               "applied": "applied.diff", "out": "validation.json"}  # fmt: skip
    subprocess.run(
        [sys.executable, str(ROOT / "workflow/scripts/validate_patch.py"), "--results", str(folder),
         *(f"--{name}={place / file}" for name, file in options.items())],
        check=True, capture_output=True,
    )  # fmt: skip
    return "done"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scripts", action="store_true", help="one process per patch")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = make(folder)
        started = time.perf_counter()
        if args.scripts:
            with ThreadPoolExecutor(PROCESSES) as threads:
                verdicts = list(threads.map(partial(by_script, folder=folder), jobs))
        else:
            with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
                verdicts = pool.map(in_process, jobs, chunksize=5)
                pool.close()
                pool.join()
        took = time.perf_counter() - started
    # The largest single process (ours or git's), as many times as ran at once.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 * PROCESSES
    print(f"{len(jobs)} patches, {FILES} files, {PROCESSES} processes: {took:.1f} s, "
          f"{took / len(jobs) * 1000:.0f} ms each, at most {peak:.0f} MB")  # fmt: skip
    print(dict(collections.Counter(verdicts)))
    return 0 if took < SECONDS and peak < MEGABYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())
