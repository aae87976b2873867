"""A smoke test that somebody killed is made once more; one that failed is believed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from patchbench.images import smoke
from patchbench.records import Evidence


@pytest.mark.parametrize(
    ("ends", "cause", "tests"),
    [
        (["killed", None], None, 2),
        (["killed", "killed"], "killed", 2),
        (["killed", "patch.import"], "patch.import", 2),
        (["patch.import"], "patch.import", 1),
        ([None], None, 1),
    ],
)
def test_what_chance_may_have_done_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch, ends: list[str | None], cause: str | None, tests: int
) -> None:
    left = list(ends)

    def once(*_: Any) -> smoke.Failure | None:
        end = left.pop(0)
        return smoke.Failure(end, Evidence(text=end)) if end else None

    monkeypatch.setattr(smoke, "_test_once", once)
    failure = smoke.test(cast(Any, None))
    assert (failure[0] if failure else None) == cause
    assert len(ends) - len(left) == tests
