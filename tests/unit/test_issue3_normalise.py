"""Mending of what transport and other tools did to a diff."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.patches import paths
from patchbench.patches.diff_reader import scan
from patchbench.patches.header_names import quoted, unquoted
from patchbench.patches.normalise import normalise
from patchbench.patches.refusal import Refused

DIFF = """\
diff --git a/engine/core.py b/engine/core.py
index 1234567..89abcde 100644
--- a/engine/core.py
+++ b/engine/core.py
@@ -1,2 +1,2 @@
 def f():
-    return 1
+    return 2
"""
OTHER = "--- a/engine/old.py\n+++ b/engine/old.py\n@@ -1 +1 @@\n-A = 1\n+A = 2\n"
TREE = ("engine/core.py", "engine/old.py", "core/x.py", "setup.py", "lib/deep/x.py", "deep/x.py")


def fitted(text: str) -> tuple[str, list[str]]:
    diff = scan(text)
    steps = paths.fit(diff, lambda: TREE)
    return diff.text(), steps


def hunk(old: str, new: str) -> str:
    return f"--- {old}\n+++ {new}\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        (OTHER.encode("utf-16"), ["UTF-16 made UTF-8"]),
        (b"\xfe\xff" + OTHER.encode("utf-16-be"), ["UTF-16 made UTF-8"]),
        (b"\xef\xbb\xbf" + OTHER.encode(), ["byte order mark removed"]),
        (OTHER.replace("\n", "\r").encode(), ["CR line ends made LF"]),
        (f"{OTHER}\nThat is all.\n".encode(), ["text behind the diff removed"]),
        (f"{OTHER}-- \n2.39.0\n".encode(), ["text behind the diff removed"]),
        (f"x\n```diff\n{OTHER}```\ny\n".encode(), ["taken out of a code fence"]),
        (f"```diff\n{OTHER}\n".encode(), ["text before the diff removed"]),
    ],
)
def test_each_step_is_done_and_named(data: bytes, steps: list[str]) -> None:
    text, taken = normalise(data)
    assert (text.rstrip("\n") + "\n", taken) == (OTHER, steps)
    assert normalise(text.encode()) == (text, [])


def test_several_fenced_parts_are_one_patch() -> None:
    text, steps = normalise(
        f"A\n```diff\n{OTHER}```\nB\n```sh\nmake\n```\n```\n{DIFF}```\n".encode()
    )
    assert (text, steps) == (OTHER + DIFF, ["taken out of a code fence"])


def test_the_diffs_own_copy_is_dropped_wherever_it_stands() -> None:
    copy = "--- /dev/null\n+++ b/model_patch.diff\n@@ -0,0 +1,2 @@\n+--- a/x\n++++ b/x\n"
    for text in (copy + OTHER, OTHER + copy, OTHER + copy + DIFF):
        mended, steps = normalise(text.encode())
        assert "model_patch" not in mended
        assert steps == ["the patch file's own copy in the diff removed"]
    assert normalise(copy.encode())[0] == ""


def test_a_file_of_that_name_further_down_is_the_engines() -> None:
    text = "--- /dev/null\n+++ b/engine/model_patch.diff\n@@ -0,0 +1 @@\n+x\n"
    assert normalise(text.encode()) == (text, [])


def test_half_a_character_at_the_end_of_utf16_does_not_matter() -> None:
    data = OTHER.encode("utf-16") + b"x"
    once, _ = normalise(data)
    assert normalise(once.encode())[0] == once


def test_one_mark_before_the_other_is_one_mess() -> None:
    """A fuzzer found it."""
    once, steps = normalise(b"\xef\xbb\xbf\xfe\xff" + OTHER.encode("utf-16-be"))
    assert (once, steps) == (OTHER, ["byte order mark removed", "UTF-16 made UTF-8"])


def test_utf16_without_a_diff_stays_bytes() -> None:
    text, steps = normalise("no diff".encode("utf-16"))
    assert steps[0] == "bytes that are not UTF-8 kept as they are"
    assert text.encode("utf-8", "surrogateescape").startswith(b"\xff\xfe")


BARE = ["paths without a/ and b/ prefixes"]
FAR = ["absolute paths of another machine made relative"]


@pytest.mark.parametrize(
    ("old", "new", "expected", "steps"),
    [
        ("a/engine/core.py", "b/engine/core.py", None, []),
        ("i/engine/core.py", "w/engine/core.py", None, []),
        ("engine/core.py", "engine/core.py", ("engine/core.py", "engine/core.py"), BARE),
        ("engine/core.py.orig", "engine/core.py", ("engine/core.py", "engine/core.py"), BARE),
        ("setup.py", "setup.py", ("setup.py", "setup.py"), BARE),
        ("vllm.orig/engine/core.py", "vllm/engine/core.py", None, []),
        ("/dev/null", "engine/new.py", ("/dev/null", "engine/new.py"), BARE),
        ("/dev/null", "engine/deeper/new.py", ("/dev/null", "engine/deeper/new.py"), BARE),
        ("/dev/null", "new.py", ("/dev/null", "new.py"), BARE),
        ("/dev/null", "repo/new.py", None, []),
        ("engine/old.py", "/dev/null", ("engine/old.py", "/dev/null"), BARE),
        ("/home/u/r/engine/core.py", "/home/u/r/engine/core.py",
         ("engine/core.py", "engine/core.py"), FAR),
        ("/home/u/r/lib/deep/x.py", "/home/u/r/lib/deep/x.py", None, []),
        ("/etc/passwd", "/etc/passwd", None, []),
        ("/r/../engine/core.py", "/r/../engine/core.py", None, []),
    ],
)  # fmt: skip
def test_paths_are_read_as_the_tree_says(
    old: str, new: str, expected: tuple[str, str] | None, steps: list[str]
) -> None:
    before = hunk(old, new)
    text, taken = fitted(before)
    assert taken == steps
    if expected is None:
        assert text == before
    else:
        one, two = expected
        assert text == hunk(
            one if one[0] == "/" else f"a/{one}", two if two[0] == "/" else f"b/{two}"
        )
        assert fitted(text) == (text, [])


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("new file mode 100644\nindex 0000000..e69de29\n", "a/engine/e.py b/engine/e.py"),
        ("old mode 100644\nnew mode 100755\n", "a/engine/core.py b/engine/core.py"),
        ("deleted file mode 100644\nindex e69de29..0000000\n", "a/engine/old.py b/engine/old.py"),
        ("similarity index 100%\nrename from engine/core.py\nrename to engine/new.py\n",
         "a/engine/core.py b/engine/new.py"),
    ],
)  # fmt: skip
def test_sections_without_lines_get_their_prefixes_too(rest: str, expected: str) -> None:
    bare = expected.replace("a/", "").replace("b/", "")
    text, steps = fitted(f"diff --git {bare}\n{rest}")
    assert text == f"diff --git {expected}\n{rest}"
    assert steps == BARE


def test_a_new_file_of_another_machine_lies_where_the_others_do() -> None:
    text, steps = fitted(
        hunk("/home/u/r/engine/core.py", "/home/u/r/engine/core.py")
        + "--- /dev/null\n+++ /home/u/r/engine/new.py\n@@ -0,0 +1 @@\n+X\n"
    )
    assert "+++ b/engine/new.py" in text
    assert steps == FAR


@pytest.mark.parametrize(
    "text",
    [
        hunk("a/../x", "b/../x"), hunk("/etc/x", "/etc/x"), hunk("a/.git/x", "b/.git/x"),
        hunk("a/x/.GIT/x", "b/x/.GIT/x"), hunk("a//x", "b//x"), hunk('"a/\\056\\056/x"', '"b/x"'),
        "diff --git a/x b/../y\nold mode 100644\nnew mode 100755\n",
        "diff --git a/x b/y\nrename from x\nrename to /y\n",
        "diff --git a/x b/y\ncopy from ../x\ncopy to y\n",
    ],
)  # fmt: skip
def test_paths_out_of_the_tree_are_refused_with_their_line(text: str) -> None:
    with pytest.raises(Refused) as caught:
        paths.check(scan(text).sections)
    line = caught.value.line
    assert line is not None
    assert 1 <= line <= text.count("\n")


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_names_survive_gits_quotes(name: str) -> None:
    encodable = name.encode("utf-8", "replace").decode()
    shown = quoted(encodable)
    if shown.startswith('"') or not set(encodable) & {"\t", "\r"}:
        assert unquoted(shown) == encodable


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-a\n+b\n", 3),
        ("--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-a\n+b\n", 3),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n", 3),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n\n-c\n", 3),
        ("--- a/x\n+++ b/x\n@@ def f @@\n-a\n+b\n", 3),
        ("diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n", 2),
    ],
)
def test_hunks_that_do_not_count_right_are_found(text: str, line: int) -> None:
    problem = scan(text).problem
    assert problem is not None
    assert problem.line == line


@pytest.mark.parametrize(
    "text",
    [
        DIFF,
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n+b\n\n c\n",  # a context line that lost its blank
        "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- a\n-+++ b\n+++ c\n",
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n"
        "\\ No newline at end of file\n--- a/y\n+++ b/y\n@@ -0,0 +1 @@\n+b\n",
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.39.0\n",
    ],
)
def test_what_git_reads_is_read(text: str) -> None:
    assert scan(text).problem is None
