"""Raw logs as they lie on disk: plain ``NAME``, or ``NAME.zst`` once they are finished.

Readers take either without being told which. Memory stays bounded whatever a log holds: a line of
half a gigabyte is cut, and of a progress bar only what it wrote last is kept. Only ``\\n`` ends a
line, so that line numbers agree with those of other tools.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from patchbench.errors import BadInput, InfraFault
from patchbench.system.files import disk_fault, own_name

SUFFIX = ".zst"
# Small enough that the allocator hands out the same memory again: larger ones are twice as slow.
CHUNK = 1 << 16
# A longer line is cut: no result and no message has this length.
LONGEST = 1 << 16
# What of a line is worth showing to a person.
MAX_LINE = 400
# A finished log larger than this is compressed.
OVER = 1 << 16
HEAD = TAIL = 16 << 20


def find(path: Path) -> Path | None:
    """The file that holds a raw log: the plain one, else the compressed one, else None."""
    packed = Path(f"{path}{SUFFIX}")
    return next((file for file in (path, packed) if file.is_file()), None)


@contextmanager
def open_raw(path: Path) -> Iterator[Readable]:
    """Open a raw log for reading its bytes, decompressed on the way. Raises BadInput for a file
    that is missing, may not be read, or is damaged."""
    held = find(path) or path
    try:
        with held.open("rb") as file:
            yield _Unpacked(file) if held.name.endswith(SUFFIX) else file
    except OSError as error:
        raise BadInput(f"{held}: {error.strerror or error}") from error


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class _Unpacked:
    """Decompresses while it is read. Raises OSError for data that is damaged or cut off."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self._damage = zstandard.ZstdError
        self._left = _promised(file)
        self._reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)

    def read(self, size: int, /) -> bytes:
        try:
            data = self._reader.read(size)
        except self._damage as error:
            raise OSError(errno.EIO, f"can't be decompressed ({error})") from error
        self._left -= len(data)
        if not data and self._left > 0:
            raise OSError(errno.EIO, f"cut off: {self._left} bytes are missing")
        return data


def _promised(file: IO[bytes]) -> int:
    """How many bytes the first frame says it holds, at least: the library takes a file that was
    cut off for a shorter one."""
    import zstandard

    start = file.read(18)  # the longest header of a frame
    file.seek(0)
    try:
        size = zstandard.get_frame_parameters(start).content_size
    except zstandard.ZstdError:
        return 0
    return 0 if size == zstandard.CONTENTSIZE_UNKNOWN else size


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """A log in pieces of some 64 KiB, each of whole lines, with the number of its first line
    (1-based). A line that doesn't end within a piece is cut as ``shorten`` says."""
    number, rest = 1, b""
    with open_raw(path) as file:
        while piece := file.read(CHUNK):
            end = piece.rfind(b"\n") + 1
            if not end:
                rest = shorten(rest + piece)
                continue
            data = rest + piece[:end]
            yield number, data
            number += data.count(b"\n")
            rest = shorten(piece[end:])
    if rest:
        yield number, rest


def shorten(line: bytes) -> bytes:
    """What a line shows: of the parts that ``\\r`` separates the last that isn't empty, and of
    that at most ``LONGEST`` bytes. A ``\\r`` at the end stays, for the line may go on."""
    shown = line.rstrip(b"\r")
    ended = len(shown) < len(line)
    shown = shown[shown.rfind(b"\r") + 1 :][:LONGEST]
    return shown + b"\r" if ended else shown


def visible(line: bytes) -> str:
    """A line's text as a terminal would show it, without its end."""
    text = shorten(line.rstrip(b"\r\n"))
    return text.decode("utf-8", "replace")


def numbered_lines(path: Path, longest: int = MAX_LINE) -> Iterator[tuple[int, str]]:
    """Lines of a log with their numbers (1-based), stripped and cut to ``longest`` characters; a
    missing log has none."""
    if find(path) is None:
        return
    for first, data in blocks(path):
        lines = data.removesuffix(b"\n").split(b"\n")
        for number, line in enumerate(lines, first):
            yield number, visible(line).strip()[:longest]


def read_bytes(path: Path, limit: int) -> bytes | None:
    """A whole raw file, decompressed; None if it is missing or holds more than ``limit`` bytes."""
    if find(path) is None:
        return None
    with open_raw(path) as file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def compress(path: Path, over: int = OVER) -> Path:
    """Replace a finished log of more than ``over`` bytes by ``NAME.zst`` and say which file holds
    it now. After a kill there is the one or the other, or both with the same content. Raises
    InfraFault when the file system refuses; the log is then left as it was."""
    if path.name.endswith(SUFFIX) or not path.is_file() or path.stat().st_size <= over:
        return find(path) or path
    import zstandard

    target = path.with_name(path.name + SUFFIX)
    part = path.with_name(f".{target.name}.{own_name()}.part")
    try:
        with path.open("rb") as source, part.open("wb") as sink:
            size = os.fstat(source.fileno()).st_size
            packer = zstandard.ZstdCompressor(level=3, write_checksum=True)
            packer.copy_stream(source, sink, size=size)
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(target)
        path.unlink()
    except (OSError, zstandard.ZstdError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        fault = error if isinstance(error, OSError) else OSError(errno.EIO, str(error))
        raise disk_fault(target, fault) from error
    return target


class Sink:
    """A capped log for somebody who must go on reading whatever happens: a process that blocks in
    a write would look like one that hangs. The first fault is kept, what comes after is dropped."""

    def __init__(self, path: Path) -> None:
        self.capped = Capped(path)
        self.failed: InfraFault | None = None

    def write(self, data: bytes) -> None:
        """Take the next bytes of the log."""
        self._keep(lambda: self.capped.write(data))

    def close(self) -> None:
        """Write down what is still in memory."""
        self._keep(self.capped.close)

    def _keep(self, step: Callable[[], None]) -> None:
        if self.failed is None:
            try:
                step()
            except InfraFault as fault:
                self.failed = fault


class Capped:
    """A log that can't fill the disk: its first ``head`` and last ``tail`` bytes are kept, cut at
    line ends where there are any near, and a line between says how much was left out.

    The head is written at once; the tail waits in memory until ``close``. Raises InfraFault when
    the file system refuses.
    """

    def __init__(self, path: Path, head: int = HEAD, tail: int = TAIL) -> None:
        self.path, self.tail = path, tail
        self.left_out = 0
        self._room = head
        self._torn = b""  # the head's last line, where it doesn't end within the head
        self._at_line = True  # whether what was written ends with a whole line
        self._blocks: deque[bytes] = deque()
        self._open = bytearray()  # small chunks are put together before they join the blocks
        self._held = 0
        self._before = b""  # the last byte that was dropped
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise disk_fault(path, error) from error

    def write(self, data: bytes) -> None:
        """Take the next bytes of the log."""
        if self._room:
            data = self._to_head(data)
        if len(data) > self.tail:  # nothing before it can stay
            self._drop(bytes(self._open))
            while self._blocks:
                self._drop(self._blocks.popleft())
            self._open.clear()
            over = len(data) - self.tail
            self._held += over
            self._drop(data[:over])
            data = data[over:]
        self._open += data
        self._held += len(data)
        if len(self._open) >= LONGEST:
            self._blocks.append(bytes(self._open))
            self._open.clear()
        while self._blocks and self._held - len(self._blocks[0]) >= self.tail:
            self._drop(self._blocks.popleft())

    def _drop(self, data: bytes) -> None:
        self._held -= len(data)
        self.left_out += len(data)
        self._before = data[-1:] or self._before

    def _to_head(self, data: bytes) -> bytes:
        """Write what the head still takes; returns the rest."""
        fits, rest = data[: self._room], data[self._room :]
        self._room -= len(fits)
        if rest:
            self._room = 0
            cut = fits.rfind(b"\n") + 1
            if (cut or self._at_line) and len(fits) - cut <= LONGEST:
                fits, self._torn = fits[:cut], fits[cut:]
        self._put(fits)
        self._at_line = fits.endswith(b"\n") if fits else self._at_line
        return rest

    def close(self) -> None:
        """Write the tail, and before it the line about what is missing, if anything is."""
        if self._file.closed:
            return
        self._blocks.append(bytes(self._open))
        kept = memoryview(b"".join(self._blocks))
        self._blocks.clear()
        try:
            if self.left_out or len(kept) > self.tail:
                kept = kept[self._start(kept) :]
                self.left_out += len(self._torn) + self._held - len(kept)
                mark = f"[patchbench: {self.left_out} bytes left out here]\n".encode()
                self._put(mark if self._at_line else b"\n" + mark)
            else:
                self._put(self._torn)
            self._put(kept)
        finally:
            with suppress(OSError):
                self._file.close()

    def _start(self, kept: memoryview) -> int:
        """Where the tail begins: with a whole line, for the rest of a torn one would be read as a
        line of its own."""
        start = max(len(kept) - self.tail, 0)
        before = bytes(kept[start - 1 : start]) if start else self._before
        if before == b"\n":
            return start
        return start + bytes(kept[start : start + LONGEST]).find(b"\n") + 1

    def _put(self, data: bytes | memoryview) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise disk_fault(self.path, error) from error

    def __enter__(self) -> Capped:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
