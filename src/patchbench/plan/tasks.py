"""Plan tasks from the task lists: one task per commit, with its subject's data."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from patchbench.errors import BadInput
from patchbench.parsing.names import METRICS
from patchbench.plan import lists
from patchbench.plan.configuration import Config, ParentsFile, TaskFile
from patchbench.plan.exclusions import model_of
from patchbench.plan.facts.data import client_of
from patchbench.plan.lists import Entry, MergedTask
from patchbench.plan.perf_command import Command, first_value, parse_command
from patchbench.plan.recipes import recipe
from patchbench.plan.subjects import subject
from patchbench.plan.workload import GUARDS, PRIMARY, Judged, judged, render
from patchbench.records import Answers, Task, Workload
from patchbench.subject import BenchType, Subject, Words
from patchbench.system.files import digest

# A task's "mode" in the predecessor's lists, by the benchmark that its command runs.
MODES: dict[BenchType, tuple[str, ...]] = {
    "serving": ("serving",),
    "latency": ("standalone", "latency"),
    "throughput": ("standalone", "throughput"),
    "prefix_caching": ("prefix_caching", "standalone"),
}


def merged_lists(config: Config, origin: str) -> Iterator[MergedTask]:
    """Yield all tasks of a configuration's lists, merged. Raises BadInput."""
    entries: list[Entry] = []
    for index, item in enumerate(config.tasks):
        file = TaskFile(file=item) if isinstance(item, str) else item
        for entry in lists.read(file.file, f"{origin}: tasks.{index}", file.get):
            fields = entry.fields
            if file.subject and "subject" not in fields:
                fields = fields | {"subject": _subject_name(fields, file.subject)}
            entries.append(Entry(commit=entry.commit, fields=fields, origin=entry.origin))
    supplements: list[Entry] = []
    for index, listed in enumerate(config.parents):
        known = ParentsFile(file=listed) if isinstance(listed, str) else listed
        supplements += lists.read(known.file, f"{origin}: parents.{index}", known.get)
    yield from lists.merge(entries, supplements=supplements)


def _subject_name(fields: dict[str, Any], named: str) -> str:
    """Return the subject of a record that names none: by its repository, else as configured."""
    where = f"{fields.get('repo', '')} {fields.get('url', '')}".lower()
    return "sglang" if "sglang" in where else named


def plan_task(merged: MergedTask, config: Config, limits: dict[str, Any] | None = None) -> Task:
    """Return one merged task with its workload or the reason why it can't be run; its parent is
    what the lists say. ``limits`` are keys of the sandbox that win over the recipe's.

    Raises BadInput for an unknown subject or metric, or a command that no shell could read either.
    """
    fields, origin = merged.fields, next(iter(merged.origins.values()), "task list")
    where = f"{origin}: commit {merged.commit[:8]}"
    if not fields.get("subject"):
        raise BadInput(
            f"{where}: no subject; name it in the configuration: "
            "tasks: [{file: ..., subject: ...}]"
        )
    engine = subject(config, str(fields["subject"]), origin)
    text = str(fields.get("perf_command") or "")
    try:
        command = parse_command(text, engine)
    except ValueError as error:
        raise BadInput(f"{where}: perf_command: {error}: {text}") from error
    workload, exclusion = render(
        text,
        engine,
        max_gpus=config.max_gpus_per_task,
        commit=merged.commit,
        listed_model=fields.get("model"),
    )
    answers, noted = answers_of(fields, engine, merged.commit)
    if workload is not None and config.protocol.measure == "judge":
        made = _as_judged(workload, command, engine, config, answers, merged)
        workload, exclusion = made.workload, made.exclusion
        noted += made.marks
    type_ = command.type or "serving"
    metric, guards = fields.get("primary_metric"), fields.get("guard_metrics")
    metric = PRIMARY[type_] if metric is None else metric
    guards = GUARDS[type_] if guards is None else tuple(guards)
    for name in (metric, *guards):
        check_metric(name, where)
    return Task(
        commit=merged.commit,
        title=str(fields.get("title") or ""),
        subject=engine,
        perf_command=text,
        primary_metric=metric,
        guard_metrics=guards,
        parent=fields.get("parent"),
        parent_origin=merged.origins.get("parent", "task list"),
        workload=workload,
        workload_id=digest(workload) if workload else None,
        exclusion=exclusion,
        protocol=config.plain_protocol,
        runtime=config.runtime,
        work=config.work,
        recipe=recipe(config, engine.name, origin, limits or {})
        if config.runtime == "docker"
        else None,
        containers=config.plain_containers,
        disk=config.disk,
        warnings=noted,
        contradictions=(*merged.contradictions, *notes(merged, command)),
        agreements=merged.agreements,
        substitute=config.model_substitutes.get(model_of(command, fields.get("model")) or ""),
        data_sets=config.data_sets,
        answers=answers,
    )


def answers_of(fields: dict[str, Any], subject: Subject, commit: str) -> tuple[Answers, Words]:
    """Return how a task's answers are treated, and a note if they are ignored."""
    for known, why in subject.known.answers_ignored.items():
        if commit.startswith(known):
            return "ignored", (f"answers_ignored: {why}",)
    if fields.get("answers") == "ignored":
        return "ignored", ("answers_ignored: the task list says so",)
    return "checked", ()


def _as_judged(
    workload: Workload,
    command: Command,
    subject: Subject,
    config: Config,
    answers: Answers,
    merged: MergedTask,
) -> Judged:
    """Return the workload with its load, as far as the command alone tells: the parent's parser
    may have other defaults (``facts.task``)."""
    client = client_of(subject.facts, command) if subject.facts else None
    return judged(
        workload,
        command,
        subject,
        data_sets=config.data_sets,
        answers=answers,
        defaults={"--dataset-name": client.otherwise} if client and client.otherwise else None,
        place=merged.origins.get("perf_command", "the task's command"),
    )


def notes(merged: MergedTask, command: Command) -> list[str]:
    """Return what in one task does not fit together, by name; nothing of it is silently chosen."""
    fields, out = merged.fields, []
    model = first_value(command.flags, "--model")
    if model and fields.get("model") and model != fields["model"]:
        out.append(f"model: the list says {fields['model']}, the command runs {model}")
    mode = fields.get("mode")
    if mode and command.type and mode not in MODES[command.type]:
        out.append(f"mode: the list says {mode}, the command is a {command.type} benchmark")
    if len(merged.commit) < 40:
        out.append(f"short_commit: only {len(merged.commit)} characters of the hash are known")
    if command.program.startswith("/") or " /" in command.program:
        out.append(f"foreign_path: {command.program} is a path of another machine; our client runs")
    return out


def check_metric(name: str, where: str) -> None:
    """Raise BadInput if a metric's name is unknown, or can't be compared."""
    if name not in METRICS or METRICS[name].direction == "check":
        near = difflib.get_close_matches(str(name), METRICS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise BadInput(f"{where}: unknown metric {name!r}{hint}")
