"""Run the tests' fake server and write down, when it is stopped, when each chunk was written.

python benchmarks/judge/fake.py PORT STEP STAMPS [CHEAT]
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.judge_servers.server import Behaviour, Server


async def main(port: int, step: float, stamps: Path, cheat: str) -> None:
    """Serve until SIGTERM."""
    server, stop = Server(Behaviour(step=step, cheat=cheat)), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await server.run(None, stop, port)
    rows = [[s.read, *(at for at, tokens in s.chunks if tokens)] for s in server.served]
    prompts = [served.body["prompt"] for served in server.served]
    stamps.write_text(json.dumps({"rows": rows, "prompts": prompts}))


if __name__ == "__main__":
    cheat = sys.argv[4] if len(sys.argv) > 4 else ""
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), cheat))
