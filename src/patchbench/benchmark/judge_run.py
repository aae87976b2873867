"""Windows of a launch, measured by the judge: one process for all of them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from patchbench.benchmark.context import HOST, LaunchContext
from patchbench.benchmark.phases import PhaseClock, await_client, has_ended_soon, stopped_after
from patchbench.benchmark.server import Server
from patchbench.errors import EXIT_BAD_INPUT, EXIT_INFRA, BadInput, InfraFault
from patchbench.grading.run_folder import BENCH, DIALECT, LOAD, window_files
from patchbench.judge.ends import EXIT_LATE, EXIT_REFUSED
from patchbench.load import DataSet, Load
from patchbench.records import Phase
from patchbench.runtimes import Child
from patchbench.system.command_words import placeholders
from patchbench.system.files import write_json

TOKENIZER = "tokenizer.json"
# In the judge's line for a window.
SOME_FAILED = re.compile(r" [1-9]\d* failed,")


def measure(server: Server) -> Phase:
    """Send the load and return the phase ``benchmark``; records of the windows, the server's
    dialect and the judge's output lie in the launch's folder. Raises Stopped, InfraFault, BadInput
    if the load can't be sent whatever the server does."""
    launch, protocol = server.launch, server.launch.task.protocol
    limits, folder, inside = protocol.limits, launch.folder, launch.runtime.inside
    windows = range(1, protocol.windows + 1)
    load_file, dialect = folder / LOAD, folder / DIALECT
    write_json(load_file, load_of(launch))
    words = ["--load", inside(load_file), "--block", str(launch.block), "--real-time"]
    words += ["--out", inside(folder / "window-{window}.judge"), "--write-dialect", inside(dialect)]
    records = tuple(folder / window_files(window).record for window in windows)
    before = server.child.cpu_seconds
    clock = PhaseClock("benchmark")
    child = start_judge(server, words, folder / BENCH, (load_file,), (dialect, *records))
    if child is None:
        return clock.phase("failed", "the server had ended")
    seconds = limits.check + len(windows) * limits.benchmark
    with stopped_after(child, limits.stop):
        phase = await_client(child, clock, seconds, launch.guard, server.child)
    after = server.child.cpu_seconds
    if before is not None and after is not None:
        phase = msgspec.structs.replace(phase, cpu_s=round(after - before, 3))
    failed = phase.status != "ok" or SOME_FAILED.search(child.stdout.read_text(errors="replace"))
    if failed and phase.exit_code != EXIT_LATE:
        has_ended_soon(server.child)  # else its end would be taken for the judge's
    return named_end(phase, child)


def start_judge(
    server: Server,
    words: list[str],
    logs: Path,
    reads: tuple[Path, ...],
    writes: tuple[Path, ...],
) -> Child | None:
    """Start the judge beside a server, with the block's secret, data set and tokenizer. Its output
    goes to ``logs`` with suffixes. Returns None if the server has just ended. Raises InfraFault."""
    launch, inside = server.launch, server.launch.runtime.inside
    assert launch.secret is not None
    words = ["--base-url", f"http://{HOST}:{server.port}", *words]
    words += ["--secret-file", inside(launch.secret)]
    tokenizers = [path for folder in launch.model if (path := folder / TOKENIZER).is_file()]
    for path in tokenizers:
        words += ["--tokenizer", inside(path)]
    reads = (*reads, launch.secret, *tokenizers, *_data_set(launch))
    place = launch.place("judge", beside=server.child, reads=reads, writes=writes)
    try:
        return launch.runtime.start_judge(
            words,
            stdout=logs.with_name(f"{logs.name}.stdout"),
            stderr=logs.with_name(f"{logs.name}.stderr"),
            place=place._replace(gpus=()),
        )
    except InfraFault:
        # Nothing can join the network of a server that has just ended.
        if not has_ended_soon(server.child):
            raise
        return None


def load_of(launch: LaunchContext) -> Load:
    """Return the workload's load as the judge sends it: all windows, within the protocol's limits,
    to the model's name in the server's API, from the data set as the judge's process sees it."""
    load, protocol = launch.workload.load, launch.task.protocol
    assert load is not None
    prompts = load.prompts
    for path in _data_set(launch):
        prompts = msgspec.structs.replace(prompts, path=launch.runtime.inside(path))
    named = "model_name" in placeholders(launch.task.subject.server.command)
    return msgspec.structs.replace(
        load,
        model=launch.command(["{model_name}" if named else "{model}"])[0],
        prompts=prompts,
        windows=protocol.windows,
        request_limit=min(load.request_limit, protocol.limits.benchmark),
        window_limit=min(load.window_limit, protocol.limits.benchmark),
    )


def _data_set(launch: LaunchContext) -> tuple[Path, ...]:
    load = launch.workload.load
    if load is None or not isinstance(load.prompts, DataSet):
        return ()
    return (Path(load.prompts.path).absolute(),)


def named_end(phase: Phase, judge: Child) -> Phase:
    """Return the judge's phase with its last words. Raises BadInput or InfraFault if its exit
    status says so: the judge runs no code of an arm, so it is believed."""
    lines = judge.stderr.read_text(errors="replace").strip().splitlines()
    text = lines[-1].removeprefix("judge: ") if lines else phase.detail
    if phase.exit_code == EXIT_BAD_INPUT:
        raise BadInput(f"{text} | log: {judge.stderr}")
    if phase.exit_code == EXIT_INFRA:
        raise InfraFault(text)
    if phase.exit_code == EXIT_REFUSED:
        return msgspec.structs.replace(phase, detail=text)
    if phase.exit_code == EXIT_LATE:
        return msgspec.structs.replace(phase, detail=text, status="timeout")
    return phase
