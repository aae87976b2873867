"""A real registry (Debian's docker-registry) beside a private engine, in its network namespace."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.engine.engines import PrivateEngine

READY_SECONDS = 120.0
# Any bcrypt hash will do: no test logs in.
USER = "user:$2y$05$abcdefghijklmnopqrstuuuGBUvYw0FYwXHbNRcLk5XsoV0zLkpK\n"
# SIOCSIFFLAGS with IFF_UP | IFF_RUNNING: an own namespace's loopback is down at first.
LOOPBACK_UP = (
    "import fcntl, socket, struct;"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))"
)
DIAL = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)"


def why_not() -> str | None:
    """Return the reason why no registry can be started here, or None."""
    missing = [tool for tool in ("docker-registry", "nsenter") if shutil.which(tool) is None]
    return f"no {missing[0]} on the path" if missing else None


# A registry that answers nothing but how busy it is: a real one can't be made to on purpose.
BUSY = """
import http.server, json, sys
port, status = map(int, sys.argv[1:])
LIMIT = {"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}
class Busy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        there = self.path.rstrip("/") == "/v2"
        body = json.dumps({} if there else {"errors": [LIMIT]}).encode()
        self.send_response(200 if there else status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
    do_HEAD = do_GET
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", port), Busy).serve_forever()
"""


class Registry:
    """A registry on a port of an engine's loopback; what it holds lies in ``store``."""

    def __init__(
        self, engine: PrivateEngine, store: Path, port: int, *, locked: bool = False
    ) -> None:
        self.engine, self.store, self.port, self.locked = engine, store, port, locked
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Return the prefix of its images' names."""
        return f"127.0.0.1:{self.port}"

    def _inside(self, *command: str) -> list[str]:
        pid = (self.engine.folder / "docker.pid").read_text()
        return ["nsenter", f"--net=/proc/{pid}/ns/net", *command]

    def start(self) -> Registry:
        """Start it and wait until it can be reached."""
        self.store.mkdir(parents=True, exist_ok=True)
        config = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.store)}},
            "http": {"addr": self.name},
        }
        if self.locked:
            users = self.store.with_name(f"users-{self.port}")
            users.write_text(USER)
            config["auth"] = {"htpasswd": {"realm": "somewhere", "path": str(users)}}
        file = self.store.with_name(f"registry-{self.port}.yml")
        file.write_text(yaml.safe_dump(config))
        subprocess.run(self._inside(sys.executable, "-c", LOOPBACK_UP), check=True)
        with self.store.with_name(f"registry-{self.port}.log").open("wb") as log:
            self.process = subprocess.Popen(
                self._inside("docker-registry", "serve", str(file)),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await(self.port, self.process, Path(log.name))
        return self

    def _await(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + READY_SECONDS
        dial = self._inside(sys.executable, "-c", DIAL, str(port))
        while subprocess.run(dial, capture_output=True).returncode != 0:
            output = log.read_text()
            assert process.poll() is None, f"ended: {output}"
            assert time.monotonic() < deadline, f"not ready: {output}"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Accept connections and answer none."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @contextmanager
    def busy(self, port: int, status: int) -> Iterator[str]:
        """Start a second one that answers every request for an image with this status; yields its
        name."""
        path = self.store.with_name(f"busy-{port}.log")
        with path.open("wb") as log:
            process = subprocess.Popen(
                self._inside(sys.executable, "-c", BUSY, str(port), str(status)),
                stdout=log,
                stderr=log,
            )
        try:
            self._await(port, process, path)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()

    def push(self, image: str, name: str) -> str:
        """Push an image of the engine and return its whole name there. The engine keeps the image
        under its old name only."""
        client = self.engine.client()
        whole = f"{self.name}/{name}"
        client.images.get(image).tag(whole)
        answer = client.api.push(whole)
        assert '"error"' not in answer, answer
        client.api.remove_image(whole)
        return whole
