"""Numbers about patches, findings about Python code, reach and rebuilds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.patches import python_check, quality
from patchbench.patches.validate import validate
from patchbench.records import Validated, Workload
from tests.fixtures.bad_patches import Repo, good, subject
from tests.fixtures.bad_patches.repo import CORE, FILES, HUMAN, OLDEST


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo.make(tmp_path_factory.mktemp("quality"))


def check(repo: Repo, files: dict[str, bytes | None], **more: object) -> Validated:
    data = repo.diff(files).encode("utf-8", "surrogateescape")
    return validate(repo.task(**more), "alba", data, repo.git)[0]


def test_a_patch_is_counted(repo: Repo) -> None:
    core = CORE.replace("x + 1", "1 + x").replace("x + 5", "5 + x").encode()
    record = check(repo, {"engine/core.py": core, "tests/test_x.py": b"X = 1\n"})
    assert (record.hunks, record.lines_added, record.lines_removed) == (2, 2, 2)
    assert record.python_only
    assert record.tests_touched
    assert not check(repo, {"engine/core.py": core}).tests_touched
    assert not check(repo, {"engine/x.json": b"{}\n"}).python_only


def test_the_humans_own_change_is_all_alike(repo: Repo) -> None:
    record = check(repo, {"engine/core.py": HUMAN.encode()})
    assert record.similarity == 1.0
    other = check(repo, {"engine/core.py": CORE.replace("x + 2", "x * x").encode()})
    assert 0 < other.similarity < 1
    human = repo.diff({"engine/core.py": HUMAN.encode()}).encode()
    assert validate(repo.task(), "human", human, repo.git)[0].similarity is None


WORDS = st.lists(st.sampled_from(["a b c", "x = 1", "return x + 1", ""]))


@given(WORDS, WORDS)
def test_similarity_is_a_symmetric_share(one: list[str], two: list[str]) -> None:
    value = quality.similarity(one, two)
    assert value == quality.similarity(two, one)
    assert value is None or 0 <= value <= 1
    assert quality.similarity(one, one) == (1.0 if any(one) else None)


def test_a_prompt_that_shows_the_answer_is_found(repo: Repo, tmp_path: Path) -> None:
    data = good(repo).encode()
    for name, text, expected in (
        ("task.txt", "Make it fast.", 0.0),
        ("task.txt", f"<example>\n+{HUMAN}</example>", 1.0),
        ("prompt.json", json.dumps({"messages": [{"content": HUMAN}]}), 1.0),
        ("prompt.json", "{broken", 0.0),
    ):
        (tmp_path / name).write_text(text)
        record, _ = validate(repo.task(), "alba", data, repo.git, tmp_path / name)
        assert record.prompt_overlap == expected
    record, _ = validate(repo.task(), "alba", data, repo.git, tmp_path / "none.txt")
    assert record.prompt_overlap is None
    assert quality.prompt_overlap(["else:", ")"], "else:") is None


# --- reach and rebuild ----------------------------------------------------------------------------


def test_a_patch_of_another_backend_is_not_exercised(repo: Repo) -> None:
    neuron = {"engine/neuron/worker.py": b"DEVICE = 'neuron'\n"}
    record = check(repo, neuron)
    assert record.cause == "patch.not_exercised"
    assert "neuron" in record.evidence.text
    assert record.evidence.line == 1
    assert check(repo, neuron, subject=subject(backend="neuron")).status == "ok"
    assert check(repo, neuron, subject=subject(backend="")).status == "ok"
    assert check(repo, {**neuron, "engine/old.py": b"X = 1\n"}).status == "ok"


def test_an_engine_version_that_is_switched_off_is_not_exercised(repo: Repo) -> None:
    files = {"engine/v1/loop.py": b"TURNS = 2\n"}
    record = check(repo, files)
    assert record.cause == "patch.not_exercised"
    assert "ENGINE_V1=0" in record.evidence.text
    workload = Workload(
        type="serving", model="m", server_args=(), client_args=(), env={"ENGINE_V1": "1"}, gpus=1
    )
    assert check(repo, files, workload=workload).status == "ok"


def test_compiled_sources_need_a_rebuild_that_the_process_runtime_can_not_do(repo: Repo) -> None:
    files = {"csrc/kernel.cu": b"__global__ void g() {}\n"}
    record = check(repo, files)
    assert record.cause == "image.needs_rebuild"
    assert record.flags == ("needs_rebuild",)
    for more in ({"runtime": "docker"}, {"subject": subject(overlay=None)}):
        record = check(repo, files, **more)
        assert (record.status, record.flags) == ("ok", ("needs_rebuild",))


def test_the_humans_commit_is_not_held_to_reach(repo: Repo) -> None:
    data = repo.diff({"engine/neuron/worker.py": b"DEVICE = 1\n"}).encode()
    assert validate(repo.task(), "human", data, repo.git)[0].status == "ok"


# --- bases and ways of applying -------------------------------------------------------------------


def test_a_patch_made_on_an_ancestor_names_the_files_that_differ(repo: Repo) -> None:
    text = OLDEST.replace("return 1 + x  # the first of all", "return 1 + x  # fast")
    data = repo.diff({"engine/core.py": text.encode()}, base=repo.oldest).encode()
    record, _ = validate(repo.task(), "alba", data, repo.git)
    assert record.cause == "patch.other_base"
    assert f"1 of 1 files were not as in parent {repo.parent[:8]}" in record.evidence.text
    assert record.evidence.line == 5


def test_the_humans_patch_is_applied_exactly_or_not_at_all(repo: Repo) -> None:
    bare = good(repo)
    loose = bare[bare.index("--- a/") :].replace(" def step_3(x):", " def  step_3(x):")
    assert validate(repo.task(), "alba", loose.encode(), repo.git)[0].status == "ok"
    assert validate(repo.task(), "human", loose.encode(), repo.git)[0].status == "failed"


# --- Python code ----------------------------------------------------------------------------------


def test_only_names_that_are_newly_undefined_count(repo: Repo) -> None:
    record = check(repo, {"engine/old.py": b"UNUSED = nowhere\n"})
    assert record.status == "ok"
    assert record.flags == ("undefined_name",)
    assert record.warnings == ("engine/old.py:1: undefined name 'nowhere'",)
    assert python_check.undefined_names(b"from x import *\nprint(y)\n", "a.py") == {}
    assert python_check.undefined_names(b"def f():\n    return g()\n", "a.py") == {"g": 2}
    assert python_check.undefined_names(b"x = (\n", "a.py") == {}
    assert python_check.undefined_names(b"\xff\xfe", "a.py") == {}


@pytest.mark.parametrize(
    ("source", "resolved"),
    [
        ("import engine.core", True),
        ("import engine.nothing", False),
        ("from engine.core import step_1", True),
        ("from engine.core import step_99", False),
        ("from engine import core, user", True),
        ("from engine import nothing", False),
        ("from . import core", True),
        ("from .core import step_2", True),
        ("from .nothing import x", False),
        ("from ..bench import client", True),
        ("import torch.nothing", True),
        ("from engine import _C", True),
        ("import engine._C.ops", True),
        ("try:\n    import engine.nothing\nexcept ImportError:\n    pass", True),
    ],
)
def test_imports_of_the_engines_own_code_are_looked_up(source: str, resolved: bool) -> None:
    files = {name: name for name in FILES}
    found = python_check.imports(source.encode(), "engine/user.py")
    read = {name: data or b"" for name, data in FILES.items()}
    ok = all(
        python_check.resolves(module, "engine/user.py", files, read.__getitem__) for module in found
    )
    assert ok == resolved


def test_the_folder_that_imports_start_from_is_found() -> None:
    files = {"python/sglang/__init__.py": "", "python/sglang/srt/__init__.py": "", "a/x.py": ""}
    assert python_check.source_root("python/sglang/srt/x.py", files) == "python/"
    assert python_check.source_root("a/x.py", files) == ""
