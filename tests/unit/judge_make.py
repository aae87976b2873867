"""Loads, answers and windows for the judge's tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchbench.judge.connection import Address
from patchbench.judge.measure import Launch, dialect_of
from patchbench.judge.record import Answer, Dialect, Window
from patchbench.load import (
    AllAtOnce,
    ClosedLoop,
    Lengths,
    Load,
    RandomPrompts,
    Sampling,
    Shape,
)
from tests.judge_servers.server import Server

SECRET = bytes(range(32))
MS = 1_000_000


def lengths(low: int, high: int = 0) -> Lengths:
    return Lengths(low=low, high=high or low)


def make_load(shape: Shape | None = None, **changes: Any) -> Load:
    defaults: dict[str, Any] = {
        "model": "m",
        "shape": shape or ClosedLoop(requests=12, concurrency=4),
        "prompts": RandomPrompts(prompt=lengths(12, 20), output=lengths(16)),
        "sampling": Sampling(ignore_eos=True),
        "request_limit": 30.0,
        "window_limit": 60.0,
    }
    return Load(**(defaults | changes))


def answer(index: int = 0, **changes: Any) -> Answer:
    """A complete answer of eight tokens, one each 10 ms, the first 20 ms after it was due."""
    count = 8
    defaults: dict[str, Any] = {
        "index": index,
        "due_ns": 0,
        "sent_ns": 0,
        "end_ns": 100 * MS,
        "prompt_digest": f"{index:016x}",
        "prompt_tokens": 4,
        "output_limit": count,
        "status": 200,
        "at": tuple((20 + 10 * n) * MS for n in range(count)),
        "text": tuple(f" t{n}" for n in range(count)),
        "ids": tuple((1000 + n,) for n in range(count)),
        "finish": "length",
        "claim_output": count,
    }
    return Answer(**(defaults | changes))


def window(answers: Sequence[Answer], **changes: Any) -> Window:
    defaults: dict[str, Any] = {
        "load": make_load(AllAtOnce(requests=max(1, len(answers)))),
        "block": 1,
        "window": 1,
        "commitment": "0" * 64,
        "dialect": Dialect(ids_stream=True),
        "started": "2026-01-01T00:00:00+00:00",
        "duration_ns": 100 * MS,
        "answers": tuple(answers),
    }
    return Window(**(defaults | changes))


def launch_on(server: Server, load: Load, dialect: Dialect | None = None, **changes: Any) -> Launch:
    """A launch on a server, with the server's own dialect unless one is given."""
    address = Address.of(server.url)
    return Launch(
        address=address,
        load=load,
        secret=SECRET,
        block=1,
        dialect=dialect or dialect_of(address, load, SECRET, 1),
        **{"processes": 1, **changes},
    )


def measured(server: Server, load: Load, dialect: Dialect | None = None, **changes: Any) -> Window:
    """One window against a server."""
    (record,) = launch_on(server, load, dialect, **changes).windows([1])
    return record
