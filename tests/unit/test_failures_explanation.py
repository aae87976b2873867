"""What a launch's logs explain, in the light of where it ran: grading and signatures together."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.failures import explanation
from patchbench.grading import run_folder
from patchbench.grading.launch import grade_launch
from patchbench.records import GradedRun, Phase
from patchbench.subject import Client, Recipe, Server
from tests.unit import make, outputs

RECIPE = Recipe(folder="envs/images/x", digest="d", root="/opt/engine", python="python3")
START = Phase(name="server_start", status="failed", seconds=2.5, exit_code=1)
STARTED = Phase(name="server_start", status="ok", seconds=1.0)
SERVED = Phase(name="benchmark", status="ok", seconds=1.0, exit_code=0)


def graded(folder: Path, *phases: Phase, task=None, **more: object) -> GradedRun:
    run = make.launch(folder, *phases, image="/tree", **more)
    return grade_launch(task or make.task(), run, folder)


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


HEAD = "Traceback (most recent call last):"
ABI = "ImportError: /opt/x/_C.abi3.so: undefined symbol: cuTensorMapEncodeTiled"


def test_the_log_explains_what_the_phase_shows(tmp_path: Path) -> None:
    write(tmp_path, run_folder.SERVER_ERR, HEAD, '  File "/tree/engine/core.py", line 3', ABI)
    run = graded(tmp_path, START)
    assert (run.cause, run.stage, run.other_causes) == (
        "image.cuda_abi",
        "server_start",
        ("server.crash",),
    )
    assert run.evidence is not None
    assert (run.evidence.text, run.evidence.line) == (ABI, 3)
    assert run.traceback == ("engine/core.py",)
    assert run.phase_seconds == {"server_start": 2.5}


def test_the_machine_goes_before_the_image_wherever_it_shows(tmp_path: Path) -> None:
    write(tmp_path, run_folder.SERVER_ERR, HEAD, ABI)
    write(tmp_path, run_folder.BENCH_ERR, "OSError: [Errno 28] No space left on device")
    run = graded(tmp_path, START, arm="human")
    assert run.cause == "infra.disk_full"
    assert run.other_causes == ("image.cuda_abi", "server.crash")


def test_another_processs_log_explains_nothing_of_the_task(tmp_path: Path) -> None:
    """A client that can't import something did not make the server die."""
    write(tmp_path, run_folder.SERVER_ERR, HEAD, "IndexError: 4")
    write(tmp_path, run_folder.BENCH_ERR, HEAD, "ModuleNotFoundError: No module named 'datasets'")
    died = Phase(name="server_died", status="failed", seconds=1.0, exit_code=1)
    run = graded(tmp_path, STARTED, SERVED, died)
    assert (run.cause, run.other_causes) == ("server.crash_under_load", ())


def test_a_servers_log_explains_why_requests_failed(tmp_path: Path) -> None:
    write(tmp_path, run_folder.BENCH_OUT, outputs.V3.text.replace(" 250 ", " 249 "))
    said = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    write(tmp_path, run_folder.SERVER_ERR, HEAD, '  File "/tree/engine/kv.py", line 3', said)
    task = make.task(workload=make.workload(requests=250))
    run = graded(tmp_path, STARTED, SERVED, task=task)
    assert (run.cause, run.other_causes) == ("server.gpu_memory", ("bench.requests_failed",))
    assert run.stage == "benchmark"
    assert run.traceback == ("engine/kv.py",)


def test_what_the_result_lacks_is_not_explained_by_a_log(tmp_path: Path) -> None:
    task = make.task(primary_metric="e2e_p99_ms", workload=make.workload(requests=250))
    write(tmp_path, run_folder.BENCH_OUT, outputs.V3.text)
    write(tmp_path, run_folder.SERVER_ERR, HEAD, ABI)
    assert graded(tmp_path, STARTED, SERVED, task=task).cause == "bench.partial"


# --- inside a sandbox -----------------------------------------------------------------------------

IN_DOCKER = make.task(runtime="docker", recipe=RECIPE)


@pytest.mark.parametrize(
    ("line", "outside", "inside"),
    [
        ("OSError: [Errno 28] No space left on device", "infra.disk_full", "sandbox.disk"),
        ("OSError: [Errno 30] Read-only file system: 'x'", "infra.read_only", "sandbox.read_only"),
        ("OSError: [Errno 12] Cannot allocate memory", "infra.oom", "sandbox.memory"),
        ("OSError: [Errno 101] Network is unreachable", "infra.network", "sandbox.network"),
        ("RuntimeError: can't start new thread", "server.crash", "sandbox.pids"),
        ("OSError: [Errno 98] Address already in use", "infra.port_taken", "infra.port_taken"),
    ],
)
def test_a_process_in_a_sandbox_meets_its_own_walls(
    tmp_path: Path, line: str, outside: str, inside: str
) -> None:
    write(tmp_path, run_folder.SERVER_ERR, HEAD, line)
    assert graded(tmp_path, START, arm="baseline").cause == outside
    run = graded(tmp_path, START, task=IN_DOCKER, arm="baseline")
    assert run.cause == inside
    assert run.evidence is not None and run.evidence.text == line


@pytest.mark.parametrize(("flag", "cause"), [("oom", "sandbox.memory"), ("pids", "sandbox.pids")])
def test_a_limit_that_the_engine_reports_is_the_cause(
    tmp_path: Path, flag: str, cause: str
) -> None:
    write(tmp_path, run_folder.SERVER_ERR, HEAD, "MemoryError")
    phase = Phase(name="server_start", status="failed", seconds=1.0, exit_code=-9, flags=(flag,))
    assert graded(tmp_path, phase, task=IN_DOCKER).cause == cause


def test_a_trees_place_in_the_image_is_taken_off(tmp_path: Path) -> None:
    frame = '  File "/opt/engine/core/a.py", line 3'
    said = "ImportError: cannot import name 'b' from 'server' (/opt/engine/core/b.py)"
    write(tmp_path, run_folder.SERVER_ERR, HEAD, frame, said)
    run = graded(tmp_path, START, task=IN_DOCKER)
    assert run.traceback == ("core/a.py",)
    assert run.evidence is not None and run.evidence.text.endswith("from 'server' (core/b.py)")


# --- whose package, which version -----------------------------------------------------------------


def test_the_subjects_packages_are_those_that_its_commands_run() -> None:
    task = make.task(
        subject=make.subject(
            server=Server(command=("{python}", "-m", "tinyserve.server", "--port", "{port}")),
            clients={"serving": Client(command=("{python}", "-m", "tinybench"), detect=("x",))},
        )
    )
    versions = {"version.vllm": "0.6.4", "version.torch": "not installed", "host": "h"}
    run = make.launch(Path(), provenance=versions)
    origin = explanation.origin(task, run)
    assert set(origin.packages) == {"tinyserve", "tinybench"}
    assert origin.versions == {"vllm": "0.6.4"}
    assert origin.runtime == "process"


def test_a_hang_that_we_ended_has_no_traceback(tmp_path: Path) -> None:
    """What a server prints when it is told to stop points to a cause that there is not."""
    said = "vllm.v1.engine.exceptions.EngineDeadError: See stack trace (above) for the root cause."
    write(tmp_path, run_folder.SERVER_OUT, HEAD, '  File "/tree/engine/api.py", line 3', said)
    hung = Phase(name="benchmark", status="timeout", seconds=45.0)
    run = graded(tmp_path, STARTED, hung)
    assert (run.cause, run.traceback) == ("bench.timeout", ())
