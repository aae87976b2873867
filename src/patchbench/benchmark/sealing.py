"""The secret of a block, from which the judge draws its prompts.

Its hash stands in the journal before the first launch, the secret itself after the last, so that a
reader can make the prompts again. In between it lies in a file of the block's folder, which no
process of an arm is given.
"""

from __future__ import annotations

from pathlib import Path

from patchbench.benchmark.context import BlockContext
from patchbench.judge.draws import commitment, new_secret
from patchbench.system.files import write_bytes


def seal(context: BlockContext) -> bool:
    """Put the block's secret into its file, a new one if there is none, and journal the hash of a
    new one. Returns False if earlier launches had a secret that is lost: none of them can be
    compared with one to come. Raises InfraFault."""
    if is_there(context):
        return True
    first = not _last(context, "block_sealed")
    secret = new_secret()
    _write(context, secret)
    context.write_event("block_sealed", detail=commitment(secret))
    return first


def is_there(context: BlockContext) -> bool:
    """Return True if the secret that was sealed lies in its file, put there again if it has been
    opened. Raises InfraFault."""
    sealed, opened = _last(context, "block_sealed"), _last(context, "block_opened")
    secret = _content(context.secret)
    if secret is not None and commitment(secret) == sealed:
        return True
    secret = bytes.fromhex(opened)
    if commitment(secret) != sealed:
        return False
    _write(context, secret)
    return True


def open_seal(context: BlockContext) -> None:
    """Journal the secret that was sealed under the block's digest, if that has not been done, and
    remove its file."""
    secret = _content(context.secret)
    if secret is None or commitment(secret) != _last(context, "block_sealed"):
        return
    if secret.hex() != _last(context, "block_opened"):
        context.write_event("block_opened", detail=secret.hex())
    context.secret.unlink()


def _write(context: BlockContext, secret: bytes) -> None:
    """Write the secret. One that lies there for another digest is opened before: launches under
    that digest may count again."""
    for digest in {event.digest for event in context.events()}:
        open_seal(context._replace(digest=digest))
    write_bytes(context.secret, secret)


def _last(context: BlockContext, event: str) -> str:
    """Return the detail of the last such event under the block's digest, empty if there is
    none."""
    events = [e for e in context.events() if e.event == event and e.digest == context.digest]
    return events[-1].detail if events else ""


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
