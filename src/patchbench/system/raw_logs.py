"""Raw logs on disk: plain ``NAME``, or ``NAME.zst`` once they are finished.

Readers take either. Memory stays bounded whatever a log holds: a line of half a gigabyte is cut,
and only the last state of a progress bar is kept. Only ``\\n`` ends a line, so that line numbers
agree with those of other tools.
"""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from patchbench.errors import BadInput
from patchbench.system.files import disk_fault, own_name

SUFFIX = ".zst"
# Marks at the begin of a text, and its encoding.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Small enough for the allocator to reuse memory: larger chunks are read at half the speed.
CHUNK = 1 << 16
# A longer line is cut: no result and no message is that long.
LONGEST = 1 << 16
# Characters of a line that are shown to a person.
MAX_LINE = 400
# A finished log larger than this is compressed.
OVER = 1 << 16


def find(path: Path) -> Path | None:
    """Return the file that holds a raw log: plain, else compressed, else None."""
    packed = Path(f"{path}{SUFFIX}")
    return next((file for file in (path, packed) if file.is_file()), None)


@contextmanager
def open_raw(path: Path) -> Iterator[Readable]:
    """Open a raw log for reading its bytes, decompressed. Raises BadInput for a file that is
    missing, unreadable or damaged."""
    place = find(path) or path
    try:
        with place.open("rb") as file:
            packed = place.name.endswith(SUFFIX)
            yield _Unpacked(file) if packed else _in_utf8(file)
    except OSError as error:
        raise BadInput(f"{place}: {error.strerror or error}") from error


class Readable(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


def _in_utf8(file: IO[bytes]) -> Readable:
    """Return a file that is read as UTF-8 if it begins with a mark of UTF-16 or UTF-8 (a shell of
    Windows writes it), else the file itself."""
    start = file.read(len(codecs.BOM_UTF8))
    file.seek(0)
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return _Recoded(file, encoding)
    return file


class _Recoded:
    """Reads text of another encoding as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def read(self, size: int, /) -> bytes:
        while data := self._file.read(size):
            if text := self._decoder.decode(data):
                return text.encode("utf-8", "replace")
        return self._decoder.decode(b"", True).encode("utf-8", "replace")


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
    """Return the size in the first frame's header, 0 if unknown: the library reads a file that was
    cut off without an error."""
    import zstandard

    start = file.read(18)  # the longest header of a frame
    file.seek(0)
    try:
        size = zstandard.get_frame_parameters(start).content_size
    except zstandard.ZstdError:
        return 0
    return 0 if size == zstandard.CONTENTSIZE_UNKNOWN else size


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield a log in blocks of about 64 KiB, each of whole lines, with the number of its first line
    (1-based). A line that doesn't end within a block is cut by ``shorten``."""
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
    """Return the part of a line that a terminal shows: the last non-empty one of those that ``\\r``
    separates, at most ``LONGEST`` bytes. A ``\\r`` at the end stays, as the line may go on."""
    shown = line.rstrip(b"\r")
    ended = len(shown) < len(line)
    shown = shown[shown.rfind(b"\r") + 1 :][:LONGEST]
    return shown + b"\r" if ended else shown


def visible(line: bytes) -> str:
    """Return a line's text as a terminal shows it, without its end."""
    text = shorten(line.rstrip(b"\r\n"))
    return text.decode("utf-8", "replace")


def numbered_lines(path: Path, longest: int = MAX_LINE) -> Iterator[tuple[int, str]]:
    """Yield the lines of a log with their numbers (1-based), stripped and cut to ``longest``
    characters; a missing log has none."""
    if find(path) is None:
        return
    for first, data in blocks(path):
        lines = data.removesuffix(b"\n").split(b"\n")
        for number, line in enumerate(lines, first):
            yield number, visible(line).strip()[:longest]


def read_bytes(path: Path, limit: int) -> bytes | None:
    """Return a whole raw file, decompressed; None if it is missing or larger than ``limit``."""
    if find(path) is None:
        return None
    with open_raw(path) as file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def compress_all(folder: Path, suffixes: Collection[str]) -> None:
    """Compress the large logs of a folder. Raises InfraFault."""
    for log in sorted(folder.iterdir()):
        if log.suffix in suffixes:
            compress(log)


def compress(path: Path, over: int = OVER) -> Path:
    """Replace a finished log of more than ``over`` bytes by ``NAME.zst``; return the file that
    holds it now. After a kill there is one of them, or both with the same content. Raises
    InfraFault if the file system refuses; the log is then unchanged."""
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
