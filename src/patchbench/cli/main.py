"""The `patchbench` command: what a person asks for between runs of the workflow."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import msgspec

from patchbench import __version__
from patchbench.cli import classify as classify_command
from patchbench.cli import import_results as import_command
from patchbench.cli import parse as parse_command
from patchbench.cli import report as report_command
from patchbench.errors import BadInput
from patchbench.workflow import stage

DEFAULT_CONFIG = Path("config/config.yaml")


def main() -> None:
    """Entry point: one line on stderr and a non-zero exit code for anything that can't be done."""
    parser = argparse.ArgumentParser(prog="patchbench", description=__doc__)
    parser.add_argument("--version", action="version", version=f"patchbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (handler, add_options) in COMMANDS.items():
        summary = (handler.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(name, help=summary, description=handler.__doc__)
        add_options(sub)
        sub.set_defaults(handler=handler)
    args = parser.parse_args()
    stage.run(lambda: args.handler(args))


def _config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", dest="configfile", type=Path, default=DEFAULT_CONFIG, help="configuration file"
    )
    parser.set_defaults(config_json=None)


def plan(args: argparse.Namespace) -> None:
    """Show what a configuration plans, or one task's spec as JSON."""
    campaign = stage.load_campaign(args)
    if args.commit:
        found = [c for c in campaign.commits if c.startswith(args.commit)]
        if len(found) != 1:
            raise BadInput(f"--commit {args.commit}: {len(found)} tasks match")
        print(msgspec.json.encode(campaign.tasks[found[0]]).decode())
        return
    for warning in campaign.warnings:
        print(f"warning: {warning}")
    protocol = campaign.protocol
    first, last = protocol.blocks, protocol.last_block
    blocks = f"{first} blocks" if first == last else f"{first} to {last} blocks"
    if protocol.aa_blocks > last:
        blocks += f" (A/A pairs: {protocol.aa_blocks})"
    blocks += f", up to {campaign.launches} launches"
    blocks += "" if first == last else f" beside those of open arms beyond block {first}"
    print(
        f"{campaign.name}: {len(campaign.commits)} tasks, {len(campaign.agents)} agents, {blocks}"
    )
    for commit, spec in campaign.tasks.items():
        print(f"  {commit[:8]}  {spec.subject.name:<12} {spec.title}")


def _plan_options(parser: argparse.ArgumentParser) -> None:
    _config_option(parser)
    parser.add_argument("--commit", help="print this task's spec as JSON")


def status(args: argparse.Namespace) -> None:
    """Show how far a campaign is: launches done, time left, the last events."""
    from patchbench.ledger import progress

    campaign = stage.load_campaign(args)
    results = Path(campaign.results)
    done = progress.count(results, campaign.protocol)
    whole = campaign.launches + done.more
    left = progress.left(done, whole)
    rest = f"about {progress.duration(left)} of launches left" if left else "all done"
    print(
        f"{campaign.name}: [{progress.bar(done.runs, whole)}] {done.runs} of {whole} launches, "
        f"{rest}"
    )
    log = results / "progress.log"
    if log.is_file():
        print("\n".join(log.read_text(encoding="utf-8").splitlines()[-args.lines :]))


def _status_options(parser: argparse.ArgumentParser) -> None:
    _config_option(parser)
    parser.add_argument("--lines", type=int, default=5, help="how many last events to show")


def doctor(args: argparse.Namespace) -> None:
    """Show what would be run, excluded, missing and invalid, before anything is built."""
    from patchbench.cli import doctor as page
    from patchbench.plan import campaign, config_schema

    config = config_schema.read_yaml(args.configfile)
    if isinstance(config, dict):
        if args.mapping:
            first = config.get("tasks", [{}])[0]
            named = {"subject": first["subject"]} if isinstance(first, dict) else {}
            config["tasks"] = [{"file": args.mapping, **named}] if named else [args.mapping]
        if args.parents:
            config["parents"] = [args.parents]
        # It runs no patch, so it needs nobody's trust.
        config["trust_patches"] = True
    for line in page.lines(campaign.load(config, str(args.configfile))):
        print(line)


def _doctor_options(parser: argparse.ArgumentParser) -> None:
    _config_option(parser)
    parser.add_argument("--mapping", help="take this task list instead of the configuration's")
    parser.add_argument("--parents", help="take this parents file instead of the configuration's")


COMMANDS: dict[
    str, tuple[Callable[[argparse.Namespace], None], Callable[[argparse.ArgumentParser], None]]
] = {
    "doctor": (doctor, _doctor_options),
    "plan": (plan, _plan_options),
    "status": (status, _status_options),
    "report": (report_command.report, report_command.add_options),
    "import": (import_command.run, import_command.add_options),
    "parse": (parse_command.parse, parse_command.add_options),
    "classify": (classify_command.classify, classify_command.add_options),
}

if __name__ == "__main__":
    main()
