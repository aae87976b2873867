"""The order of test files: with two processes the longest ones come first. Ctrl-C reaches what
tests start."""

from __future__ import annotations

import signal

import pytest

# Files of whole runs, the longest first; unit tests fill the gaps at the end.
LONGEST = (
    "workflow/test_demo.py",
    "workflow/test_nothing_twice.py",
    "engine/test_registry.py",
    "workflow/test_resume.py",
    "engine/test_disk_full.py",
    "workflow/test_planning.py",
    "engine/test_bounded_disk.py",
    "engine/test_sandbox.py",
    "faults/test_faults.py",
    "engine/test_killed.py",
    "engine/test_demo.py",
    "workflow/test_slots.py",
    "workflow/test_hacks.py",
    "engine/test_images.py",
    "workflow/test_pull_request.py",
    "workflow/test_bad_input.py",
    "engine/test_judge.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by the length of their files."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get("/".join(item.path.parts[-2:]), len(ranks)))


def pytest_configure() -> None:
    """Undo what a shell does to commands in the background: they, and all that they start, ignore
    SIGINT, so a test that interrupts a run would wait for ever."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
