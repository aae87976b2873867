"""A warm interpreter: stages' scripts start from a fork of a process that has imported everything.

A cheap stage takes 5 to 30 ms, but Python and its imports take 60 to 100 before it begins. So a run
of the workflow starts one process (``server``) that imports what stages need, and a job's
``python`` is a small client (``client``) that hands its words, environment and open files to a fork
of that process, and ends as that ends. Whoever finds no such process starts its script as ever.

The process ends with the run, however that ends: it holds the other end of a pipe.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from patchbench.system.files import temporary_prefix

# The variable that leads a job to the client; rules/common.smk puts it into command lines.
VARIABLE = "PATCHBENCH_WARM"
SOCKET, CLIENT = "socket", "client.py"
# What the kernel takes as the path of a socket, less a little.
LONGEST_PATH = 100
END_SECONDS = 10.0


class Warm:
    """The warm interpreter of one run of a campaign with this runtime."""

    def __init__(self, runtime: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
        self.process: subprocess.Popen[bytes] | None = None
        socket = self.folder / SOCKET
        if len(os.fsencode(socket)) > LONGEST_PATH:
            return
        here = Path(__file__).parent
        shutil.copyfile(here / CLIENT, self.folder / CLIENT)
        ready, told = os.pipe()
        # Its standard input is what tells it that the run is over.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__name__}.server", str(socket), str(told), runtime],
            stdin=subprocess.PIPE,
            pass_fds=(told,),
        )
        os.close(told)
        if os.read(ready, 1):
            os.environ[VARIABLE] = str(self.folder / CLIENT)
        os.close(ready)

    def end(self) -> None:
        """End the process and forget it."""
        os.environ.pop(VARIABLE, None)
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
