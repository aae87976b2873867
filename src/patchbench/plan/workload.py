"""The workload of a task, the same for every arm, and the metrics that go with its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from patchbench.load import DataSetFile, request_count
from patchbench.plan.exclusions import MODEL, TaskFacts, dummy_weights, exclude, gpus, model_of
from patchbench.plan.perf_command import Command, first_value, parse_command
from patchbench.plan.translation.loads import translate
from patchbench.records import Answers, Exclusion, Workload
from patchbench.subject import BenchType, Subject, Words

# The metric that decides, if the task names none.
PRIMARY: dict[BenchType, str] = {
    "serving": "ttft_median_ms",
    "latency": "latency_avg_s",
    "throughput": "total_tps",
    "prefix_caching": "cost_time_s",
}
# Metrics that show a serving gain bought with a loss elsewhere (docs/verdicts.md).
GUARDS: dict[BenchType, tuple[str, ...]] = {
    "serving": ("ttft_median_ms", "tpot_median_ms", "output_tps"),
    "latency": (),
    "throughput": (),
    "prefix_caching": (),
}


def render(
    perf_command: str,
    subject: Subject,
    *,
    max_gpus: int,
    commit: str = "",
    listed_model: str | None = None,
) -> tuple[Workload | None, Exclusion | None]:
    """Return the task's workload, or the named reason why it can't be run.

    Raises ValueError for a command with an open quotation.
    """
    command = parse_command(perf_command, subject)
    model = model_of(command, listed_model)
    facts = TaskFacts(commit, perf_command, command, model, subject, max_gpus)
    if exclusion := exclude(facts):
        return None, exclusion
    assert command.type is not None
    assert model is not None
    rest = [flag for flag in command.flags if flag.name not in ours(subject, command.type)]
    # Offline benchmarks run the engine in their own process: its flags stay on their line.
    server = [f for f in rest if command.type == "serving" and f.name in subject.server.flags]
    requests = first_value(command.flags, "--num-prompts")
    return (
        Workload(
            type=command.type,
            model=subject.model.get(model, model),
            server_args=tuple(word for flag in server for word in flag.words),
            client_args=tuple(word for flag in rest if flag not in server for word in flag.words),
            env={**subject.env, **command.env},
            gpus=gpus(facts)[0],
            requests=int(requests) if requests and requests.isdecimal() else None,
        ),
        None,
    )


def ours(subject: Subject, type_: BenchType) -> set[str]:
    """Return the options that a task's line does not decide: the model, and where and under which
    name our server is reached. A name of the task's own would be asked of a server that has
    another."""
    if type_ != "serving":
        return set(MODEL)
    client = set(subject.clients[type_].command)
    return set(MODEL) | {
        word for word in subject.server.command if word.startswith("--") and word not in client
    }


class Judged(NamedTuple):
    """A workload with its load, or the reason why the judge can't send it. ``marks`` are notes that
    are shown wherever the task is; ``by_default`` are options that the command leaves out."""

    workload: Workload | None
    exclusion: Exclusion | None = None
    marks: Words = ()
    by_default: Words = ()


def judged(
    workload: Workload,
    command: Command,
    subject: Subject,
    *,
    data_sets: Mapping[str, DataSetFile],
    answers: Answers = "checked",
    defaults: Mapping[str, str | None] | None = None,
    place: str = "the task's command",
) -> Judged:
    """Return a workload as the judge measures it: its command's load, and the engine's options on
    the server's line, those of offline benchmarks too. Parameters as of ``translate``."""
    made = translate(
        command,
        subject,
        model=workload.model,
        data_sets=data_sets,
        defaults=defaults,
        place=place,
    )
    if made.load is None:
        return Judged(None, made.exclusion)
    if answers == "checked" and (why := dummy_weights(made.server_args, subject)):
        return Judged(None, Exclusion(reason="dummy_weights", evidence=f"{why} ({place})"))
    measured = msgspec.structs.replace(
        workload,
        server_args=made.server_args,
        client_args=(),
        requests=request_count(made.load.shape),
        load=made.load,
    )
    return Judged(measured, marks=made.marks, by_default=made.by_default)
