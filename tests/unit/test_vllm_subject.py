"""Rules of config/subjects/vllm.yaml, on paths of vLLM's tree."""

from __future__ import annotations

import functools

import pytest

from patchbench.patches.path_patterns import matches
from patchbench.patches.reach import Conditions, reach, with_values
from patchbench.plan import config_file
from patchbench.subject import SubjectFile
from tests.unit.conftest import ROOT

V0 = Conditions("cuda", "V0", model="meta-llama/Llama-3.1-8B-Instruct")
V1 = V0._replace(engine="V1")
MOE = V1._replace(model="Qwen/Qwen3-30B-A3B-FP8")


@functools.cache
def vllm() -> SubjectFile:
    path = ROOT / "config/subjects/vllm.yaml"
    return config_file.read(config_file.read_yaml(path), SubjectFile, str(path))


def reached(files: list[str], given: Conditions) -> bool:
    return reach(files, vllm().reach, given, vllm().plumbing).possible


@pytest.mark.parametrize(
    "path",
    [
        "vllm/outputs.py",
        "vllm/v1/outputs.py",
        "vllm/v1/engine/output_processor.py",
        "vllm/v1/structured_output/__init__.py",
        "vllm/v1/core/sched/output.py",
        "vllm/chips.py",
        "vllm/entrypoints/openai/serving_completion.py",
        "csrc/cache_kernels.cu",
    ],
)
def test_a_word_inside_another_word_is_no_backend(path: str) -> None:
    assert reached([path], V1)


@pytest.mark.parametrize(
    ("files", "given", "possible"),
    [
        (["vllm/worker/neuron_worker.py"], V0, False),
        (["vllm/v1/worker/tpu_model_runner.py"], V1, False),
        (["vllm/attention/ops/rocm_aiter_mla.py"], V1, False),
        (["vllm/attention/backends/torch_sdpa.py", "vllm/attention/ops/ipex_attn.py"], V0, False),
        (["vllm/v1/worker/gpu_model_runner.py", "vllm/envs.py"], V0, False),
        (["vllm/v1/worker/gpu_model_runner.py"], V1, True),
        (["vllm/sequence.py"], V1, False),
        (["vllm/sequence.py"], V0, True),
        (["vllm/core/block_manager_v2.py"], V0, False),
        (["vllm/core/block_manager_v2.py"], V0._replace(
            flags=with_values(["--use-v2-block-manager"])), True),
        (["vllm/model_executor/guided_decoding/xgrammar_decoding.py"], V0, False),
        (["vllm/distributed/kv_transfer/kv_connector/v1/base.py"], V1, False),
        (["vllm/v1/attention/backends/flashinfer.py"], V1, False),
        (["vllm/attention/ops/triton_unified_attention.py"], V1, False),
        (["vllm/attention/ops/prefix_prefill.py"], V1, False),
        (["vllm/attention/ops/prefix_prefill.py"], V0, True),
        (["vllm/model_executor/layers/fused_moe/fused_moe.py"], V1, False),
        (["vllm/model_executor/layers/fused_moe/fused_moe.py"], MOE, True),
        (["vllm/model_executor/layers/fused_moe/batched_deep_gemm_moe.py"], MOE, False),
        (["vllm/model_executor/layers/quantization/fp8.py"], V1, False),
        (["vllm/model_executor/layers/quantization/fp8.py"], MOE, True),
        (["vllm/model_executor/layers/mamba/mamba_mixer2.py"], V1, False),
        (["vllm/model_executor/layers/mamba/mamba_mixer2.py"],
         V1._replace(model="ibm-ai-platform/Bamba-9B"), True),
        (["vllm/model_executor/models/qwen2_5_vl.py"],
         V1._replace(model="Qwen/Qwen2.5-7B-Instruct"), False),
        (["vllm/model_executor/models/qwen2_5_vl.py"],
         V1._replace(model="Qwen/Qwen2.5-VL-3B-Instruct"), True),
    ],
)  # fmt: skip
def test_what_a_workload_executes(files: list[str], given: Conditions, possible: bool) -> None:
    assert reached(files, given) is possible


@pytest.mark.parametrize(
    "path",
    [".buildkite/test-pipeline.yaml", ".github/workflows/x.yml", "requirements-cuda.txt",
     "Dockerfile.cpu", "docker/Dockerfile"],
)  # fmt: skip
def test_files_of_the_project_itself_are_no_attempt_on_the_judge(path: str) -> None:
    assert matches(path, vllm().out_of_scope)
    assert not matches(path, vllm().judge_paths)
