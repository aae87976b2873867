"""The record of one window: all that metrics, audit and scoring read later.

File: MessagePack, compressed with Zstandard. Times are nanoseconds of the monotonic clock from the
window's begin. Size: at most ``requests x (max_chunks x 40 + max_bytes)`` before compression; in
practice 7 to 12 bytes per token (docs/judge.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import zstandard

from patchbench.errors import BadInput
from patchbench.judge import output
from patchbench.load import Load
from patchbench.records import Record

VERSION = 1
LEVEL = 9
MAX_RECORD = 2 << 30  # bytes after decompression; a larger file is refused

ScoringForm = Literal["prompt_logprobs", "echo", "generate", "none"]
OptionalField = Literal["stream_options", "return_token_ids"]


class Dialect(Record, frozen=True, kw_only=True):
    """The words that a server accepts and answers in. Found on the block's baseline, then the same
    for all arms, so that a patch can't choose to be checked less."""

    ids_prompt: bool = True
    ids_stream: bool = False
    usage_chunk: bool = False
    fields: tuple[OptionalField, ...] = ()
    scoring: ScoringForm = "none"


class Answer(Record, frozen=True, kw_only=True):
    """One request and what came back. ``at``, ``text`` and ``ids`` have one entry per event of the
    stream that names a choice, empty ones too; ``ids`` is empty if the server names none. ``claim``
    values are the server's own. ``error`` is empty if the whole answer came."""

    index: int
    due_ns: int
    sent_ns: int
    end_ns: int
    prompt_digest: str
    prompt_tokens: int | None
    output_limit: int
    status: int = 0
    error: str = ""
    at: tuple[int, ...] = ()
    text: tuple[str, ...] = ()
    ids: tuple[tuple[int, ...], ...] = ()
    finish: str = ""
    claim_prompt: int | None = None
    claim_output: int | None = None
    resent: bool = False

    @property
    def whole_text(self) -> str:
        """The answer's text."""
        return "".join(self.text)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The answer's token ids; empty if the server named none."""
        return tuple(token for ids in self.ids for token in ids)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks that carry text or token ids, in order of arrival."""
        for n, (at, text) in enumerate(zip(self.at, self.text, strict=True)):
            ids = self.ids[n] if self.ids else ()
            if text or ids:
                yield Chunk(at, text, ids)


class Chunk(NamedTuple):
    """A piece of an answer: arrival in nanoseconds, text, token ids."""

    at: int
    text: str
    ids: tuple[int, ...]


class Watch(Record, frozen=True, kw_only=True):
    """How one process of the judge did in a window, milliseconds: how late requests were sent
    (only if nothing but the judge delayed them), how late the event loop's timers were; ``cpu`` is
    the share of one core, ``real_time`` says that it ran before other processes."""

    sends: int
    send_lag_p50: float
    send_lag_p99: float
    send_lag_max: float
    ticks: int
    loop_lag_p50: float
    loop_lag_p99: float
    loop_lag_max: float
    cpu: float
    real_time: bool = False


class Window(Record, frozen=True, kw_only=True):
    """One window of load on one launch. ``begin_ns`` is its begin on the machine's monotonic clock,
    so that other records of the machine can be laid beside it."""

    version: int = VERSION
    load: Load
    block: int
    window: int
    commitment: str
    dialect: Dialect
    started: str
    begin_ns: int = 0
    duration_ns: int
    saturated: str = ""
    watches: tuple[Watch, ...] = ()
    answers: tuple[Answer, ...] = ()


def max_chunks(output_limit: int) -> int:
    """Return how many events of one answer are kept before it is cut off."""
    return 4 * output_limit + 64


def max_bytes(output_limit: int, request_bytes: int) -> int:
    """Return how many bytes of one response are read before it is cut off. vLLM repeats the
    prompt's ids in the first event if it is asked for token ids."""
    return 65536 + 4096 * output_limit + 4 * request_bytes


def write_window(path: Path, window: Window) -> int:
    """Write a record (see ``output.write``) and return its size in bytes. Raises InfraFault."""
    packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(encode(window))
    output.write(path, packed)
    return len(packed)


def encode(window: Window) -> bytes:
    """Return a record as MessagePack, arrivals as differences."""
    deltas = tuple(msgspec.structs.replace(a, at=_differences(a.at)) for a in window.answers)
    return msgspec.msgpack.encode(msgspec.structs.replace(window, answers=deltas))


def decode(data: bytes) -> Window:
    """Undo ``encode``. Raises msgspec.MsgspecError."""
    window = msgspec.msgpack.decode(data, type=Window)
    answers = tuple(msgspec.structs.replace(a, at=_sums(a.at)) for a in window.answers)
    return msgspec.structs.replace(window, answers=answers)


def read_window(path: Path) -> Window:
    """Read and check a record. Raises BadInput that names the file."""
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
            data = reader.read(MAX_RECORD + 1)
        if len(data) > MAX_RECORD:
            raise BadInput(f"{path}: the record is larger than {MAX_RECORD} bytes")
        window = decode(data)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file") from error
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError) as error:
        raise BadInput(f"{path}: not a whole record: {error} | next: measure again") from error
    if window.version != VERSION:
        raise BadInput(f"{path}: record of version {window.version}, this program reads {VERSION}")
    return window


def _differences(values: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip((0, *values), values, strict=False))


def _sums(values: tuple[int, ...]) -> tuple[int, ...]:
    total, sums = 0, []
    for value in values:
        total += value
        sums.append(total)
    return tuple(sums)
