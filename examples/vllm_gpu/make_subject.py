#!/usr/bin/env python3
"""Make the subject of the vLLM example on a GPU from an unpacked wheel: repository, patches, tasks.

    python make_subject.py --site SITE --out DIR

writes

    DIR/repo.git                        bare; per task a branch: release without X, then X
    DIR/patches/{agent}/{commit8}.diff  each agent's patch against the commit before
    DIR/tasks.yaml                      the tasks: commit, parent, perf_command, primary_metric

SITE is a folder that vLLM's wheel was unpacked into. Its text files are checked against the hashes
that the wheel states, so the same release gives the same commit hashes on every machine; compiled
files stay where they are. Needs git and Python 3.11 or later, nothing else.
"""

import argparse
import base64
import csv
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import repository
from edits import TASKS, Change, EditError
from repository import AFTER, BEFORE, Files, SubjectError

RELEASE = "0.20.2"
DIST_INFO = f"vllm-{RELEASE}.dist-info"
# Neither Python nor read by it when a model is served: headers for a compiler, a page's pictures.
LEFT_OUT = (
    "vllm/third_party/deep_gemm/include/",
    "vllm/entrypoints/serve/instrumentator/static/",
)
PARTS = ("repo.git", "patches", "tasks.yaml")


def read_release(site: Path) -> dict[str, bytes]:
    """The text files of the package, as the wheel's own list names and hashes them."""
    record = site / DIST_INFO / "RECORD"
    if not record.is_file():
        raise SubjectError(f"no vLLM {RELEASE} in {site} (no {DIST_INFO}/RECORD)")
    files: dict[str, bytes] = {}
    with record.open(encoding="utf-8", newline="") as lines:
        for name, digest, _size in csv.reader(lines):
            wanted = name.startswith("vllm/") and not name.startswith(LEFT_OUT)
            if not wanted or name.endswith((".so", ".pyc")):
                continue
            content = read_file(site / name)
            algorithm, _, expected = digest.partition("=")
            actual = hashlib.new(algorithm, content).digest()
            if base64.urlsafe_b64encode(actual).decode().rstrip("=") != expected:
                raise SubjectError(f"{site / name} was changed after it was unpacked")
            if is_text(content):
                files[name] = content
    return files


def read_file(path: Path) -> bytes:
    """A file's content. Raises SubjectError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SubjectError(f"cannot read {path}: {error.strerror}") from None


def is_text(content: bytes) -> bool:
    """Whether it is UTF-8 without a zero byte."""
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def edited(files: Files, change: Change) -> Files:
    """The files that a change touches, with their new contents. Raises SubjectError."""
    out: Files = {}
    for path, edit in change.items():
        old = files.get(path)
        if old is None:
            raise SubjectError(f"the release has no file {path}")
        if edit is None:
            out[path] = None
            continue
        try:
            new = edit(old.decode("utf-8"))
            compile(new, path, "exec")
        except (EditError, SyntaxError) as error:
            why = f"edit {edit.__name__}: {error}"
            raise SubjectError(f"{path}: {why} (is this vLLM {RELEASE}?)") from None
        out[path] = new.encode("utf-8")
    return out


def make_repository(folder: Path, release: dict[str, bytes]) -> dict[str, tuple[str, str]]:
    """Make the bare repository; each branch's (parent, commit)."""
    repository.init(folder, f"--initial-branch={TASKS[0].branch}")
    stream = b""
    for task in TASKS:
        without = edited(release, task.removal)
        kept = {path: text for path, text in {**release, **without}.items() if text is not None}
        back = {path: release[path] for path in without}
        stream += repository.commit(task.branch, BEFORE, task.before, kept)
        stream += repository.commit(task.branch, AFTER, task.title, back)
    repository.fast_import(folder, stream)
    hashes = {}
    for task in TASKS:
        after, before = repository.git(folder, "rev-list", task.branch).split()
        hashes[task.branch] = (before, after)
    return hashes


def tasks_yaml(hashes: dict[str, tuple[str, str]]) -> str:
    """The task list, written by hand: JSON is YAML, and no library is needed."""
    lines = [
        "# Written by make_subject.py; `--model llama-8b` stands for the folder model/.",
        "tasks:",
    ]
    for task in TASKS:
        parent, after = hashes[task.branch]
        entry = {
            "commit": after,
            "parent": parent,
            "subject": "vllm-gpu",
            "title": f"{task.title} (#{task.upstream})",
            "perf_command": task.perf_command,
            "primary_metric": task.primary_metric,
            "guard_metrics": list(task.guard_metrics),
        }
        rows = [f"{key}: {json.dumps(value)}" for key, value in entry.items()]
        lines += [f"  - {rows[0]}", *(f"    {row}" for row in rows[1:])]
    return "\n".join(lines) + "\n"


def write_patches(folder: Path, build: Path, release: dict[str, bytes], hashes: dict) -> None:
    """Write each agent's patch against its task's baseline."""
    for task in TASKS:
        parent, after = hashes[task.branch]
        baseline: Files = {**release, **edited(dict(release), task.removal)}
        for agent, change in task.agents.items():
            files = edited(baseline, change)
            text = repository.patch(build / "repo.git", build / "scratch.git", parent, files)
            path = folder / agent / f"{after[:8]}.diff"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def stamp(release: dict[str, bytes]) -> str:
    """A digest of everything that the output follows from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    for name, content in sorted(release.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def make(site: Path, out: Path) -> str:
    """Make the subject in `out`; a line that says what was done. Raises SubjectError."""
    release = read_release(site)
    mark, digest = out / ".subject", stamp(release)
    there = all((out / part).exists() for part in PARTS) and mark.is_file()
    if there and mark.read_text(encoding="utf-8").strip() == digest:
        return f"{out} is there already"
    out.mkdir(parents=True, exist_ok=True)
    build = Path(tempfile.mkdtemp(prefix=".making-", dir=out))
    try:
        hashes = make_repository(build / "repo.git", release)
        write_patches(build / "patches", build, release, hashes)
        (build / "tasks.yaml").write_text(tasks_yaml(hashes), encoding="utf-8")
        (build / ".subject").write_text(digest + "\n", encoding="utf-8")
        # The mark goes first and comes back last: a run cut off in between starts over.
        mark.unlink(missing_ok=True)
        for part in (*PARTS, ".subject"):
            if (out / part).is_dir():
                (out / part).rename(build / f"old-{part}")
            (build / part).replace(out / part)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    commits = ", ".join(f"{after[:8]} {name}" for name, (_, after) in hashes.items())
    return f"{out}: {len(release)} files; {commits}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the subject of the vLLM example on a GPU.")
    parser.add_argument("--site", required=True, type=Path, help="folder with vLLM's wheel")
    parser.add_argument("--out", required=True, type=Path, help="folder to make or renew")
    arguments = parser.parse_args()
    try:
        print(f"make_subject: {make(arguments.site, arguments.out)}")
    except SubjectError as error:
        print(f"make_subject: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"make_subject: cannot write {arguments.out}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
