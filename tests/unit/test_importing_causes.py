"""The predecessor's result files: each gets the cause and the blame that its log shows, whatever
its error says. What is expected is what people found who read them (isobench.md, section 3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.failures.attribution import blame
from patchbench.failures.causes import CAUSES
from patchbench.importing import result_file
from patchbench.importing.result_file import causes, patch_state, read
from patchbench.records import GradedRun
from tests.unit import make

Sample = Callable[[str], Path]

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
    old = read(path)
    assert old is not None
    assert (old.status, old.error) == ("error", label)
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
def test_a_success_has_no_cause(sample: Sample, name: str) -> None:
    old = read(sample(f"isobench/{name}.json"))
    assert old is not None and old.status == "success"
    assert causes(old) == []


@pytest.mark.parametrize(
    "name", ["codex_30172b49_journal.json", "codex_58eee5f2_run_summary.json", "MANIFEST.tsv"]
)
def test_other_files_of_the_predecessor_are_no_results(sample: Sample, name: str) -> None:
    assert read(sample(f"isobench/{name}")) is None


# --- without the samples --------------------------------------------------------------------------


def written(folder: Path, name: str = "0123abcd_agent_result.json", **more: object) -> Path:
    path = folder / name
    record = {"human_commit": "0123abcd", "status": "error", "raw_output": "", "error": "", **more}
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def cause_of(folder: Path, **more: object) -> str:
    old = read(written(folder, **more))
    assert old is not None
    return causes(old)[0][0]


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
    old = read(written(tmp_path, error="Server crashed after applying patch", raw_output=log))
    assert old is not None
    ((cause, evidence),) = causes(old)
    assert (cause, evidence.text, evidence.line) == ("server.crash", "IndexError: 4", 3)
    run = make.run("agent", cause=cause, stage=result_file.stage(old))
    assert blame(run, None) == "unknown"
    assert blame(run, make.run("baseline", metrics={"x": 1.0})) == "agent"


def test_a_patch_that_was_applied_is_no_cause() -> None:
    assert patch_state(["Applying patch...", "patching file a.py", "AGENT_PATCH_APPLIED"]) is None
    assert patch_state(["Starting vLLM server"]) is None
    state = patch_state(["AGENT_PATCH_APPLIED_FALLBACK"])
    assert state is not None and state[0] == "patch.rejected"


def test_a_result_whose_name_hides_the_arm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="whose name does not say the arm"):
        read(written(tmp_path, name="result.json"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"status": 3}', "plain log\n", ""])
def test_what_is_no_result_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0123abcd_agent_result.json"
    path.write_text(text)
    assert read(path) is None


@pytest.mark.parametrize("arm", ["baseline", "human", "agent"])
def test_the_name_says_the_arm(tmp_path: Path, arm: str) -> None:
    old = read(written(tmp_path, name=f"codex_0123abcd_{arm}_result.trimmed.json"))
    assert old is not None and old.arm == arm
