"""Files of the judge's image: this interpreter and its standard library, the judge's modules and
libraries, and the shared libraries of all of them.

Places in the image are relative paths. Modules of the judge and libraries lie in the standard
library's folder, which is on the path of every interpreter; shared libraries lie in ``usr/lib``,
where interpreters that can be moved look for their own (``$ORIGIN/../lib``).
"""

from __future__ import annotations

import ast
import functools
import platform
import sys
import sysconfig
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import patchbench
from patchbench.errors import infra_fault
from patchbench.runtimes.docker.shared_libraries import libraries_of, loader_of
from patchbench.system.files import digest

# Bump if the image is made in another way.
VERSION = 1
PROGRAM = "patchbench.judge"
PACKAGES = ("httptools", "msgspec", "zstandard")
OPTIONAL = ("tokenizers",)
PYTHON = "usr/bin/python3"
SHARED = "usr/lib"
DYNAMIC = "lib-dynload"

# Parts of the standard library and of packages that the judge never needs: folders and extension
# modules (one of them of zstandard, 12 MB, for interpreters that aren't CPython).
UNUSED_FOLDERS = {
    "__pycache__", "curses", "dbm", "dist-packages", "distutils", "ensurepip", "idlelib", "lib2to3",
    "pydoc_data", "site-packages", "sqlite3", "test", "tests", "tkinter", "turtledemo", "unittest",
    "venv",
}  # fmt: skip
UNUSED_MODULES = (
    "_cffi.*", "_codecs_*", "_ctypes_test*", "_curses*", "_dbm*", "_gdbm*", "_sqlite3*", "_test*",
    "_tkinter*", "_xx*", "audioop*", "nis.*", "ossaudiodev*", "readline*", "xx*",
)  # fmt: skip
# Loaded by glibc itself when a thread is ended; no file names it.
OF_THREADS, LIBC = "libgcc_s.so.1", "libc.so.6"


def program() -> Path:
    """Return the file of this interpreter, whatever links lead to it."""
    return Path("/proc/self/exe").resolve()


def standard_library() -> tuple[Path, str]:
    """Return the folder of the standard library, and its place in the image: what the interpreter
    looks for above its own folder."""
    folder = Path(sysconfig.get_path("stdlib"))
    if not (folder / "os.py").is_file():
        raise infra_fault(
            "infra.base", str(folder), "no standard library in this folder",
            step="run the workflow with another Python, or say measure: own",
        )  # fmt: skip
    return folder, f"usr/{folder.relative_to(sys.base_prefix)}"


def own_modules(root: Path, *names: str) -> dict[str, Path]:
    """Return the modules of the package in ``root`` that modules import, with themselves: relative
    path and file."""
    found: dict[str, Path] = {}
    todo = [*names]
    while todo:
        name = todo.pop()
        place = name.replace(".", "/")
        for path in (f"{place}.py", f"{place}/__init__.py"):
            if path not in found and (root / path).is_file():
                found[path] = root / path
                todo += _imports((root / path).read_text(encoding="utf-8"), name.partition(".")[0])
        if "." in name:
            todo.append(name.rpartition(".")[0])
    return found


def _imports(source: str, package: str) -> Iterator[str]:
    """Yield the names below a package that a module's source imports; some name no module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == package)


@functools.cache
def judge_modules() -> dict[str, Path]:
    """Return the modules of the judge: relative path and file."""
    return own_modules(Path(patchbench.__file__).parents[1], f"{PROGRAM}.__main__")


def packages() -> dict[str, Path]:
    """Return the folders of the libraries that the judge imports. Raises InfraFault if one that it
    needs is not installed."""
    found = {}
    for name in (*PACKAGES, *OPTIONAL):
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            found[name] = Path(spec.submodule_search_locations[0])
        elif name in PACKAGES:
            raise infra_fault("infra.base", f"no library {name}", step=f"pip install {name}")
    return found


def content_digest() -> str:
    """Return a digest of all that decides what is in the image."""
    inputs = {
        "version": VERSION,
        "python": sys.version,
        "machine": [platform.machine(), *platform.libc_ver()],
        "packages": {name: version(name) for name in packages()},
        "modules": {name: digest(path.read_bytes()) for name, path in judge_modules().items()},
    }
    return digest(inputs)


def files() -> dict[str, Path]:
    """Return the image's files: place and file of this machine. An extension module of the standard
    library is left out if its shared libraries are not on this machine. Raises InfraFault."""
    loader = loader_of(program())
    folder, place = standard_library()
    found = {PYTHON: program(), str(loader).lstrip("/"): loader}
    needed = dict(_modules(folder, place, skip=UNUSED_FOLDERS | {DYNAMIC}))
    for name, package in packages().items():
        needed |= _modules(package, f"{place}/{name}", unused=UNUSED_MODULES)
    needed |= {f"{place}/{name}": path for name, path in judge_modules().items()}
    optional = dict(_modules(folder / DYNAMIC, f"{place}/{DYNAMIC}", unused=UNUSED_MODULES))
    shared: dict[str, Path] = {}
    for where, path in (found | needed | optional).items():
        libraries: dict[str, Path] | None = {}
        if path == program() or path.name.endswith(tuple(EXTENSION_SUFFIXES)):
            libraries = libraries_of(path, loader)
        if libraries is not None:
            found[where] = path
            shared = libraries | shared  # the interpreter's own come first
        elif where not in optional:
            raise infra_fault(
                "infra.base", str(path), "some of its shared libraries can't be found",
                step=f"see which ({loader} --list {path})",
            )  # fmt: skip
    if LIBC in shared and (more := shared[LIBC].with_name(OF_THREADS)).is_file():
        shared = {OF_THREADS: more} | shared
    return found | {f"{SHARED}/{name}": path for name, path in shared.items()}


def _modules(
    folder: Path, place: str, *, skip: set[str] | None = None, unused: tuple[str, ...] = ()
) -> Iterator[tuple[str, Path]]:
    """Yield the modules in a folder and below it: place and file."""
    skip = {"__pycache__", "tests"} if skip is None else skip
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir():
            if path.name not in skip and not path.name.startswith("config-"):
                yield from _modules(path, f"{place}/{path.name}", skip=skip, unused=unused)
        elif path.name.endswith((".py", *EXTENSION_SUFFIXES)) and not any(
            fnmatch(path.name, pattern) for pattern in unused
        ):
            yield f"{place}/{path.name}", path
