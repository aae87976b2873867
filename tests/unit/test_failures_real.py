"""Failures that vLLM 0.32.0 really had (tests/fixtures/failures/README.md says how they were
made): each gets its cause, the line that shows it, and the right blame beside a baseline that
worked, beside one that failed in the same way, and beside none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from patchbench.failures.attribution import attribute
from patchbench.grading import run_folder
from patchbench.grading.launch import grade_launch
from patchbench.records import GradedRun, Phase
from tests.unit import make
from tests.unit.conftest import ROOT
from tests.unit.make import phase

REAL = ROOT / "tests" / "fixtures" / "failures"
LOGS = {
    "stderr": {"serving": run_folder.SERVER_ERR, "latency": run_folder.BENCH_ERR},
    "stdout": {"serving": run_folder.SERVER_OUT, "latency": run_folder.BENCH_OUT},
    "client.stderr": {"serving": run_folder.BENCH_ERR},
    "client.stdout": {"serving": run_folder.BENCH_OUT},
}
SUBJECT = make.subject(
    server=make.Server(command=("{python}", "-m", "vllm.entrypoints.cli.main", "serve"))
)
TASKS = {
    "serving": make.task(subject=SUBJECT, workload=make.workload(requests=4)),
    "latency": make.task(
        subject=SUBJECT,
        workload=make.workload(type="latency", requests=None),
        primary_metric="latency_avg_s",
    ),
}


START = (phase("server_start", "failed", 1),)
NEVER_READY = (phase("server_start", "timeout", None, seconds=60.0),)
STARTED = (phase("server_start"), phase("output_check"))
DIED = (*STARTED, phase("benchmark"), phase("server_died", "failed", 0))
HUNG = (*STARTED, phase("benchmark", "timeout", None, seconds=45.0))
SERVED = (*STARTED, phase("benchmark"))
CLIENT_FAILED = (*STARTED, phase("benchmark", "failed", 2))
OFFLINE = (phase("benchmark", "failed", 1),)


class Real(NamedTuple):
    """What a failure must be found to be: the cause in the task's own arms, the blame of an agent's
    arm alone, and both beside a baseline that worked; ``patched`` is the file that was edited,
    ``frames`` whether the traceback shows it."""

    name: str
    phases: tuple[Phase, ...]
    cause: str
    blame: str
    worked: tuple[str, str]
    shown: str
    line: int | None
    patched: str = "vllm/elsewhere.py"
    frames: str = "not in patch"
    type: str = "serving"


CRASH, OWN = ("server.crash", "agent"), "agent"
REALS = [
    Real("bad_flag", START, "task.bad_flag", "task", CRASH, "main.py: error: unrecognized", 5,
         frames="none"),
    Real("model_not_cached", START, "infra.model_missing", "unknown", CRASH,
         "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached", 7),
    Real("no_network", START, "infra.network", "unknown", CRASH,
         "'[Errno -3] Temporary failure in name resolution' thrown while requesting HEAD", 1),
    Real("no_weights", START, "task.bad_model", "task", CRASH,
         "RuntimeError: Cannot find any model weights with `/models/noweights`", 7),
    Real("no_tokenizer", START, "task.tokenizer", "task", CRASH,
         "ValueError: Couldn't instantiate the backend tokenizer from one of:", 6),
    Real("unknown_architecture", START, "task.unsupported_model", "task", CRASH,
         "Value error, Model architectures ['NoSuchForCausalLM'] are not supported for now.", 7),
    Real("context_too_long", START, "task.context_too_long", "task", CRASH,
         "Value error, User-specified max_model_len (99999) is greater than the derived", 7),
    Real("kv_cache_too_big", START, "server.kv_cache", "unknown", ("server.kv_cache", OWN),
         "ValueError: Available memory on node 0 (10.3/11.71 GiB) on kv cache allocation", 6),
    Real("kv_cache_needed", START, "server.kv_cache", "unknown", ("server.kv_cache", OWN),
         "ValueError: To serve at least one request with the model's max seq len (4000000)", 6),
    Real("port_taken", START, "infra.port_taken", "unknown", CRASH,
         "OSError: [Errno 98] Address already in use", 6),
    Real("oom_kill", (phase("server_start", "failed", -9),), "killed", "unknown",
         ("killed", "unknown"), "server_start: ", None, frames="none"),
    Real("ulimit_memory", START, "server.memory", "unknown", ("server.memory", OWN),
         "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator", 6),
    Real("import_error", START, "server.crash", "unknown", CRASH,
         "ModuleNotFoundError: No module named 'vllm.v1.core.sched.fast_queue'", 6,
         "vllm/v1/core/sched/scheduler.py", "in patch"),
    Real("missing_package", START, "image.missing_package", "task", CRASH,
         "ModuleNotFoundError: No module named 'cachetools'", 6),
    Real("worker_exception", DIED, "server.crash_under_load", "unknown",
         ("server.crash_under_load", OWN),
         "IndexError: index 4 is out of bounds for dimension 0 with size 4", 9,
         "vllm/v1/sample/sampler.py", "in patch"),
    Real("hang", HUNG, "bench.timeout", "unknown", ("bench.timeout", OWN), "benchmark: ", None,
         "vllm/v1/core/sched/scheduler.py", "none"),
    Real("slow_start", NEVER_READY, "server.timeout", "unknown", ("server.timeout", OWN),
         "server_start: ", None, "vllm/v1/engine/core.py", "none"),
    Real("prompt_too_long", SERVED, "task.bad_request", "task", ("bench.requests_failed", OWN),
         "Error 0: Bad Request", 2, frames="none"),
    Real("client_bad_flag", CLIENT_FAILED, "task.bad_flag", "task", ("bench.client_failed", OWN),
         "main.py: error: unrecognized arguments: --no-such-flag", 4, frames="none"),
    Real("offline_exception", OFFLINE, "bench.crash", "unknown", ("bench.crash", OWN),
         "NameError: name 'max_tokens_per_step' is not defined", 8,
         "vllm/v1/core/sched/scheduler.py", "in patch", "latency"),
    Real("allocator", OFFLINE, "server.memory", "unknown", ("server.memory", OWN),
         "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator", 8,
         "vllm/v1/sample/sampler.py", "in patch", "latency"),
    Real("disk_full", OFFLINE, "infra.disk_full", "unknown", ("bench.crash", OWN),
         "OSError: [Errno 28] No space left on device", 2, type="latency"),
    Real("no_inodes", OFFLINE, "infra.disk_full", "unknown", ("bench.crash", OWN),
         "OSError: [Errno 28] No space left on device: '/results/out.json'", 6, type="latency"),
]  # fmt: skip
REAL_CASES = pytest.mark.parametrize("real", REALS, ids=[real.name for real in REALS])


def graded(real: Real, folder: Path, arm: str = "alba") -> GradedRun:
    """The failure as a run of one arm, from the facts of its launch and its logs."""
    for log in REAL.glob(f"{real.name}.*"):
        kind = log.name.removeprefix(f"{real.name}.")
        if kind != "kernel":
            target = LOGS[kind][real.type]
            if real.name == "client_bad_flag":
                target = run_folder.BENCH_ERR
            shutil.copy(log, folder / target)
    facts = {"image": "/tree", "provenance": {"version.vllm": "0.32.0"}}
    run = make.launch(folder, *real.phases, arm=arm, **facts)
    return grade_launch(TASKS[real.type], run, folder)


def charged(
    run: GradedRun, *others: GradedRun, files: dict[str, list[str]] | None = None
) -> GradedRun:
    return attribute([*others, run], files)[-1]


WORKED = make.run("baseline", metrics={"ttft_median_ms": 1.0}, phase_seconds={"benchmark": 5.0})


def test_every_excerpt_is_judged() -> None:
    names = {path.name.partition(".")[0] for path in REAL.iterdir()} - {"README"}
    assert names == {real.name for real in REALS}


@REAL_CASES
def test_the_cause_and_the_line_that_shows_it(real: Real, tmp_path: Path) -> None:
    run = graded(real, tmp_path, "baseline")
    assert run.cause == real.cause
    assert run.evidence is not None
    assert run.evidence.text.startswith(real.shown)
    if real.line is not None:
        assert run.evidence.line == real.line
        lines = Path(run.evidence.file).read_bytes().decode().split("\n")
        assert real.shown in lines[real.line - 1]


@REAL_CASES
def test_without_a_baseline_no_agent_is_charged(real: Real, tmp_path: Path) -> None:
    run = charged(graded(real, tmp_path))
    assert run.blame == real.blame
    assert real.cause in (run.cause, *run.suspected)


@REAL_CASES
def test_beside_a_baseline_that_worked(real: Real, tmp_path: Path) -> None:
    run = charged(graded(real, tmp_path), WORKED, files={"alba": [real.patched]})
    assert (run.cause, run.blame) == real.worked
    assert run.frames == real.frames
    if run.cause != real.cause:
        assert real.cause in (*run.other_causes, *run.suspected)


@REAL_CASES
def test_beside_a_baseline_that_failed_alike_it_is_the_tasks_or_the_machines(
    real: Real, tmp_path: Path
) -> None:
    alba = graded(real, tmp_path)
    run = charged(alba, graded(real, tmp_path, "baseline"))
    assert run.cause == real.cause
    expected = {"killed": "unknown"}.get(real.cause, "task")
    assert run.blame == ("infra" if real.cause.startswith("infra.") else expected)


def test_the_kernels_own_line_shows_that_memory_ran_out() -> None:
    from patchbench.failures.signatures import Origin, matches

    found = matches([REAL / "oom_kill.kernel"], Origin(writer="any"))
    assert [(match.cause, match.evidence.line) for match in found] == [("infra.oom", 2)]
    assert found[0].signature.sandboxed == "sandbox.memory"
