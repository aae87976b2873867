"""A patch that doesn't compile is its agent's, if the parent's own sources compile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from patchbench.errors import InfraFault
from patchbench.images import build
from patchbench.records import Task
from patchbench.runtimes import BuildFailed, RebuildFailed
from patchbench.runtimes.docker.image_maker import Maker
from patchbench.subject import Recipe
from patchbench.system.processes import Guard
from tests.unit import make

RECIPE = Recipe(
    folder="envs/images/x", digest="d", root="/opt/engine", python="python3",
    rebuild=("{python}", "setup.py"),
)  # fmt: skip
ERROR = 'csrc/cache.cu(112): error: identifier "tabel" is undefined\nninja: build stopped.\n'


class Compiler:
    """A container that compiles: exit code, what it prints, and limits that it ran into."""

    def __init__(self, code: int, said: str = "", flags: tuple[str, ...] = ()) -> None:
        self.exit_code, self.said, self.flags, self.id = code, said, flags, "c0"

    def stop(self, seconds: float) -> str:
        return "had ended"


def rebuilt(folder: Path, arm: Compiler, parent: Compiler) -> list[str]:
    """Rebuild an arm; returns the images in which something was compiled, or raises."""
    made: list[str] = []

    def launch(image: str, *_: object, stderr: Path, **__: object) -> Compiler:
        made.append(image)
        child = parent if image == "parent:1" else arm
        stderr.write_text(child.said)
        return child

    engine = SimpleNamespace(api=SimpleNamespace(commit=lambda *_, **__: None), faults=_nothing)
    task = make.task(runtime="docker", recipe=RECIPE)
    store: Any = SimpleNamespace(engine=engine, campaign="c")
    maker = Maker(task, store, folder, folder / "build.log", Guard(), launch)  # type: ignore[arg-type]
    maker._rebuild("alba", "parent:1", "arm-sources:1", "arm:1")
    return made


class _nothing:
    def __init__(self, *_: object) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_sources_that_compile_need_no_control(tmp_path: Path) -> None:
    assert rebuilt(tmp_path, Compiler(0), Compiler(1)) == ["arm-sources:1"]


def test_a_patch_that_does_not_compile_is_told_by_its_parent(tmp_path: Path) -> None:
    with pytest.raises(RebuildFailed, match=r"cache.cu\(112\): error: identifier") as error:
        rebuilt(tmp_path, Compiler(1, ERROR), Compiler(0))
    assert error.value.parent_builds


def test_a_parent_that_does_not_compile_either_takes_it_off_the_patch(tmp_path: Path) -> None:
    with pytest.raises(RebuildFailed, match="the parent's own sources don't compile") as error:
        rebuilt(tmp_path, Compiler(1, ERROR), Compiler(1, "nvcc fatal : no such arch\n"))
    assert not error.value.parent_builds


def test_a_machine_without_memory_is_no_compilers_error(tmp_path: Path) -> None:
    with pytest.raises(InfraFault, match=r"infra\.oom"):
        rebuilt(tmp_path, Compiler(-9, "", ("machine_oom",)), Compiler(0))


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (RebuildFailed("rebuild: x", parent_builds=True), "patch.compile"),
        (RebuildFailed("rebuild: x", parent_builds=False), "image.patched_failed"),
        (BuildFailed("no such file"), "image.patched_failed"),
    ],
)
def test_the_record_of_an_arm_that_was_not_built(
    tmp_path: Path, error: BuildFailed, cause: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    runtime: Any = SimpleNamespace(
        name="docker", image=lambda *_: "arm:1", room=_nothing, build=fail
    )
    task: Task = make.task(runtime="docker", recipe=RECIPE)
    record = build.build(task, "alba", None, None, runtime, tmp_path, tmp_path, Guard())
    assert (record.status, record.cause) == ("failed", cause)
