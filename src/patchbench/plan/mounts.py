"""Folders of the host that containers see: none that holds a secret."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from patchbench.config import Mount
from patchbench.errors import BadInput

# Where programs keep tokens and keys, in a home folder or in a cache of Hugging Face's.
SECRETS = (
    "token", "stored_tokens", ".ssh", ".gnupg", ".netrc", ".git-credentials", ".aws", ".azure",
    ".kube", ".pypirc", ".config/gcloud", ".config/gh", ".docker/config.json",
    ".cache/huggingface/token", "huggingface/token",
)  # fmt: skip


def check(mounts: Iterable[Mount], origin: str) -> None:
    """Raise BadInput for a mounted folder that holds a secret, which every container could read."""
    for mount in mounts:
        if found := next((name for name in SECRETS if _exists(source(mount) / name)), None):
            raise BadInput(
                f"{origin}: containers.mounts: {mount.source} holds {found}, which patched code "
                "could read | next: mount a folder of it that has no secret (of Hugging Face's "
                "cache: hub)"
            )


def source(mount: Mount) -> Path:
    """Return the folder of a mount with ~ written out. Raises BadInput."""
    try:
        return Path(mount.source).expanduser()
    except RuntimeError as error:
        raise BadInput(f"containers.mounts: {mount.source}: no home folder is known") from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
