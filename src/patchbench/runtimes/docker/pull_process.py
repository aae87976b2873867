"""Program that pulls one image (see ``request``).

    python -m patchbench.runtimes.docker.pull_process ENGINE NAME

It prints a JSON object (``Line``) per line: statuses of the whole image, errors, and at most once a
second the bytes done. A pull that breaks off in the middle says so in an item like any other,
behind a status of 200; the engine's Python client does not raise for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from patchbench.records import Record

# Seconds between two lines of progress.
EVERY = 1.0


class Line(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One line: a status, an error (``answer``: the registry or the engine refused the request,
    4xx), or the bytes of the layers begun so far, done and in total."""

    status: str = ""
    error: str = ""
    answer: bool = False
    done: int = 0
    total: int = 0


def lines(items: Iterable[dict[str, Any]], clock: Any = time.monotonic) -> Iterator[Line]:
    """Reduce a pull's stream (the engine's API, /images/create) to lines."""
    layers: dict[str, tuple[int, int]] = {}
    last = -EVERY
    for item in items:
        detail = item.get("progressDetail") or {}
        if "error" in item:
            yield Line(error=str(item["error"]))
        elif item.get("status") == "Downloading" and detail.get("total"):
            layers[item.get("id", "")] = int(detail.get("current", 0)), int(detail["total"])
            if (now := clock()) - last >= EVERY:
                last = now
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                yield Line(done=done, total=total)
        elif item.get("status") == "Download complete" and item.get("id") in layers:
            total = layers[item["id"]][1]
            layers[item["id"]] = total, total
        elif "status" in item and "id" not in item:
            yield Line(status=str(item["status"]))


def main(engine: str, name: str) -> int:
    """Pull and print lines; return 0 if nothing went wrong."""
    import docker
    import docker.errors

    failed = False
    try:
        api = docker.APIClient(base_url=engine, timeout=None)
        for line in lines(api.pull(name, stream=True, decode=True)):
            failed = failed or bool(line.error)
            _print(line)
    except docker.errors.APIError as error:
        failed = True
        _print(Line(error=str(error.explanation or error), answer=error.is_client_error()))
    except Exception as error:
        failed = True
        _print(Line(error=f"{type(error).__name__}: {error}"))
    return int(failed)


def _print(line: Line) -> None:
    print(msgspec.json.encode(line).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
