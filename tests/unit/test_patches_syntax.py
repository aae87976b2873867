"""Syntax of patches whose Python is inside an image: only what no accepted version takes is
refused."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.patches import syntax
from patchbench.patches.syntax import Mistake, Versions, judge_of
from patchbench.patches.validate import validate
from patchbench.records import ParentFacts
from tests.fixtures.bad_patches import Repo
from tests.unit import make

MATCH = b"match x:\n    case 1:\n        y = 2\n"
NESTED_QUOTES = b'x = {\'a\': 1}\ny = f"{x["a"]}"\n'
older_only = pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python has the grammar")


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo.make(tmp_path_factory.mktemp("syntax"))


def judged(content: bytes, python: str, runtime: str = "docker") -> Mistake | None:
    task = make.task(runtime=runtime, facts=ParentFacts(python=python))
    return judge_of(task)(content, "engine/x.py")


@pytest.mark.parametrize("python", ["", ">=3.8", ">=3.9,<3.13", "<3.10"])
def test_what_no_version_takes_is_certain(python: str) -> None:
    mistake = judged(b"x = (\n", python)
    assert mistake is not None
    assert mistake.certain
    assert mistake.text.startswith("engine/x.py:1: SyntaxError")


@older_only
@pytest.mark.parametrize(
    "content",
    [
        NESTED_QUOTES,
        b"type X = int\n",
        b"def first[T](x: T) -> T:\n    return x\n",
        b"class Box[T]:\n    pass\n",
        b"try:\n    pass\nexcept ValueError, TypeError:\n    pass\n",
    ],
)
def test_syntax_of_a_newer_python_that_the_parent_accepts_is_not_judged(content: bytes) -> None:
    mistake = judged(content, ">=3.9")
    assert mistake is not None
    assert not mistake.certain
    mistake = judged(content, ">=3.9,<3.12")
    assert mistake is not None
    assert mistake.certain
    mistake = judged(content, "", runtime="process")
    assert mistake is not None
    assert mistake.certain


def test_syntax_that_only_some_accepted_versions_take_is_not_judged() -> None:
    mistake = judged(MATCH, ">=3.8")
    assert mistake is not None
    assert not mistake.certain
    assert "Python 3.8" in mistake.text
    assert judged(MATCH, ">=3.10") is None
    assert judged(MATCH, "") is None  # of a parent that says nothing, nothing is said
    assert judged(MATCH, ">=3.8", runtime="process") is None
    only_older = judged(MATCH, ">=3.8,<3.10")
    assert only_older is not None
    assert only_older.certain


@pytest.mark.parametrize(
    ("specifiers", "versions"),
    [
        ("", (syntax.OLDEST_JUDGED, syntax.NEWEST)),
        (">=3.9", (9, syntax.NEWEST)),
        (">=3.9,<3.13", (9, 12)),
        (">=3.9,<=3.12", (9, 12)),
        ("==3.11", (syntax.OLDEST_JUDGED, 11)),
        (">= 3.8, < 3.13", (8, 12)),
    ],
)
def test_specifiers_are_read(specifiers: str, versions: tuple[int, int]) -> None:
    assert Versions.accepted(specifiers) == versions


@given(st.text(alphabet="<>=!~3.,1x *", max_size=20))
def test_any_text_gives_versions(text: str) -> None:
    assert Versions.accepted(text).oldest >= 0


@given(st.text(max_size=60), st.sampled_from(["", ">=3.8", ">=3.9,<3.10"]))
def test_any_content_is_judged(text: str, python: str) -> None:
    judged(text.encode("utf-8", "surrogatepass"), python)


def test_a_patch_that_is_not_judged_passes_with_a_warning(repo: Repo) -> None:
    data = repo.diff({"engine/old.py": MATCH}).encode()
    task = repo.task(runtime="docker", facts=ParentFacts(python=">=3.8"))
    record, _ = validate(task, "alba", data, repo.git)
    assert record.status == "ok"
    assert "python_version" in record.flags
    assert any("Python 3.8" in warning for warning in record.warnings)
    data = repo.diff({"engine/old.py": b"x = (\n"}).encode()
    record, _ = validate(task, "alba", data, repo.git)
    assert record.cause == "patch.syntax"
