"""What chance may have done is tried again at once, as often as the table of causes says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from patchbench.benchmark import relaunch
from patchbench.benchmark.context import Setting
from patchbench.failures.causes import CAUSES
from patchbench.ledger import journal
from patchbench.ledger.journal import Event

DIGEST = "d1"


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """A block's setting, as far as spoilt launches are about it."""
    return cast(Setting, SimpleNamespace(journal=tmp_path / "block-1.jsonl", digest=DIGEST))


def spoil(setting: Setting, arm: str, cause: str, digest: str = DIGEST) -> None:
    event = Event(
        event="run_spoilt", at=journal.now(), commit="c", block=1,
        digest=digest, arm=arm, cause=cause,
    )  # fmt: skip
    journal.write(setting.journal, event)


def test_a_server_that_somebody_killed_is_launched_once_more(setting: Setting) -> None:
    assert relaunch.by_chance(setting, "alba", "killed")
    spoil(setting, "alba", "killed")
    assert not relaunch.by_chance(setting, "alba", "killed")


def test_other_arms_other_causes_and_other_digests_do_not_count(setting: Setting) -> None:
    spoil(setting, "human", "killed")
    spoil(setting, "alba", "infra.port_taken")
    spoil(setting, "alba", "killed", digest="d0")
    assert relaunch.by_chance(setting, "alba", "killed")


def test_a_launch_that_worked_or_failed_for_good_is_not_made_again(setting: Setting) -> None:
    assert not relaunch.by_chance(setting, "alba", None)
    once = [name for name, cause in CAUSES.items() if cause.retry.attempts == 1]
    assert "server.crash_under_load" in once
    assert not [name for name in once if relaunch.by_chance(setting, "alba", name)]
