"""Sources of agents' patches, the choice between them, and the record of it."""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from patchbench.errors import BadInput, InfraFault
from patchbench.patches.early_ends import earlier_failure, exclusion
from patchbench.patches.sources import (
    UNREADABLE,
    PatchPlace,
    PatchQuery,
    as_text,
    base,
    fetch,
    fingerprint,
    forget,
    open_sources,
    parse,
    problems,
)
from patchbench.records import Built, Evidence, Exclusion, Fetched, Validated
from patchbench.system.files import digest
from patchbench.workflow.stages.fetch_patch import check_is_there
from tests.fixtures.bad_patches import Repo, good
from tests.unit import make
from tests.unit.history import History, run_git

COMMIT = make.COMMIT
C8 = COMMIT[:8]
ONE, TWO = b"--- a/one\n", b"--- a/two\n"


@pytest.fixture(autouse=True)
def fresh() -> None:
    forget()


def got(*places: PatchPlace | str | Path, commit: str = COMMIT) -> Fetched:
    """What is fetched from some places; its bytes agree with the record."""
    patches = places[0] if isinstance(places[0], str | Path) else places
    record, data = fetch(make.task(commit), "alba", patches, None)
    assert (record.sha256 == digest(data)) if record.sha256 else data == b""
    assert msgspec.json.decode(msgspec.json.encode(record), type=Fetched) == record
    mark = fingerprint(patches, PatchQuery(commit, "small", make.PARENT))
    assert mark == (record.sha256 or "missing")[:16]
    return record


def item(
    root: Path,
    path: str,
    *,
    patch: bytes | None = ONE,
    commit: str | None = COMMIT,
    generated: bool | None = None,
    journal: bool = False,
    prediction: str | None = None,
    **meta: str,
) -> Path:
    """One run folder of the predecessor."""
    folder = root / path
    folder.mkdir(parents=True)
    if patch is not None:
        (folder / "model_patch.diff").write_bytes(patch)
    commits = {"commits": {"human": commit, "pre": "b" * 40}}
    if journal:
        (folder / "journal.json").write_text(json.dumps(commits))
    elif commit is not None:
        more = {"meta": meta, "agent": {"patch_generated": generated}}
        (folder / "run_summary.json").write_text(json.dumps(commits | more))
    if prediction is not None:
        line = {"instance_id": f"/x/vllm__repo-{COMMIT[:7]}", "model_patch": prediction}
        (folder / "prediction.jsonl").write_text(json.dumps(line) + "\n")
    return folder


OLD, NEW = "2025-11-20_11-05-30", "2025-12-01_08-00-00"


def test_a_run_is_found_by_its_summary_or_its_journal(tmp_path: Path) -> None:
    for place, journal in ((tmp_path / "a", False), (tmp_path / "b", True)):
        folder = item(place, f"vllm/codex/gpt-5/{OLD}/vllm_core-0014", journal=journal)
        record = got(PatchPlace(kind="runs", path=str(place)))
        assert (record.status, record.source) == ("ok", "runs")
        assert record.candidates[0].path == str(folder / "model_patch.diff")
        assert record.candidates[0].time == "2025-11-20T11:05:30"


def test_the_newest_patch_that_is_not_blank_wins_and_others_are_a_conflict(tmp_path: Path) -> None:
    item(tmp_path, f"vllm/codex/gpt-5/{OLD}/vllm_core-0001", patch=ONE)
    item(tmp_path, f"vllm/codex/gpt-5/{NEW}/vllm_core-0001", patch=TWO)
    item(tmp_path, "vllm/codex/gpt-5/2026-01-01_00-00-00/vllm_core-0001", patch=b" \n")
    record = got(PatchPlace(kind="runs", path=str(tmp_path)))
    assert record.sha256 == digest(TWO)
    assert NEW in record.candidates[0].path
    assert [c.size for c in record.candidates] == [len(TWO), 2, len(ONE)]
    assert record.conflict
    assert [OLD in text and digest(ONE)[:8] in text for text in record.conflicts] == [True]


def test_the_same_patch_twice_is_no_conflict(tmp_path: Path) -> None:
    item(tmp_path, f"vllm/codex/gpt-5/{OLD}/x", patch=ONE)
    item(tmp_path, f"vllm/codex/gpt-5/{NEW}/x", patch=ONE + b"\n")
    assert not got(PatchPlace(kind="runs", path=str(tmp_path))).conflict


def test_runs_are_told_apart_by_agent_model_and_a_misspelt_repository(tmp_path: Path) -> None:
    item(tmp_path, f"vllm/codex/gpt-5/{OLD}/a", patch=ONE)
    item(tmp_path, f"sglan/trae/sonnet/{NEW}/b", patch=TWO)

    def taken(**options: str) -> str | None:
        return got(PatchPlace(kind="runs", path=str(tmp_path), **options)).sha256

    assert taken(agent="codex") == taken(model="gpt-5") == taken(repo="vllm") == digest(ONE)
    assert taken(agent="trae") == taken(repo="sglang") == digest(TWO)
    assert taken(agent="TRAE*", model="*onnet") == digest(TWO)
    assert taken(model="sonn") is None
    assert taken(agent="openhands") is None
    assert taken(agent="trae", repo="vllm") is None


def test_the_path_of_the_place_says_nothing_about_a_runs_agent(tmp_path: Path) -> None:
    root = tmp_path / "trae_and_codex" / "runs"
    item(root, f"vllm/codex/gpt-5/{OLD}/a")
    where = PatchPlace(kind="runs", path=str(root), agent="*trae*", model="*gpt-5*")
    assert got(where).why_missing == "never_ran"
    where = PatchPlace(kind="runs", path=str(root), agent="*codex*", model="*gpt-5*")
    assert got(where).status == "ok"


OWN_COPY = (
    b"diff --git a/model_patch.diff b/model_patch.diff\nnew file mode 100644\n"
    b"index 0000000..e69de29\n"
)


def test_a_newer_patch_that_only_adds_its_own_file_does_not_beat_an_older_one(
    tmp_path: Path,
) -> None:
    item(tmp_path, f"vllm/codex/gpt-5/{OLD}/a", patch=ONE)
    item(tmp_path, f"vllm/codex/gpt-5/{NEW}/b", patch=OWN_COPY)
    record = got(PatchPlace(kind="runs", path=str(tmp_path)))
    assert record.sha256 == digest(ONE)
    assert not record.conflict


def test_a_patch_that_only_adds_its_own_file_is_no_patch(tmp_path: Path) -> None:
    item(tmp_path, f"vllm/codex/gpt-5/{NEW}/b", patch=OWN_COPY)
    record = got(PatchPlace(kind="runs", path=str(tmp_path)))
    assert (record.cause, record.why_missing) == ("patch.empty", "empty")
    both = OWN_COPY + b"diff --git a/one b/one\n--- a/one\n+++ b/one\n@@ -1 +1 @@\n-a\n+b\n"
    item(tmp_path, f"vllm/codex/gpt-5/{NEW}/c", patch=both)
    forget()
    assert got(PatchPlace(kind="runs", path=str(tmp_path))).status == "ok"


def test_the_records_of_a_run_name_its_agent_too(tmp_path: Path) -> None:
    item(tmp_path, f"old/{OLD}/vllm_core-1", agent="codex", model="gpt-5")
    assert got(PatchPlace(kind="runs", path=str(tmp_path), agent="codex")).status == "ok"
    assert got(PatchPlace(kind="runs", path=str(tmp_path), agent="trae")).why_missing == "never_ran"


@pytest.mark.parametrize(
    "name", [f"vllm_core-{C8}", f"sglang_002_{C8}", f"sglang_sonnet45_rerun_{COMMIT[:7]}"]
)
def test_flat_layouts_say_the_commit_in_the_items_name(tmp_path: Path, name: str) -> None:
    item(tmp_path, f"openhands_gpt5/flat/{name}", commit=None)
    assert got(PatchPlace(kind="runs", path=str(tmp_path))).status == "ok"


def test_a_number_in_an_items_name_is_no_commit(tmp_path: Path) -> None:
    item(tmp_path, "vllm/codex/gpt-5/x/vllm_core-0014", commit=None)
    assert got(PatchPlace(kind="runs", path=str(tmp_path))).why_missing == "never_ran"


@pytest.mark.parametrize("patch", [None, b""])
def test_a_missing_or_empty_diff_gives_way_to_the_prediction(
    tmp_path: Path, patch: bytes | None
) -> None:
    item(tmp_path, f"v/c/m/{OLD}/x", patch=patch, prediction=ONE.decode())
    record = got(PatchPlace(kind="runs", path=str(tmp_path)))
    assert record.sha256 == digest(ONE)
    assert record.candidates[0].path.endswith("prediction.jsonl")


@pytest.mark.parametrize(
    ("patch", "generated", "why", "cause"),
    [
        (b"", None, "empty", "patch.empty"),
        (b" \n\n", True, "empty", "patch.empty"),
        (None, True, "lost", "patch.missing"),
        (None, None, "lost", "patch.missing"),
        (None, False, "empty", "patch.missing"),
    ],
)
def test_why_a_patch_is_missing(
    tmp_path: Path, patch: bytes | None, generated: bool | None, why: str, cause: str
) -> None:
    item(tmp_path, f"v/c/m/{OLD}/x", patch=patch, generated=generated)
    record = got(PatchPlace(kind="runs", path=str(tmp_path)))
    assert (record.why_missing, record.cause) == (why, cause)
    assert record.evidence.text.startswith(f"{why}: ")


def test_who_never_ran_is_told_from_who_lost(tmp_path: Path) -> None:
    item(tmp_path, f"v/c/m/{OLD}/x", commit="d" * 40)
    record = got(PatchPlace(kind="runs", path=str(tmp_path)))
    assert (record.why_missing, record.cause) == ("never_ran", "patch.missing")
    assert C8 in record.evidence.text


def test_broken_records_of_a_run_are_nobodys(tmp_path: Path) -> None:
    for number, text in enumerate(["{", "[]", '{"commits": 3}', '{"commits": {"human": null}}']):
        folder = item(tmp_path, f"v/c/m/{OLD}/i{number}", commit=None)
        (folder / "run_summary.json").write_text(text)
    assert got(PatchPlace(kind="runs", path=str(tmp_path))).why_missing == "never_ran"


def test_the_real_records_of_runs_are_read(tmp_path: Path, sample: Callable[[str], Path]) -> None:
    for file, commit in (
        ("journal.json", "30172b4947c52890b808c6da3a6c7580f55cbb74"),
        ("run_summary.json", "58eee5f2e05b74eb2cb1a3bbda9c04df4805e4cc"),
    ):
        name = f"codex_{commit[:8]}_{file}"
        folder = item(tmp_path / name, f"vllm/codex/gpt-5/{OLD}/x", patch=None, commit=None)
        (folder / file).write_bytes(sample(f"isobench/{name}").read_bytes())
        where = PatchPlace(kind="runs", path=str(tmp_path / name), agent="codex", repo="vllm")
        assert got(where, commit=commit).why_missing == "lost"
        (folder / "model_patch.diff").write_bytes(ONE)
        forget()
        assert got(where, commit=commit).status == "ok"


def test_a_prompt_beside_the_patch_is_remembered(tmp_path: Path) -> None:
    folder = item(tmp_path, f"v/c/m/{OLD}/x")
    (folder / "task.txt").write_text("Make it fast.")
    assert got(PatchPlace(kind="runs", path=str(tmp_path))).prompt == str(folder / "task.txt")


def test_trajectories_are_found_by_repository_and_commit(tmp_path: Path) -> None:
    folder = tmp_path / "vllm" / C8
    folder.mkdir(parents=True)
    (folder / "model_patch.diff").write_bytes(ONE)
    (folder / "prompt.json").write_text('{"prompt": "fast"}')
    record = got(PatchPlace(kind="trajectories", path=str(tmp_path)))
    assert (record.source, record.sha256) == ("trajectories", digest(ONE))
    assert record.prompt == str(folder / "prompt.json")
    assert got(PatchPlace(kind="trajectories", path=str(tmp_path), repo="sglang")).source is None


def test_trajectories_can_be_empty_or_lost(tmp_path: Path) -> None:
    folder = tmp_path / "vllm" / C8
    folder.mkdir(parents=True)
    assert got(PatchPlace(kind="trajectories", path=str(tmp_path))).why_missing == "lost"
    (folder / "model_patch.diff").touch()
    assert got(PatchPlace(kind="trajectories", path=str(tmp_path))).why_missing == "empty"


def test_a_hub_without_its_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BadInput, match="pip install") as caught:
        got(PatchPlace(kind="trajectories", hub="owner/name"))
    assert "\n" not in str(caught.value)
    assert "owner/name" in str(caught.value)


class Hub:
    """A stand-in for huggingface_hub: a data set that is here, or elsewhere, or nowhere."""

    def __init__(self, cache: Path, online: bool) -> None:
        self.cache, self.online, self.calls = cache, online, list[bool]()

    def snapshot_download(self, *, local_files_only: bool, **_: object) -> str:
        self.calls.append(local_files_only)
        folder = self.cache / "vllm" / C8
        if not local_files_only:
            if not self.online:
                raise ConnectionError("no route to\nthe hub")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "model_patch.diff").write_bytes(ONE)
        elif not self.cache.exists():
            raise FileNotFoundError
        return str(self.cache)


def test_a_hub_is_asked_once_and_then_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(tmp_path / "cache", online=True)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    where = PatchPlace(kind="trajectories", hub="owner/name")
    assert got(where).status == "ok"
    assert hub.calls == [True, False]
    forget()
    assert got(where).status == "ok"
    assert hub.calls == [True, False, True]


def test_half_a_download_is_not_taken_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    hub = Hub(tmp_path / "cache", online=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(BadInput, match="go online") as caught:
        problems((PatchPlace(kind="trajectories", hub="owner/name"),))
    assert "no route to the hub" in str(caught.value)


def test_a_record_of_many_runs_does_not_hide_them(tmp_path: Path) -> None:
    item(tmp_path, f"v/c/m/{OLD}/x")
    (tmp_path / f"v/c/m/{OLD}/journal.json").write_text("{}")
    assert got(PatchPlace(kind="runs", path=str(tmp_path))).status == "ok"


def test_a_folder_that_is_no_repository_is_a_persons_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a git repository"):
        got(PatchPlace(kind="git", path=str(tmp_path)))


def test_a_missing_file_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    for place, text in ((tmp_path, "no such file"), (tmp_path / "gone", "no folder")):
        record = got(place)
        assert (record.status, record.cause, record.source) == ("failed", "patch.missing", None)
        assert text in record.evidence.text


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_an_empty_file_is_no_missing_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{C8}.diff").write_bytes(content)
    record = got(tmp_path)
    assert (record.status, record.cause, record.source) == ("failed", "patch.empty", "folder")


def test_the_humans_patch_is_gits_diff_with_binary_files(history: History) -> None:
    task = make.task(history.human, parent=history.parent)
    record, data = fetch(task, "human", None, history.repo)
    assert (record.status, record.source) == ("ok", "git")
    assert b"GIT binary patch" in data
    assert data == run_git(history.repo, "diff", "--binary", history.parent, history.human)


def test_a_later_stage_passes_on_an_earlier_failure() -> None:
    evidence = Evidence(text="no such file")
    first = Fetched(
        stage="fetch_patch", commit=COMMIT, arm="alba", status="failed", cause="patch.missing",
        evidence=evidence, size=3,
    )  # fmt: skip
    later = earlier_failure(earlier_failure(first, Validated), Built)
    assert isinstance(later, Built)
    assert (later.stage, later.cause, later.arm) == ("fetch_patch", "patch.missing", "alba")
    assert later.evidence == evidence


def test_an_excluded_tasks_record_gives_the_reason() -> None:
    task = make.task(exclusion=Exclusion(reason="needs_gpus:8", evidence="asks for 8"))
    record = exclusion(task, "alba", Built)
    assert (record.status, record.stage, record.cause) == ("excluded", "resolve_task", None)
    assert record.evidence.text == "needs_gpus:8: asks for 8"


def prediction(name: str, patch: str | None, model: str | None = None) -> str:
    """One line of predictions."""
    row = {"instance_id": name, "model_patch": patch, "model_name_or_path": model}
    return json.dumps(row)


def test_predictions_are_found_by_the_hash_at_the_end_of_their_name(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    lines = [
        "not json",
        prediction("vllm-project__vllm-9000", "x"),
        prediction(f"repo-{COMMIT[:7]}", "old", "m"),
        prediction(f"/home/u/vllm__repo-{C8}", "new", "m"),
        prediction(f"repo-{C8}", "of another", "n"),
        prediction(f"repo-{COMMIT[:6]}", "too short a hash"),
        prediction(f"repo-{C8}", None, "m"),
    ]
    path.write_text("\n".join(lines))
    record = got(PatchPlace(kind="predictions", path=str(path), model="m"))
    assert record.sha256 == digest(b"new")
    assert record.candidates[0].path == f"{path}:4"
    assert [c.size for c in record.candidates] == [3, 0, 3]
    assert record.conflict
    assert got(PatchPlace(kind="predictions", path=str(tmp_path))).sha256 == digest(b"of another")


def test_a_folders_longest_name_wins_unless_it_is_blank(tmp_path: Path) -> None:
    (tmp_path / f"{COMMIT}.diff").write_bytes(b"\n")
    (tmp_path / f"{COMMIT[:12]}.patch").write_bytes(TWO)
    (tmp_path / f"{C8}.diff").write_bytes(ONE)
    record = got(tmp_path)
    assert record.sha256 == digest(TWO)
    assert len(record.candidates) == 3
    assert record.conflict


def test_a_branch_is_diffed_against_the_parent(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r")
    faster = good(repo)
    run_git(repo.tree, "checkout", "--quiet", "-b", f"agent/{repo.human[:8]}", repo.parent)
    (tmp_path / "p.diff").write_text(faster)
    run_git(repo.tree, "apply", "--index", str(tmp_path / "p.diff"))
    run_git(repo.tree, "commit", "--quiet", "--message", "faster")
    task = repo.task()
    for place in (repo.tree, repo.git):
        where = (PatchPlace(kind="git", path=str(place)),)
        record, data = fetch(task, "alba", where, None)
        assert (record.source, data.decode()) == ("git", faster)
        assert record.candidates[0].time
        mark = fingerprint(where, PatchQuery(task.commit, "small", task.parent))
        assert mark.startswith("git:")
        assert fingerprint(where, PatchQuery(task.commit, "small", None)) == mark
    none = (PatchPlace(kind="git", path=str(repo.tree), ref="other/{commit}"),)
    assert fetch(task, "alba", none, None)[0].why_missing == "never_ran"
    gone = msgspec.structs.replace(task, parent="e" * 40)
    record, _ = fetch(gone, "alba", where, None)
    assert record.why_missing == "lost"
    assert "parent commit is not in that repository" in record.evidence.text


def test_a_more_trusted_place_wins_over_a_newer_one(tmp_path: Path) -> None:
    item(tmp_path / "runs", f"v/c/m/{NEW}/x", patch=ONE)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / f"{C8}.diff").write_bytes(TWO)
    places = (
        PatchPlace(kind="folder", path=str(folder)),
        PatchPlace(kind="runs", path=str(tmp_path / "runs")),
    )
    record = got(*places)
    assert (record.source, record.sha256, record.conflict) == ("folder", digest(TWO), True)
    assert {c.source for c in record.candidates} == {"folder", "runs"}
    assert got(*reversed(places)).source == "runs"


def test_a_less_trusted_place_helps_out(tmp_path: Path) -> None:
    (tmp_path / f"{C8}.diff").touch()
    item(tmp_path / "runs", f"v/c/m/{NEW}/x", patch=ONE)
    record = got(
        PatchPlace(kind="folder", path=str(tmp_path)),
        PatchPlace(kind="runs", path=str(tmp_path / "runs")),
    )
    assert (record.source, record.sha256) == ("runs", digest(ONE))
    assert not record.conflict


def test_a_huge_patch_is_neither_kept_nor_taken_for_another(tmp_path: Path) -> None:
    path = tmp_path / f"{C8}.diff"
    with path.open("wb") as file:
        file.write(ONE)
        file.truncate(20_000_000)
    record, data = fetch(make.task(), "alba", tmp_path, None)
    assert (record.size, len(data)) == (20_000_000, 5_000_001)
    assert record.sha256 == digest(path.read_bytes())


def test_an_unreadable_file_is_lost_not_a_crash(tmp_path: Path) -> None:
    folder = item(tmp_path, f"v/c/m/{NEW}/x")
    where = PatchPlace(kind="runs", path=str(tmp_path))
    assert got(where).status == "ok"
    (folder / "model_patch.diff").unlink()
    record = got(where)
    assert record.why_missing == "lost"
    assert "No such file" in record.evidence.text


def test_sources_go_over_the_command_line_and_back(tmp_path: Path) -> None:
    places = (
        PatchPlace(kind="runs", path="a b", agent="x"),
        PatchPlace(kind="git", path="c", ref="{commit}"),
    )
    assert parse(as_text(places)) == places
    assert parse(as_text("some/folder")) == "some/folder"
    with pytest.raises(BadInput, match="patches"):
        parse('[{"kind": "elsewhere"}]')
    with pytest.raises(BadInput, match="needs path"):
        open_sources((PatchPlace(kind="runs"),))


def test_places_that_give_nothing_are_named(tmp_path: Path) -> None:
    here = PatchPlace(kind="folder", path=str(tmp_path))
    gone = PatchPlace(kind="predictions", path=str(tmp_path / "no.jsonl"))
    assert problems(str(tmp_path)) == problems((here,)) == []
    assert problems((here, gone)) == [f"no file {tmp_path / 'no.jsonl'}, so it gives no patch"]
    assert problems((gone,)) == [f"no file {tmp_path / 'no.jsonl'}, so its coverage is 0"]


def test_a_campaign_reads_sources_and_plans_quickly(tmp_path: Path) -> None:
    commits = [f"{number:08x}" * 5 for number in range(0x10000000, 0x10000000 + 100)]
    runs, predictions = tmp_path / "runs", tmp_path / "p.jsonl"
    for agent in ("codex", "trae"):
        for number, commit in enumerate(commits):
            path = f"vllm/{agent}/m/{OLD}/vllm_core-{number:04d}"
            item(runs, path, commit=commit, patch=f"--- a/{agent}\n".encode() * 200)
    names = [f"r-{c[:7]}0{c[8:10]}" for c in commits] + [f"r-{c[:8]}" for c in commits]
    predictions.write_text("\n".join(prediction(name, "x" * 5000) for name in names))
    places = (
        PatchPlace(kind="runs", path=str(runs), agent="codex"),
        PatchPlace(kind="runs", path=str(runs), agent="trae"),
        PatchPlace(kind="predictions", path=str(predictions)),
    )
    started = time.process_time()
    queries = [PatchQuery(commit, "vllm") for commit in commits]
    marks = [fingerprint((place,), query) for query in queries for place in places]
    took = time.process_time() - started
    assert "missing" not in marks
    assert len(set(marks)) == 3
    # 0.05 s where nothing else runs; the limit of the plan is 0.3 s.
    assert took < 1.0


def test_a_patch_that_the_machine_refuses_to_read_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{C8}.diff").write_bytes(ONE)
    query = PatchQuery(COMMIT, "small", make.PARENT)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(base, "open_contained", refuse)
    assert fingerprint(tmp_path, query) == UNREADABLE
    record, _ = fetch(make.task(), "alba", tmp_path, None)
    assert (record.why_missing, "Permission denied" in record.evidence.text) == ("lost", True)
    with pytest.raises(InfraFault, match=r"^infra\.patches_away .*refuses to read"):
        check_is_there(make.task(), "alba", str(tmp_path), "1111")
    check_is_there(make.task(), "alba", str(tmp_path), UNREADABLE)


def test_a_patch_is_not_recorded_as_missing_while_its_place_is_away(tmp_path: Path) -> None:
    away = str(tmp_path / "away")
    with pytest.raises(InfraFault, match=r"^infra\.patches_away .*arm alba .*no folder .*next:"):
        check_is_there(make.task(), "alba", away, "1111")
    for planned in ("", "missing"):  # by hand, or never read
        check_is_there(make.task(), "alba", away, planned)
    (tmp_path / "away").mkdir()
    check_is_there(make.task(), "alba", away, "1111")  # it is there: the patch was removed
