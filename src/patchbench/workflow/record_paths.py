"""Names of the records that rules pass on, below a campaign's results folder."""

from __future__ import annotations

from collections.abc import Iterable

# Records of a patch's way from its source to the diff that is built.
OF_PATCH = ("patch.diff", "fetch.json", "applied.diff", "validation.json")


def task(results: str, commit: str) -> str:
    """Return the path of a task's record."""
    return f"{results}/tasks/{commit}.json"


def patch(results: str, commit: str, arm: str, name: str) -> str:
    """Return the path of one of a patch's records, by the record's name."""
    return f"{results}/patches/{commit}/{arm}/{name}"


def image(results: str, commit: str, arm: str) -> str:
    """Return the path of an image's record."""
    return f"{results}/images/{commit}/{arm}.json"


def ready(results: str, commit: str, cohort: int) -> str:
    """Return the path of the file that says that all images of a cohort are there."""
    return f"{results}/images/{commit}/cohort-{cohort}.ready"


def block(results: str, commit: str, number: int) -> str:
    """Return the path of a block's record."""
    return f"{results}/runs/{commit}/block-{number}/block.json"


def metrics(results: str, commit: str) -> str:
    """Return the path of a commit's metrics."""
    return f"{results}/metrics/{commit}.json"


def between(
    results: str, commit: str, arms: Iterable[str], patched: Iterable[str], blocks: Iterable[int]
) -> list[str]:
    """Return the records of a commit from its task to its last block. ``patched`` are the arms that
    have a patch."""
    return [
        task(results, commit),
        *(image(results, commit, arm) for arm in arms),
        *(block(results, commit, number) for number in blocks),
        *(patch(results, commit, arm, name) for arm in patched for name in OF_PATCH),
    ]
