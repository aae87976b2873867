"""The table of causes (``causes.json``): stage, blame, how often to launch again, advice.

A cause is a fact about what happened. ``failures.attribution`` decides whether an agent is charged,
by comparison with the baseline of the same block; the blame here holds if that comparison allows
it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

Blame = Literal["agent", "task", "infra", "harness", "unknown"]
BLAMES: tuple[Blame, ...] = ("agent", "task", "infra", "harness", "unknown")

# Longest pause between two launches, seconds.
LONGEST_WAIT = 3600.0


class Retry(NamedTuple):
    """Rule for launching again after a failure: ``attempts`` launches of one arm in one block in
    all; ``wait_seconds`` pass before the second, and each further pause is twice as long."""

    attempts: int
    wait_seconds: float = 0.0

    def again(self, launches: int) -> bool:
        """Return True if one more launch follows after ``launches`` launches."""
        return launches < self.attempts

    def wait(self, launches: int) -> float:
        """Return the seconds to wait after ``launches`` launches: wait_seconds * 2**(made - 1), at
        most LONGEST_WAIT."""
        return min(self.wait_seconds * 2.0 ** min(max(launches - 1, 0), 20), LONGEST_WAIT)


RETRIES = {
    "never": Retry(1),  # the same launch would end in the same way, or later blocks repeat it
    "once_more": Retry(2),  # may be chance
    "at_once": Retry(3),  # a race for something (a port) that the next launch doesn't run into
    "by_hand": Retry(3),  # a person has to mend it; the next run of the same command tries again
    "soon": Retry(3, 30.0),  # the machine may recover by itself
    "later": Retry(5, 60.0),  # other users of the machine (a busy GPU, a slow network): minutes
    "much_later": Retry(5, 300.0),  # an hourly limit of a remote server
}


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row. ``stage`` is "any" if the failed phase names it; ``retry`` is a key of RETRIES.
    ``missing`` marks lack of coverage rather than a bad patch.

    ``shared`` marks a fault of something that all arms of a task use (image, model, flags, driver,
    client): if the baseline worked, the failure can't be what it looks like.
    """

    cause: str
    stage: str
    blame: Blame
    title: str
    advice: str
    retry: str = "never"
    missing: bool = False
    shared: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    causes: tuple[Cause, ...]


def _table() -> dict[str, Cause]:
    file = Path(__file__).with_name("causes.json")
    rows = msgspec.json.decode(file.read_bytes(), type=_File).causes
    return {row.cause: row for row in rows}


CAUSES = _table()


def retry(cause: str) -> Retry:
    """Return the rule for launching again after this cause. Raises KeyError for an unknown
    cause."""
    return RETRIES[CAUSES[cause].retry]
