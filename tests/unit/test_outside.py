"""Faults of the machine as they are seen from outside of a launch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from patchbench.benchmark import outside
from patchbench.benchmark.context import BlockContext
from patchbench.system import gpu_driver, kernel_log
from tests.unit import make

XID = "NVRM: Xid (PCI:0000:18:00): 79, pid=4711, GPU has fallen off the bus."
OWN_XID = "NVRM: Xid (PCI:0000:18:00): 31, pid=4711, name=python3, MMU Fault"


def context(folder: Path, runtime: str = "docker") -> BlockContext:
    parts = SimpleNamespace(
        results=folder,
        task=make.task(work=str(folder)),
        runtime=SimpleNamespace(name=runtime, disks=list),
        digest="d",
        events=list,
    )
    return cast(BlockContext, parts)


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SCARCE_BYTES", 0)
    monkeypatch.setattr(outside, "FULL_BYTES", 0)
    monkeypatch.setattr(outside, "RELEASE_SECONDS", 0)
    monkeypatch.setattr(kernel_log, "records", lambda *_: iter(()))
    monkeypatch.setattr(gpu_driver, "why_broken", lambda _: None)
    monkeypatch.setattr(gpu_driver, "why_not_free", lambda _: None)


def seen(folder: Path, *suspected: str, runtime: str = "docker", **more: Any) -> dict[str, str]:
    return outside.seen(context(folder, runtime), "alba", suspected, ("0",), more.get("since", 0))


def test_a_machine_without_a_fault_shows_none(tmp_path: Path) -> None:
    assert seen(tmp_path, "infra.disk_full", "infra.gpu", "infra.gpu_dirty") == {}


def test_a_full_disk_shows_by_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SCARCE_BYTES", 2**62)
    assert "MiB are free" in seen(tmp_path)["infra.disk_full"]


def test_the_temporary_folder_counts_where_arms_write_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "FULL_BYTES", 2**62)
    assert seen(tmp_path) == {}
    assert "infra.disk_full" in seen(tmp_path, runtime="process")


def test_the_kernel_tells_a_broken_gpu_from_a_broken_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [f"4,1,{at},-;{text}\n SUBSYSTEM=pci" for at, text in ((5, XID), (9, OWN_XID))]
    monkeypatch.setattr(kernel_log, "records", lambda *_: iter(records))
    assert "fallen off the bus" in seen(tmp_path)["infra.gpu"]
    assert seen(tmp_path, since=6e-6) == {}  # before the launch


def test_the_driver_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_driver, "why_broken", lambda gpu: f"GPU {gpu}: is lost")
    monkeypatch.setattr(gpu_driver, "why_not_free", lambda gpu: f"GPU {gpu}: process 7 holds 9 MiB")
    assert seen(tmp_path) == {"infra.gpu": "GPU 0: is lost"}
    assert "process 7" in seen(tmp_path, "infra.gpu_dirty")["infra.gpu_dirty"]


def test_a_kernels_log_that_may_not_be_read_is_empty(tmp_path: Path) -> None:
    assert not list(kernel_log.lines(path=tmp_path / "none"))


def test_a_kernels_log_is_read_as_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    (tmp_path / "log").write_text("4,1,9000000,-;EXT4-fs (sda1): Remounting\n")
    assert list(kernel_log.lines(path=tmp_path / "log")) == ["EXT4-fs (sda1): Remounting"]
    assert list(kernel_log.lines(10.0, tmp_path / "log")) == []


class Nvml:
    """A driver's library whose GPU answers as it is told."""

    NVML_ERROR_GPU_IS_LOST, NVML_ERROR_RESET_REQUIRED = 15, 16
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC = 1, 0

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__("GPU is lost")
            self.value = value

    def __init__(self, lost: int = 0, errors: int = 0, rows: tuple[int, ...] = (0,) * 4) -> None:
        self.lost, self.errors, self.rows = lost, errors, rows

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetMemoryInfo(self, _: int) -> None:
        if self.lost:
            raise self.NVMLError(self.lost)

    def nvmlDeviceGetTotalEccErrors(self, *_: int) -> int:
        return self.errors

    def nvmlDeviceGetRemappedRows(self, _: int) -> tuple[int, ...]:
        return self.rows


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (Nvml(), None),
        (None, None),
        (Nvml(lost=15), "lost"),
        (Nvml(errors=3), "3 uncorrectable"),
        (Nvml(rows=(0, 0, 1, 0)), "remapped"),
    ],
)
def test_a_broken_gpu_by_its_driver(
    monkeypatch: pytest.MonkeyPatch, library: Nvml | None, said: str | None
) -> None:
    from contextlib import nullcontext

    monkeypatch.undo()
    monkeypatch.setattr(gpu_driver, "driver", lambda: nullcontext(library))
    why = gpu_driver.why_broken("0")
    assert (why is None) if said is None else (why is not None and said in why)
