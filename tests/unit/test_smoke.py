"""A smoke test that somebody killed is made once more; one that failed is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from patchbench.images import arm_images
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

    def once(*_: Any) -> tuple[str, Evidence] | None:
        end = left.pop(0)
        return (end, Evidence(text=end)) if end else None

    monkeypatch.setattr(arm_images, "_smoke_once", once)
    nothing: Any = None
    failure = arm_images.smoke(nothing, "alba", "image", nothing, Path("logs"), nothing)
    assert (failure[0] if failure else None) == cause
    assert len(ends) - len(left) == tests
