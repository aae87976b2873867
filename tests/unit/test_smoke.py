"""A smoke test that somebody killed is made once more; one that failed is believed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from patchbench.errors import InfraFault
from patchbench.images import smoke
from patchbench.ledger.machine_faults import INVOCATION
from patchbench.records import Evidence, Phase
from tests.unit import make


@pytest.mark.parametrize(
    ("ends", "cause", "tests"),
    [
        (["killed", None], None, 2),
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


def test_an_image_whose_test_is_killed_is_pending_until_a_later_run_is_killed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = smoke.Failure("killed", Evidence(text="ended by SIGKILL", file="x"))
    monkeypatch.setattr(smoke, "_test_once", lambda _: end)

    def image(arm: str, name: str = "image-1") -> smoke.ArmImage:
        parts = {"task": make.task(), "arm": arm, "name": name, "logs": tmp_path / arm}
        return cast(Any, SimpleNamespace(**parts))

    monkeypatch.setenv(INVOCATION, "run-1")
    for _ in range(2):  # Snakemake tries a job again in the same run
        with pytest.raises(InfraFault, match=r"^killed .*arm alba .*run the same command again"):
            smoke.test(image("alba"))
    monkeypatch.setenv(INVOCATION, "run-2")
    assert smoke.test(image("alba")) == end
    with pytest.raises(InfraFault, match=r"^killed "):
        smoke.test(image("alba", "image-2"))
    for _ in range(3):
        with pytest.raises(InfraFault, match=r"^infra\.killed .*arm baseline"):
            smoke.test(image("baseline"))


FULL = "OSError: [Errno 28] No space left on device\n"
ENDED = Phase(name="smoke", status="failed", seconds=1.0, exit_code=1)


def image(folder: Path, arm: str) -> smoke.ArmImage:
    runtime: Any = SimpleNamespace(name="process", tree=lambda *_: "/tree/")
    (folder / "smoke.stderr").write_text(FULL)
    return smoke.ArmImage(make.task(), arm, "image:1", runtime, folder, cast(Any, None))


def test_a_line_that_an_agents_import_prints_ends_no_job(tmp_path: Path) -> None:
    log = tmp_path / "smoke.stderr"
    failure = smoke._failure(image(tmp_path, "alba"), ENDED, log, "patch.import")
    assert (failure.cause, failure.evidence.text) == ("patch.import", FULL.strip())
    assert failure.suspected
    for arm in ("baseline", "human"):
        with pytest.raises(InfraFault, match=r"infra\.disk_full"):
            smoke._failure(image(tmp_path, arm), ENDED, log, "image.smoke_failed")


def test_a_suspicion_is_tested_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = []

    def once(*_: Any) -> smoke.Failure:
        tests.append(1)
        return smoke.Failure("patch.import", Evidence(text="x"), suspected=True)

    monkeypatch.setattr(smoke, "_test_once", once)
    failure = smoke.test(cast(Any, None))
    assert failure is not None and failure.cause == "patch.import"
    assert len(tests) == 2
