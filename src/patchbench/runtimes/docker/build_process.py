"""Program that builds one image (see ``request``).

    python -m patchbench.runtimes.docker.build_process SPEC

SPEC is a ``Spec`` as JSON. The engine's answers go to stdout, a JSON object per line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from patchbench.records import Record


class Spec(Record, frozen=True, kw_only=True):
    """A build: the engine's URL, the context (a tar archive), the image's name, the network of its
    steps, and their memory limit (0 is none)."""

    engine: str
    context: str
    tag: str
    network: str = "none"
    memory_mb: int = 0


def main(spec: Spec) -> int:
    """Build and print the engine's answers; return 0 if the image was made."""
    import docker

    limit = spec.memory_mb << 20
    failed = False
    try:
        api = docker.APIClient(base_url=spec.engine, timeout=None)
        with Path(spec.context).open("rb") as context:
            for item in api.build(
                fileobj=context,
                custom_context=True,
                tag=spec.tag,
                rm=True,
                forcerm=True,
                decode=True,
                network_mode=spec.network,
                container_limits={"memory": limit, "memswap": limit} if limit else None,
            ):
                failed = failed or "error" in item
                print(json.dumps(item), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}", "engine": True}))
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(msgspec.json.decode(sys.argv[1], type=Spec)))
