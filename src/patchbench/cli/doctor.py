"""Show what a campaign would run, exclude, miss and refuse, before anything is built."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from patchbench.cli import config_option, cost, forecast, funnel, run_checks
from patchbench.cli.preflight import (
    PatchState,
    TaskState,
    clone_places,
    patch_states,
    task_states,
)
from patchbench.cli.words import counted
from patchbench.errors import BadInput
from patchbench.plan import campaign as campaigns
from patchbench.plan import config_file, selection, source_paths
from patchbench.plan.campaign import Campaign
from patchbench.system import source_folder
from patchbench.verdicts.pilot import Pilot

T = TypeVar("T")

SHORT = funnel.SHORT
FEW = 8  # up to so many tasks of one origin are listed one by one
NOTE_WIDTH = 150  # characters
EXIT_NOTHING = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    config_option.add(parser)
    parser.add_argument("--mapping", help="task list to use in place of the configuration's")
    parser.add_argument("--parents", help="parents file to use in place of the configuration's")
    parser.add_argument("--why", action="store_true", help="show the evidence of each exclusion")
    forecast.add_options(parser)
    parser.epilog = "Exit codes: 0 it can run, 1 a run would refuse or do nothing, 2 bad input."


def run(args: argparse.Namespace) -> None:
    """Show what would be run, excluded, missing and invalid, what it costs and what a run would
    refuse, before anything is built. Ends with 1 if nothing can be measured or a run would refuse.
    """
    config_option.check(args.configfile)
    config = config_file.read_yaml(args.configfile)
    if not isinstance(config, dict):
        raise BadInput(f"{args.configfile}: not a configuration: the top level is no mapping")
    if args.mapping:
        config["tasks"] = [_task_list(config, args.mapping)]
    if args.parents:
        config["parents"] = [args.parents]
    origin, skips = str(args.configfile), config.get("tasks_without_patches") != "measure"
    refusals = [] if is_trusted(config) else [f"{origin}: {campaigns.UNTRUSTED}"]
    # No patch is executed here, so none needs to be trusted; and tasks without any are of interest.
    config |= {"trust_patches": True}
    if skips:
        config |= {"tasks_without_patches": "measure"}
    config = source_paths.resolve(config, source_folder.own())
    campaign = campaigns.load(config, origin)
    refusals += run_checks.refusals(campaign, source_folder.own())
    known = forecast.pilot(campaign, args.history, args.save_noise)
    for line in page(campaign, known, why=args.why, skips=skips, refusals=refusals):
        print(line)
    if refusals:
        raise SystemExit(EXIT_NOTHING)


def is_trusted(config: Mapping[str, Any]) -> bool:
    """Return True unless a run would refuse to execute patches as plain processes."""
    return config.get("runtime", "process") != "process" or config.get("trust_patches") is True


def _task_list(config: dict[str, Any], file: str) -> dict[str, str] | str:
    """Return the entry for another task list, of the same subject as the first one configured."""
    match config.get("tasks"):
        case [{"subject": subject}, *_]:
            return {"file": file, "subject": subject}
    return file


def page(
    campaign: Campaign,
    known: Pilot,
    *,
    why: bool = False,
    skips: bool = False,
    refusals: list[str] | None = None,
) -> Iterator[str]:
    """Yield the lines that the command prints. ``known`` are the noise and costs that the forecast
    rests on, ``why`` adds the evidence of each exclusion,
    ``skips`` excludes tasks that no agent has a patch for; to ``refusals``, the reasons why a run
    would not begin, is added if nothing can be measured."""
    refusals = [] if refusals is None else refusals
    states = task_states(campaign)
    if skips:
        states = [_skipped(state, campaign) for state in states]
    campaign = msgspec.structs.replace(campaign, tasks={s.task.commit: s.task for s in states})
    agents = counted(len(campaign.agents), "agent")
    yield f"{campaign.name}: {counted(len(states), 'task')}, {agents}"
    for warning in campaign.warnings:
        yield f"  warning: {warning}"
    missing = {s.task.subject.name: s.task.subject.source for s in states if s.repo is None}
    for subject, source in sorted(missing.items()):
        place = next(iter(clone_places(source)), source.repo)
        yield (
            f"  no clone of {subject} at {place}: parents come from the lists alone, their facts "
            "and patches are not checked | next: git clone --bare its repository there"
        )
    yield from _tasks(states, why)
    yield from _parents(states)
    yield from _notes(states)
    patches = patch_states(campaign, states)
    yield from _patches(campaign, patches)
    yield from cost.lines(campaign)
    yield from forecast.total(campaign, forecast.forecasts(campaign, known), known)
    refusals += filter(None, [forecast.unreachable(campaign)])
    if not any(state.task.exclusion is None for state in states):
        refusals.append("nothing can be measured: all tasks are excluded")
    elif not any(patch.cause is None for patch in patches):
        refusals.append("nothing can be measured: no agent has a patch that can be built")
    if refusals:
        yield "\nBefore it can run:"
        yield from (f"  {refusal}" for refusal in refusals)


def _skipped(state: TaskState, campaign: Campaign) -> TaskState:
    """Return the state of a task, excluded if no agent has a patch for it."""
    if selection.has_patch(state.task.commit, campaign.agents, campaign.members):
        return state
    return state._replace(task=selection.without_patch(state.task, len(campaign.agents)))


def _tasks(states: list[TaskState], why: bool) -> Iterator[str]:
    tasks = [state.task for state in states]
    runnable = [task for task in tasks if task.exclusion is None]
    yield f"\nTasks: {len(runnable)} can be run, {len(tasks) - len(runnable)} can't"
    yield from funnel.lines(tasks, cloned=all(state.repo for state in states), why=why)
    types = Counter(task.workload.type for task in runnable if task.workload)
    yield "       " + ", ".join(f"{kind} {count}" for kind, count in types.most_common())
    yield from funnel.engines(tasks)
    yield from funnel.data(tasks)


def _parents(states: list[TaskState]) -> Iterator[str]:
    yield "\nParents:"
    origins = _grouped(
        states, lambda s: s.task.parent_origin.partition(": ")[0] if s.task.parent else "none"
    )
    for origin, group in sorted(origins.items(), key=lambda item: -len(item[1])):
        yield f"  {len(group):>3}  {origin}"
        for state in group if len(group) <= FEW else ():
            parent = state.task.parent or "unresolved: give it in the lists, or a clone to ask git"
            yield f"         {state.task.commit[:SHORT]} <- {parent}"
    agreed: dict[str, list[str]] = defaultdict(list)
    for state in states:
        for kind, _, place in (a.partition(": ") for a in state.task.agreements):
            if kind == "parent":
                file = place.partition(": ")[0]
                agreed[file].append(f"{state.task.commit[:SHORT]} <- {state.task.parent}")
    for file, pairs in agreed.items():
        listed = f": {', '.join(pairs)}" if len(pairs) <= FEW // 2 else ""
        yield f"  {file} says the same of {len(pairs)} more{listed}"


def _notes(states: list[TaskState]) -> Iterator[str]:
    kinds: dict[str, list[str]] = defaultdict(list)
    for state in states:
        for note in (*state.task.contradictions, *state.task.warnings):
            kind, _, text = note.partition(": ")
            kinds[kind].append(f"{state.task.commit[:SHORT]} {text}")
    if kinds:
        yield "\nContradictions and oddities in the lists (the command is what runs):"
    for kind, texts in sorted(kinds.items()):
        yield f"  {kind} ({len(texts)})"
        yield from (f"    {text[:NOTE_WIDTH]}" for text in texts)


def _patches(campaign: Campaign, patches: list[PatchState]) -> Iterator[str]:
    yield "\nPatches of the tasks that can be run:"
    by_agent = _grouped(patches, lambda patch: patch.agent)
    for agent in campaign.agents:
        expected = by_agent.get(agent, [])
        present = [p for p in expected if p.cause not in ("patch.missing", "patch.empty")]
        good = sum(p.cause is None and p.checked for p in present)
        unchecked = sum(p.cause is None and not p.checked for p in present)
        causes = Counter(p.cause for p in expected if p.cause)
        parts = [f"{n} {cause}{_reasons(cause, expected)}" for cause, n in causes.most_common()]
        if unchecked:
            parts.append(f"{unchecked} not checked (no clone)")
        if conflicts := sum(p.conflicts > 0 for p in expected):
            parts.append(f"{conflicts} with another patch of the same agent (the newest is taken)")
        yield "; ".join(
            [
                f"  {agent:<16} {len(present):>3} of {len(expected)} there, {good} can be measured",
                *([", ".join(parts)] if parts else []),
            ]
        )


def _reasons(cause: str, patches: list[PatchState]) -> str:
    """Return why patches of a cause are missing, with counts, in brackets."""
    counted = Counter(p.missing for p in patches if p.cause == cause and p.missing)
    named = [f"{n} {why}" for why, n in counted.most_common() if why != "empty"]
    return f" ({', '.join(named)})" if named else ""


def _grouped(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
