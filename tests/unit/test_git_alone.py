"""git reads objects, and nothing else of anyone's: no configuration, attributes, hooks, replaced
objects or environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from patchbench.errors import BadInput, InfraFault
from patchbench.patches import git
from patchbench.patches.repository import MARK, ensure_repository
from patchbench.patches.sources import PatchPlace, PatchQuery, fetch, forget, problems
from patchbench.patches.sources.branches import Branches
from patchbench.subject import Source
from tests.fixtures.bad_patches import FASTER, Repo, good
from tests.unit import make
from tests.unit.history import QUIET, commit, run_git


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    forget()
    return Repo.make(tmp_path / "r")


def agents_branch(repo: Repo) -> str:
    """Commit an agent's patch to a branch in its repository; return the diff."""
    patch = repo.tree.parent / "p.diff"
    patch.write_text(good(repo))
    run_git(repo.tree, "checkout", "--quiet", "-b", f"agent/{repo.human[:8]}", repo.parent)
    run_git(repo.tree, "apply", "--index", str(patch))
    run_git(repo.tree, "commit", "--quiet", "--message", "faster")
    return patch.read_text()


def traps(repo: Repo, folder: Path) -> list[Path]:
    """Plant every setting of a repository that makes git run a program; return the files that the
    programs would make."""
    run = {}
    for name in ("external", "textconv", "smudge", "fsmonitor", "hook", "uploadpack", "alternate"):
        run[name] = folder / f"ran-{name}"
        script = folder / f"{name}.sh"
        script.write_text(f"#!/bin/sh\ntouch {run[name]}\ncat\n")
        script.chmod(0o755)
    settings = {
        "diff.external": "external",
        "diff.x.textconv": "textconv",
        "diff.x.command": "external",
        "filter.y.smudge": "smudge",
        "filter.y.clean": "smudge",
        "core.fsmonitor": "fsmonitor",
        "core.alternateRefsCommand": "alternate",
        "remote.origin.uploadpack": "uploadpack",
    }
    for key, name in settings.items():
        run_git(repo.tree, "config", key, str(folder / f"{name}.sh"))
    for key, value in {
        "remote.origin.url": str(repo.tree),
        "remote.origin.promisor": "true",
        "core.hooksPath": str(folder),
        "core.abbrev": "4",
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "color.ui": "always",
        "core.autocrlf": "true",
    }.items():
        run_git(repo.tree, "config", key, value)
    (repo.git / "info").mkdir(exist_ok=True)
    (repo.git / "info/attributes").write_text("* diff=x filter=y\n")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (folder / hook).write_text((folder / "hook.sh").read_text())
        (folder / hook).chmod(0o755)
    return list(run.values())


def test_a_hostile_repository_of_an_agent_runs_nothing(repo: Repo, tmp_path: Path) -> None:
    patch = agents_branch(repo)
    ran = traps(repo, tmp_path)
    where = (PatchPlace(kind="git", path=str(repo.tree)),)
    record, data = fetch(repo.task(), "alba", where, None)
    assert (record.status, data.decode()) == ("ok", patch)
    assert record.candidates[0].time
    assert [path for path in ran if path.exists()] == []


def test_the_subjects_own_settings_change_nothing(repo: Repo, tmp_path: Path) -> None:
    patch = good(repo)
    before = git.diff(repo.git, repo.parent, repo.human)
    ran = traps(repo, tmp_path)
    assert git.diff(repo.git, repo.parent, repo.human) == before
    with git.scratch_index(repo.git, repo.parent) as index:
        index.apply(patch, "--3way")
        assert index.diff().decode() == patch
    git.extract(repo.git, repo.parent, tmp_path / "tree")
    assert b"\r\n" in (tmp_path / "tree/engine/windows.py").read_bytes()
    assert [path for path in ran if path.exists()] == []


def test_replaced_objects_and_grafts_change_nothing(repo: Repo) -> None:
    before = git.diff(repo.git, repo.parent, repo.human)
    run_git(repo.tree, "replace", repo.human, repo.parent)
    (repo.git / "info").mkdir(exist_ok=True)
    (repo.git / "info/grafts").write_text(f"{repo.human}\n")
    assert git.diff(repo.git, repo.parent, repo.human) == before
    assert git.commit_id(repo.git, f"{repo.human}^") == repo.parent


def test_attributes_of_a_tree_hide_and_change_no_file(repo: Repo, tmp_path: Path) -> None:
    lines = "engine/core.py export-ignore\n*.py -diff\n*.md ident export-subst\n* text eol=crlf\n"
    readme = b"$Id$ $Format:%H$\n"
    files = {".gitattributes": lines.encode(), "README.md": readme}
    base = commit(repo.tree, files)
    git.extract(repo.git, base, tmp_path / "tree")
    assert (tmp_path / "tree/engine/core.py").is_file()
    assert (tmp_path / "tree/README.md").read_bytes() == readme
    patch = tmp_path / "p.diff"
    with git.scratch_index(repo.git, base) as index:
        index.apply(good(repo))
        patch.write_bytes(index.diff())
    assert b"GIT binary patch" not in patch.read_bytes()
    git.apply(tmp_path / "tree", patch)
    assert "return 2 + x" in (tmp_path / "tree/engine/core.py").read_text()


@pytest.mark.parametrize("way", ["count", "parameters", "home", "opts", "dir", "trace"])
def test_the_environment_changes_nothing(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    before = git.diff(repo.git, repo.parent, repo.human)
    match way:
        case "count":
            for number, (key, value) in enumerate(
                {
                    "diff.noprefix": "true",
                    "diff.external": "/bin/false",
                    "color.ui": "always",
                }.items()
            ):
                monkeypatch.setenv("GIT_CONFIG_COUNT", str(number + 1))
                monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
                monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
        case "parameters":
            monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'diff.noprefix'='true'")
        case "home":
            (tmp_path / ".gitconfig").write_text("[diff]\n noprefix = true\n external = false\n")
            (tmp_path / ".config/git").mkdir(parents=True)
            (tmp_path / ".config/git/attributes").write_text("* -diff\n")
            monkeypatch.setenv("HOME", str(tmp_path))
            monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        case "opts":
            monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=0")
            monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
        case "dir":
            for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"):
                monkeypatch.setenv(name, "/nowhere")
        case "trace":
            monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    assert git.diff(repo.git, repo.parent, repo.human) == before
    assert not (tmp_path / "trace").exists()


def hide_alternates(repo: Repo, folder: Path) -> None:
    (repo.git / "objects/info").mkdir(exist_ok=True)
    (repo.git / "objects/info/alternates").write_text(f"{folder}/secret.git/objects\n")


def hide_ref(repo: Repo, folder: Path) -> None:
    ref = repo.git / "refs/heads/agent/x"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.symlink_to(folder / "secret.git/HEAD")


def hide_git_folder(repo: Repo, folder: Path) -> None:
    repo.git.rename(folder / "secret.git")
    repo.git.symlink_to(folder / "secret.git")


def hide_git_file(repo: Repo, folder: Path) -> None:
    repo.git.rename(folder / "secret.git")
    repo.git.write_text(f"gitdir: {folder}/secret.git\n")


def hide_pipe(repo: Repo, folder: Path) -> None:
    (repo.git / "packed-refs").unlink(missing_ok=True)
    os.mkfifo(repo.git / "packed-refs")


@pytest.mark.parametrize(
    "plant", [hide_alternates, hide_ref, hide_git_folder, hide_git_file, hide_pipe]
)
def test_a_repository_that_leads_elsewhere_is_not_read(repo: Repo, tmp_path: Path, plant) -> None:
    agents_branch(repo)
    plant(repo, tmp_path)
    where = (PatchPlace(kind="git", path=str(repo.tree)),)
    record, data = fetch(repo.task(), "alba", where, None)
    assert (record.cause, data) == ("patch.missing", b"")
    assert str(repo.tree) in record.evidence.text
    assert problems(where)[0].endswith("its coverage is 0")


def test_refs_are_found_packed_symbolic_and_tagged(repo: Repo) -> None:
    agents_branch(repo)
    human = repo.human
    name = f"agent/{human[:8]}"
    tip = run_git(repo.tree, "rev-parse", name).decode().strip()
    run_git(repo.tree, "tag", "--annotate", "--message", "x", f"made-{human[:12]}", name)
    run_git(repo.tree, "symbolic-ref", f"refs/heads/link-{human}", f"refs/heads/{name}")
    query = PatchQuery(human, "small", repo.parent)
    for pack in (False, True):
        if pack:
            run_git(repo.tree, "pack-refs", "--all")
        for ref in (
            "agent/{commit8}",
            "refs/heads/agent/{commit8}",
            "made-{commit12}",
            "link-{commit}",
        ):
            forget()
            place = PatchPlace(kind="git", path=str(repo.tree), ref=ref)
            assert [hit.stamp for hit in Branches(place).hits(query)] == [f"git:{tip}"]


def test_a_repository_of_a_person_is_never_replaced(repo: Repo, tmp_path: Path) -> None:
    prepare = ("git", "init", "--quiet", "--bare", "{repo}")
    subject = make.subject(source=Source(repo=str(repo.git), prepare=prepare))
    with pytest.raises(BadInput, match=r"was not made by source\.prepare .*git fetch"):
        ensure_repository(subject, "python3", commit="e" * 40)
    assert git.commit_id(repo.git, repo.parent) == repo.parent


def test_a_repository_of_ours_is_exchanged_for_a_newer_one(repo: Repo, tmp_path: Path) -> None:
    prepare = ("git", "clone", "--quiet", "--bare", str(repo.tree), "{repo}")
    subject = make.subject(source=Source(repo=str(tmp_path / "own.git"), prepare=prepare))
    own = ensure_repository(subject, "python3")
    assert (own / MARK).exists()
    run_git(repo.tree, "checkout", "--quiet", "-b", "more", repo.parent)
    newer = commit(repo.tree, {"engine/core.py": FASTER.encode()})
    run_git(repo.tree, "branch", "--force", "newer", newer)
    assert git.commit_id(own, newer) is None
    assert git.commit_id(ensure_repository(subject, "python3", commit=newer), newer) == newer
    assert sorted(path.name for path in tmp_path.glob("*own.git*")) == ["own.git", "own.git.lock"]


def test_making_a_repository_has_a_limit_and_the_users_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patchbench.patches.repository.PREPARE_SECONDS", 0.3)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    source = Source(repo=str(tmp_path / "a.git"), prepare=("sleep", "1000"))
    with pytest.raises(InfraFault, match=r"^infra\.prepare_failed .*no end within"):
        ensure_repository(make.subject(source=source), "python3")
    monkeypatch.undo()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    source = Source(repo=str(tmp_path / "b.git"), prepare=("git", "init", "-q", "--bare", "{repo}"))
    assert (ensure_repository(make.subject(source=source), "python3") / "HEAD").is_file()


def test_a_shallow_repository_and_a_colon_in_a_path_are_read(repo: Repo, tmp_path: Path) -> None:
    place = tmp_path / 'a:b "c"'
    url = f"file://{repo.tree}"
    subprocess.run(
        ["git", "clone", "-q", "--bare", "--depth", "1", url, str(place)],
        check=True,
        env={**os.environ, **QUIET},
    )
    head = run_git(place, "rev-parse", "HEAD").decode().strip()
    assert git.commit_id(place, head[:9]) == head
    assert git.commit_id(place, f"{head}^") is None
    with git.scratch_index(place, head) as index:
        assert "engine/core.py" in index.tree()


def test_gits_own_folder_is_made_anew_if_it_is_gone_or_another_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Path(git.environment()["GIT_DIR"])
    assert git.environment()["GIT_DIR"] == str(first)
    assert first.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(first)
    second = Path(git.environment()["GIT_DIR"])
    assert second != first
    second.rename(first)
    second.symlink_to(first)  # planted in its place
    third = Path(git.environment()["GIT_DIR"])
    assert third not in (first, second)
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert Path(git.environment()["GIT_DIR"]) != third
