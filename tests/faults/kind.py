"""A kind of fault: its strike on a run, its mending, and the message that the run must give."""

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
    """Do nothing, for faults that need no such step."""


def unless_survived(pattern: str) -> Callable[[Case], bool]:
    """Return a check for faults that a run may survive: it survived, or its output matches."""

    def told(case: Case) -> bool:
        assert case.process is not None
        return case.process.returncode == 0 or bool(re.search(pattern, case.output))

    return told


@dataclass(frozen=True)
class Kind:
    """One kind. ``says`` is a pattern that the struck run's output must match, or a check of the
    struck run; None if no message is due: the run was killed outright, or survives the fault."""

    name: str
    what: str
    strike: Step
    says: Says = None
    prepare: Step = nothing
    repair: Step = nothing
    moments: tuple[str, ...] = moments.ANY
    runtime: str = "docker"
    # GPU slots of the run; with two, blocks of two commits run side by side.
    slots: int = 1
    # Further options of the struck run, for example without a pause before another try.
    options: tuple[str, ...] = ()
    # Arms that end otherwise than in the demo, because the fault is in a patch.
    endings: Mapping[tuple[str, str], Ending] = field(default_factory=dict)
    # Seconds that the struck run may take.
    seconds: float = 400.0
    # The reason why it can't be tried here, or None.
    why_not: Callable[[], str | None] = lambda: None
