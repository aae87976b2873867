"""Space: measured, held against the reserve, set aside, given up last."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from patchbench.config import DiskRules
from patchbench.errors import InfraFault
from patchbench.ledger import disk_log
from patchbench.ledger.disk_log import DiskEvent
from patchbench.system import disk, files
from patchbench.system.disk import MB, Space

RULES = DiskRules(reserve_mb=100, reserve_inodes=1000)


def space(free_mb: int, inodes: int = 5000, total_inodes: int = 9000) -> Space:
    return Space(Path("/somewhere"), free_mb * MB, 1000 * MB, inodes, total_inodes)


def test_need_and_reserve_must_both_be_there() -> None:
    assert disk.shortage([space(150)], RULES, 50 * MB) is None
    why = disk.shortage([space(149)], RULES, 50 * MB)
    assert why is not None
    assert "need 50 MiB and a reserve of 100 MiB" in why
    assert "149 of 1000 MiB" in why


def test_every_file_system_counts() -> None:
    assert disk.shortage([space(500), space(99)], RULES) is not None


def test_inodes_count_where_the_file_system_counts_them() -> None:
    assert "inodes" in (disk.shortage([space(500, inodes=999)], RULES) or "")
    assert disk.shortage([space(500, inodes=0, total_inodes=0)], RULES) is None


def test_measures_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    found = disk.measure(tmp_path / "not" / "yet")
    assert found.path == tmp_path
    assert 0 < found.free <= found.total


def test_says_what_is_missing_before_something_heavy_starts(tmp_path: Path) -> None:
    with pytest.raises(InfraFault, match=r"infra.disk_full \| block 3 .*reserve_mb"):
        disk.check([tmp_path], DiskRules(reserve_mb=10**9), "block 3")


def test_events_survive_a_torn_line(tmp_path: Path) -> None:
    disk_log.write(tmp_path, DiskEvent(at="now", event="build", commits=2))
    with (tmp_path / disk_log.LOG).open("ab") as file:
        file.write(b'{"at": "la')
    assert [e.event for e in disk_log.read(tmp_path)] == ["build"]


def test_the_reserve_is_put_aside_once_and_only_with_room(tmp_path: Path) -> None:
    disk.set_aside(tmp_path, DiskRules(outcomes_mb=1))
    reserve = tmp_path / files.RESERVE
    assert reserve.stat().st_size == MB
    before = reserve.stat().st_mtime_ns
    disk.set_aside(tmp_path, DiskRules(outcomes_mb=1))
    assert reserve.stat().st_mtime_ns == before
    disk.set_aside(tmp_path / "other", DiskRules(outcomes_mb=10**9))
    assert not (tmp_path / "other" / files.RESERVE).exists()


@pytest.mark.parametrize("write", [files.write_bytes, files.append_line])
def test_a_full_disk_costs_the_reserve_before_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write
) -> None:
    disk.set_aside(tmp_path, DiskRules(outcomes_mb=1))
    (tmp_path / files.LOCK).touch()
    reserve, real = tmp_path / files.RESERVE, os.fsync

    def full(fd: int) -> None:
        if reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / "runs" / "outcome.json"
    write(target, b"{}")
    assert target.read_bytes().split() in ([b"{}"], [b"{}", b"{}"])
    assert not reserve.exists()


def test_only_the_reserve_of_the_results_folder_is_given_up(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    others = tmp_path / files.RESERVE
    others.write_text("a file of another program")
    results = tmp_path / "work" / "results"
    results.mkdir(parents=True)
    assert not files.give_up_reserve(results / "runs/x.json", full)  # no results folder of a run
    (results / files.LOCK).touch()
    assert not files.give_up_reserve(results / "runs/x.json", full)  # its reserve is spent
    assert others.exists()
    (results / files.RESERVE).touch()
    assert files.give_up_reserve(results / "runs/x.json", full)
    assert others.exists()


def test_without_a_reserve_a_full_disk_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfraFault, match=r"infra\.disk_full"):
        files.write_bytes(tmp_path / "outcome.json", b"{}")
    assert not list(tmp_path.iterdir())
