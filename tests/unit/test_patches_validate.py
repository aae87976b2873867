"""A patch is checked against the exact parent before any GPU time, on real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.patches import git
from patchbench.patches.scope import matches
from patchbench.patches.validate import validate
from patchbench.records import Validated
from patchbench.system.files import digest
from tests.fixtures.bad_patches import edit
from tests.unit import make
from tests.unit.history import CORE, HUMAN_FILES, PARENT_FILES, History, run_git

FASTER = CORE.replace("x + 2", "2 + x").encode()


class Gate:
    """Validation of patches for one task."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.task = make.task(history.human, parent=history.parent)

    def check(self, data: bytes | str, arm: str = "alba") -> tuple[Validated, bytes]:
        raw = data.encode() if isinstance(data, str) else data
        return validate(self.task, arm, raw, self.history.repo)

    def cause(self, data: bytes | str, arm: str = "alba") -> str | None:
        record, measured = self.check(data, arm)
        assert (record.status == "failed") == (record.cause is not None) == (not measured)
        return record.cause

    def result(self, folder: Path, measured: bytes) -> dict[str, bytes]:
        """The engine's files after the measured diff was applied to the parent's tree."""
        tree = folder / "tree"
        self.history.unpack(tree, self.history.parent)
        patch = folder / "applied.diff"
        patch.write_bytes(measured)
        git.apply(tree, patch)
        found = (path for path in tree.rglob("*") if path.is_file())
        return {str(path.relative_to(tree)): path.read_bytes() for path in found}


@pytest.fixture
def gate(history: History) -> Gate:
    return Gate(history)


BENCH = {"bench/client.py": b"ROUNDS = 1\nWARM_UPS = 2\n", "bench/fast.py": b"X = 1\n"}


# --- patches that can be measured ---------------------------------------------------------------


def test_a_good_patch_passes_with_its_numbers(gate: Gate, tmp_path: Path) -> None:
    data = gate.history.diff({"engine/core.py": FASTER})
    record, measured = gate.check(data)
    assert (record.status, record.cause, record.flags) == ("ok", None, ())
    assert record.files == ("engine/core.py",)
    assert (record.lines_added, record.lines_removed) == (1, 1)
    assert record.patch_sha256 == digest(measured)
    assert gate.result(tmp_path, measured) == {**PARENT_FILES, "engine/core.py": FASTER}


def test_a_new_file_a_deleted_file_and_a_rename_pass(gate: Gate, tmp_path: Path) -> None:
    files = {
        "engine/cache.py": b"CACHE = {}\n",
        "engine/old.py": None,
        "engine/core.py": None,
        "engine/heart.py": FASTER,
    }
    record, measured = gate.check(gate.history.diff(files))
    assert record.status == "ok"
    assert set(record.files) == set(files)
    expected = {name: data for name, data in PARENT_FILES.items() if name not in files}
    added = {name: data for name, data in files.items() if data is not None}
    assert gate.result(tmp_path, measured) == expected | added


def test_a_change_of_mode_alone_is_no_patch_of_an_agent(gate: Gate) -> None:
    data = "diff --git a/engine/core.py b/engine/core.py\nold mode 100644\nnew mode 100755\n"
    assert gate.cause(data) == "patch.empty"
    _, measured = gate.check(data, "human")
    assert b"new mode 100755" in measured


def test_content_that_is_not_utf8_passes_unharmed(gate: Gate, tmp_path: Path) -> None:
    content = b"# coding: latin-1\nNAME = 'caf\xe9'\nSIZE = 2 # \xfc\n"
    record, measured = gate.check(gate.history.diff({"engine/latin.py": content}))
    assert record.status == "ok"
    assert gate.result(tmp_path, measured)["engine/latin.py"] == content


def test_binary_content_passes_unharmed_from_the_human_alone(gate: Gate, tmp_path: Path) -> None:
    content = bytes(range(255, -1, -1)) * 3
    data = gate.history.diff({"engine/table.bin": content})
    assert gate.cause(data) == "patch.binary"
    record, measured = gate.check(data, "human")
    assert record.status == "ok"
    assert gate.result(tmp_path, measured)["engine/table.bin"] == content


# --- the benchmark and what is out of scope -------------------------------------------------------


DOCS = {"tests/test_core.py": b"", "README.md": b"Fast.\n", "tests/deep/x.py": b"\n"}


@pytest.mark.parametrize(
    ("more", "flag"), [(BENCH, "edits_benchmark"), (DOCS, "out_of_scope_files")]
)
def test_the_benchmark_tests_and_docs_are_stripped_and_flagged(
    gate: Gate, tmp_path: Path, more: dict[str, bytes], flag: str
) -> None:
    record, measured = gate.check(gate.history.diff({"engine/core.py": FASTER, **more}))
    assert (record.status, record.flags, set(record.stripped)) == ("ok", (flag,), set(more))
    assert record.files == ("engine/core.py",)
    assert (record.lines_added, record.lines_removed) == (1, 1)
    assert gate.result(tmp_path, measured) == {**PARENT_FILES, "engine/core.py": FASTER}


def test_the_benchmark_can_not_be_moved_away(gate: Gate, tmp_path: Path) -> None:
    files = {"bench/client.py": None, "engine/client.py": PARENT_FILES["bench/client.py"]}
    data = gate.history.diff({"engine/core.py": FASTER, **files})
    assert b"rename from bench/client.py" in data
    record, measured = gate.check(data)
    assert record.flags == ("edits_benchmark",)
    assert record.stripped == ("bench/client.py",)
    copied = {"engine/core.py": FASTER, "engine/client.py": PARENT_FILES["bench/client.py"]}
    assert gate.result(tmp_path, measured) == PARENT_FILES | copied


def test_a_part_that_would_be_stripped_has_to_apply_too(gate: Gate) -> None:
    text = gate.history.diff({"engine/core.py": FASTER}).decode()
    assert gate.cause(text + edit("README.md", "Some other text.", "Fast.")) == "patch.rejected"


CHEAT = "@@ -1,2 +1,2 @@\n-ROUNDS = 10\n+ROUNDS = 1\n WARM_UPS = 2\n"


@pytest.mark.parametrize(
    ("names", "rest"),
    [
        ('"a/bench/client.py" "b/bench/client.py"',
         f'--- "a/bench/client.py"\n+++ "b/bench/client.py"\n{CHEAT}'),
        ("x/bench/client.py y/bench/client.py",
         f"--- x/bench/client.py\n+++ y/bench/client.py\n{CHEAT}"),
        ("a/engine/q.py b/engine/r.py",
         "similarity index 100%\nrename from bench/client.py\nrename to engine/r.py\n"),
    ],
    ids=["quoted names", "other prefixes", "moved behind another name"],
)  # fmt: skip
def test_the_benchmark_can_not_be_reached_by_writing_its_name_otherwise(
    gate: Gate, tmp_path: Path, names: str, rest: str
) -> None:
    good = gate.history.diff({"engine/core.py": FASTER}).decode()
    record, measured = gate.check(f"{good}diff --git {names}\n{rest}")
    assert record.cause or "edits_benchmark" in record.flags
    if measured:
        assert gate.result(tmp_path, measured)["bench/client.py"] == PARENT_FILES["bench/client.py"]


def test_mnemonic_prefixes_are_known(gate: Gate) -> None:
    data = gate.history.diff(
        {"engine/core.py": FASTER, **BENCH}, "--src-prefix=i/", "--dst-prefix=w/"
    )
    record, _ = gate.check(data)
    assert (record.files, record.stripped) == (("engine/core.py",), tuple(BENCH))


def test_folders_end_in_a_slash_and_globs_cross_folders() -> None:
    assert matches("bench/a/b.py", ("bench/",))
    assert not matches("benchmark/a.py", ("bench/",))
    assert not matches("engine/bench/a.py", ("bench/",))
    assert matches("docs/deep/page.md", ("*.md",))
    assert not matches("engine/md.py", ("*.md",))


@pytest.mark.parametrize("name", ["sitecustomize.py", "json/__init__.py", "random.py"])
def test_pythons_own_modules_may_not_be_shadowed(gate: Gate, name: str) -> None:
    assert gate.cause(gate.history.diff({name: b"X = 1\n"})) == "patch.forbidden_path"
    assert gate.cause(gate.history.diff({f"engine/{name}": b"X = 1\n"})) is None


@pytest.mark.parametrize("name", ["tests/test_core.py", "engine/kernel.cu"])
def test_only_python_that_is_measured_is_compiled(gate: Gate, name: str) -> None:
    data = gate.history.diff({"engine/core.py": FASTER, name: b"def (\n"})
    assert gate.cause(data) is None


def test_lines_that_look_like_headers_are_counted(gate: Gate) -> None:
    record, _ = gate.check(gate.history.diff({"engine/kernel.cu": b"++ i;\n-- j;\n"}))
    assert record.lines_added == 2


# --- the human's commit ---------------------------------------------------------------------------


def test_the_humans_commit_passes_with_its_binary_files(gate: Gate, tmp_path: Path) -> None:
    data = run_git(gate.history.repo, "diff", "--binary", gate.history.parent, gate.history.human)
    record, measured = gate.check(data, "human")
    assert record.status == "ok"
    assert record.stripped == ("tests/test_core.py",)
    result = gate.result(tmp_path, measured)
    for name in ("engine/core.py", "engine/table.bin"):
        assert result[name] == HUMAN_FILES[name]


@pytest.mark.parametrize("arm", ["human", "alba"])
def test_a_change_of_a_file_with_crlf_line_ends_passes(
    gate: Gate, tmp_path: Path, arm: str
) -> None:
    files = {"engine/windows.py": HUMAN_FILES["engine/windows.py"]}
    record, measured = gate.check(gate.history.diff(files), arm)
    assert (record.status, record.normalised) == ("ok", ())
    windows = gate.result(tmp_path, measured)["engine/windows.py"]
    assert windows == HUMAN_FILES["engine/windows.py"]


def test_the_humans_commit_is_not_compiled(gate: Gate) -> None:
    data = gate.history.diff({"engine/new.py": b"print 'python 2'\n"})
    assert gate.cause(data, "human") is None
    assert gate.cause(data, "alba") == "patch.syntax"


# --- what git does around it ----------------------------------------------------------------------


def test_a_patch_applies_in_a_folder_inside_another_repository(gate: Gate, tmp_path: Path) -> None:
    """Inside a repository git apply silently skips every path outside its prefix."""
    run_git(tmp_path, "init", "--quiet")
    _, measured = gate.check(gate.history.diff({"engine/core.py": FASTER}))
    assert gate.result(tmp_path / "work" / "trees", measured)["engine/core.py"] == FASTER


def test_a_patch_that_does_not_fit_a_tree_is_an_error(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "p.diff").write_text(edit("engine/old.py", "UNUSED = True", "UNUSED = False"))
    (tmp_path / "tree").mkdir()
    with pytest.raises(git.GitError, match=r"engine/old\.py"):
        git.apply(tmp_path / "tree", tmp_path / "p.diff")


def test_checking_leaves_the_repository_as_it_was(gate: Gate) -> None:
    def objects() -> list[Path]:
        return sorted((gate.history.repo / "objects").rglob("*"))

    before, status = objects(), run_git(gate.history.repo.parent, "status", "--porcelain")
    gate.check(gate.history.diff({"engine/brand_new.py": b"FRESH = 'content'\n"}))
    assert objects() == before
    assert run_git(gate.history.repo.parent, "status", "--porcelain") == status


def test_a_persons_git_configuration_changes_nothing(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gate.history.diff({"engine/core.py": FASTER})
    plain = gate.check(data)
    config = tmp_path / "gitconfig"
    config.write_text(
        "[core]\nautocrlf = true\nwhitespace = tab-in-indent\n[apply]\nwhitespace = error-all\n"
        "[diff]\nnoprefix = true\nexternal = /bin/false\n[color]\nui = always\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert gate.check(data) == plain
