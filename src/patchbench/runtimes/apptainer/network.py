"""A network that has only loopback, kept by one small process for a server and all beside it.

Apptainer makes such a network for one container alone; ours is made outside of it, in a user
namespace, which needs no privilege, and every container is started inside.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from patchbench.errors import InfraFault

READY = b"up\n"
# Loopback is down in a fresh network: SIOCSIFFLAGS with IFF_UP | IFF_RUNNING (netdevice(7)).
HOLD = """
import fcntl, signal, socket, struct, sys
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x41))
print("up", flush=True)
sys.stdin.read()
"""


class Network:
    """The process that keeps a network, which is gone with it."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "--kill-child", "--fork",
             sys.executable, "-I", "-S", "-c", HOLD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.popen.stdout is not None and self.popen.stderr is not None
        if self.popen.stdout.readline() != READY:
            said = self.popen.stderr.read().decode(errors="replace").strip()
            self.end()
            raise InfraFault(
                f"infra.no_namespaces | {said or 'unshare failed'} | arms can't be kept off the "
                "network on this machine | nothing was charged to an agent | next: have "
                "unprivileged user namespaces allowed (user.max_user_namespaces), then run again"
            )

    def enter(self) -> list[str]:
        """Words before a command that has to run in this network."""
        mine = self.popen.pid
        pid = Path(f"/proc/{mine}/task/{mine}/children").read_text().split()[0]
        return ["nsenter", "--target", pid, "--user", "--net", "--preserve-credentials"]

    def end(self) -> None:
        """Let the network go."""
        self.popen.kill()
        self.popen.wait()
