"""What chance may have done is tried again at once, as often as the table of causes says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from patchbench.benchmark import relaunch
from patchbench.benchmark.context import BlockContext
from patchbench.failures.causes import CAUSES, retry
from patchbench.ledger import journal
from patchbench.ledger.journal import Event

DIGEST = "d1"


@pytest.fixture
def context(tmp_path: Path) -> BlockContext:
    """The parts of a block's context that these rules read."""
    file = tmp_path / "block-1.jsonl"
    parts = SimpleNamespace(journal=file, digest=DIGEST, events=lambda: journal.read(file))
    return cast(BlockContext, parts)


def spoil(context: BlockContext, arm: str, cause: str, digest: str = DIGEST) -> None:
    event = Event(
        event="run_spoilt", at=journal.now(), commit="c", block=1,
        digest=digest, arm=arm, cause=cause,
    )  # fmt: skip
    journal.write(context.journal, event)


def test_a_server_that_somebody_killed_is_launched_once_more(context: BlockContext) -> None:
    assert relaunch.is_chance(context, "alba", "killed")
    spoil(context, "alba", "killed")
    assert not relaunch.is_chance(context, "alba", "killed")


def test_other_arms_other_causes_and_other_digests_do_not_count(context: BlockContext) -> None:
    spoil(context, "human", "killed")
    spoil(context, "alba", "infra.port_taken")
    spoil(context, "alba", "killed", digest="d0")
    assert relaunch.is_chance(context, "alba", "killed")


def test_a_launch_that_worked_or_failed_for_good_is_not_made_again(context: BlockContext) -> None:
    assert not relaunch.is_chance(context, "alba", "")
    once = [name for name in CAUSES if retry(name).attempts == 1]
    assert "server.crash_under_load" in once
    assert not [name for name in once if relaunch.is_chance(context, "alba", name)]
