"""One arm launched for real: a tiny server, its client and the process runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from patchbench.benchmark import block
from patchbench.benchmark.arm_launch import launch_arm
from patchbench.benchmark.context import BlockContext
from patchbench.config import Limits, Protocol
from patchbench.errors import InfraFault
from patchbench.grading.run_folder import ANSWERS, RUN_RECORD, read_run
from patchbench.inside import probe
from patchbench.ledger.journal import Event
from patchbench.records import Built, Run
from patchbench.runtimes.process import ProcessRuntime
from patchbench.subject import Client, OutputCheck, Server
from patchbench.system import gpu_slots
from patchbench.system.processes import Guard
from patchbench.workflow import breaker
from tests.unit import make

SERVER = """
import http.server, os, pathlib, signal, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        {on_get}
        self.reply(b"")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.reply(b'{{"choices": [{{"text": "forty-two"}}]}}')

    def log_message(self, *_):
        pass

{at_start}
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
CLIENT = """
import json, pathlib, sys, urllib.request
result, port = sys.argv[1:]
if port:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/load", timeout=5).read()
keys = {"completed": 10, "duration": 2.0, "request_throughput": 5.0, "median_ttft_ms": 7.0,
        "requests_per_second": 5.0, "tokens_per_second": 70.0}
pathlib.Path(result).write_text(json.dumps(keys))
"""
WORKS = {"at_start": "", "on_get": ""}
RAISES = {**WORKS, "at_start": "raise IndexError('page 7')"}
DISK_FULL = {**WORKS, "at_start": "raise OSError(28, 'No space left on device')"}
DIES_UNDER_LOAD = {**WORKS, "on_get": "if self.path == '/load': os._exit(3)"}
NEVER_READY = {**WORKS, "on_get": "return self.send_error(503)"}
KILLED_ONCE = {
    **WORKS,
    "at_start": "mark = pathlib.Path('killed')\nif not mark.exists():\n"
    "    mark.touch()\n    os.kill(os.getpid(), signal.SIGKILL)",
}
KILLED = {**WORKS, "at_start": "os.kill(os.getpid(), signal.SIGKILL)"}
LIMITS = Limits(start=20, check=20, benchmark=20, stop=2)


class Bench:
    """A block's context whose arms run these servers."""

    def __init__(self, folder: Path, guard: Guard, slot: gpu_slots.Slot) -> None:
        self.folder, self.guard, self.slot = folder, guard, slot
        self.events: list[Event] = []

    def image(self, arm: str, program: dict[str, str], **fields: Any) -> Built:
        tree = self.folder / "trees" / arm
        tree.mkdir(parents=True, exist_ok=True)
        (tree / "server.py").write_text(SERVER.format(**program))
        (tree / "client.py").write_text(CLIENT)
        return Built(
            **{"commit": make.COMMIT, "arm": arm, "stage": "build_image", "status": "ok"}
            | {"image": str(tree), **fields}
        )

    def context(
        self,
        images: dict[str, Built],
        *,
        type_: str = "serving",
        number: int = 1,
        windows: int = 1,
        limits: Limits = LIMITS,
    ) -> BlockContext:
        check = OutputCheck(prompts=("6 x 7",))
        port = "{port}" if type_ == "serving" else ""
        client = Client(command=("{python}", "client.py", "{result}", port), detect=("bench",))
        task = make.task(
            subject=make.subject(
                server=Server(command=("{python}", "server.py", "{port}")),
                clients={type_: client},
                output_check=check if type_ == "serving" else None,
            ),
            workload=make.workload(type=type_, requests=10),
            primary_metric="ttft_median_ms" if type_ == "serving" else "request_rate_rps",
            protocol=Protocol(limits=limits, aa_blocks=0, windows=windows),
            work=str(self.folder),
        )
        return BlockContext(
            task=task,
            block=number,
            digest="d",
            images=images,
            results=self.folder / "results",
            slots=1,
            runtime=ProcessRuntime(self.folder, self.folder / "results"),
            guard=self.guard,
            rebuild=lambda _: None,
            on_finished=self.events.append,
        )

    def launch(self, program: dict[str, str], **options: Any) -> tuple[BlockContext, Run | None]:
        """Launch the arm "alba" beside a baseline that works; returns its record, if any."""
        images = {"baseline": self.image("baseline", WORKS), "alba": self.image("alba", program)}
        context = self.context(images, **options)
        launch_arm(context, "alba", 1, self.slot)
        return context, read_run(context.folder / "alba")


@pytest.fixture
def bench(tmp_path: Path, locks: Path, guard: Guard) -> Iterator[Bench]:
    with gpu_slots.slot(1, 1, 10, guard) as slot:
        yield Bench(tmp_path, guard, slot)


def told(context: BlockContext) -> list[tuple[str, str, str]]:
    return [(event.event, event.result, event.cause) for event in context.events()]


def test_a_served_launch_leaves_its_phases_answers_record_and_journal(bench: Bench) -> None:
    context, run = bench.launch(WORKS, windows=2)
    assert run is not None
    assert [(phase.name, phase.status) for phase in run.phases] == [
        ("server_start", "ok"), ("output_check", "ok"), ("benchmark", "ok"), ("benchmark", "ok"),
        ("stop", "ok"),
    ]  # fmt: skip
    folder = context.folder / "alba"
    assert "forty-two" in (folder / ANSWERS).read_text()
    assert {"result.json", "result-2.json", "benchmark-2.stdout", RUN_RECORD} <= {
        path.name for path in folder.iterdir()
    }
    assert told(context) == [("run_started", "", ""), ("run_finished", "measured", "")]
    assert [event.arm for event in bench.events] == ["alba"]
    assert (run.provenance["runtime"], run.provenance["gpu_slot"]) == ("process", "0")
    assert run.tree == f"{(bench.folder / 'trees' / 'alba').resolve()}/"


def test_an_offline_launch_has_one_phase(bench: Bench) -> None:
    context, run = bench.launch(WORKS, type_="throughput")
    assert run is not None
    assert [(phase.name, phase.status) for phase in run.phases] == [("benchmark", "ok")]
    assert told(context)[-1] == ("run_finished", "measured", "")


@pytest.mark.parametrize(
    ("program", "cause", "phases"),
    [
        (RAISES, "server.crash", ["server_start"]),
        (
            DIES_UNDER_LOAD,
            "server.crash_under_load",
            ["server_start", "output_check", "benchmark", "server_died", "stop"],
        ),
    ],
)
def test_a_server_that_fails_is_the_arms_outcome(
    bench: Bench, program: dict[str, str], cause: str, phases: list[str]
) -> None:
    context, run = bench.launch(program)
    assert run is not None
    assert [phase.name for phase in run.phases] == phases
    assert told(context) == [("run_started", "", ""), ("run_finished", "failed", cause)]


def test_a_server_that_is_never_ready_times_out(bench: Bench) -> None:
    context, run = bench.launch(NEVER_READY, limits=Limits(start=0.3, stop=2))
    assert run is not None
    assert [(phase.name, phase.status) for phase in run.phases] == [("server_start", "timeout")]
    assert told(context)[-1] == ("run_finished", "failed", "server.timeout")


def test_a_killed_server_is_launched_once_more(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    context, run = bench.launch(KILLED_ONCE)
    assert run is not None
    assert told(context) == [
        ("run_started", "", ""), ("run_spoilt", "", "killed"),
        ("run_started", "", ""), ("run_finished", "measured", ""),
    ]  # fmt: skip
    assert "launched once more" in capsys.readouterr().err


def test_a_fault_of_the_machine_ends_the_job_without_a_record(bench: Bench) -> None:
    context = bench.context({"baseline": bench.image("baseline", DISK_FULL)})
    with pytest.raises(InfraFault, match=r"infra\.disk_full .* arm baseline .*run the same"):
        launch_arm(context, "baseline", 0, bench.slot)
    assert read_run(context.folder / "baseline") is None
    assert told(context)[-1] == ("run_spoilt", "", "infra.disk_full")


def test_a_fault_that_only_an_agents_log_shows_is_a_suspicion(bench: Bench) -> None:
    context, run = bench.launch(DISK_FULL)
    assert run is not None
    assert told(context) == [
        ("run_started", "", ""), ("run_spoilt", "", "infra.disk_full"),
        ("run_started", "", ""), ("run_finished", "failed", "server.crash"),
    ]  # fmt: skip


def test_an_arm_without_an_image_is_recorded_without_a_launch(bench: Bench) -> None:
    images = {
        "baseline": bench.image("baseline", WORKS),
        "alba": bench.image("alba", WORKS, status="failed", cause="patch.import", image=""),
    }
    context = bench.context(images)
    launch_arm(context, "alba", 1, None)
    run = read_run(context.folder / "alba")
    assert run is not None and run.upstream is not None
    assert (run.status, run.upstream.cause, run.phases) == ("passed_on", "patch.import", ())
    assert told(context)[-1] == ("run_finished", "passed_on", "patch.import")


def test_an_arm_that_failed_twice_is_not_launched_a_third_time(bench: Bench) -> None:
    images = {"baseline": bench.image("baseline", WORKS), "alba": bench.image("alba", RAISES)}
    for number in (1, 2):
        context = bench.context(images, number=number)
        for position, arm in enumerate(images):
            launch_arm(context, arm, position, bench.slot)
    context = bench.context(images, number=3)
    launch_arm(context, "alba", 1, bench.slot)
    assert told(context)[-1] == ("run_finished", "not_repeated", "server.crash")


def test_a_block_launches_its_arms_and_resumes_without_a_launch(
    tmp_path: Path, locks: Path, guard: Guard
) -> None:
    bench = Bench(tmp_path, guard, gpu_slots.Slot("", (), ()))
    images = {arm: bench.image(arm, WORKS) for arm in ("baseline", "human")}
    context = bench.context(images)
    for _ in range(2):
        record = block.measure(context)
        assert record.status == "done"
        assert [Path(run).name for run in record.runs] == list(record.order)
    assert sorted(event.arm for event in bench.events) == ["baseline", "human"]


def killed_every_time(bench: Bench, baseline: dict[str, str]) -> BlockContext:
    images = {"baseline": bench.image("baseline", baseline), "alba": bench.image("alba", KILLED)}
    context = bench.context(images)
    if baseline is WORKS:
        launch_arm(context, "baseline", 0, bench.slot)
    return context


def test_a_launch_that_is_killed_again_is_pending_not_an_outcome(bench: Bench) -> None:
    context = killed_every_time(bench, WORKS)
    with pytest.raises(InfraFault, match=r"^killed .*arm alba .*run the same command again"):
        launch_arm(context, "alba", 1, bench.slot)
    assert read_run(context.folder / "alba") is None
    assert told(context)[-4:] == [("run_started", "", ""), ("run_spoilt", "", "killed")] * 2
    # The next run launches it once more; killed again beside a baseline that works it is its own.
    breaker.begin(context.results, 4)
    launch_arm(context, "alba", 1, bench.slot)
    assert told(context)[-2:] == [("run_started", "", ""), ("run_finished", "failed", "killed")]


def test_what_kills_the_baseline_too_is_never_an_outcome(bench: Bench) -> None:
    context = killed_every_time(bench, KILLED)
    for _ in range(3):
        for arm in ("baseline", "alba"):
            with pytest.raises(InfraFault, match=rf"^infra\.killed .*arm {arm}"):
                launch_arm(context, arm, 0, bench.slot)
        breaker.begin(context.results, 4)
    assert not [event for event in told(context) if event[0] == "run_finished"]


@pytest.mark.parametrize(
    ("mode", "phases"),
    [("ready", ["server_start"]), ("ask", ["server_start", "output_check", "stop"])],
)
def test_a_probe_that_breaks_is_no_slow_server(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str, phases: list[str]
) -> None:
    broken = bench.folder / "probe.py"
    program = Path(probe.__file__).read_text()
    broken.write_text(f"import sys\nif sys.argv[1] == {mode!r}:\n    import no_such\n{program}")
    monkeypatch.setattr("patchbench.benchmark.context.PROBE", broken)
    context, run = bench.launch(WORKS)
    assert run is not None
    assert [phase.name for phase in run.phases] == phases
    assert "ModuleNotFoundError: No module named 'no_such'" in next(
        phase.detail for phase in run.phases if phase.status != "ok"
    )
    assert told(context) == [
        ("run_started", "", ""), ("run_spoilt", "", "harness.probe"),
        ("run_started", "", ""), ("run_finished", "failed", "harness.probe"),
    ]  # fmt: skip


def test_a_client_that_a_signal_holds_is_no_slow_server(bench: Bench) -> None:
    images = {arm: bench.image(arm, WORKS) for arm in ("baseline", "alba")}
    held = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    (Path(images["baseline"].image) / "client.py").write_text(held)
    limits = Limits(start=20, check=20, benchmark=1.5, stop=0.2)
    context = bench.context(images, limits=limits)
    launch_arm(context, "alba", 1, bench.slot)
    assert told(context)[-1] == ("run_finished", "failed", "harness.judge_stopped")
    run = read_run(context.folder / "alba")
    assert run is not None
    assert "SIGSTOP" in next(phase.detail for phase in run.phases if phase.status != "ok")
