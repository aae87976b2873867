"""Builds one image in a process of its own: killing it is the only sure way to end a build.

    python -m patchbench.runtimes.docker.build_process SPEC.json

The specification names engine, context (a tar archive), tag and network. What the engine says goes
to stdout, a JSON object per line. The engine drops a build whose client is gone (docker.md 2).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from patchbench.records import Record


class Spec(Record, frozen=True, kw_only=True):
    """What to build."""

    engine: str
    context: str
    tag: str
    network: str = "none"
    memory_mb: int = 0


def main(path: str) -> int:
    """Build, and say what the engine says; 0 if the image is there."""
    import docker

    spec = msgspec.json.decode(Path(path).read_bytes(), type=Spec)
    api = docker.APIClient(base_url=spec.engine, timeout=None)
    bounded = spec.memory_mb << 20
    failed = False
    try:
        with Path(spec.context).open("rb") as context:
            for item in api.build(
                fileobj=context,
                custom_context=True,
                tag=spec.tag,
                rm=True,
                forcerm=True,
                decode=True,
                network_mode=spec.network,
                container_limits={"memory": bounded, "memswap": bounded} if bounded else None,
            ):
                failed = failed or "error" in item
                print(json.dumps(item), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}", "engine": True}))
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
