"""A bare repository with commits made of plain files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.unit.history import run_git, write_files

Files = Mapping[str, str | None]


def history(
    folder: Path, *commits: Files, messages: tuple[str, ...] = ()
) -> tuple[Path, list[str]]:
    """Make a bare repository of commits, each given as the files that it changes (None removes
    one). Returns its path and the hashes."""
    work, bare = folder / "work", folder / "bare.git"
    work.mkdir()
    run_git(work, "init", "--quiet")
    hashes = []
    for number, files in enumerate(commits):
        texts = {path: text if text is None else text.encode() for path, text in files.items()}
        write_files(
            work, {path: data for path, data in texts.items() if data is not None or number}
        )
        run_git(work, "add", "--all")
        message = messages[number] if number < len(messages) else f"commit {number}"
        run_git(work, "commit", "--quiet", "--message", message)
        hashes.append(run_git(work, "rev-parse", "HEAD").decode().strip())
    run_git(folder, "clone", "--quiet", "--bare", str(work), str(bare))
    return bare, hashes
