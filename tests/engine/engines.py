"""Private Docker engines for tests: real, with data and network of their own, ended by id."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import psutil
import requests

from patchbench.system.pid_space import identity

READY_SECONDS = 120.0
# More options of every private dockerd, such as --config-file. Its binary is the path's first.
MORE_OPTIONS = "PATCHBENCH_DOCKERD_OPTIONS"
# _IOR('X', 125, __u32) and its flag.
GOINGDOWN, NO_LOG_FLUSH = 0x8004587D, 2


def why_not() -> str | None:
    """Return the reason why no private engine can be started here, or None."""
    if os.geteuid() != 0:
        return "a private engine needs root"
    missing = [tool for tool in ("dockerd", "unshare") if shutil.which(tool) is None]
    return f"no {missing[0]} on the path" if missing else None


class PrivateEngine:
    """A dockerd in its own network namespace. (One in the host's namespace would take another
    engine's bridge away.) It has no network but loopback, and no registry."""

    def __init__(self, root: Path, *options: str) -> None:
        # Sockets lie below it, and their paths may have 107 characters at most.
        self.folder, self.root = Path(tempfile.mkdtemp(prefix="pb-engine-")), root
        self.url = f"unix://{self.folder}/docker.sock"
        self.options = (*options, *os.environ.get(MORE_OPTIONS, "").split())
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> PrivateEngine:
        """Start it and wait until it answers."""
        # A pid file that names any living process keeps dockerd from starting.
        (self.folder / "docker.pid").unlink(missing_ok=True)
        log = (self.folder / "dockerd.log").open("ab")
        self.process = subprocess.Popen(
            [
                *("unshare", "--net", "dockerd", "--host", self.url),
                *("--data-root", str(self.root), "--exec-root", str(self.folder / "exec")),
                *("--pidfile", str(self.folder / "docker.pid"), "--bridge=none"),
                *("--iptables=false", "--ip-forward=false", "--ip-masq=false"),
                *self.options,
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            tail = (self.folder / "dockerd.log").read_text(errors="replace")[-600:]
            assert self.process.poll() is None, f"dockerd ended: {tail}"
            assert time.monotonic() < deadline, f"dockerd not ready: {tail}"
            time.sleep(0.1)
        return self

    def answers(self) -> bool:
        """Return True if it answers."""
        try:
            return bool(self.client().ping())
        except (docker.errors.DockerException, requests.RequestException):
            return False

    def client(self) -> docker.DockerClient:
        """Return a new connection."""
        return docker.DockerClient(base_url=self.url, timeout=120)

    def kill(self) -> None:
        """Kill dockerd alone, as a crash does. Its containerd goes with it, but may
        stay as a zombie for a while: a dockerd that finds its id takes it for living, and waits in
        vain (engine 20.10)."""
        assert self.process is not None
        containerd = self.folder / "exec" / "containerd" / "containerd.pid"
        left = [int(containerd.read_text())] if containerd.is_file() else []
        os.kill(int((self.folder / "docker.pid").read_text()), signal.SIGKILL)
        self.process.wait(10)
        deadline = time.monotonic() + READY_SECONDS
        while any(identity(pid) for pid in left) and time.monotonic() < deadline:
            time.sleep(0.02)
        containerd.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop it and all that it started."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        exec_root = str(self.folder / "exec")
        for process in psutil.process_iter():
            try:
                if any(exec_root in word for word in process.cmdline()):
                    process.kill()
            except psutil.Error:
                continue
        # dockerd mounts its data root on itself, and may have mounted it more than once.
        for _ in range(3):
            subprocess.run(["umount", str(self.root)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class SmallDisk:
    """A file system of so many MiB, to be filled for real."""

    def __init__(self, folder: Path, name: str, megabytes: int) -> None:
        self.image, self.path = folder / f"{name}.img", folder / name
        self.path.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(self.image)], check=True)
        self._mount()

    def _mount(self) -> None:
        options = "loop,errors=remount-ro"
        subprocess.run(["mount", "-o", options, str(self.image), str(self.path)], check=True)

    @property
    def free(self) -> int:
        """Return the free bytes."""
        return shutil.disk_usage(self.path).free

    def fill(self, leave: int = 0) -> Path:
        """Write a file until so many bytes are left; return its path."""
        ballast = self.path / "ballast"
        with ballast.open("ab") as file:
            try:
                while (room := self.free - leave) > 0:
                    file.write(b"x" * min(room, 1 << 20))
                    file.flush()
            except OSError:
                pass  # full is what was wanted
        return ballast

    def fail(self) -> None:
        """Make the file system read-only, as a disk error does, also for open files."""
        subprocess.run(["mount", "-o", "remount,abort", str(self.path)], check=True)

    def cut_power(self) -> None:
        """Lose all that has not reached the disk, as a power cut does. ext4 and xfs have a
        request for that (GOINGDOWN without a flush of the log; linux/fs.h, xfs_fs.h)."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, GOINGDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def mend(self) -> None:
        """Check it and mount it again. No process may use it."""
        subprocess.run(["umount", str(self.path)], check=True)
        done = subprocess.run(["e2fsck", "-p", "-f", str(self.image)], capture_output=True)
        assert done.returncode < 4, done.stdout.decode(errors="replace")
        self._mount()

    def unmount(self) -> None:
        """Unmount and delete it."""
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True)
        self.image.unlink(missing_ok=True)
