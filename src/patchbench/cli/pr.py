"""Judge a pull request: measure two refs of a repository and print a comment."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbench.cli import run as workflow
from patchbench.cli import run_checks
from patchbench.errors import BadInput, Stopped, infra_fault
from patchbench.system import source_folder

if TYPE_CHECKING:
    from patchbench.pull_request.configuration import Request
    from patchbench.pull_request.refs import Refs

BLOCKS, MOST_BLOCKS = 5, 15


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add = parser.add_argument
    add("--repo", type=Path, required=True, help="git repository with both refs (it is only read)")
    add("--base", required=True, metavar="REF", help="branch, tag or commit to compare with")
    add("--head", required=True, metavar="REF", help="branch, tag or commit to judge")
    add(
        "--workload",
        action="append",
        required=True,
        metavar="COMMAND",
        help="benchmark command; repeated: all are searched, with one correction over them",
    )
    add("--subject", metavar="NAME", help="engine: a name in the subjects' folder, or a file")
    add("--metric", help="metric that decides (default: by the type of benchmark)")
    add(
        "--guard",
        action="append",
        metavar="METRIC",
        help="metric that must not get worse (default: by the type of benchmark)",
    )
    add("--margin", type=float, help="smallest change that counts (0.05 is 5 %%)")
    add(
        "--blocks",
        type=_blocks,
        default=(BLOCKS, MOST_BLOCKS),
        metavar="FIRST[:MOST]",
        help="paired blocks, and how many in all if they don't decide "
        f"(default: {BLOCKS}:{MOST_BLOCKS})",
    )
    add("--results", type=Path, help="results folder (default: results/pr-BASE-HEAD)")
    add("--comment", type=Path, metavar="FILE", help="write the comment to this file too")
    add("--runtime", choices=("process", "docker"), help="docker: for changes that nobody has read")
    add("--config", dest="configfile", type=Path, help="configuration whose other keys apply")
    add("--cores", type=int, default=4, help="cores of the run (default: %(default)s)")
    add("--gpus", type=int, default=1, help="GPUs of the run (default: %(default)s)")


def _blocks(text: str) -> tuple[int, int]:
    first, _, most = text.partition(":")
    try:
        found = int(first), int(most or first)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: not like 5 or 5:15") from error
    if found[1] < found[0]:
        raise argparse.ArgumentTypeError(f"{text}: the most is less than the first")
    return found


def run(args: argparse.Namespace) -> None:
    """Measure a pull request against its base, in paired blocks with A/A pairs, through the
    ordinary workflow. Prints a comment in markdown; the exit code tells the verdict
    (docs/pull-requests.md)."""
    from patchbench.plan import results_folder
    from patchbench.pull_request import comment, configuration, ending, judged, refs

    ends = refs.resolve(args.repo, args.base, args.head)
    request = _request(args, ends)
    results_folder.check(request.results, configuration.name(ends), "--results")
    bare = request.folder / configuration.REPO
    refs.bring(args.repo, ends, bare)
    commits = refs.task_commits(bare, ends, request.workloads)
    configuration.write(request, commits)
    _measure(request.config, args)
    results = judged.read(request.results, request.workloads, commits)
    text = comment.comment(results, ends, repeat(args))
    if args.comment:
        args.comment.parent.mkdir(parents=True, exist_ok=True)
        args.comment.write_text(text, encoding="utf-8")
    print(text, end="")
    raise SystemExit(ending.ENDINGS[ending.whole(results)].code)


def _request(args: argparse.Namespace, ends: Refs) -> Request:
    from patchbench.plan import config_file, source_paths
    from patchbench.pull_request.configuration import Request, find_subject, name

    source = source_folder.own()
    given: dict[str, Any] = config_file.read_yaml(args.configfile) if args.configfile else {}
    given = source_paths.resolve(given, source)
    workloads = tuple(dict.fromkeys(" ".join(text.split()) for text in args.workload))
    folder = Path(given.get("subjects", "config/subjects"))
    first, most = args.blocks
    protocol = {"blocks": {"min": first, "max": most} if most > first else first}
    results = args.results or Path("results") / name(ends)
    return Request(
        refs=ends,
        workloads=workloads,
        subject=find_subject(args.subject, folder, workloads),
        results=results.absolute(),
        runtime=args.runtime or given.get("runtime", "process"),
        metric=args.metric,
        guards=tuple(args.guard) if args.guard is not None else None,
        protocol={**protocol, "aa_blocks": first},
        statistics={} if args.margin is None else {"margin": args.margin},
        given=given,
    )


def _measure(config: Path, args: argparse.Namespace) -> None:
    """Run the workflow on a configuration; all that it prints goes to stderr. Raises BadInput,
    before anything is built, for what a run would refuse; InfraFault; Stopped."""
    from patchbench.plan import campaign

    source = source_folder.own()
    for reason in run_checks.refusals(campaign.load_file(config), source):
        raise BadInput(reason)
    limits = ["--cores", str(args.cores), "--resources", f"gpu={args.gpus}"]
    words = workflow.command(config, [], limits, source)
    env = os.environ | {source_folder.COMMAND: repeat(args)}
    child = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *words], stdout=sys.stderr.fileno(), env=env
    )
    try:
        code = child.wait()
    except KeyboardInterrupt:  # the child has got the same signal
        child.wait()
        raise Stopped("interrupted") from None
    if code:
        raise infra_fault("infra.run_failed", f"snakemake ended with {code}: see above")


def repeat(args: argparse.Namespace) -> str:
    """Return the command that measures the same again."""
    words = ["patchbench", "pr", "--repo", str(args.repo), "--base", args.base, "--head", args.head]
    for workload in args.workload:
        words += ["--workload", " ".join(workload.split())]
    for option in ("subject", "metric", "margin", "runtime"):
        if (value := getattr(args, option)) is not None:
            words += [f"--{option}", str(value)]
    for metric in args.guard or ():
        words += ["--guard", metric]
    if args.configfile:
        words += ["--config", str(args.configfile)]
    if args.blocks != (BLOCKS, MOST_BLOCKS):
        words += ["--blocks", ":".join(map(str, args.blocks))]
    return shlex.join(words)
