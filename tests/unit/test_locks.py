"""A lock belongs to a living process, and to nobody once that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from patchbench.errors import BadInput, InfraFault, Stopped
from patchbench.system.locks import holder, locked, own_folder, shared_lock, try_lock
from tests.unit.conftest import environment, soon

HOLD = """
import subprocess, sys, time
from pathlib import Path
from patchbench.system.locks import try_lock
fd = try_lock(Path(sys.argv[1]), inheritable=True)
if sys.argv[2] == "child":
    child = subprocess.Popen(["sleep", "60"], pass_fds=(fd,))
    print(child.pid, flush=True)
else:
    print(fd, flush=True)
time.sleep(60)
"""


@contextmanager
def another_process(path: Path, mode: str = "alone") -> Iterator[tuple[subprocess.Popen, int]]:
    """A process that holds the lock, and what it printed."""
    command = [sys.executable, "-c", HOLD, str(path), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "x.lock"
    fd = try_lock(path)
    assert fd is not None
    assert try_lock(path) is None
    os.close(fd)
    again = try_lock(path)
    assert again is not None
    os.close(again)


def test_a_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with another_process(path) as (process, _):
        assert try_lock(path) is None
        assert holder(path) == str(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        fd = try_lock(path)
        assert fd is not None
        assert holder(path) == str(os.getpid())
        os.close(fd)


def test_a_child_that_outlives_its_parent_keeps_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with another_process(path, "child") as (process, orphan):
        process.kill()
        process.wait()
        assert try_lock(path) is None
        os.kill(orphan, signal.SIGKILL)
        assert soon(lambda: (fd := try_lock(path)) is not None and not os.close(fd))


def test_a_lock_is_not_inherited_unless_asked_for(tmp_path: Path) -> None:
    one, two = try_lock(tmp_path / "1"), try_lock(tmp_path / "2", inheritable=True)
    assert (os.get_inheritable(one), os.get_inheritable(two)) == (False, True)
    os.close(one)
    os.close(two)


def test_a_body_waits_for_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with another_process(path) as (process, _):
        ticks = []

        def tick() -> None:
            ticks.append(1)
            if len(ticks) == 3:
                process.kill()

        with locked(path, seconds=20, what="a test", tick=tick):
            assert try_lock(path) is None
        assert len(ticks) >= 3
    fd = try_lock(path)
    assert fd is not None
    os.close(fd)


def test_a_wait_that_is_too_long_names_the_lock_and_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with (
        another_process(path) as (process, _),
        pytest.raises(InfraFault) as caught,
        locked(path, seconds=0.1, what="preparing x"),
    ):
        pass
    for part in ("infra.lock_timeout", "preparing x", str(path), f"process {process.pid}"):
        assert part in str(caught.value)


def test_a_wait_can_be_stopped(tmp_path: Path) -> None:
    def tick() -> None:
        raise Stopped("stopped by SIGTERM")

    with (
        another_process(tmp_path / "x"),
        pytest.raises(Stopped),
        locked(tmp_path / "x", seconds=20, what="", tick=tick),
    ):
        pass


def test_a_lock_is_free_after_a_body_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "x", seconds=1, what=""):
        _ = 1 / 0
    fd = try_lock(tmp_path / "x")
    assert fd is not None
    os.close(fd)


def test_nothing_but_a_locks_own_file_is_written_into(tmp_path: Path) -> None:
    precious = tmp_path / "important.txt"
    precious.write_text("text")
    links = tmp_path / "soft.lock", tmp_path / "hard.lock", tmp_path / "pipe.lock"
    links[0].symlink_to(precious)
    links[1].hardlink_to(precious)
    os.mkfifo(links[2])
    (tmp_path / "folder.lock").mkdir()
    for path in (*links, tmp_path / "folder.lock"):
        with pytest.raises(InfraFault, match=rf"^infra\.no_locks .*{path.name}.*move it away"):
            try_lock(path)
    assert precious.read_text() == "text"


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(
        InfraFault, match=r"^infra\.write_failed .*results/\.lock.*where a folder is needed"
    ):
        try_lock(tmp_path / "results" / ".lock")


def test_a_lock_folder_is_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_folder(tmp_path / "patchbench-7")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert own_folder(folder).stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "file").touch()
    for planted in ("link", "file"):
        with pytest.raises(BadInput, match=rf"{planted}: belongs to .*PATCHBENCH_LOCKS"):
            own_folder(tmp_path / planted)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BadInput, match=r"patchbench-7: belongs to user"):
        own_folder(folder)


def test_sharers_that_follow_each_other_keep_none_waiting_for_ever(tmp_path: Path) -> None:
    path, order = tmp_path / "quiet.lock", []

    def hold(name: str, alone: bool, ready: threading.Event, go: threading.Event) -> None:
        waits = {"seconds": 20.0, "what": name, "tick": ready.set}
        with shared_lock(path, alone=alone, **waits):
            order.append(name)
            ready.set()
            go.wait(20)

    threads, events = [], []
    for name, alone in (("build", False), ("block", True), ("next build", False)):
        ready, go = threading.Event(), threading.Event()
        thread = threading.Thread(target=hold, args=(name, alone, ready, go))
        thread.start()
        assert ready.wait(20)  # it holds the lock, or waits for it
        threads.append(thread)
        events.append(go)
    assert order == ["build"]
    for go in events:
        go.set()
    for thread in threads:
        thread.join(20)
    assert order == ["build", "block", "next build"]
