"""The judge's image: made of the workflow's own interpreter, once per engine, without a registry.

It holds no code of a subject. Like a base it belongs to no campaign and stays on the engine.
"""

from __future__ import annotations

import io
import marshal
import tarfile
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
from typing import Any

from patchbench.runtimes.docker import judge_files, labels
from patchbench.runtimes.docker.bases import import_archive
from patchbench.runtimes.docker.image_store import BASE, Store, image_lock
from patchbench.system.files import scratch_folder
from patchbench.system.locks import locked

# Isolated, without the module site: nothing but the image decides what is imported.
COMMAND = (f"/{judge_files.PYTHON}", "-I", "-S", "-X", "utf8", "-m", judge_files.PROGRAM)
ENVIRONMENT = {"HOME": "/tmp", "TZ": "UTC", "LD_LIBRARY_PATH": f"/{judge_files.SHARED}"}
LOCK_SECONDS = 600.0
# PEP 552: a compiled file that is never held against its source.
UNCHECKED = MAGIC_NUMBER + (1).to_bytes(4, "little")


def ensure_judge(store: Store, work: Path, tick: Callable[[], None] = lambda: None) -> str:
    """Make the judge's image if the engine lacks it (seconds); return its name, which holds a
    digest of its content. Its archive (60 to 100 MB) lies in the work folder meanwhile. ``tick`` is
    called while another job makes it. Raises InfraFault."""
    content = judge_files.content_digest()
    name = f"patchbench/judge-base:{content[:12]}"
    if store.inspect(name) is None:
        what = f"making {name}"
        with locked(image_lock(name), seconds=LOCK_SECONDS, what=what, tick=tick):
            if store.inspect(name) is None:
                own = {labels.KIND: BASE, labels.RECIPE: content, labels.IMAGE: name}
                with scratch_folder(work / "images" / f"judge-{content}.tar") as folder:
                    archive = folder / "root.tar"
                    write_archive(archive, judge_files.files())
                    import_archive(store, archive, name, own)
    return name


def write_archive(archive: Path, files: dict[str, Path]) -> None:
    """Write a root file system of files and their compiled forms; equal files give equal bytes."""
    modes = {place: 0o755 if path.suffix != ".py" else 0o644 for place, path in files.items()}
    folders = {str(above) for place in files for above in Path(place).parents} - {"."}
    with tarfile.open(archive, "w") as tar:
        for folder in sorted({*folders, "tmp"}):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(member)
        for place, path in sorted(files.items()):
            _add(tar, place, path.read_bytes(), modes[place])
            if path.suffix == ".py" and (data := compiled(path)) is not None:
                _add(tar, cache_from_source(place), data)


def compiled(path: Path) -> bytes | None:
    """Return a module's compiled form, from the interpreter's cache if that has it; None if it is
    no module of this Python."""
    try:
        code = _Reader("module", str(path)).get_code("module")
    except SyntaxError:
        return None
    return UNCHECKED + source_hash(path.read_bytes()) + marshal.dumps(code)


class _Reader(SourceFileLoader):
    """Reads modules without writing their compiled forms onto this machine."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Write nothing."""


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    tar.addfile(member, io.BytesIO(data))
