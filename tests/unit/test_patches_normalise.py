"""What transport does to a diff is mended step by step, and named."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from patchbench.patches.normalise import STEPS, crlf_to_lf, normalise

DIFF = """\
diff --git a/engine/core.py b/engine/core.py
index 1234567..89abcde 100644
--- a/engine/core.py
+++ b/engine/core.py
@@ -1,3 +1,3 @@
 def f():
-    return 1
+    return 2
"""
PLAIN = DIFF[DIFF.index("--- a/") :]


@pytest.mark.parametrize("text", [DIFF, PLAIN, ""])
def test_a_clean_diff_is_left_as_it_is(text: str) -> None:
    assert normalise(text.encode()) == (text, [])


def test_crlf_line_ends_become_lf_in_a_second_try_only() -> None:
    """They may be the changed file's own: whoever applies the diff has to find out."""
    crlf = DIFF.replace("\n", "\r\n")
    assert normalise(crlf.encode()) == (crlf, [])
    assert crlf_to_lf(crlf) == (DIFF, ["CRLF line ends made LF"])
    assert crlf_to_lf(DIFF) == (DIFF, [])


@pytest.mark.parametrize("language", ["", "diff", "patch"])
def test_a_diff_is_taken_out_of_a_code_fence(language: str) -> None:
    text = f"Here it is:\n\n```{language}\n{DIFF}```\n\nIt is faster.\n"
    assert normalise(text.encode()) == (DIFF, ["taken out of a code fence"])


def test_a_fence_around_something_else_is_not_taken_for_the_diff() -> None:
    text = "I ran\n```sh\nmake\n```\n" + DIFF
    assert normalise(text.encode()) == (DIFF, ["text before the diff removed"])


def test_a_code_fence_inside_the_changed_file_stays() -> None:
    readme = PLAIN.replace("-    return 1\n", " ```\n").replace("+    return 2", "+```python")
    assert normalise(readme.encode()) == (readme, [])


def test_text_before_the_diff_is_removed() -> None:
    mail = "From 123 Mon Sep 17\nSubject: [PATCH] Faster\n---\n core.py | 2 +-\n\n"
    assert normalise((mail + DIFF).encode()) == (DIFF, ["text before the diff removed"])
    assert normalise(("Sure!\n" + PLAIN).encode()) == (PLAIN, ["text before the diff removed"])


def test_a_missing_last_newline_is_added() -> None:
    assert normalise(DIFF[:-1].encode()) == (DIFF, ["missing last newline added"])


def test_bytes_that_are_not_utf8_survive() -> None:
    data = DIFF.encode().replace(b"return 2", b"return '\xe9'")
    text, steps = normalise(data)
    assert text.encode("utf-8", "surrogateescape") == data
    assert steps == ["bytes that are not UTF-8 kept as they are"]


def test_several_steps_are_named_in_their_order() -> None:
    text = f"Sure!\n```diff\nsome words\n{DIFF}```".replace("return 2", "return '\udce9'")
    mended, steps = normalise(text.encode("utf-8", "surrogateescape"))
    assert mended == DIFF.replace("return 2", "return '\udce9'")
    assert steps == [
        "bytes that are not UTF-8 kept as they are",
        "taken out of a code fence",
        "text before the diff removed",
    ]


def test_a_fence_with_crlf_line_ends_is_found() -> None:
    text = f"Sure!\n```diff\n{DIFF}```\n".replace("\n", "\r\n")
    mended, steps = normalise(text.encode())
    assert crlf_to_lf(mended)[0] == DIFF
    assert steps == ["taken out of a code fence"]


def test_prose_without_a_diff_stays_prose() -> None:
    text, steps = normalise(b"I could not make it faster.")
    assert (text, steps) == ("I could not make it faster.\n", ["missing last newline added"])


def test_crlf_inside_the_changed_file_is_content_not_transport() -> None:
    data = PLAIN.replace("1\n", "1\r\n").replace("2\n", "2\r\n").replace("():\n", "():\r\n")
    assert normalise(data.encode()) == (data, [])


def test_the_fence_with_the_diff_is_found_behind_another_fence() -> None:
    text = f"```sh\ngit apply\n```\nand\n```diff\n{DIFF}```\nIt is faster.\n"
    assert normalise(text.encode()) == (DIFF, ["taken out of a code fence"])


WRAPPING = ("```diff\n", "```\n", "```", "prose\n", "crlf\r\n", "\n", " \n", "--- \n", "--- So:\n")
LINES = st.sampled_from([*WRAPPING, *DIFF.splitlines(keepends=True)])
TEXTS = st.one_of(st.binary(), st.lists(LINES).map(lambda lines: "".join(lines).encode()))


def twice(data: bytes) -> tuple[str, str]:
    once, _ = normalise(data)
    again, _ = normalise(once.encode("utf-8", "surrogateescape"))
    return once, again


@given(TEXTS)
@example(b"--- a\r\r\n")
def test_mending_again_changes_nothing(data: bytes) -> None:
    once, again = twice(data)
    assert once == again


@given(TEXTS)
def test_every_step_that_changed_something_is_named(data: bytes) -> None:
    text, steps = normalise(data)
    assert set(steps) <= {name for name, _ in STEPS} | {"bytes that are not UTF-8 kept as they are"}
    if not steps:
        assert text.encode() == data
