"""Processes of another namespace or machine are not dead because they can't be seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from patchbench.system import files, pid_space, processes, slurm
from patchbench.system.files import TEMPORARY
from patchbench.system.pid_space import here
from tests.unit.conftest import environment

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
# A dead owner's process: it prints the mark that its owner gave it, and waits.
START = """
import os, sys, tempfile, time
from patchbench.system import files, pid_space
print(pid_space.own_mark(), tempfile.mkdtemp(prefix=files.temporary_prefix()), flush=True)
time.sleep(60)
"""


def test_the_owner_of_a_process_is_dead_only_in_its_own_namespace() -> None:
    mine = pid_space.own_mark()
    assert not pid_space.is_dead(mine)
    gone = f"999999999:1:{here().boot}"
    assert pid_space.is_dead(f"{gone}:{here().namespace}")
    assert not pid_space.is_dead(f"{gone}:{here().namespace}1")
    for nonsense in ("", ":", gone, f"{gone}:p7", "1:2:3:4:5"):
        assert not pid_space.is_dead(nonsense)


def test_a_name_says_in_which_namespace_its_process_lives() -> None:
    mark = here().mark
    assert pid_space.is_gone("999999999", mark)
    assert not pid_space.is_gone(str(os.getpid()), mark)
    assert not pid_space.is_gone("999999999", f"{mark}1")
    assert pid_space.is_gone(str(os.getpid()), f"00000000_{here().namespace}")  # an earlier boot
    for nonsense in ("", "_", "x", f"{here().boot[:8]}_p7", "unknown_p7"):
        assert not pid_space.is_gone("999999999", nonsense)


def test_without_a_view_of_its_own_processes_nothing_is_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here.cache_clear()
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as in a namespace with the host's /proc
    try:
        assert not here().namespace.isdigit()
        assert not pid_space.is_dead(f"999999999:1:{here().boot}:{here().namespace}")
        assert not pid_space.is_gone("999999999", here().mark)
    finally:
        here.cache_clear()


def test_folders_of_another_namespace_and_links_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    host, mark = slurm.host(), here().mark
    dead = tmp_path / f"{TEMPORARY}999999999-{mark}-{host}-abc"
    theirs = tmp_path / f"{TEMPORARY}999999999-{mark}1-{host}-abc"
    victim = tmp_path / "victim"
    link = tmp_path / f"{TEMPORARY}999999999-{mark}-{host}-link"
    for folder in (dead, theirs, victim):
        folder.mkdir()
    link.symlink_to(victim)
    assert files.remove_dead_temporaries() == [str(dead)]
    assert theirs.is_dir()
    assert victim.is_dir()


def test_folders_of_another_user_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"{TEMPORARY}999999999-{here().mark}-{slurm.host()}-abc"
    folder.mkdir()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert files.remove_dead_temporaries() == []
    part = tmp_path / f".x.{slurm.host()}.{here().mark}.999999999.part"
    part.touch()
    assert files.remove_dead_parts([part]) == []
    assert folder.is_dir()


def test_a_run_in_another_namespace_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces of process ids here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    name = f"PROCESS_OWNER_{os.getpid()}"
    monkeypatch.setattr(processes, "OWNER", name)
    env = {**environment(), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*UNSHARE, sys.executable, "-c", START], stdout=subprocess.PIPE, env=env, text=True
    ) as run:
        try:
            mark, folder = run.stdout.readline().split()
            child = subprocess.Popen(["sleep", "60"], env={**os.environ, name: mark})
            assert re.fullmatch(r"\d+:\d+:[-0-9a-f]+:\d+", mark)
            time.sleep(0.1)
            assert processes.end_leftovers() == []
            assert files.remove_dead_temporaries() == []
            assert child.poll() is None
            assert Path(folder).is_dir()
        finally:
            run.kill()  # unshare passes over SIGTERM
            child.kill()
            child.wait()
