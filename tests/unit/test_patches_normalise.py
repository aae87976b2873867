"""Damage of transport is repaired step by step, and each step is named."""

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
OTHER = "--- a/engine/old.py\n+++ b/engine/old.py\n@@ -1 +1 @@\n-A = 1\n+A = 2\n"
MAIL = "From 123 Mon Sep 17\nSubject: [PATCH] Faster\n---\n core.py | 2 +-\n\n"
FENCE, BEFORE = "taken out of a code fence", "text before the diff removed"
BEHIND, COPY = "text behind the diff removed", "the patch file's own copy in the diff removed"
BYTES = "bytes that are not UTF-8 kept as they are"


@pytest.mark.parametrize(
    "text",
    [
        DIFF,
        PLAIN,
        OTHER,
        "",
        OTHER.replace("\n", "\r\n"),  # may be the changed file's own line ends
        PLAIN.replace("1\n", "1\r\n").replace("2\n", "2\r\n").replace("():\n", "():\r\n"),
        PLAIN.replace("-    return 1\n", " ```\n").replace("+    return 2", "+```python"),
        "--- /dev/null\n+++ b/engine/model_patch.diff\n@@ -0,0 +1 @@\n+x\n",
    ],
)
def test_a_clean_diff_is_left_as_it_is(text: str) -> None:
    assert normalise(text.encode()) == (text, [])


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        (OTHER.encode("utf-16"), ["UTF-16 made UTF-8"]),
        (b"\xfe\xff" + OTHER.encode("utf-16-be"), ["UTF-16 made UTF-8"]),
        (b"\xef\xbb\xbf" + OTHER.encode(), ["byte order mark removed"]),
        (b"\xef\xbb\xbf\xfe\xff" + OTHER.encode("utf-16-be"),
         ["byte order mark removed", "UTF-16 made UTF-8"]),
        (OTHER.replace("\n", "\r").encode(), ["CR line ends made LF"]),
        (f"{OTHER}\nThat is all.\n".encode(), [BEHIND]),
        (f"{OTHER}-- \n2.39.0\n".encode(), [BEHIND]),
        (f"x\n```diff\n{OTHER}```\ny\n".encode(), [FENCE]),
        (f"```\n{OTHER}```\n".encode(), [FENCE]),
        (f"```diff\n{OTHER}\n".encode(), [BEFORE]),
        (f"```sh\ngit apply\n```\nand\n```patch\n{OTHER}```\nIt is faster.\n".encode(), [FENCE]),
        (f"I ran\n```sh\nmake\n```\n{OTHER}".encode(), [BEFORE]),
        ((MAIL + OTHER).encode(), [BEFORE]),
        (OTHER[:-1].encode(), ["missing last newline added"]),
    ],
)  # fmt: skip
def test_each_step_is_done_and_named(data: bytes, steps: list[str]) -> None:
    text, taken = normalise(data)
    assert (text.rstrip("\n") + "\n", taken) == (OTHER, steps)
    assert normalise(text.encode()) == (text, [])


def test_crlf_line_ends_become_lf_in_a_second_try_only() -> None:
    crlf = DIFF.replace("\n", "\r\n")
    assert crlf_to_lf(crlf) == (DIFF, ["CRLF line ends made LF"])
    assert crlf_to_lf(DIFF) == (DIFF, [])
    mended, steps = normalise(f"Sure!\n```diff\n{DIFF}```\n".replace("\n", "\r\n").encode())
    assert (crlf_to_lf(mended)[0], steps) == (DIFF, [FENCE])


def test_several_fenced_parts_are_one_patch() -> None:
    data = f"A\n```diff\n{OTHER}```\nB\n```sh\nmake\n```\n```\n{DIFF}```\n".encode()
    assert normalise(data) == (OTHER + DIFF, [FENCE])


def test_the_diffs_own_copy_is_dropped_wherever_it_stands() -> None:
    copy = "--- /dev/null\n+++ b/model_patch.diff\n@@ -0,0 +1,2 @@\n+--- a/x\n++++ b/x\n"
    for text in (copy + OTHER, OTHER + copy, OTHER + copy + DIFF):
        mended, steps = normalise(text.encode())
        assert "model_patch" not in mended
        assert steps == [COPY]
    assert normalise(copy.encode())[0] == ""


def test_half_a_character_at_the_end_of_utf16_does_not_matter() -> None:
    once, _ = normalise(OTHER.encode("utf-16") + b"x")
    assert normalise(once.encode())[0] == once


def test_utf16_without_a_diff_stays_bytes() -> None:
    text, steps = normalise("no diff".encode("utf-16"))
    assert steps[0] == BYTES
    assert text.encode("utf-8", "surrogateescape").startswith(b"\xff\xfe")


def test_several_steps_are_named_in_their_order() -> None:
    """Bytes that are not UTF-8 survive the repair."""
    text = f"Sure!\n```diff\nsome words\n{DIFF}```".replace("return 2", "return '\udce9'")
    mended, steps = normalise(text.encode("utf-8", "surrogateescape"))
    assert mended == DIFF.replace("return 2", "return '\udce9'")
    assert steps == [BYTES, FENCE, BEFORE]


def test_prose_without_a_diff_stays_prose() -> None:
    text, steps = normalise(b"I could not make it faster.")
    assert (text, steps) == ("I could not make it faster.\n", ["missing last newline added"])


WRAPPING = ("```diff\n", "```\n", "```", "prose\n", "crlf\r\n", "\n", " \n", "--- \n", "--- So:\n")
LINES = st.sampled_from([*WRAPPING, *DIFF.splitlines(keepends=True)])
TEXTS = st.one_of(st.binary(), st.lists(LINES).map(lambda lines: "".join(lines).encode()))


@given(TEXTS)
@example(b"--- a\r\r\n")
def test_a_second_repair_changes_nothing_and_each_change_is_named(data: bytes) -> None:
    text, steps = normalise(data)
    assert normalise(text.encode("utf-8", "surrogateescape"))[0] == text
    assert set(steps) <= {name for name, _ in STEPS} | {BYTES}
    if not steps:
        assert text.encode() == data
