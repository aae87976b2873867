"""From merged task lists to what is planned: one spec per task, with its subject's data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from patchbench.config import Containers, DiskRules, Protocol
from patchbench.errors import BadInput
from patchbench.plan import lists
from patchbench.plan.lists import Entry, MergedTask
from patchbench.plan.perf_command import Command, first_value, parse_command
from patchbench.plan.recipes import recipe
from patchbench.plan.subjects import subject
from patchbench.plan.workload import render
from patchbench.records import Exclusion, Record, Workload
from patchbench.subject import BenchType, Recipe, Subject

PRIMARY: dict[BenchType, str] = {
    "serving": "ttft_median_ms",
    "latency": "latency_avg_s",
    "throughput": "total_tps",
    "prefix_caching": "cost_time_s",
}


# What the predecessor's "mode" of a task may be, by the benchmark that its command runs.
MODES: dict[BenchType, tuple[str, ...]] = {
    "serving": ("serving",),
    "latency": ("standalone", "latency"),
    "throughput": ("standalone", "throughput"),
    "prefix_caching": ("prefix_caching", "standalone"),
}


class TaskSpec(Record, frozen=True, kw_only=True):
    """One task as the person's list has it, with the subject's data and the protocol beside it."""

    commit: str
    subject: Subject
    parent: str | None = None
    title: str = ""
    parent_origin: str = "task list"
    perf_command: str | None = None
    primary_metric: str | None = None
    guard_metrics: tuple[str, ...] | None = None
    origin: str = ""
    max_gpus: int = 1
    protocol: Protocol = Protocol()
    runtime: str = "process"
    work: str = ".patchbench"
    recipe: Recipe | None = None
    containers: Containers = Containers()
    disk: DiskRules = DiskRules()
    listed_model: str | None = None
    contradictions: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()

    @property
    def image(self) -> dict[str, Any] | None:
        """What of images and containers a measurement depends on; limits are no part of it."""
        if self.recipe is None:
            return None
        return {
            "recipe": self.recipe.digest,
            "prebuilt": msgspec.to_builtins(self.recipe.prebuilt),
            "cpus": self.recipe.sandbox.cpus,
            "gpu": self.containers.gpu,
        }


def merged_lists(config: dict[str, Any], origin: str) -> Iterator[MergedTask]:
    """All tasks of a configuration's lists, merged. Raises BadInput."""
    entries: list[Entry] = []
    for index, item in enumerate(config["tasks"]):
        place = f"{origin}: tasks.{index}"
        given = {"file": item} if isinstance(item, str) else item
        named = given.get("subject")
        for entry in lists.read(given["file"], place, given.get("get", "")):
            fields = entry.fields
            if named and "subject" not in fields:
                fields = fields | {"subject": _subject_name(fields, named)}
            entries.append(Entry(commit=entry.commit, fields=fields, origin=entry.origin))
    supplements: list[Entry] = []
    for index, item in enumerate(config.get("parents", [])):
        given = {"file": item} if isinstance(item, str) else item
        place = f"{origin}: parents.{index}"
        supplements += lists.read(given["file"], place, given.get("get", ""))
    yield from lists.merge(entries, supplements=supplements)


def _subject_name(fields: dict[str, Any], named: str) -> str:
    """The subject of a record that names none: its repository says so, else the configuration."""
    where = f"{fields.get('repo', '')} {fields.get('url', '')}".lower()
    return "sglang" if "sglang" in where else named


def plan_task(merged: MergedTask, config: dict[str, Any], common: dict[str, Any]) -> TaskSpec:
    """One merged task as a spec. Raises BadInput for an unknown subject or a command that no shell
    could read either."""
    fields, origin = merged.fields, next(iter(merged.origins.values()), "task list")
    if not fields.get("subject"):
        raise BadInput(
            f"{origin}: commit {merged.commit[:8]}: no subject; name it in the configuration: "
            "tasks: [{file: ..., subject: ...}]"
        )
    found = subject(config, str(fields["subject"]), origin)
    text = str(fields.get("perf_command") or "")
    try:
        command = parse_command(text, found)
    except ValueError as error:
        raise BadInput(
            f"{origin}: commit {merged.commit[:8]}: perf_command: {error}: {text}"
        ) from error
    guards = fields.get("guard_metrics")
    return TaskSpec(
        commit=merged.commit,
        subject=found,
        parent=fields.get("parent"),
        parent_origin=merged.origins.get("parent", "task list"),
        title=str(fields.get("title") or ""),
        perf_command=text or None,
        primary_metric=fields.get("primary_metric"),
        guard_metrics=None if guards is None else tuple(guards),
        origin=origin,
        listed_model=fields.get("model"),
        contradictions=(*merged.contradictions, *notes(merged, command)),
        agreements=merged.agreements,
        recipe=recipe(config, found.name, origin) if config.get("runtime") == "docker" else None,
        **common,
    )


def notes(merged: MergedTask, command: Command) -> list[str]:
    """What in one task does not fit together, by name; nothing of it is silently chosen."""
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


def workload_of(spec: TaskSpec) -> tuple[Workload | None, Exclusion | None]:
    """The workload of a task, or the reason why it can't be run (parents apart: see resolve)."""
    return render(
        spec.perf_command or "",
        spec.subject,
        max_gpus=spec.max_gpus,
        commit=spec.commit,
        listed_model=spec.listed_model,
    )


def primary_metric(spec: TaskSpec) -> str:
    """The metric that decides, named by the task or by its benchmark type."""
    if spec.primary_metric:
        return spec.primary_metric
    type_ = parse_command(spec.perf_command or "", spec.subject).type
    return PRIMARY[type_ or "serving"]
