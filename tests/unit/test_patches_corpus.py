"""Every bad patch of the corpus ends in its verdict; none raises, none writes where it must not."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench.failures.causes import CAUSES
from patchbench.patches import git
from patchbench.patches.normalise import normalise
from patchbench.patches.validate import MAX_BYTES, validate
from patchbench.records import Validated
from tests.fixtures.bad_patches import Case, Repo, corpus, good, subject


def listing(folder: Path) -> dict[str, object]:
    """Names, kinds and contents below a folder."""
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo.make(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def cases(repo: Repo) -> list[Case]:
    return corpus(repo)


def test_the_corpus_is_large_and_names_no_case_twice(cases: list[Case]) -> None:
    assert len(cases) >= 60
    assert len({case.name for case in cases}) == len(cases)
    assert {case.cause for case in cases} - {None} <= set(CAUSES)


def test_every_bad_patch_ends_in_its_verdict_and_touches_nothing(
    repo: Repo, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, here = tmp_path / "scratch", tmp_path / "here"
    for folder in (scratch, here, here / "engine"):
        folder.mkdir()
    (here / "engine/core.py").write_text("not the repository's\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    git.environment()  # makes a folder of this process's own
    before = listing(tmp_path), listing(repo.tree)
    wrong = []
    for case in cases:
        record, measured = validate(repo.task(), "alba", case.data, repo.git)
        line = record.evidence.line if record.evidence else None
        held = (
            record.cause == case.cause
            and bool(measured) == (case.cause is None)
            and (case.line is None or line == case.line)
            and (case.flag is None or case.flag in record.flags)
            and (case.step is None or case.step in record.normalised)
            and (record.cause is None or bool(record.evidence))
            and msgspec.json.decode(msgspec.json.encode(record), type=Validated) == record
        )
        if not held:
            wrong.append((case.name, record.cause, record.evidence, record.normalised))
        if (listing(tmp_path), listing(repo.tree)) != before:
            wrong.append((case.name, "wrote outside of its scratch folder"))
            before = listing(tmp_path), listing(repo.tree)
    assert wrong == []


def test_a_refused_patch_is_found_in_no_folder_of_the_machine(cases: list[Case]) -> None:
    for path in ("/tmp/pwned", "/tmp/x.py", "/tmp/n.py"):
        assert not os.path.lexists(path)


def test_a_large_file_is_refused_without_being_read(repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "patch.diff"
    with path.open("wb") as file:
        file.truncate(1 << 43)  # 8 TB of zeros: reading them would end the test
    record, measured = validate(repo.task(), "alba", path, repo.git)
    assert (record.cause, measured) == ("patch.too_large", b"")
    assert f"{MAX_BYTES / 1e6:.0f} MB" in record.evidence.text


def test_a_patch_in_a_file_ends_as_its_bytes_do(repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "patch.diff"
    path.write_text(good(repo))
    assert validate(repo.task(), "alba", path, repo.git) == validate(
        repo.task(), "alba", path.read_bytes(), repo.git
    )


def test_evidence_names_a_line_of_the_patch_as_it_was_delivered(repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "patch.diff"
    wrong = "--- a/engine/old.py\n+++ b/engine/old.py\n@@ -1,4 +1 @@\n-UNUSED = True\n+X = 1\n"
    path.write_text(f"Here\nit is:\n```diff\n{wrong}```\n")
    record, _ = validate(repo.task(), "alba", path, repo.git)
    assert record.evidence.file == str(path)
    assert path.read_text().splitlines()[record.evidence.line - 1] == "@@ -1,4 +1 @@"


def test_a_syntax_error_names_a_line_of_the_changed_file(repo: Repo) -> None:
    data = repo.diff({"engine/old.py": b"A = 1\nB = (\n"}).encode()
    for python in (None, sys.executable):
        task = repo.task(subject=subject(python=python))
        record, _ = validate(task, "alba", data, repo.git)
        assert record.cause == "patch.syntax"
        assert (record.evidence.file, record.evidence.line) == ("engine/old.py", 2)


def mutated() -> st.SearchStrategy[list[tuple[int, int, bytes]]]:
    piece = st.one_of(
        st.binary(max_size=6),
        st.sampled_from([b"\n", b"\r", b"../", b"```\n", b"\0", b"@@ -1 +1 @@\n", b"--- a/x\n"]),
    )
    return st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60), piece), max_size=4)


@settings(max_examples=120)
@given(st.data())
def test_no_damage_breaks_the_validation(
    repo: Repo, cases: list[Case], data: st.DataObject
) -> None:
    small = [case.data for case in cases if len(case.data) < 5000]
    patch = data.draw(st.sampled_from(small))
    for start, length, piece in data.draw(mutated()):
        at = start % (len(patch) + 1)
        patch = patch[:at] + piece + patch[at + length :]
    record, measured = validate(repo.task(), "alba", patch, repo.git)
    assert (record.cause in CAUSES) if record.status == "failed" else measured
    once, _ = normalise(patch)
    assert normalise(once.encode("utf-8", "surrogateescape"))[0] == once
