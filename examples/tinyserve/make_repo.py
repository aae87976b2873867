#!/usr/bin/env python3
"""Make the bare git repository of tinyserve from `history/`, with the same hashes everywhere.

    python make_repo.py --out DIR            make it, or check the one that is there
    python make_repo.py --out DIR --record   after editing history/: write the new hashes down

`history/base/` is the tree of the first commit; each further commit of `history/history.json` is a
patch on top of the one before. Only git and the standard library are needed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HISTORY = Path(__file__).resolve().parent / "history"
BRANCH = "main"
# Whatever the user's git is set to must not reach the objects.
SETTINGS = {
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.fileMode": "false",
    "core.symlinks": "true",
    "core.excludesFile": os.devnull,
    "core.attributesFile": os.devnull,
    "commit.gpgsign": "false",
    "i18n.commitEncoding": "UTF-8",
    "apply.whitespace": "nowarn",
    "gc.auto": "0",
}


class HistoryError(Exception):
    """The history cannot be turned into the recorded commits."""


def git(*arguments: str, env: dict[str, str] | None = None, stdin: bytes = b"") -> str:
    """Run git without any user or system configuration; its output, stripped."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    options = [part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}")]
    done = subprocess.run(
        ["git", *options, *arguments], env=clean | (env or {}), input=stdin, capture_output=True
    )
    if done.returncode:
        message = " ".join(done.stderr.decode(errors="replace").split())
        raise HistoryError(f"git {arguments[0]} failed: {message}")
    return done.stdout.decode().strip()


def build(repo: Path, commits: list[dict]) -> list[str]:
    """Fill the empty folder `repo` with a bare repository; the hashes of its commits."""
    git("init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", str(repo))
    env = {"GIT_DIR": str(repo), "GIT_INDEX_FILE": str(repo / "build-index")}
    hashes: list[str] = []
    for commit in commits:
        if not hashes:
            git("add", "--all", ".", env=env | {"GIT_WORK_TREE": str(HISTORY / "base")})
        else:
            git("apply", "--cached", "--whitespace=nowarn", str(HISTORY / commit["patch"]), env=env)
        who = {
            f"GIT_{role}_{field}": commit[key]
            for role in ("AUTHOR", "COMMITTER")
            for field, key in (("NAME", "name"), ("EMAIL", "email"), ("DATE", "date"))
        }
        tree = git("write-tree", env=env)
        parent = ("-p", hashes[-1]) if hashes else ()
        message = "\n".join(commit["message"]) + "\n"
        hashes.append(git("commit-tree", tree, *parent, env=env | who, stdin=message.encode()))
    git("update-ref", f"refs/heads/{BRANCH}", hashes[-1], env=env)
    (repo / "build-index").unlink()
    return hashes


def check(commits: list[dict], hashes: list[str]) -> None:
    """Raise HistoryError at the first commit that is not the recorded one."""
    for commit, found in zip(commits, hashes, strict=True):
        if commit["hash"] != found:
            subject = commit["message"][0]
            raise HistoryError(f"commit {subject!r} is {found}, recorded is {commit['hash']}")


def is_complete(out: Path, commits: list[dict]) -> bool:
    """Return True if `out` already holds the recorded history."""
    try:
        listed = git("rev-list", "--reverse", f"refs/heads/{BRANCH}", env={"GIT_DIR": str(out)})
        return listed.split() == [commit["hash"] for commit in commits]
    except HistoryError:
        return False


def make(out: Path, commits: list[dict], record: bool) -> list[str]:
    """Make `out` in one rename, so that it never is half a repository."""
    if out.exists() and is_complete(out, commits):
        return [commit["hash"] for commit in commits]
    if out.exists() and not record and any(out.iterdir()):
        raise HistoryError(f"{out} exists and is not this history: remove it first")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        hashes = build(work / "repo", commits)
        if record:
            return hashes
        check(commits, hashes)
        try:
            (work / "repo").rename(out)
        except OSError:
            # Another run was faster, and its repository is as good as this one.
            if not is_complete(out, commits):
                raise HistoryError(f"{out} appeared and is not this history") from None
        return hashes
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the bare repository goes")
    parser.add_argument("--record", action="store_true", help="write hashes to history.json only")
    args = parser.parse_args()
    try:
        path = HISTORY / "history.json"
        history = json.loads(path.read_text(encoding="utf-8"))
        hashes = make(args.out.absolute(), history["commits"], args.record)
        if args.record:
            for commit, found in zip(history["commits"], hashes, strict=True):
                commit["hash"] = found
            text = json.dumps(history, indent=2, ensure_ascii=False) + "\n"
            path.write_text(text, encoding="utf-8")
    except (HistoryError, OSError, KeyError, ValueError) as error:
        print(
            f"make_repo: {error!r}" if isinstance(error, KeyError) else f"make_repo: {error}",
            file=sys.stderr,
        )
        return 1
    print(hashes[-1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
