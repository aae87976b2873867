"""Command lines and environments of containers, as plain functions of what is asked.

Flags are those of apptainer exec(1): ``--containall`` gives file systems, process ids and IPC of
its own, ``--cleanenv`` keeps the caller's environment out, APPTAINERENV_NAME puts a variable in
(``--env`` would split a value at its commas).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from patchbench.records import Containers

# Where files that we hand to a process, or want from it, stand inside.
FILES = "/patchbench"
PREFIXES = ("APPTAINERENV_", "SINGULARITYENV_")


class Bind(NamedTuple):
    """A file or folder of this machine, and its name inside."""

    source: Path
    target: str
    writable: bool = False

    @property
    def word(self) -> str:
        """The value of ``--bind``. Raises ValueError for a path that it can't hold."""
        if {":", ","} & {*str(self.source), *self.target}:
            raise ValueError(f"{self.source}: Apptainer binds no path with a colon or a comma")
        return f"{self.source}:{self.target}:{'rw' if self.writable else 'ro'}"


def inside(path: Path) -> str:
    """Name of a file of ours inside every container."""
    return f"{FILES}/{path.name}"


def exec_words(
    program: str,
    base: Path,
    binds: Sequence[Bind],
    command: Sequence[str],
    *,
    root: str,
    nvidia: bool,
) -> list[str]:
    """The command that runs a process in a container of its own, in the subject's tree."""
    return [
        program,
        "exec",
        *("--containall", "--cleanenv", "--no-home", "--no-privs"),
        *(["--nv"] if nvidia else []),
        *(word for bind in binds for word in ("--bind", bind.word)),
        *("--pwd", root),
        str(base),
        *command,
    ]


def binds(
    tree: Path,
    root: str,
    machine: Containers,
    reads: Sequence[Path] = (),
    writes: Sequence[Path] = (),
) -> list[Bind]:
    """What a process sees: its tree, files of ours, the machine's mounts; all but ``writes`` can't
    be changed."""
    return [
        Bind(tree.resolve(), root),
        *(Bind(path.resolve(), inside(path)) for path in reads),
        *(Bind(path.resolve(), inside(path), writable=True) for path in writes),
        *(Bind(Path(m.source).expanduser().resolve(), m.target) for m in machine.mounts),
    ]


def environment(
    outer: Mapping[str, str], root: str, gpus: Sequence[str], *more: Mapping[str, str]
) -> dict[str, str]:
    """Environment of the program: what it needs itself, and by its prefixes what goes inside."""
    own = {
        "HOME": "/tmp",
        "PYTHONPATH": root,
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        # An empty list hides all GPUs from a process that is to have none.
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
    }
    for part in more:
        own |= part
    given = {f"{prefix}{name}": value for name, value in own.items() for prefix in PREFIXES}
    return {**outer, **given}


def exit_code(code: int | None) -> int | None:
    """A signal's death as its negative number: the program says 128 + number, as shells do."""
    return code if code is None or not 128 < code < 128 + 65 else 128 - code
