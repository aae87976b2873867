"""Launch of an offline benchmark: the engine runs inside the benchmark's own process."""

from __future__ import annotations

from pathlib import Path

from patchbench.benchmark.context import LaunchContext
from patchbench.benchmark.phases import PhaseClock, await_client, stopped_after, with_flags
from patchbench.grading.run_folder import ANSWERS, BENCH, PROMPTS, RESULT
from patchbench.records import Phase
from patchbench.system.command_words import Value
from patchbench.system.files import write_json


def run_offline(launch: LaunchContext) -> list[Phase]:
    """Run an offline benchmark, with the fixed prompts if its client can answer them. Returns one
    phase. Raises Stopped, InfraFault."""
    client = launch.task.subject.clients[launch.workload.type]
    check, limits = launch.task.subject.output_check, launch.task.protocol.limits
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = (launch.folder / RESULT,)
    more: dict[str, Value] = {}
    if check and client.checks_output:
        prompts, answers = launch.folder / PROMPTS, launch.folder / ANSWERS
        write_json(prompts, {"prompts": check.prompts, "max_tokens": check.max_tokens})
        reads, writes = (prompts,), (*writes, answers)
        inside = launch.runtime.inside
        more["check_args"] = (
            "--check-prompts", inside(prompts), "--check-output", inside(answers)
        )  # fmt: skip
    clock = PhaseClock("benchmark")
    command = launch.command(client.command, **more)
    place = launch.place("benchmark", reads=reads, writes=writes)
    child = launch.start(launch.image, command, BENCH, place)
    with stopped_after(child, limits.stop):
        phase = await_client(child, clock, limits.benchmark, launch.guard)
    return with_flags([phase], child.flags)
