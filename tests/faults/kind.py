"""A kind of fault: what is done to a run, how it is mended, what the run must say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults import moments
from tests.faults.cut import Ending

if TYPE_CHECKING:
    from tests.faults.case import Case

Step = Callable[["Case"], None]
Says = str | Callable[["Case"], bool] | None


def nothing(_: Case) -> None:
    """For faults that need no such step."""


def unless_survived(pattern: str) -> Callable[[Case], bool]:
    """For faults that a run may get over by itself: it did, or it says what the pattern says."""

    def told(case: Case) -> bool:
        assert case.process is not None
        return case.process.returncode == 0 or bool(re.search(pattern, case.output))

    return told


@dataclass(frozen=True)
class Kind:
    """One kind. ``says`` is a pattern that the struck run's output must match, or a question about
    the struck run; None where it has nothing to say: it was killed outright, or gets over the fault
    by itself."""

    name: str
    what: str
    strike: Step
    says: Says = None
    prepare: Step = nothing
    repair: Step = nothing
    moments: tuple[str, ...] = moments.ANY
    runtime: str = "docker"
    # Further options of the struck run: where a pause before another try would only cost time.
    options: tuple[str, ...] = ()
    # Arms that end otherwise than in the demo, because the fault is in a patch.
    endings: Mapping[tuple[str, str], Ending] = field(default_factory=dict)
    # Seconds that the struck run may take.
    seconds: float = 400.0
    # Why it can't be tried here, if it can't.
    why_not: Callable[[], str | None] = lambda: None
