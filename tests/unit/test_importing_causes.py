"""Result files of ISO-Bench's harness: the log decides cause and blame, not the error. Expected
values come from reading each log by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.failures.attribution import blame
from patchbench.failures.causes import CAUSES
from patchbench.importing import diagnosis
from patchbench.importing.formats import Run, runs_in
from patchbench.records import Evidence, GradedRun
from tests.unit import make, outputs

Sample = Callable[[str], Path]


def only_run(path: Path) -> Run:
    (run,) = runs_in(path)
    return run


def causes(run: Run) -> list[tuple[str, Evidence]]:
    return diagnosis.causes(run, f"{run.place}#raw_output", f"{run.place}#error")


# The sample, its label by the predecessor, its cause, who is charged, the line of its log (None:
# the error itself), what that line says, and what else was wrong.
SAMPLES = [
    ("codex_8aa1485f_agent_result.image_missing", "No metrics in agent output",
     "infra.image_missing", "infra", 2, "manifest unknown: manifest unknown", ["bench.no_metrics"]),
    ("trae_gpt5_fb0acb6c_agent_result.image_missing", "No metrics in agent output",
     "infra.image_missing", "infra", 2, "baseline-92b0ce2ac75e not found", ["bench.no_metrics"]),
    ("trae_gpt5_2deb029d_agent_result.disk_full", "No metrics in agent output",
     "infra.disk_full", "infra", 50, "GetImageBlob3074119939: no space left on device",
     ["bench.no_metrics"]),
    ("codex_015069b0_agent_result.server_crash_is_HF_404.trimmed",
     "Server crashed after applying patch", "task.bad_model", "task", 3,
     "Repository Not Found for url: https://huggingface.co/api/models/Qwen/Qwen3-7B-Instruct/",
     ["server.crash"]),
    ("codex_35fad35a_agent_result.server_crash_is_CUDA_ABI.trimmed",
     "Server crashed after applying patch", "image.cuda_abi", "task", 31,
     "_C.abi3.so: undefined symbol: cuTensorMapEncodeTiled", ["server.crash"]),
    ("trae_sonnet45_ad8d696a_agent_result.server_crash_is_transformers.trimmed",
     "Server crashed after applying patch", "image.dependency", "task", 37,
     "ModuleNotFoundError: No module named 'transformers.utils'", ["server.crash"]),
    ("trae_gpt5_22d33bac_baseline_result.FLAT_SCHEMA.trimmed", "Server crashed during startup",
     "image.dependency", "task", 15, "cannot import name 'PretrainedConfig' from 'transformers'",
     ["server.crash"]),
    ("codex_ce6bf3a2_agent_result.patch_rejected_plus_env_error.trimmed",
     "No throughput metrics in agent output", "patch.rejected", "agent", 27,
     "4 out of 6 hunks FAILED", ["image.dependency", "bench.no_metrics"]),
    ("trae_sonnet45_d7740ea4_agent_result.EMPTY_PATCH_plus_env_error.trimmed",
     "No throughput metrics in agent output", "patch.empty", "agent", 3, "AGENT_PATCH_APPLIED",
     ["image.dependency", "bench.no_metrics"]),
    ("codex_baeded25_agent_result.missing_parent",
     "Missing parent_commit - cannot determine baseline image", "task.no_parent", "task", None,
     "Missing parent_commit", []),
    ("trae_sonnet45_61b8cea3_agent_result.throughput_PARSER_BUG.trimmed",
     "No throughput metrics in agent output", "harness.misread", "harness", 12,
     "Throughput: 49.51 requests/s, 19012.61 total tokens/s, 6337.70 output tokens/s",
     ["bench.no_metrics"]),
    ("trae_gpt5_0ec82edd_human_result.deprecated_stub.trimmed", "No metrics in output",
     "bench.deprecated_client", "harness", 7,
     "DEPRECATED: This script has been moved to the vLLM CLI.", ["bench.no_metrics"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "label", "cause", "charged", "line", "text", "others"),
    SAMPLES,
    ids=[row[0].partition("_result")[0] for row in SAMPLES],
)
def test_the_cause_behind_the_label(
    sample: Sample,
    name: str,
    label: str,
    cause: str,
    charged: str,
    line: int | None,
    text: str,
    others: list[str],
) -> None:
    path = sample(f"isobench/{name}.json")
    old = only_run(path)
    assert (old.ok, old.error) == (False, label)
    (found, evidence), *rest = causes(old)
    assert found == cause
    assert (evidence.line, text in evidence.text) == (line, True)
    if line is not None:
        raw = json.loads(path.read_text(encoding="utf-8"))["raw_output"].split("\n")
        assert text in raw[line - 1]
        assert evidence.file == f"{path}#raw_output"
    assert list(dict.fromkeys(name for name, _ in rest if name != cause)) == others
    run = GradedRun(
        arm=old.arm, block=1, position=1, status="failed", cause=found, stage=CAUSES[found].stage
    )
    assert blame(run, None) == charged


def test_no_agents_code_failed_in_any_of_them(sample: Sample) -> None:
    """Nine of these twelve were counted as agents' crashes or missing metrics; by their logs two
    are the agents', both for the patch that they delivered."""
    counted, real = 0, []
    for name, label, cause, charged, *_ in SAMPLES:
        sample(f"isobench/{name}.json")
        if "_agent_" in name and not label.startswith("Missing"):
            counted += 1
            real += [cause] if charged == "agent" else []
    assert (counted, real) == (9, ["patch.rejected", "patch.empty"])


@pytest.mark.parametrize(
    "name",
    [
        "claude_code_6e36f4fa_human_result.serving_success.trimmed",
        "codex_3b61cb45_agent_result.latency_success.trimmed",
    ],
)
def test_a_success_is_one(sample: Sample, name: str) -> None:
    assert only_run(sample(f"isobench/{name}.json")).ok


@pytest.mark.parametrize(
    "name", ["codex_30172b49_journal.json", "codex_58eee5f2_run_summary.json", "MANIFEST.tsv"]
)
def test_other_files_of_the_predecessor_are_no_results(sample: Sample, name: str) -> None:
    assert runs_in(sample(f"isobench/{name}")) == []


# --- without the samples --------------------------------------------------------------------------


def written(folder: Path, name: str = "0123abcd_agent_result.json", **more: object) -> Path:
    path = folder / name
    record = {"human_commit": "0123abcd", "status": "error", "raw_output": "", "error": "", **more}
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def cause_of(folder: Path, **more: object) -> str:
    return causes(only_run(written(folder, **more)))[0][0]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("Server startup timeout after patch", "server.timeout"),
        ("Server crashed after applying patch (wheel mode)", "server.crash"),
        ("Agent benchmark timed out after 900s", "bench.timeout"),
        ("Timeout after 900s", "bench.timeout"),
        ("Benchmark exceeded 900s timeout", "bench.timeout"),
        ("No latency metrics in agent output (wheel mode)", "bench.no_metrics"),
        ("[Errno 32] Broken pipe", "unknown"),
    ],
)
def test_where_the_log_shows_nothing_the_error_is_all_there_is(
    tmp_path: Path, error: str, cause: str
) -> None:
    assert cause_of(tmp_path, error=error) == cause


def test_an_agents_own_exception_is_named(tmp_path: Path) -> None:
    log = 'Traceback (most recent call last):\n  File "/opt/x.py", line 1\nIndexError: 4\n'
    old = only_run(written(tmp_path, error="Server crashed after applying patch", raw_output=log))
    ((cause, evidence),) = causes(old)
    assert (cause, evidence.text, evidence.line) == ("server.crash", "IndexError: 4", 3)
    run = make.run("agent", cause=cause, stage="server_start")
    assert blame(run, None) == "unknown"
    assert blame(run, make.run("baseline", metrics={"x": 1.0})) == "agent"


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (["Applying patch...", "patching file a.py", "AGENT_PATCH_APPLIED"], None),
        (["Starting vLLM server"], None),
        (["AGENT_PATCH_APPLIED"], "patch.empty"),
        (["AGENT_PATCH_APPLIED_FALLBACK"], "patch.rejected"),
    ],
)
def test_the_patch_step_shows_if_there_was_anything_to_measure(
    tmp_path: Path, lines: list[str], cause: str | None
) -> None:
    run = only_run(written(tmp_path, raw_output="\n".join(lines)))
    failure = diagnosis.patch_failure(run, "log")
    assert (failure and failure[0]) == cause


def test_a_rejected_patch_goes_before_a_result_of_the_forced_tree(tmp_path: Path) -> None:
    log = "1 out of 2 hunks FAILED\nAGENT_PATCH_APPLIED_FALLBACK\n"
    log += outputs.make("vllm 0.32", outputs.Numbers([12.5, 7.25, 30.0])).text
    error = "No metrics in agent output"
    assert cause_of(tmp_path, error=error, raw_output=log) == "patch.rejected"
    fine = log.replace("_FALLBACK", "").replace("1 out of 2 hunks FAILED", "patching file a.py")
    assert cause_of(tmp_path, error=error, raw_output=fine) == "harness.misread"


def test_a_file_name_that_hides_the_arm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the name of the file does not say the arm"):
        runs_in(written(tmp_path, name="result.json"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"status": 3}', "plain log\n", ""])
def test_what_is_no_result_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0123abcd_agent_result.json"
    path.write_text(text)
    assert runs_in(path) == []


@pytest.mark.parametrize("arm", ["baseline", "human", "agent"])
def test_the_name_says_the_arm(tmp_path: Path, arm: str) -> None:
    assert only_run(written(tmp_path, name=f"codex_0123abcd_{arm}_result.trimmed.json")).arm == arm
