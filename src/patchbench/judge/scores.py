"""Records of scores: how likely the baseline's server would have given an arm's answers."""

from __future__ import annotations

from patchbench.judge.record import ScoringForm
from patchbench.records import Record


class Score(Record, frozen=True, kw_only=True):
    """The gaps of one answer's tokens, nats; ``distinct`` is how many different tokens it has."""

    index: int
    gaps: tuple[float, ...]
    distinct: int


class Scores(Record, frozen=True, kw_only=True):
    """Scores of a sample of one window's answers; ``unscored`` names answers that the server
    refused to score, with its words."""

    block: int
    window: int
    form: ScoringForm
    scores: tuple[Score, ...] = ()
    unscored: dict[int, str] = {}  # noqa: RUF012 (msgspec copies it)


class LaunchScores(Record, frozen=True, kw_only=True):
    """Scores of a launch's windows; ``why`` says why there are none."""

    scores: tuple[Scores, ...] = ()
    why: str = ""
