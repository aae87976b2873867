"""Show what a configuration plans."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from patchbench.cli import config_option, forecast
from patchbench.cli.words import counted
from patchbench.errors import BadInput
from patchbench.plan.translation.words import load_in_words
from patchbench.records import Task

if TYPE_CHECKING:
    from patchbench.plan.campaign import Campaign


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    config_option.add(parser)
    parser.add_argument("--commit", help="print the specification of this task as JSON")
    forecast.add_options(parser)


def run(args: argparse.Namespace) -> None:
    """Show the tasks, agents, blocks and launches that a configuration plans, their costs, and the
    gains that they can see; or the specification of one task as JSON."""
    campaign = config_option.load_campaign(args.configfile)
    if args.commit:
        matches = [commit for commit in campaign.commits if commit.startswith(args.commit)]
        if len(matches) != 1:
            raise BadInput(f"--commit {args.commit}: {len(matches)} tasks match")
        text = msgspec.json.encode(campaign.tasks[matches[0]])
        print(msgspec.json.format(text, indent=2).decode())
        return
    for warning in campaign.warnings:
        print(f"warning: {warning}")
    print(
        f"{campaign.name}: {counted(len(campaign.commits), 'task')}, "
        f"{counted(len(campaign.agents), 'agent')}, {_blocks(campaign)}"
    )
    known = forecast.pilot(campaign, args.history, args.save_noise)
    found = {one.task.commit: one for one in forecast.forecasts(campaign, known)}
    for commit, spec in campaign.tasks.items():
        print(f"  {commit[:8]}  {spec.subject.name:<12} {spec.title}")
        for line in measured(spec):
            print(f"            {line}")
        for line in found[commit].lines if commit in found else ():
            print(f"          {line}")
    for line in forecast.total(campaign, [*found.values()], known):
        print(line)
    if why := forecast.unreachable(campaign):
        print(f"warning: {why}")


def measured(task: Task) -> Iterator[str]:
    """Yield a task's command and the load that the judge sends in its place, or the reason why
    there is none; nothing if the commit's own benchmark measures."""
    if task.protocol.measure == "own":
        return
    if task.perf_command:
        yield task.perf_command
    if task.workload is not None and task.workload.load is not None:
        server = " ".join(task.workload.server_args)
        yield f"-> {load_in_words(task.workload.load)}" + (f"; server: {server}" if server else "")
    elif task.exclusion is not None:
        yield f"-> {task.exclusion.reason}: {task.exclusion.evidence}"


def _blocks(campaign: Campaign) -> str:
    first, last = campaign.protocol.blocks, campaign.protocol.last_block
    pairs = campaign.protocol.aa_blocks
    count = f"{first} blocks" if first == last else f"{first} to {last} blocks"
    aa = f" (A/A pairs: {pairs})" if pairs > last else ""
    more = "" if first == last else f" plus those of open arms beyond block {first}"
    return f"{count}{aa}, up to {campaign.launches} launches{more}"
