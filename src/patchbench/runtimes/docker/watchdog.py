"""Program that removes the containers of a killed job (standard library only).

    watchdog.py SOCKET LABEL=VALUE

It waits until the pipe on its stdin closes, which the kernel does when the job ends in any way. A
job that ended well has removed its containers itself. Until then the watchdog holds the job's GPU
slot: no block may use a GPU that a dead job's server still occupies.
"""

import http.client
import json
import os
import socket
import sys
import time
import urllib.parse

ATTEMPTS = 20


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=30)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path: str, method: str, url: str) -> bytes:
    """Send one request to the engine; return the body of the answer."""
    connection = UnixConnection(path)
    try:
        connection.request(method, url)
        return connection.getresponse().read()
    finally:
        connection.close()


def info(path: str) -> dict[str, object]:
    """Return what the engine says about itself. Raises OSError or ValueError."""
    return dict(json.loads(ask(path, "GET", "/info")))


def main(path: str, label: str) -> None:
    """Wait for the job's end, then remove its containers."""
    while os.read(0, 4096):
        pass
    filters = urllib.parse.quote(json.dumps({"label": [label]}))
    for _ in range(ATTEMPTS):
        try:
            containers = json.loads(ask(path, "GET", f"/containers/json?all=1&filters={filters}"))
            if not containers:
                return
            for container in containers:
                ask(path, "DELETE", f"/containers/{container['Id']}?force=1&v=1")
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
