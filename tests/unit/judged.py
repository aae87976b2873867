"""Blocks whose arms are fake completions servers, measured by the judge for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from patchbench.benchmark.context import BlockContext, LaunchContext
from patchbench.config import Limits, Protocol
from patchbench.load import ClosedLoop, Load
from patchbench.records import Built
from patchbench.runtimes.process import ProcessRuntime
from patchbench.subject import OutputCheck, Server
from patchbench.system.processes import Guard
from tests.unit import make
from tests.unit.conftest import ROOT
from tests.unit.judge_make import SECRET, make_load

# A fake server as a program: its behaviour, and after how many streams it dies (0: never).
PROGRAM = """
import asyncio, os, sys
sys.path.insert(0, {root!r})
from tests.judge_servers.server import Behaviour, Server

class Mortal(Server):
    seen = 0

    def refuse(self, path, body):
        self.seen += bool(body.get("stream"))
        if body.get("stream") and self.seen == {dies}:
            os._exit(3)
        return super().refuse(path, body)

async def main():
    await Mortal(Behaviour(**{behaviour!r})).run(None, asyncio.Event(), int(sys.argv[1]))

asyncio.run(main())
"""
LIMITS = Limits(start=20, check=20, benchmark=20, stop=2)
LOAD = make_load(ClosedLoop(requests=24, concurrency=8), model="as planned")


def tree(folder: Path, dies: int = 0, **behaviour: Any) -> Path:
    """A process runtime's image with such a server."""
    folder.mkdir(parents=True, exist_ok=True)
    text = PROGRAM.format(root=str(ROOT), dies=dies, behaviour=behaviour)
    (folder / "server.py").write_text(text)
    return folder


def task(load: Load = LOAD, **more: Any) -> Any:
    """A task that the judge measures."""
    defaults = {
        "subject": make.subject(
            server=Server(command=("{python}", "server.py", "{port}", "{model_name}")),
            output_check=OutputCheck(prompts=("6 x 7",)),
        ),
        "workload": make.workload(load=load, type="throughput", model="meta/tiny"),
        "protocol": Protocol(limits=LIMITS, aa_blocks=0, windows=2),
    }
    return make.task(**{**defaults, **more})


def launch(folder: Path, guard: Guard, image: Path, **more: Any) -> LaunchContext:
    """The inputs of one launch of alba."""
    given = more.pop("task", None) or task()
    (folder / "secret").write_bytes(SECRET)
    (folder / "alba").mkdir(exist_ok=True)
    return LaunchContext(
        **{
            "task": given,
            "workload": given.workload,
            "arm": "alba",
            "image": str(image),
            "client_image": str(image),
            "folder": folder / "alba",
            "runtime": ProcessRuntime(folder, folder),
            "guard": guard,
            "block": 4,
            "secret": folder / "secret",
            **more,
        }
    )


def block(folder: Path, guard: Guard, images: dict[str, Path], **more: Any) -> BlockContext:
    """A block with these trees as its arms' images."""
    return BlockContext(
        **{
            "task": task(),
            "block": 1,
            "digest": "d",
            "images": {
                arm: Built(
                    commit=make.COMMIT, arm=arm, stage="build_image", status="ok", image=str(image)
                )
                for arm, image in images.items()
            },
            "results": folder / "results",
            "slots": 1,
            "runtime": ProcessRuntime(folder, folder / "results"),
            "guard": guard,
            "rebuild": lambda _: None,
            "on_finished": lambda _: None,
            **more,
        }
    )


def read(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text())
