"""Diffs as the reader and git see them: paths in the tree, paths out of it, counts of hunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.patches import paths
from patchbench.patches.diff_reader import scan
from patchbench.patches.header_names import quoted, unquoted
from patchbench.patches.refusal import Refusal
from tests.unit.test_patches_normalise import DIFF

TREE = ("engine/core.py", "engine/old.py", "core/x.py", "setup.py", "lib/deep/x.py", "deep/x.py")


def fitted(text: str) -> tuple[str, list[str]]:
    diff = scan(text)
    steps = paths.fit(diff, lambda: TREE)
    return diff.text(), steps


def hunk(old: str, new: str) -> str:
    return f"--- {old}\n+++ {new}\n@@ -1 +1 @@\n-a\n+b\n"


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
    with pytest.raises(Refusal) as caught:
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
