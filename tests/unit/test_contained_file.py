"""No file outside of a patch source is ever read, and nothing that is no plain file."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbench.patches import quality
from patchbench.patches.sources import PatchPlace, PatchQuery, fetch, fingerprint, forget
from patchbench.patches.sources import trajectories as hub
from patchbench.system.contained_file import is_contained, open_contained
from tests.unit import make

COMMIT = make.COMMIT
C8 = COMMIT[:8]
SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
PATCH = b"--- a/x\n"

Plant = Callable[[Path, Path], object]


def outside(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def loop(path: Path, secret: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path, secret: Path) -> None:
    path.symlink_to("nothing")


def fifo(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def folder(path: Path, secret: Path) -> None:
    path.mkdir()


def device(path: Path, secret: Path) -> None:
    path.symlink_to("/dev/zero")


def socket_file(path: Path, secret: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name may be too long otherwise
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


PLANTED = [outside, loop, dangling, fifo, folder, device, socket_file]
WORDS = ("leads out", "symbolic links", "No such file", "named pipe", "a folder", "a socket")


def in_folder(root: Path, plant: Plant, secret: Path) -> PatchPlace:
    root.mkdir()
    plant(root / f"{C8}.diff", secret)
    return PatchPlace(kind="folder", path=str(root))


def in_runs(root: Path, plant: Plant, secret: Path) -> PatchPlace:
    item = root / "vllm/codex/m/2025-12-01_08-00-00/x"
    item.mkdir(parents=True)
    (item / "run_summary.json").write_text(json.dumps({"commits": {"human": COMMIT}}))
    plant(item / "model_patch.diff", secret)
    return PatchPlace(kind="runs", path=str(root))


def in_trajectories(root: Path, plant: Plant, secret: Path) -> PatchPlace:
    (root / "vllm" / C8).mkdir(parents=True)
    plant(root / "vllm" / C8 / "model_patch.diff", secret)
    return PatchPlace(kind="trajectories", path=str(root))


def in_predictions(root: Path, plant: Plant, secret: Path) -> PatchPlace:
    root.mkdir()
    line = {"instance_id": f"x-{C8}", "model_patch": SECRET.decode()}
    secret.write_text(json.dumps(line) + "\n")
    plant(root / "p.jsonl", secret)
    return PatchPlace(kind="predictions", path=str(root))


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("source", [in_folder, in_runs, in_trajectories, in_predictions])
def test_no_source_reads_what_is_no_plain_file_of_its_own(
    tmp_path: Path, source: Callable[..., PatchPlace], plant: Plant
) -> None:
    forget()
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    place = source(tmp_path / "agent", plant, secret)
    record, data = fetch(make.task(), "alba", (place,), None)
    assert (record.status, record.cause, data) == ("failed", "patch.missing", b"")
    assert "BEGIN" not in record.evidence.text
    assert fingerprint((place,), PatchQuery(COMMIT, "small", make.PARENT)) == "missing"
    if source is not in_predictions:
        # A folder in a run's folder is a part of the run: it has no patch file.
        assert record.why_missing == "lost"
        assert plant is folder or any(word in record.evidence.text for word in WORDS)


def test_a_link_on_the_way_out_is_not_followed(tmp_path: Path) -> None:
    forget()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/model_patch.diff").write_bytes(SECRET)
    (tmp_path / "agent/vllm").mkdir(parents=True)
    (tmp_path / "agent/vllm" / C8).symlink_to(tmp_path / "secrets")
    place = PatchPlace(kind="trajectories", path=str(tmp_path / "agent"))
    record, data = fetch(make.task(), "alba", (place,), None)
    assert (record.why_missing, data) == ("lost", b"")


def test_links_inside_of_a_source_and_to_it_are_followed(tmp_path: Path) -> None:
    forget()
    (tmp_path / "real").mkdir()
    (tmp_path / "real/kept.diff").write_bytes(PATCH)
    (tmp_path / "real" / f"{C8}.diff").symlink_to("kept.diff")
    (tmp_path / "link").symlink_to("real")
    record, data = fetch(make.task(), "alba", str(tmp_path / "link"), None)
    assert (record.status, data) == ("ok", PATCH)


def test_the_hubs_cache_is_made_of_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    cache = tmp_path / "datasets--o--n"
    item = cache / "snapshots/abc/vllm" / C8
    item.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "blobs/1").write_bytes(PATCH)
    (item / "model_patch.diff").symlink_to("../../../../blobs/1")
    monkeypatch.setattr(hub, "snapshot", lambda *_: cache / "snapshots/abc")
    place = PatchPlace(kind="trajectories", hub="o/n")
    assert fetch(make.task(), "alba", (place,), None)[1] == PATCH


@pytest.mark.parametrize("plant", PLANTED)
def test_a_prompt_is_a_plain_file_too(tmp_path: Path, plant: Plant) -> None:
    forget()
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    place = in_runs(tmp_path / "agent", lambda path, _: path.write_bytes(PATCH), secret)
    item = next((tmp_path / "agent").rglob("model_patch.diff")).parent
    plant(item / "task.txt", secret)
    record, data = fetch(make.task(), "alba", (place,), None)
    assert (record.prompt, data) == (None, PATCH)
    assert quality.read_prompt(item / "task.txt") is None


def test_what_was_resolved_is_not_exchanged_for_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "agent"
    (root / "a").mkdir(parents=True)
    (root / "a/p").write_bytes(PATCH)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/p").write_bytes(SECRET)
    real = os.path.realpath
    where = root / "a/p"

    def late(path: object) -> str:
        found = real(path)  # type: ignore[call-overload]
        if path == where:
            (root / "a").rename(tmp_path / "old")
            (root / "a").symlink_to(tmp_path / "b")
        return str(found)

    monkeypatch.setattr(os.path, "realpath", late)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        open_contained(where, root)


def test_a_file_may_be_its_own_root(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(PATCH)
    assert open_contained(tmp_path / "p", tmp_path / "p").read() == PATCH
    assert is_contained(tmp_path / "p", tmp_path)
    assert is_contained(tmp_path / "p", Path("/"))
    assert not is_contained(tmp_path / "p", tmp_path / "q")
    assert not is_contained(tmp_path, tmp_path)
