#!/usr/bin/env python3
"""Run the tasks' workloads on baseline, human and agents; print ratios and how each arm ends.

    python tools/verify.py [--task COMMIT8] [--runs 3] [--python PYTHON-WITH-NUMPY]

The benchmark client is always the baseline's. Endings are compared with expected.yaml.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from arm import Arm

ROOT = Path(__file__).resolve().parents[1]
AGENTS = ("alba", "brio", "corso")


def read_yaml(name: str) -> list[dict]:
    """Return the flat mappings of one of our two files (this is no YAML parser)."""
    items: list[dict] = []
    text = re.sub(r">-\n\s+", "", (ROOT / name).read_text())
    for line in text.splitlines():
        if match := re.match(r"\s+(- )?(\w+): ?\"?(.*?)\"?(?:\s+#.*)?$", line):
            if match[1]:
                items.append({})
            items[-1][match[2]] = None if match[3] == "null" else match[3]
    return items


def checkout(repo: Path, commit: str, where: Path, *paths: str) -> None:
    where.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "--git-dir", repo, "archive", commit, *paths], check=True, capture_output=True
    )
    subprocess.run(["tar", "x", "-C", where], input=archive.stdout, check=True)


def apply(repo: Path, task: dict, agent: str, tree: Path) -> str | None:
    """Apply the agent's patch to the parent's tree; return its ending if that decides it."""
    patch = ROOT / "agents" / agent / f"{task['commit'][:8]}.diff"
    if not patch.exists():
        return "missing"
    if not patch.stat().st_size:
        return "empty"
    checkout(repo, f"{task['commit']}^", tree)
    names = re.findall(r"^\+\+\+ b/(.*)$", patch.read_text(), re.M)
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)}
    done = subprocess.run(["git", "apply", patch], cwd=tree, env=env, capture_output=True)
    if done.returncode:
        return "outside_tree" if any(".." in Path(n).parts for n in names) else "other_base"
    for source in sorted((tree / "tinyserve").glob("*.py")):
        try:
            compile(source.read_text(), str(source), "exec")
        except SyntaxError:
            return "syntax_error"
    return "edits_client" if all(n.startswith("tinybench/") for n in names) else None


def verify(task: dict, repo: Path, args: argparse.Namespace, expected: dict, work: Path) -> bool:
    """Run one task and print its table; return True if all endings are the expected ones."""
    commit, base = task["commit"], f"{task['commit']}^"
    checkout(repo, base, work / "base" / "tree")
    checkout(repo, commit, work / "human" / "tree")
    checkout(repo, base, client := work / "client", "tinybench")
    endings = {name: apply(repo, task, name, work / name / "tree") for name in AGENTS}
    names = ["base", "human", *(n for n in AGENTS if endings[n] in (None, "edits_client"))]
    arms = {name: Arm(args.python, work / name / "tree", client, task) for name in names}
    for turn in range(args.runs):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if not arms[name].ending:
                arms[name].run()
    print(f"\n{commit[:8]} {task['title']} [{task['primary_metric']}]")
    higher = task["primary_metric"].endswith("_tps")
    middle = {n: statistics.median(a.values) for n, a in arms.items() if a.values}
    gains = {n: v / middle["base"] if higher else middle["base"] / v for n, v in middle.items()}
    good = True
    for name in ("base", "human", *AGENTS):
        note, ending = "", endings.get(name)
        if arm := arms.get(name):
            ending = arm.ending or ending
            if arm.values:
                spread = 100 * statistics.pstdev(arm.values) / statistics.mean(arm.values)
                wall = statistics.median(arm.walls)
                note = f"{middle[name]:10.3f} x{gains[name]:.2f} cv {spread:.1f} % {wall:.2f} s"
            if not ending and arm.answers != arms["base"].answers:
                ending = "wrong_output"
        if not ending and name in AGENTS:
            share = gains[name] / gains["human"]
            ending = "as_good_as_human" if share < 1.25 else "better_than_human"
            if gains[name] < 1.15:
                ending = "no_effect" if gains[name] > 0.87 else "slower"
        want = expected.get((commit[:8], name), ending)
        good &= ending == want
        print(f"  {name:6} {ending or '':18} {note}" + ("" if ending == want else f"  != {want}"))
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", help="first digits of a task's commit; all tasks without it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has numpy")
    args = parser.parse_args()
    expected = {(e["commit"], e["agent"]): e["ending"] for e in read_yaml("expected.yaml")}
    good = True
    with tempfile.TemporaryDirectory() as folder:
        repo = Path(folder) / "tinyserve.git"
        subprocess.run([sys.executable, ROOT / "make_repo.py", "--out", repo], check=True)
        for task in read_yaml("tasks.yaml"):
            excluded = "--tensor-parallel-size" in task["perf_command"]
            if not excluded and task["commit"].startswith(args.task or ""):
                good &= verify(task, repo, args, expected, Path(folder) / task["commit"][:8])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
