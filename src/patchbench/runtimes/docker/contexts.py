"""Build contexts: tar archives with a Dockerfile and the files of an image."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from patchbench.patches import git
from patchbench.subject import Recipe
from patchbench.system.command_words import expand

TREE = "tree"
DELETED_MODE = "000000"

# Runs in the image, in isolated mode so that no file of the patch is imported: removes deleted
# files and compiled files of changed ones, then compiles those anew. The parent's files are
# compiled too, so no arm may start slower for lack of compiled files.
FINISH = """
import compileall, json, pathlib, sys
root, changed, deleted = pathlib.Path(sys.argv[1]), *json.loads(sys.argv[2])
for name in changed + deleted:
    path = root / name
    for old in path.parent.glob("__pycache__/" + path.stem + ".*.pyc"):
        old.unlink()
for name in deleted:
    (root / name).unlink(missing_ok=True)
for name in changed:
    if name.endswith(".py"):
        compileall.compile_file(root / name, quiet=2)
"""


class Files(NamedTuple):
    """A patch's effect on the parent's tree: contents and modes by path, and deleted paths."""

    written: dict[str, tuple[bytes, int]]
    deleted: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files written."""
        return sum(len(data) for data, _ in self.written.values())


def patched_files(repo: Path, parent: str, patch: Path) -> Files:
    """Return the files that a patch changes, as it leaves them. Raises git.GitError if it does not
    apply."""
    with git.scratch_index(repo, parent) as index:
        index.apply(patch.read_bytes().decode("utf-8", "surrogateescape"))
        written, deleted = {}, []
        for change in index.changed():
            if change.new_mode == DELETED_MODE:
                deleted.append(change.path)
            else:
                mode = 0o755 if change.new_mode == "100755" else 0o644
                written[change.path] = (index.read(change.new_blob), mode)
    return Files(written, tuple(deleted))


def arm_context(recipe: Recipe, parent: str, labels: Mapping[str, str], files: Files) -> bytes:
    """Return the context of an arm's image: the changed files, with the present time (with equal
    size and an old time, Python would go on using the parent's compiled file)."""
    names = json.dumps([list(files.written), list(files.deleted)])
    finish = [recipe.python, "-I", "-c", FINISH, recipe.root, names]
    lines = [
        f"FROM {parent}",
        label_line(labels),
        *([f"COPY {TREE}/ {recipe.root}/"] if files.written else []),
        f"RUN {json.dumps(finish)}",
    ]
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        add(tar, "Dockerfile", "\n".join(lines).encode())
        for name, (data, mode) in files.written.items():
            add(tar, f"{TREE}/{name}", data, mode)
    return context.getvalue()


def parent_context(
    recipe: Recipe, base: str, labels: Mapping[str, str], repo: Path, commit: str, folder: Path
) -> None:
    """Write the context of a parent's image to ``folder / context.tar``: the whole tree and the
    recipe's files."""
    import jinja2

    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        (Path(recipe.folder) / recipe.dockerfile).read_text()
    )
    text = template.render(
        base=base, root=recipe.root, python=recipe.python, tree=TREE, fixes=recipe.fixes
    )
    target = folder / "context.tar"
    git.archive(repo, commit, target, prefix=f"{TREE}/")
    with tarfile.open(target, mode="a") as tar:
        add(tar, "Dockerfile", with_labels(text, labels).encode())
        for path in sorted(Path(recipe.folder).iterdir()):
            if path.is_file() and path.name not in (recipe.dockerfile, "recipe.yaml"):
                add(tar, path.name, path.read_bytes(), 0o755 if path.suffix == ".sh" else 0o644)


def base_dockerfile(recipe: Recipe, raw: str, labels: Mapping[str, str]) -> bytes:
    """Return the context of a base with the recipe's fixes."""
    values = {"python": recipe.python, "root": recipe.root}
    lines = [f"FROM {raw}", label_line(labels)]
    for fix in recipe.fixes:
        lines += [f"# {fix.name}: {fix.why}", f"RUN {json.dumps(expand(fix.run, values))}"]
    return dockerfile_only("\n".join(lines))


def relabel(name: str, labels: Mapping[str, str]) -> bytes:
    """Return the context of an image that is ``name`` with our labels, so that we may remove it."""
    return dockerfile_only(f"FROM {name}\n{label_line(labels)}")


def dockerfile_only(text: str) -> bytes:
    """Return a context that holds only a Dockerfile."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        add(tar, "Dockerfile", text.encode())
    return context.getvalue()


def label_line(labels: Mapping[str, str]) -> str:
    """Return the LABEL instruction. It comes first, so that leftovers of builds have it."""
    return "LABEL " + " ".join(f"{key}={json.dumps(value)}" for key, value in labels.items())


def with_labels(dockerfile: str, labels: Mapping[str, str]) -> str:
    """Return a Dockerfile with our labels right after its FROM."""
    first, newline, rest = dockerfile.lstrip().partition("\n")
    lead: list[str] = []
    while not first.upper().startswith("FROM ") and newline:
        lead.append(first)
        first, newline, rest = rest.partition("\n")
    return "\n".join([*lead, first, label_line(labels), rest])


def add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    """Add a file to an archive, with the present time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), mode, int(time.time())
    tar.addfile(member, io.BytesIO(data))
