"""A campaign's name goes with its results folder, and never to another one."""

from __future__ import annotations

import shutil
from pathlib import Path

from patchbench.runtimes.docker.labels import ID_FILE, campaign_id


def results(tmp_path: Path, name: str = "results") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def test_a_folder_keeps_its_name_when_it_is_moved(tmp_path: Path) -> None:
    folder = results(tmp_path)
    name = campaign_id(folder)
    assert len(name) == 8
    assert campaign_id(folder) == name
    moved = folder.rename(tmp_path / "elsewhere")
    assert campaign_id(moved) == name
    link = tmp_path / "link"
    link.symlink_to(moved)
    assert campaign_id(link) == name


def test_a_new_folder_at_the_old_place_is_another_campaign(tmp_path: Path) -> None:
    folder = results(tmp_path)
    name = campaign_id(folder)
    folder.rename(tmp_path / "elsewhere")
    assert campaign_id(results(tmp_path)) != name


def test_a_copy_is_another_campaign(tmp_path: Path) -> None:
    folder = results(tmp_path)
    name = campaign_id(folder)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert campaign_id(copy) not in (name, "")
    assert campaign_id(copy) == campaign_id(copy)


def test_a_damaged_or_missing_note_changes_nothing_in_place(tmp_path: Path) -> None:
    folder = results(tmp_path)
    name = campaign_id(folder)
    (folder / ID_FILE).write_bytes(b"\xff\x00")
    assert campaign_id(folder) == name
    (folder / ID_FILE).unlink()
    assert campaign_id(folder) == name


def test_a_folder_that_is_not_there_yet_has_a_name(tmp_path: Path) -> None:
    assert campaign_id(tmp_path / "none") == campaign_id(tmp_path / "none")
    assert not (tmp_path / "none").exists()
