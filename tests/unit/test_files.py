"""A reader sees the old file or the new one, nothing between."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.errors import BadInput, InfraFault
from patchbench.records import Evidence
from patchbench.system import slurm
from patchbench.system.files import (
    append_line,
    digest,
    disk_fault,
    disk_faults,
    own_name,
    read_json,
    remove_dead_parts,
    scratch_folder,
    sync,
    write_bytes,
    write_json,
)
from patchbench.system.pid_space import here


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_replaces_the_whole_file_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x"
    write_bytes(path, b"a long first text")
    write_bytes(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_bytes(path, b"old")
    with files_of_at_most(1000), pytest.raises(InfraFault, match=r"infra\.write_failed"):
        write_bytes(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_names_the_file_the_numbers_and_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "no-such-folder" / "x"
    fault = str(disk_fault(path, OSError(errno.ENOSPC, "No space left on device")))
    assert fault.startswith("infra.disk_full | ")
    assert str(path) in fault
    assert "MiB of" in fault
    assert "next: " in fault


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "not_writable"),
        (errno.EIO, "write_failed"),
    ],
)
def test_each_way_to_fail_has_its_word(tmp_path: Path, number: int, word: str) -> None:
    assert str(disk_fault(tmp_path, OSError(number, "x"))).startswith(f"infra.{word} | ")


def test_a_full_device_is_a_fault_of_the_machine() -> None:
    with pytest.raises(InfraFault, match=r"infra\.disk_full"):
        append_line(Path("/dev/full"), b"a line")


def test_a_file_in_the_place_of_a_folder_is_a_fault_too(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no folder")
    with pytest.raises(InfraFault):
        write_bytes(tmp_path / "x" / "y", b"new")


def test_lines_are_appended_whole(tmp_path: Path) -> None:
    path = tmp_path / "log" / "x"
    for line in (b"one", b"two\n", b""):
        append_line(path, line)
    assert path.read_bytes() == b"one\ntwo\n\n"


def test_a_line_that_was_only_written_in_part_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "x"
    append_line(path, b"first")
    with files_of_at_most(10), pytest.raises(InfraFault):
        append_line(path, b"a line that does not fit")
    assert path.read_bytes().startswith(b"first\na li")


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = Evidence(text="größer als 1 | <x>", file="a.log", line=3)
    write_json(tmp_path / "x.json", record)
    assert read_json(tmp_path / "x.json", Evidence) == record
    assert (tmp_path / "x.json").read_bytes().endswith(b"\n}\n")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b'{"text": 3}', "text"),
        (b'{"text": "a", "texd": "b"}', "texd"),
        (b'{"text": "a', "truncated"),
        (b"", "truncated"),
    ],
)
def test_a_record_that_is_not_one_is_named_with_its_field(
    tmp_path: Path, content: bytes, word: str
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=word) as caught:
        read_json(path, Evidence)
    assert str(path) in str(caught.value)
    with pytest.raises(BadInput, match="no such file"):
        read_json(tmp_path / "gone.json", Evidence)


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(b"abc", 16) == "ba7816bf8f01cfea"
    assert digest(Evidence(text="x")) == digest({"text": "x", "file": "", "line": None})


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(plain, plain)
def test_values_have_one_digest_if_and_only_if_they_are_equal(one: object, two: object) -> None:
    same = msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(
        two, order="deterministic"
    )
    assert (digest(one) == digest(two)) == same


def test_a_scratch_folder_lies_beside_its_target_and_is_gone_afterwards(tmp_path: Path) -> None:
    target = tmp_path / "image"
    with scratch_folder(target) as folder:
        assert folder.parent == tmp_path
        (folder / "x").write_text("x")
        folder.rename(target)
    assert [path.name for path in tmp_path.rglob("*")] == ["image", "x"]
    with pytest.raises(RuntimeError), scratch_folder(target) as folder:
        (folder / "y").write_text("y")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


def test_a_full_disk_inside_a_scratch_folder_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(InfraFault, match=r"infra\.disk_full"), scratch_folder(tmp_path / "image"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), scratch_folder(tmp_path / "image"):
        raise FileNotFoundError(errno.ENOENT, "x")


DEAD = 999_999_999


def test_what_a_killed_writer_left_half_done_is_removed(tmp_path: Path) -> None:
    host = f"{slurm.host()}.{here().mark}"
    mine, folder = (
        tmp_path / f".run.json.{host}.{DEAD}.part",
        tmp_path / f".tree.{host}.{DEAD}.part",
    )
    others = tmp_path / f".run.json.another-{host}.{DEAD}.part"
    elsewhere = tmp_path / f".run.json.{host}9.{DEAD}.part"
    alive = tmp_path / f".run.json.{own_name()}.part"
    whole = tmp_path / f"run.json.{host}.{DEAD}.part"
    for file in (mine, alive, others, elsewhere, whole, folder / "inner"):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    found = list(tmp_path.iterdir())
    assert set(remove_dead_parts(found)) == {str(mine), str(folder)}
    assert set(tmp_path.iterdir()) == {alive, others, elsewhere, whole}
    assert remove_dead_parts(found) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_fails_anywhere_is_a_fault_of_the_machine(number: int, tmp_path: Path) -> None:
    file = tmp_path / "x"
    with pytest.raises(InfraFault, match=rf"infra\.(disk_full|read_only) .*{file}"), disk_faults():
        raise OSError(number, os.strerror(number), str(file))
    with pytest.raises(InfraFault, match=r"infra\."), disk_faults():
        raise OSError(number, os.strerror(number))


def test_other_errors_pass_through() -> None:
    with pytest.raises(PermissionError), disk_faults():
        raise PermissionError(errno.EACCES, "no")


def test_every_file_and_the_folder_itself_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"server.stdout", "result.json"}
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / "inner").mkdir()
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    sync(tmp_path)
    assert {path.name for path in synced} == {*names, tmp_path.name}
    assert synced[-1] == tmp_path
