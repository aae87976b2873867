"""Check a task against its parent's tree: what it can't run there, and whether its own commit's
change is executed at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from patchbench.patches import git, reach, scope
from patchbench.plan.facts import arguments, parent
from patchbench.plan.facts.data import client_of, data_set, foreign_options
from patchbench.plan.facts.tree import Tree
from patchbench.plan.perf_command import Command, first_value, parse_command
from patchbench.plan.translation.loads import served_name, table_of
from patchbench.plan.workload import Judged, judged
from patchbench.records import Exclusion, Task, Workload
from patchbench.subject import Client, FactSources
from patchbench.system.files import digest

MAX_NAMED = 3  # files of an exclusion's evidence


def with_facts(task: Task, repo: Path) -> Task:
    """Return a task that can be run so far with the facts of its parent: its server is asked at the
    route that the parent has, options that its benchmark lacks are left out, a model that the
    engine does not know is replaced if the configuration names a substitute. If a fact keeps it
    from running, or its own commit's change is never executed, it is excluded with that fact."""
    sources = task.subject.facts
    if task.exclusion is not None or task.workload is None or task.parent is None:
        return task
    if sources is not None:
        tree = Tree.of_commit(repo, task.parent, sources.files)
        task = _at_parent(task, task.workload, tree, sources)
    subject_line = git.git("log", "-1", "--format=%s", task.commit, repo=repo).decode().strip()
    if subject_line.startswith("Revert "):
        task = _warned(task, f"revert: it takes a change back: {subject_line}")
    return task if task.exclusion else _reached(task, repo)


def _at_parent(task: Task, workload: Workload, tree: Tree, sources: FactSources) -> Task:
    facts = parent.facts_of(tree, sources)
    record = facts.record
    command = parse_command(task.perf_command, task.subject)
    if data := data_set(tree, sources, command):
        places = record.places | {"data": str(data.place)}
        record = msgspec.structs.replace(record, data=data.value, places=places)
    task = msgspec.structs.replace(task, facts=record)
    if task.protocol.measure == "judge":
        task = _with_route(task, record.ready)
        made, places = _with_parents_defaults(task, workload, tree, sources, command)
        if made.workload is None:
            assert made.exclusion is not None
            return _excluded(task, made.exclusion)
        workload = made.workload
        record = msgspec.structs.replace(record, places=record.places | places)
        task = msgspec.structs.replace(task, facts=record)
        for mark in made.marks:
            task = _warned(task, mark)
        task = msgspec.structs.replace(task, workload=workload, workload_id=digest(workload))
        words = (*options(task.subject.server.command), *workload.server_args)
        exclusion = parent.server_obstacle(facts, tree, sources, words)
    elif workload.type == "serving":
        task = _with_route(task, record.ready)
        for text in foreign_options(tree, sources, command, workload.client_args):
            task = _warned(task, f"client_option: {text}")
        words = (*options(task.subject.server.command), *workload.server_args)
        exclusion = parent.server_obstacle(facts, tree, sources, words)
    else:
        client = _with_known_options(task.subject.clients[workload.type], tree, sources, workload)
        clients = task.subject.clients | {workload.type: client}
        subject = msgspec.structs.replace(task.subject, clients=clients)
        task = msgspec.structs.replace(task, subject=subject)
        words = (*options(client.command), *workload.client_args)
        exclusion = parent.offline_obstacle(tree, sources, workload.type, words)
    if exclusion is not None:
        return _excluded(task, exclusion)
    return _with_model(task, workload, tree, sources, first_value(command.flags, "--model"))


def _with_parents_defaults(
    task: Task, workload: Workload, tree: Tree, sources: FactSources, command: Command
) -> tuple[Judged, dict[str, str]]:
    """Return the workload with the load that the command means at the parent: what it leaves out
    has the value that the parent's own parser gives. Beside it the lines that give these values, by
    option."""
    client, table = client_of(sources, command), table_of(command, task.subject)
    files = client.files if client else sources.offline.get(workload.type, ())
    names = table.options if table else ()
    known = arguments.accepted(tree, files)
    defaults = arguments.defaults(known, names)
    if client and client.otherwise and defaults.get("--dataset-name") is None:
        defaults["--dataset-name"] = client.otherwise
    made = judged(
        workload,
        command,
        task.subject,
        data_sets=task.data_sets,
        answers=task.answers,
        defaults=defaults,
    )
    used = [name for name in made.by_default if name in known and name in defaults]
    return made, {name: str(known[name].place) for name in used}


def options(command: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command from its first long option on, without those that stand for
    other words."""
    start = next((at for at, word in enumerate(command) if word.startswith("--")), len(command))
    return tuple(word for word in command[start:] if not word.endswith("_args}"))


def _with_route(task: Task, ready: str) -> Task:
    if not ready or ready == task.subject.server.ready_path:
        return task
    server = msgspec.structs.replace(task.subject.server, ready_path=ready)
    return msgspec.structs.replace(
        task, subject=msgspec.structs.replace(task.subject, server=server)
    )


def _with_known_options(
    client: Client, tree: Tree, sources: FactSources, workload: Workload
) -> Client:
    """Return an offline client without the optional options that the parent's script lacks."""
    files = [path for path in sources.offline.get(workload.type, ()) if tree.has(path)]
    if not files or not client.optional:
        return client
    missing = set(client.optional) - arguments.accepted(tree, files).keys()
    words = [
        word
        for before, word in zip(("", *client.command), client.command, strict=False)
        if word not in missing and before not in missing
    ]
    return msgspec.structs.replace(client, command=tuple(words))


def _with_model(
    task: Task, workload: Workload, tree: Tree, sources: FactSources, named: str | None
) -> Task:
    """Return the task with a model that its engine knows, or excluded."""
    model = named or workload.model
    exclusion = parent.model_obstacle(tree, sources, model)
    if exclusion is None:
        return task
    other = task.substitute
    if other is None:
        return _excluded(task, exclusion)
    if still := parent.model_obstacle(tree, sources, other):
        return _excluded(task, still)
    lies_at = task.subject.model.get(other, other)
    load = workload.load
    if load is not None:
        load = msgspec.structs.replace(load, model=served_name(lies_at))
    replaced = msgspec.structs.replace(workload, model=lies_at, load=load)
    task = msgspec.structs.replace(task, workload=replaced, workload_id=digest(replaced))
    return _warned(task, f"substitute: {other} runs in place of {exclusion.evidence}")


def _reached(task: Task, repo: Path) -> Task:
    """Exclude a task whose own commit changes nothing that its workload executes."""
    assert task.parent is not None
    known = task.subject.known.unreached
    why = next((text for commit, text in known.items() if task.commit.startswith(commit)), None)
    if why is None:
        out = git.git("diff", "--name-only", "-z", task.parent, task.commit, repo=repo)
        names = out.decode("utf-8", "surrogateescape").split("\0")
        files = [path for path in names if path and scope.in_scope(path, task.subject)]
        result = reach.reach_of(files, task)
        if result.possible:
            return task
        why = "; ".join(list(result.unreached.values())[:MAX_NAMED])
    return _excluded(task, Exclusion(reason="human_not_exercised", evidence=why))


def _excluded(task: Task, exclusion: Exclusion) -> Task:
    return msgspec.structs.replace(task, exclusion=exclusion, workload=None, workload_id=None)


def _warned(task: Task, warning: str) -> Task:
    if warning in task.warnings:
        return task
    return msgspec.structs.replace(task, warnings=(*task.warnings, warning))
