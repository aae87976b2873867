"""A subject out of a release of vLLM: the repository, the agents' patches and the task list.

    DIR/repo.git                        bare; per task a branch: release without X, then X
    DIR/patches/{agent}/{commit8}.diff  each agent's patch against the commit before
    DIR/tasks.yaml                      the tasks: commit, parent, perf_command, primary_metric;
                                        those for another machine in a list of their own

The trees hold the text files of the package; compiled files stay where they are. Every file is
checked against the hash that the wheel states, so the same release gives the same commit hashes on
every machine. Needs git and Python 3.11 or later, nothing else.
"""

import argparse
import base64
import csv
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import folder
import repository
from repository import AFTER, BEFORE, Files, SubjectError
from source import EditError
from task import Change, Task


@dataclass(frozen=True)
class Subject:
    """The release and what is made of it. `dist_info` names the wheel's own list of its files,
    `model` the word that stands for the folder model/ in commands, `sources` the files that the
    output follows from beside this folder's."""

    name: str
    release: str
    dist_info: str
    model: str
    tasks: tuple[Task, ...]
    sources: tuple[Path, ...]
    left_out: tuple[str, ...] = ()

    @property
    def lists(self) -> tuple[str, ...]:
        """The names of the task lists."""
        return tuple(dict.fromkeys(task.listed for task in self.tasks))

    @property
    def parts(self) -> tuple[str, ...]:
        """What is made, by its name in the output folder."""
        return ("repo.git", "patches", *(f"{name}.yaml" for name in self.lists))


# The release ------------------------------------------------------------------------------------


def read_release(subject: Subject, site: Path) -> dict[str, bytes]:
    """The text files of the package, as the wheel's own list names and hashes them."""
    record = site / subject.dist_info / "RECORD"
    if not record.is_file():
        missing = f"{subject.dist_info}/RECORD"
        raise SubjectError(f"no vLLM {subject.release} in {site} (no {missing})")
    files: dict[str, bytes] = {}
    with record.open(encoding="utf-8", newline="") as lines:
        for name, digest, _size in csv.reader(lines):
            wanted = name.startswith("vllm/") and not name.startswith(subject.left_out)
            if not wanted or name.endswith((".so", ".pyc")):
                continue
            content = read_file(site / name)
            algorithm, _, expected = digest.partition("=")
            actual = hashlib.new(algorithm, content).digest()
            if base64.urlsafe_b64encode(actual).decode().rstrip("=") != expected:
                raise SubjectError(f"{site / name} was changed since it came out of its wheel")
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
    """Return True for UTF-8 without a zero byte."""
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def edited(subject: Subject, files: Files, change: Change) -> Files:
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
            raise SubjectError(f"{path}: {why} (is this vLLM {subject.release}?)") from None
        out[path] = new.encode("utf-8")
    return out


# The output folder ------------------------------------------------------------------------------


def make_repository(
    subject: Subject, place: Path, release: dict[str, bytes]
) -> dict[str, tuple[str, str]]:
    """Make the bare repository; each branch's (parent, commit)."""
    repository.init(place, f"--initial-branch={subject.tasks[0].branch}")
    stream = b""
    for task in subject.tasks:
        without = edited(subject, dict(release), task.removal)
        kept = {path: text for path, text in {**release, **without}.items() if text is not None}
        back: Files = {path: release[path] for path in without}
        stream += repository.commit(task.branch, BEFORE, task.before, kept)
        stream += repository.commit(task.branch, AFTER, task.title, back)
    repository.fast_import(place, stream)
    hashes = {}
    for task in subject.tasks:
        after, before = repository.git(place, "rev-list", task.branch).split()
        hashes[task.branch] = (before, after)
    return hashes


def tasks_yaml(subject: Subject, hashes: dict[str, tuple[str, str]], listed: str = "tasks") -> str:
    """A task list, written by hand: JSON is YAML, and no library is needed."""
    lines = [
        f"# Written by make_subject.py; `--model {subject.model}` stands for the folder model/.",
        "tasks:",
    ]
    for task in (task for task in subject.tasks if task.listed == listed):
        parent, after = hashes[task.branch]
        entry = {
            "commit": after,
            "parent": parent,
            "subject": subject.name,
            "title": task.title + (f" (#{task.upstream})" if task.upstream else ""),
            "perf_command": task.perf_command,
            "primary_metric": task.primary_metric,
        }
        if task.guard_metrics is not None:
            entry["guard_metrics"] = list(task.guard_metrics)
        if task.answers != "checked":
            entry["answers"] = task.answers
        rows = [f"{key}: {json.dumps(value)}" for key, value in entry.items()]
        lines += [f"  - {rows[0]}", *(f"    {row}" for row in rows[1:])]
    return "\n".join(lines) + "\n"


def write_patches(subject: Subject, build: Path, release: dict[str, bytes], hashes: dict) -> None:
    """Write each agent's patch against its task's baseline."""
    for task in subject.tasks:
        parent, after = hashes[task.branch]
        baseline: Files = {**release, **edited(subject, dict(release), task.removal)}
        for agent, change in task.agents.items():
            files = edited(subject, baseline, change)
            text = repository.patch(build / "repo.git", build / "scratch.git", parent, files)
            path = build / "patches" / agent / f"{after[:8]}.diff"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def stamp(subject: Subject, release: dict[str, bytes]) -> str:
    """A digest of everything that the output follows from."""
    digest = hashlib.sha256()
    for path in [*sorted(Path(__file__).parent.glob("*.py")), *subject.sources]:
        digest.update(path.read_bytes())
    for name, content in sorted(release.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def make(subject: Subject, site: Path, out: Path) -> str:
    """Make the subject in `out`; a line that says what was done. Raises SubjectError."""
    release = read_release(subject, site)
    mark, digest = out / ".subject", stamp(subject, release)
    there = all((out / part).exists() for part in subject.parts) and mark.is_file()
    if there and mark.read_text(encoding="utf-8").strip() == digest:
        return f"{out} is there already"
    out.mkdir(parents=True, exist_ok=True)
    with folder.temporary(out, "making") as build:
        hashes = make_repository(subject, build / "repo.git", release)
        write_patches(subject, build, release, hashes)
        for name in subject.lists:
            text = tasks_yaml(subject, hashes, name)
            (build / f"{name}.yaml").write_text(text, encoding="utf-8")
        (build / ".subject").write_text(digest + "\n", encoding="utf-8")
        # The mark goes first and comes back last: a run cut off in between starts over.
        mark.unlink(missing_ok=True)
        for part in (*subject.parts, ".subject"):
            if (out / part).is_dir():
                (out / part).rename(build / f"old-{part}")
            (build / part).replace(out / part)
    commits = ", ".join(f"{after[:8]} {name}" for name, (_, after) in hashes.items())
    return f"{out}: {len(release)} files; {commits}"


def main(subject: Subject, about: str) -> int:
    """The command line of a make_subject.py."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--site", required=True, type=Path, help="folder that holds vLLM's wheel")
    parser.add_argument("--out", required=True, type=Path, help="folder to make or renew")
    arguments = parser.parse_args()
    try:
        print(f"make_subject: {make(subject, arguments.site, arguments.out)}")
    except SubjectError as error:
        print(f"make_subject: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"make_subject: cannot write {arguments.out}: {error}", file=sys.stderr)
        return 2
    return 0
