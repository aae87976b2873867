"""Names of images that are here on our account only: taken away again, and no other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from patchbench.runtimes.docker.image_store import Store

NAME = "registry/engines:1"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of an engine that knows names and ids."""
    made = Store(SimpleNamespace(url="unix:///one.sock"), tmp_path)  # type: ignore[arg-type]
    monkeypatch.setattr(made, "there", {}, raising=False)
    monkeypatch.setattr(made, "inspect", lambda name: made.there.get(name))
    monkeypatch.setattr(made, "_remove", lambda name: bool(made.there.pop(name, None)))
    return made


def test_what_was_borrowed_goes_and_nothing_else(store: Store) -> None:
    store.there = {NAME: {"Id": "a"}, "theirs:1": {"Id": "b"}}
    store.borrow(NAME)
    store.give_back("theirs:1")
    store.give_back(NAME)
    assert store.there == {"theirs:1": {"Id": "b"}}


def test_an_image_that_a_person_made_since_stays(store: Store) -> None:
    """Else the image that was built on our advice would be gone."""
    store.there = {NAME: {"Id": "a"}}
    store.borrow(NAME)
    store.there = {NAME: {"Id": "built by hand"}}
    store.give_back(NAME)
    store.give_back(NAME)
    assert store.there == {NAME: {"Id": "built by hand"}}


def test_what_never_came_is_not_borrowed(store: Store) -> None:
    store.borrow(NAME)
    store.there = {NAME: {"Id": "built by hand"}}
    store.give_back(NAME)
    assert NAME in store.there


def test_each_engine_has_its_own(store: Store, tmp_path: Path) -> None:
    store.there = {NAME: {"Id": "a"}}
    store.borrow(NAME)
    other = Store(SimpleNamespace(url="unix:///other.sock"), tmp_path)  # type: ignore[arg-type]
    assert other._note(NAME) != store._note(NAME)
