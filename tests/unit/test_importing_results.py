"""Import of result folders: logs read again, no agent charged without evidence, unknown keys
refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from patchbench.cli import main
from patchbench.errors import BadInput
from patchbench.importing import folders, formats, metric_names
from patchbench.importing.endings import ending_of
from patchbench.importing.folders import Source
from patchbench.importing.tables import Imported, arm_name
from patchbench.records import BASELINE, HUMAN
from tests.unit.conftest import DATA
from tests.unit.outputs import Numbers, make
from tests.unit.reports import row
from tests.unit.test_importing_causes import SAMPLES as CAUSES

A, B = "a" * 40, "b" * 40
SAMPLES = DATA / "isobench"
AGENTS = {
    "codex": "Codex",
    "trae_gpt5": "TRAE GPT-5",
    "trae_sonnet45": "TRAE Sonnet 4.5",
    "claude_code": "Claude Code",
}


def serving() -> str:
    """Output of a serving benchmark."""
    return make("vllm 0.32", Numbers([12.5, 7.25, 30.0])).text


def write(folder: Path, name: str, **fields: Any) -> Path:
    """A result file of the runner, a success unless said otherwise."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    commit = path.name[:8]
    record = {
        "human_commit": commit,
        "human_commit_full": commit[0] * 40,
        "parent_commit": "f" * 40,
        "model": "m",
        "status": "success",
        "error": None,
        "duration_s": 1.0,
        "metrics": {"ttft_mean_ms": 5.0},
        "raw_output": "",
        "timestamp": "2026-01-10 05:02:47",
    }
    path.write_text(json.dumps(record | fields))
    return path


def read(folder: Path, *titles: str, mapping: Path | None = None) -> Imported:
    sources = [Source(title, str(folder / title)) for title in titles or ("alba",)]
    return folders.read(sources, mapping, folder / "out")


def ends(found: Imported) -> dict[tuple[str, str], tuple[str, str | None]]:
    return {
        (r.commit[:1], r.arm): (r.status, r.cause) for r in found.endings if r.status != "pending"
    }


# --- the real samples -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of all samples."""
    if not SAMPLES.is_dir():
        pytest.skip("no samples on this machine")
    out = tmp_path_factory.mktemp("samples")
    words = [f"--agent={AGENTS[name]}={SAMPLES}/{name}_*_result.*" for name in AGENTS]
    main.main(["import", *words, "--out", str(out)])
    return out


def outcomes(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    rows = pq.read_table(out / "tables" / "outcomes.parquet").to_pylist()
    return {(row["commit"][:8], row["arm"]): row for row in rows if row["status"] != "pending"}


@pytest.mark.parametrize("row", CAUSES, ids=lambda row: row[0][:40])
def test_no_sample_is_charged_wrongly(imported: Path, row: tuple[Any, ...]) -> None:
    """What test_importing_causes.py finds in each log stands in the tables too."""
    name, _, cause, blame, *_ = row
    agent, commit, arm = re.fullmatch(r"(\w+)_(\w{8})_(\w+)_result.*", name).groups()
    found = outcomes(imported)[commit, arm_name(AGENTS[agent]) if arm == "agent" else arm]
    if cause == "harness.misread":  # a success that was recorded as an error
        assert (found["status"], found["cause"]) == ("measured", None)
    else:
        assert (found["cause"], found["blame"], bool(found["evidence"])) == (cause, blame, True)


def test_the_success_that_was_recorded_as_an_error_has_its_throughput(imported: Path) -> None:
    rows = pq.read_table(imported / "tables" / "runs.parquet").to_pylist()
    values = {row["metric"]: row["value"] for row in rows if row["commit"].startswith("61b8cea3")}
    assert values["request_rate_rps"] == 49.51
    assert values["total_tps"] == 19012.61
    assert values["output_tps"] == 6337.70
    text = (imported / "report.md").read_text(encoding="utf-8")
    found = row(text, "| **TRAE Sonnet 4.5**", "| Agent | Tasks | Patches")
    assert (found["Measured"], found["Throughput"]) == ("1", "1")
    assert "1 runs recorded as errors hold a result: 61b8cea3 trae-sonnet-4-5." in text


def test_a_latency_runs_false_throughput_is_not_taken_over(imported: Path) -> None:
    rows = pq.read_table(imported / "tables" / "runs.parquet").to_pylist()
    values = {row["metric"]: row["value"] for row in rows if row["commit"].startswith("3b61cb45")}
    assert values["latency_avg_s"] == pytest.approx(2.4337, abs=1e-3)
    assert "latency_p99_s" in values
    assert not [name for name in values if name and name.endswith("_tps")]


def test_the_report_of_samples_is_marked_as_single_shot(imported: Path) -> None:
    text = (imported / "report.md").read_text(encoding="utf-8")
    assert "**Kind:** imported single launches, read again from their raw output" in text
    assert "No speedups: imported single launches" in text
    assert "no speedup is claimed" in text
    assert "> **PARTIAL:** " in text
    assert " without a result in what was imported" in text
    assert "## Speedups" in text


def test_evidence_can_be_looked_up_beside_the_report(imported: Path) -> None:
    found = outcomes(imported)["35fad35a", "codex"]
    path = Path(found["evidence_file"])
    assert path.is_relative_to(imported / "raw")
    line = path.read_text(encoding="utf-8").split("\n")[found["evidence_line"] - 1]
    assert "undefined symbol: cuTensorMapEncodeTiled" in line


# --- judging --------------------------------------------------------------------------------------


def test_a_result_is_read_again_and_not_taken_from_the_record(tmp_path: Path) -> None:
    write(tmp_path / "alba", "aaaaaaaa_agent_result.json", raw_output=serving())
    found = next(row for row in read(tmp_path).endings if row.arm == "alba")
    assert (found.status, found.format, found.type) == ("measured", "text", "serving")
    assert found.metrics["ttft_mean_ms"] != 5.0


def test_where_the_raw_output_holds_nothing_the_record_is_all_there_is(tmp_path: Path) -> None:
    write(tmp_path / "alba", "aaaaaaaa_agent_result.json", raw_output="Pull complete\n")
    found = next(row for row in read(tmp_path).endings if row.arm == "alba")
    assert (found.status, found.format, found.metrics) == (
        "measured",
        "recorded",
        {"ttft_mean_ms": 5.0},
    )


def test_a_success_with_a_rejected_or_empty_patch_measured_something_else(tmp_path: Path) -> None:
    forced = "2 out of 3 hunks FAILED\nAGENT_PATCH_APPLIED_FALLBACK\n"
    write(tmp_path / "alba", "aaaaaaaa_agent_result.json", raw_output=forced + serving())
    empty = "AGENT_PATCH_APPLIED\n"
    write(tmp_path / "alba", "bbbbbbbb_agent_result.json", raw_output=empty + serving())
    found = read(tmp_path)
    assert ends(found) == {
        ("a", "alba"): ("failed", "patch.rejected"),
        ("b", "alba"): ("failed", "patch.empty"),
    }
    assert [row.recorded_ok for row in found.endings if row.corrected] == [True, True]


def test_a_success_without_any_metric_is_none(tmp_path: Path) -> None:
    write(tmp_path / "alba", "aaaaaaaa_agent_result.json", metrics={}, raw_output="x")
    assert ends(read(tmp_path)) == {("a", "alba"): ("failed", "harness.misread")}


def test_a_crash_is_charged_to_no_agent_even_with_a_baseline_that_worked(tmp_path: Path) -> None:
    """Baseline and agent were not run side by side, nor from one image: it is no control."""
    write(tmp_path / "alba", "aaaaaaaa_baseline_result.json", raw_output=serving())
    crash = {"status": "error", "error": "Server crashed after applying patch", "metrics": {}}
    log = "patching file a.py\nAGENT_PATCH_APPLIED\nTraceback (most recent call last):\n"
    log += '  File "a.py", line 1, in f\nIndexError: list index out of range\n'
    write(tmp_path / "alba", "aaaaaaaa_agent_result.json", raw_output=log, **crash)
    out = tmp_path / "results"
    main.main(["import", str(tmp_path / "alba"), "--out", str(out)])
    found = outcomes(out)["aaaaaaaa", "alba"]
    assert (found["cause"], found["blame"]) == ("server.crash", "unknown")
    assert "IndexError" in found["evidence"]


def test_the_baselines_of_several_agents_are_one_and_a_good_one_counts(tmp_path: Path) -> None:
    bad = {"status": "error", "error": "Server crashed during startup", "metrics": {}}
    write(tmp_path / "alba", "aaaaaaaa_baseline_result.json", **bad)
    write(tmp_path / "brio", "aaaaaaaa_baseline_result.json", raw_output=serving())
    found = read(tmp_path, "alba", "brio")
    assert ends(found) == {("a", BASELINE): ("measured", None)}


def test_two_results_of_one_patch_are_refused_with_both_files(tmp_path: Path) -> None:
    write(tmp_path / "alba", "one/aaaaaaaa_agent_result.json")
    write(tmp_path / "alba", "two/aaaaaaaa_agent_result.json")
    with pytest.raises(
        BadInput, match=r"two/aaaaaaaa.* alba has another result of aaaaaaaa: .*one"
    ):
        read(tmp_path)


def test_a_task_list_gives_commits_their_names_and_shows_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "alba", "aaaaaaaa_agent_result.json", raw_output=serving())
    mapping = tmp_path / "mapping.json"
    command = "python benchmarks/benchmark_latency.py --model m"
    mapping.write_text(
        json.dumps(
            {
                name: {"commit_full": name[0] * 40, "perf_command": command, "parent_commit": B}
                for name in ("aaaaaaaa", "bbbbbbbb")
            }
        )
    )
    found = read(tmp_path, mapping=mapping)
    assert [(task.commit, task.type) for task in found.tasks] == [(A, "serving"), (B, "latency")]
    pending = {(row.commit, row.arm) for row in found.endings if row.status == "pending"}
    assert (B, "alba") in pending
    assert (A, BASELINE) in pending


# --- shapes ---------------------------------------------------------------------------------------


def test_the_flat_file_is_read(tmp_path: Path) -> None:
    flat = {"metrics": None, "benchmark_type": "serving", "ttft_mean": 9.0, "throughput_req_s": 3.0}
    path = write(tmp_path / "alba", "aaaaaaaa_baseline_result.json", **flat)
    record = json.loads(path.read_text())
    del record["metrics"], record["raw_output"]
    path.write_text(json.dumps(record))
    found = read(tmp_path).endings[0]
    assert found.metrics == {"ttft_mean_ms": 9.0, "request_rate_rps": 3.0}
    assert (found.arm, found.type) == (BASELINE, "serving")


RECORDS: dict[str, tuple[dict[str, Any], dict[str, dict[str, float]]]] = {
    "separate agent": (
        {"commit": "aaaaaaaa", "commit_full": A, "parent_commit": "bbbbbbbbbbbb",
         "benchmark_source": "x", "status": "success", "agent_patch": "p", "docker_image": "i",
         "metrics": {"mean_ttft_ms": 4.0, "successful_requests": 100}},
        {"agent": {"ttft_mean_ms": 4.0, "completed": 100.0}},
    ),
    "three arms": (
        {"commit": "aaaaaaaa", "timestamp": "t",
         "results": {
             name: {"commit_hash": "aaaaaaaa", "status": "success",
                    "benchmark_type": "prefix_caching",
                    "metrics": {"generate_time_s": 3.5, "warmup_time_s": 5.0}}
             for name in ("baseline", "agent")
         }},
        {"baseline": {"cost_time_s": 3.5}, "agent": {"cost_time_s": 3.5}},
    ),
    "SGLang": (
        {"status": "success", "gpu_config": "H100:1", "benchmark_mode": "3way",
         "human_metrics": {"request_throughput": 2.0, "ttft_mean": 7.0, "e2e_latency_mean": 9.0},
         "baseline_metrics": {}, "agent_metrics": None, "commit": "aaaaaaaa", "full_commit": A,
         "parent_commit": B, "model": "m", "subject": "s", "perf_command": "c", "duration_s": 1,
         "has_agent_patch": True},
        {"human": {"request_rate_rps": 2.0, "ttft_mean_ms": 7.0, "e2e_mean_ms": 9.0}},
    ),
    "variants": (
        {"commit": "aaaaaaaa",
         "variants": {"baseline": {"metrics": {"output_token_throughput": 5.0}},
                      "codex": {"metrics": {"output_token_throughput": 6.0}}}},
        {"baseline": {"output_tps": 5.0}, "agent": {"output_tps": 6.0}},
    ),
    "Modal": (
        {"instance": {"commit_hash": A, "commit_subject": "s", "perf_command": "c"},
         "result": {"status": "exception", "error": "[Errno 32] Broken pipe", "full_commit": A}},
        {"baseline": {}, "human": {}, "agent": {}},
    ),
    "flat row": (
        {"commit_hash": A, "commit_subject": "s", "gpu_config": "H100:1",
         "benchmark_mode": "serving", "status": "success", "has_agent_patch": True,
         "baseline_ttft_mean": 25.0, "agent_ttft_mean": None, "human_ttft_mean": "22.5",
         "agent_vs_human_tpot_mean": 1.0, "human_improvement_ttft_mean": 2.0,
         "baseline_install_method": "wheel"},
        {"baseline": {"ttft_mean_ms": 25.0}, "human": {"ttft_mean_ms": 22.5}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_every_shape_is_read(name: str) -> None:
    record, known = RECORDS[name]
    found = formats.read(record, "x/aaaaaaaa_agent_result.json")
    assert {row.arm: row.values for row in found} == known
    assert {row.commit for row in found} <= {A, "aaaaaaaa"}


@pytest.mark.parametrize("name", RECORDS)
def test_a_key_that_is_not_understood_is_named(name: str) -> None:
    record, _ = RECORDS[name]
    with pytest.raises(BadInput, match="key 'surprise' not understood"):
        formats.read(record | {"surprise": 1}, "x/aaaaaaaa_agent_result.json")


def test_a_record_of_no_known_shape_is_refused_with_its_keys() -> None:
    with pytest.raises(BadInput, match="no known kind of result; its keys: a, b"):
        formats.read({"a": 1, "b": 2}, "x.json")
    with pytest.raises(BadInput, match="not a record but list"):
        formats.read([1], "x.json")


def test_all_recorded_names_are_metrics_of_ours() -> None:
    from patchbench.parsing.names import METRICS

    assert {ours for ours, _ in metric_names.NAMES.values()} <= set(METRICS)


def test_recorded_throughputs_that_are_none_are_left_out() -> None:
    values = {"throughput_tok_s": 7348.3, "avg_latency_ms": 2433.7}
    assert metric_names.canonical_values(values, "agent", "latency") == {"latency_avg_s": 2.4337}
    assert metric_names.canonical_values({"throughput_tok_s": 10.39}, BASELINE, "throughput") == {}


def test_a_table_in_csv_is_read_row_by_row(tmp_path: Path) -> None:
    record, _ = RECORDS["flat row"]
    path = tmp_path / "alba" / "full_dataset.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(record))
        writer.writeheader()
        writer.writerow(record)
    found = read(tmp_path)
    assert ends(found) == {("a", BASELINE): ("measured", None), ("a", HUMAN): ("measured", None)}


def test_a_failed_baseline_of_modal_is_the_tasks(tmp_path: Path) -> None:
    error = "BASELINE server failed to start. Logs: torch.OutOfMemoryError: CUDA out of memory."
    record = {"commit_hash": A, "gpu_config": "H100:1", "status": "error", "error": error}
    (result, *_) = formats.read(record, "full_results.jsonl#line-1")
    found = ending_of(result, "alba", tmp_path)
    assert (found.arm, found.status) == (BASELINE, "failed")


@pytest.mark.parametrize(
    ("text", "said"), [("{", "can't be read"), ("[]", "not a record"), ("null", "not a record")]
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "alba" / "aaaaaaaa_agent_result.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(BadInput, match=f"aaaaaaaa_agent_result.json: {said}"):
        read(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alba").mkdir()
    with pytest.raises(BadInput, match="alba: no result files"):
        read(tmp_path)
    with pytest.raises(BadInput, match="brio: no such file or folder"):
        read(tmp_path, "brio")


def test_agents_need_names_of_their_own(tmp_path: Path) -> None:
    sources = [Source("A b", str(tmp_path)), Source("a-b", str(tmp_path))]
    with pytest.raises(BadInput, match="two agents have the same name"):
        folders.read(sources, None, tmp_path)
