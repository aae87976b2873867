"""Run the `patchbench` command: one subcommand per module of this package."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from patchbench import __version__
from patchbench.system import program


class Command(NamedTuple):
    """A subcommand: the module that defines ``add_options`` and ``run``, and its line of help.
    ``passes_on``: words that are not its own are another program's."""

    module: str
    summary: str
    passes_on: bool = False


COMMANDS = {
    "init": Command("init", "write the configuration of a campaign of your own patches"),
    "doctor": Command("doctor", "check a campaign before anything is built or measured"),
    "plan": Command("plan", "show what a configuration plans"),
    "run": Command("run", "run a campaign, or go on with one", passes_on=True),
    "status": Command("status", "show the progress of a campaign"),
    "report": Command("report", "render tables and report again from what is there"),
    "pr": Command("pr", "judge a pull request: two refs of a repository, one comment"),
    "import": Command("import_results", "make a report of old results or of a table of counts"),
    "export": Command("export", "write results for SWE-bench, llm-d, Bencher, or as a data set"),
    "parse": Command("parse", "read the metrics in the output of a benchmark"),
    "schema": Command("schema", "print the JSON schema of a configuration, subject or report"),
    "classify": Command("classify", "explain a failure from its logs"),
}
# The words after each command in an example.
EXAMPLES = {
    "init": "mine --tasks tasks.yaml --patches my-agent --trust",
    "doctor": "--config mine.yaml",
    "plan": "--config mine.yaml",
    "run": "--config mine.yaml --resources gpu=2",
    "status": "--config mine.yaml",
    "report": "--config mine.yaml --against results/before",
    "pr": "--repo . --base main --head fix --workload 'vllm bench serve --model m'",
    "import": "--agent Codex=old/codex --mapping tasks.json",
    "export": "--to swebench --results results/mine",
    "parse": "server.log client.log",
    "schema": "config",
    "classify": "server.stderr client.stderr",
}


def main(words: Sequence[str] | None = None) -> None:
    """Run one subcommand; what can't be done ends with one line on stderr and a non-zero code."""
    program.run(lambda: _run(sys.argv[1:] if words is None else words))


def _run(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="patchbench",
        description="Does an AI agent's performance patch really make the inference engine "
        "faster? Patches to a verdict in three commands: init, doctor, run.",
        epilog="Each command has its own --help. Exit codes: 0 done, 1 a negative answer, 2 wrong "
        "usage or input, 75 a fault of the machine, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"patchbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        options = commands.add_parser(
            name, help=command.summary, allow_abbrev=not command.passes_on
        )
        # Only the module in use is imported, so that `--version` and `--help` answer at once.
        if name in words[:1]:
            module = importlib.import_module(f"patchbench.cli.{command.module}")
            options.description = module.run.__doc__
            module.add_options(options)
            example = f"Example: patchbench {name} {EXAMPLES[name]}"
            options.epilog = f"{example} | {options.epilog}" if options.epilog else example
            options.set_defaults(run=module.run)
    args, rest = parser.parse_known_args(words)
    if rest and not COMMANDS[words[0]].passes_on:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    args.run(args)


if __name__ == "__main__":
    main()
