"""Commands are words with placeholders; there is no shell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.system.command_words import expand, placeholders


def test_placeholders_are_filled_inside_words() -> None:
    words = ["{python}", "-m", "x", "http://{host}:{port}"]
    values = {"python": "py", "host": "h", "port": "80"}
    assert expand(words, values) == ["py", "-m", "x", "http://h:80"]


def test_a_word_that_is_one_placeholder_may_become_several_or_none() -> None:
    values = {"args": ("--a", "1"), "none": (), "empty": ""}
    assert expand(["x", "{args}", "{none}", "{empty}"], values) == ["x", "--a", "1", ""]


def test_an_unknown_placeholder_is_named() -> None:
    with pytest.raises(KeyError, match="modle"):
        expand(["--model", "{modle}"], {"model": "m"})


def test_a_value_is_not_expanded_again() -> None:
    assert expand(["{a}", "x{a}"], {"a": "{b}", "b": "c"}) == ["{b}", "x{b}"]


def test_braces_that_are_no_placeholder_stay() -> None:
    words = ['{"a": 1}', "{}", "{A}", "$(rm -rf /)", "a b;c"]
    assert expand(words, {}) == words


def test_placeholders_of_a_command_are_found() -> None:
    assert placeholders(["{a}", "x{b}y{a}", '{"c": 1}']) == {"a", "b"}


@given(st.lists(st.text(st.characters(exclude_characters="{}"))), st.lists(st.text()))
def test_words_without_placeholders_and_values_come_through_untouched(
    words: list[str], values: list[str]
) -> None:
    assert expand([*words, "{more}"], {"more": values}) == [*words, *values]
