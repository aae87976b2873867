"""Unpacking what git archives: as tarfile's filter for data does it, which is slow."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.patches.git import _as_data

KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE)


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = ""):
    """An entry of an archive."""
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname = kind, mode, link
    return made


@given(mode=st.integers(0, 0o7777), kind=st.sampled_from(KINDS))
def test_a_plain_entry_is_what_tarfile_makes_of_it(mode: int, kind: bytes) -> None:
    given_ = member("folder/name", kind, mode)
    ours, theirs = _as_data()(given_, "/nowhere"), tarfile.data_filter(given_, "/nowhere")
    for field in ("name", "type", "mode", "uid", "gid", "uname", "gname"):
        assert getattr(ours, field) == getattr(theirs, field), field


@pytest.mark.parametrize(
    "outside",
    [
        member("../name"),
        member("folder/../../name"),
        member("link", tarfile.SYMTYPE, link="/etc"),
        member("link", tarfile.SYMTYPE, link="../.."),
        member("link", tarfile.LNKTYPE, link="../name"),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda entry: f"{entry.name} {entry.linkname}",
)
def test_what_leads_outside_is_refused(tmp_path: Path, outside: tarfile.TarInfo) -> None:
    with pytest.raises(tarfile.FilterError):
        _as_data()(outside, str(tmp_path))


def test_after_a_link_names_are_looked_up(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    filtered = _as_data()
    filtered(member("link", tarfile.SYMTYPE, link="inside"), str(tmp_path / "inside"))
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    with pytest.raises(tarfile.OutsideDestinationError):
        filtered(member("link/name"), str(tmp_path / "inside"))


def test_an_absolute_name_becomes_relative(tmp_path: Path) -> None:
    assert _as_data()(member("/name"), str(tmp_path)).name == "name"
