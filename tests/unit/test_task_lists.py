"""Task lists in all shapes, merged: nothing lost, nothing silently chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.errors import BadInput
from patchbench.plan import campaign, config_file
from patchbench.plan.configuration import TaskFile
from patchbench.plan.exclusions import ADVICE
from patchbench.plan.lists import Entry, merge, read
from patchbench.plan.lists.readers import entry
from patchbench.plan.subjects import subject
from patchbench.plan.tasks import merged_lists, plan_task
from patchbench.plan.workload import render
from patchbench.subject import Subject
from tests.unit import make

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "isobench"
A, B, C = "a" * 40, "b" * 40, "c" * 40
CONFIG = make.config(subjects=str(ROOT / "config/subjects"))


def vllm() -> Subject:
    return subject(CONFIG, "vllm", "test")


def write(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def test_the_commit_mapping_is_read(tmp_path: Path) -> None:
    fields = {"perf_command": "vllm bench serve --model m", "model": "m"}
    record = {"commit_full": A, "benchmark_mode": "serving", "parent_commit": None, **fields}
    (found,) = read(write(tmp_path / "m.json", {A[:8]: record}), "test")
    assert found.commit == A
    assert found.fields == {"mode": "serving", **fields}
    assert found.origin.endswith(f"m.json: {A[:8]}")


@pytest.mark.parametrize("key", ["parent_commit_full", "parent_commit"])
def test_both_versions_of_the_baseline_mapping_are_read(tmp_path: Path, key: str) -> None:
    rows = [{"human_commit_short": A[:8], "human_commit_full": A, key: B, "model": "m"}]
    (found,) = read(write(tmp_path / "v.json", rows), "test")
    assert (found.commit, found.fields["parent"]) == (A, B)


def test_in_the_parents_file_the_commit_is_the_parent(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"human_commit": A, "commit": B, "type": "baseline"}) + "\n\n")
    (found,) = read(str(path), "test")
    assert (found.commit, found.fields) == (A, {"parent": B})
    assert found.origin.endswith("line 1")


def test_the_data_sets_rows_are_read_from_parquet(tmp_path: Path) -> None:
    row = {
        "commit_hash": A,
        "perf_command": "python -m sglang.bench_serving --model m",
        "models": ["m", "n"],
        "commit_subject": "Faster",
        "pr_url": "https://example.org/sgl-project/sglang/pull/1",
        "diff_text": "not needed",
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "d.parquet")
    (found,) = read(str(tmp_path / "d.parquet"), "test")
    assert found.fields["model"] == "m"
    assert found.fields["title"] == "Faster"
    file = TaskFile(file=str(tmp_path / "d.parquet"), subject="vllm")
    config = msgspec.structs.replace(CONFIG, tasks=(file,))
    (merged,) = merged_lists(config, "test")
    assert plan_task(merged, config).subject.name == "sglang"


def test_a_record_of_no_known_kind_is_refused_with_its_keys(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no known kind of task record; its keys: sha"):
        read(write(tmp_path / "x.json", [{"sha": A}]), "test")


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no task list"):
        read(write(tmp_path / "x.json", {"hello": 1}), "test")
    broken = tmp_path / "x.jsonl"
    broken.write_text('{"human_commit": \n')
    with pytest.raises(BadInput, match="line 1: not JSON"):
        read(str(broken), "test")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match="not readable as Parquet"):
        read(str(tmp_path / "x.parquet"), "test")


@given(
    st.dictionaries(
        st.sampled_from(
            ["commit", "commit_full", "commit_hash", "human_commit", "perf_command", "models"]
        ),
        st.none() | st.text(max_size=45) | st.lists(st.text(max_size=3)) | st.integers(),
    )
)
def test_any_record_is_an_entry_or_refused(record: dict[str, Any]) -> None:
    try:
        found = entry(record, "here")
    except BadInput as error:
        assert "here" in str(error)
    else:
        assert 7 <= len(found.commit) <= 40


def said(commit: str, origin: str, **fields: Any) -> Entry:
    return Entry(commit=commit, fields=fields, origin=origin)


def test_the_first_list_wins_and_what_others_say_is_kept_in_view() -> None:
    (task,) = merge(
        [said(A, "one", parent=B, model="m"), said(A, "two", parent=C, model="m", title="T")]
    )
    assert task.fields == {"parent": B, "model": "m", "title": "T"}
    assert task.origins == {"parent": "one", "model": "one", "title": "two"}
    assert task.contradictions == (f"parent: {B} (one) against {C} (two)",)
    assert task.agreements == ("model: two",)


def test_a_parents_file_fills_gaps_but_adds_no_task() -> None:
    (task,) = merge([said(A, "one")], supplements=[said(A, "p", parent=B), said(C, "p", parent=B)])
    assert task.fields == {"parent": B}
    assert task.origins == {"parent": "p"}


def test_a_short_hash_joins_its_long_one() -> None:
    (task,) = merge([said(A[:8], "one", model="m"), said(A, "two", parent=B)])
    assert task.commit == A
    assert task.fields == {"model": "m", "parent": B}


REASONS = [
    ("", "no_command"),
    ("   ", "no_command"),
    ("python benchmark_guided.py --model m", "unknown_benchmark"),
    ("python benchmarks/benchmark_latency.py --batch-size BS --model m", "placeholder_command"),
    ("vllm bench latency --input-len INPUT_LEN --model m", "placeholder_command"),
    ("vllm bench serve --model MODEL", "placeholder_command"),
    ("vllm bench serve --model <model>", "placeholder_command"),
    ("vllm bench serve --model $MODEL", "placeholder_command"),
    ("python benchmarks/benchmark_latency.py", "placeholder_command"),
    ("vllm bench serve --model Qwen/Qwen3-7B-Instruct", "dead_model"),
    ("vllm bench latency --model /nowhere/at/all/model", "dead_model"),
    ("vllm bench serve --model m -tp 8", "needs_gpus:8"),
    ("vllm bench serve --model m -tp 2 --pipeline-parallel-size 2", "needs_gpus:4"),
    ("vllm bench throughput --model m -tp 4 -pp 2", "needs_gpus:8"),
    ("vllm bench serve --model deepseek-ai/DeepSeek-V3-0324", "needs_gpus:16"),
    ("vllm bench serve --model deepseek-ai/DeepSeek-R1 -tp 8", "needs_gpus:16"),
]


@pytest.mark.parametrize(("command", "reason"), REASONS)
def test_what_cant_be_run_has_one_named_reason(command: str, reason: str) -> None:
    workload, exclusion = render(command, vllm(), max_gpus=1)
    assert workload is None
    assert exclusion is not None
    assert exclusion.reason == reason
    assert exclusion.evidence.strip()
    assert ADVICE[reason.partition(":")[0]]


RUNNABLE = [
    "vllm bench serve --model m --quantization FP8",
    "vllm bench serve --model m --request-rate inf",
    "vllm bench serve --model deepseek-ai/DeepSeek-V2-Lite-Chat",
    "python benchmarks/benchmark_latency.py --model m --speculative-model '[ngram]'",
    "VLLM_ATTENTION_BACKEND=FLASHMLA vllm bench serve --model m",
    "python3 benchmarks/benchmark_prefix_caching.py --model m --output-len 200",
]


@pytest.mark.parametrize("command", RUNNABLE)
def test_what_looks_odd_but_can_be_run_is_not_excluded(command: str) -> None:
    workload, exclusion = render(command, vllm(), max_gpus=1)
    assert exclusion is None
    assert workload is not None


def test_known_bugs_and_non_performance_commits_are_excluded_by_commit() -> None:
    command, latency = "vllm bench serve --model m", "vllm bench latency --model m"
    _, bug = render(latency, vllm(), max_gpus=1, commit="83450458" + "0" * 32)
    assert bug is not None
    assert bug.reason == "known_bug:ngram-lookup-max"
    # The bug is the offline script's.
    assert render(command, vllm(), max_gpus=1, commit="83450458" + "0" * 32)[1] is None
    _, other = render(command, vllm(), max_gpus=1, commit="3127e975" + "0" * 32)
    assert other is not None
    assert other.reason == "not_a_perf_commit"


def test_a_model_that_only_the_list_names_is_taken() -> None:
    workload, _ = render("vllm bench latency", vllm(), max_gpus=1, listed_model="m")
    assert workload is not None
    assert workload.model == "m"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> campaign.Campaign:
    """The published benchmark's real lists."""
    mapping = DATA / "benchmark_mode_mapping.json"
    if not mapping.is_file():
        pytest.skip("the published lists are not here")
    monkeypatch.chdir(ROOT)
    config = config_file.read_yaml(ROOT / "config/isobench.yaml")
    config["tasks"] = [{"file": str(mapping), "subject": "vllm"}]
    config["parents"] = [str(DATA / "parent_commits_of_the_6.jsonl")]
    config["trust_patches"] = True
    return campaign.load(config, "config/isobench.yaml")


def kinds(found: campaign.Campaign, kind: str) -> set[str]:
    return {
        commit[:8]
        for commit, task in found.tasks.items()
        if any(note.startswith(f"{kind}: ") for note in task.contradictions)
    }


def test_every_trap_of_the_published_mapping_is_reported(published: campaign.Campaign) -> None:
    assert len(published.tasks) == 96
    assert kinds(published, "model") == {
        "21d93c14", "2a052011", "61b8cea3", "6d646d08", "9323a315", "aea94362", "d55e446d",
        "fa63e710",
    }  # fmt: skip
    assert kinds(published, "mode") == {
        "0ec82edd", "21d93c14", "22dd9c27", "2a052011", "61b8cea3", "eefbf4a6",
    }  # fmt: skip
    assert kinds(published, "short_commit") == {"9f1710f1", "19d98e0c"}
    assert kinds(published, "foreign_path") == {"bfdb1ba5"}
    assert not kinds(published, "parent")


def test_every_exclusion_of_the_published_mapping(published: campaign.Campaign) -> None:
    reasons: dict[str, set[str]] = {}
    for commit, task in published.tasks.items():
        if task.exclusion:
            reasons.setdefault(task.exclusion.reason, set()).add(commit[:8])
    assert reasons["not_a_perf_commit"] == {"3127e975"}
    assert reasons["no_command"] == {"9f1710f1", "19d98e0c"}
    assert reasons["placeholder_command"] == {"526de822", "98f47f2a"}
    assert reasons["unknown_benchmark"] == {"9323a315", "9474e89b"}
    assert reasons["known_bug:ngram-lookup-max"] == {"83450458"}
    assert reasons["dead_model"] == {"015069b0", "6d646d08", "d55e446d", "fa63e710"}
    by_flags = {"310aca88", "379da6dc", "f26c4aee"}
    assert by_flags <= reasons["needs_gpus:4"]
    assert "21d93c14" in reasons["needs_gpus:8"]
    assert {"dae68969", "fb0acb6c", "baeded25", "4fb56914"} <= reasons["needs_gpus:16"]
    assert "bd6028d6" in reasons["needs_gpus:2"]


def test_the_parents_file_gives_five_parents_with_their_hashes(
    published: campaign.Campaign,
) -> None:
    """Four fill a gap; the fifth (2deb029d) had been mended in this version of the mapping, and the
    two agree. 3127e975 is in no list."""
    parents = {
        "baeded25": "3e1c76cf3a87854396d9e86a56a335e7d750c85f",
        "ac45c44d": "d6664664b442cb236f8541a126e4076a5e12c56d",
        "526de822": "56fe4c297c7d9d872eccc19e3edbf1d75e1a30e2",
        "2deb029d": "029c71de11bc3bcf84a1b3cf9d91e79ab6949799",
        "4fb56914": "0df4d9b06b15fa39eeb2d440e7742da93afd5e6c",
    }
    found = {commit[:8]: task for commit, task in published.tasks.items()}
    assert {short: found[short].parent for short in parents} == parents
    filled = {s for s in parents if "parent_commits" in found[s].parent_origin}
    assert filled == parents.keys() - {"2deb029d"}
    assert any(a.startswith("parent: ") for a in found["2deb029d"].agreements)
    assert [short for short, task in found.items() if task.parent is None] == ["3127e975"]
