"""Write the configuration of a campaign of one's own patches."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from patchbench.cli.new_campaign import Given, text
from patchbench.cli.new_tasks import subject_of_repository, task_list
from patchbench.errors import BadInput
from patchbench.patches.sources.folder import SUFFIXES
from patchbench.system import source_folder

# There if the driver of a GPU is loaded.
NVIDIA = Path("/dev/nvidiactl")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("name", metavar="NAME", help="name of the campaign; writes NAME.yaml")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--tasks", metavar="FILE", help="list of performance commits (config/README.md has shapes)"
    )
    source.add_argument(
        "--repo",
        metavar="FOLDER",
        help="git repository of the engine: its commits that patches are named after become the "
        "tasks, in NAME-tasks.yaml",
    )
    parser.add_argument(
        "--patches",
        metavar="FOLDER",
        help="an agent's patches, one COMMIT.diff per task; or a folder of such folders",
    )
    parser.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="the same with a name, for each of several agents",
    )
    parser.add_argument(
        "--command", metavar="WORDS", default="", help="with --repo: benchmark command of all tasks"
    )
    parser.add_argument(
        "--subject", metavar="NAME", default="", help="engine, a file in config/subjects"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="the patches were read and may run as plain processes of this account; without it "
        "they run in containers (a Docker engine)",
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def run(args: argparse.Namespace) -> None:
    """Write NAME.yaml, the configuration of a campaign, from a folder of patches and a task list,
    or from a repository; says what is in it and what comes next."""
    from patchbench.plan import campaign

    if not NAME.fullmatch(args.name):
        raise BadInput(f"NAME {args.name}: letters, digits, and . _ - between them")
    file, listed = Path(f"{args.name}.yaml"), Path(f"{args.name}-tasks.yaml")
    agents = agents_of(args.patches, args.agent)
    made = [file, listed] if args.repo else [file]
    if (there := [str(path) for path in made if path.exists()]) and not args.force:
        raise BadInput(f"{' and '.join(there)}: already there | next: another name, or --force")
    subject: str = args.subject
    notes: list[str] = []
    if args.repo:
        subject = subject or subject_of_repository(Path(args.repo), source_folder.own())
        tasks, notes = task_list(Path(args.repo), agents.values(), subject, args.command)
        listed.write_text(tasks, encoding="utf-8")
    elif not Path(args.tasks).is_file():
        raise BadInput(f"--tasks {args.tasks}: no such file")
    given = Given(
        name=args.name,
        tasks=str(listed) if args.repo else args.tasks,
        subject="" if args.repo else args.subject,
        repository=(subject, args.repo) if args.repo else None,
        agents={name: str(folder) for name, folder in agents.items()},
        trust=args.trust,
        gpus=NVIDIA.exists(),
    )
    file.write_text(text(given), encoding="utf-8")
    try:
        found = campaign.load_file(file)
    except BadInput as error:
        raise BadInput(f"{error} | {file} is written | next: correct it there") from error
    for warning in (*notes, *found.warnings):
        print(f"warning: {warning}")
    runnable = sum(task.exclusion is None for task in found.tasks.values())
    print(
        f"{file}: {len(found.tasks)} tasks, {runnable} with a patch and a usable command; agents: "
        f"{', '.join(found.agents)}; results go to {found.results}"
    )
    print(f"next: patchbench doctor --config {file}")


def agents_of(patches: str | None, named: list[str]) -> dict[str, Path]:
    """Return the agents' folders by name. Raises BadInput."""
    found: dict[str, Path] = {}
    if patches:
        folder = Path(patches)
        below = [sub for sub in sorted(folder.glob("*/")) if has_patches(sub)]
        several = below if below and not has_patches(folder) else [folder]
        found = {agent_name(sub.resolve().name): sub for sub in several}
    for word in named:
        name, _, place = word.partition("=")
        if not (name and place):
            raise BadInput(f"--agent {word}: NAME=FOLDER, such as --agent codex=patches/codex")
        found[agent_name(name)] = Path(place)
    if not found:
        raise BadInput("no patches are named | next: --patches FOLDER, or --agent NAME=FOLDER")
    for name, folder in found.items():
        if not folder.is_dir():
            raise BadInput(f"{folder}: no folder of patches (agent {name})")
    return found


def has_patches(folder: Path) -> bool:
    """Return True if a folder has files that are named like patches."""
    return folder.is_dir() and any(path.suffix in SUFFIXES for path in folder.iterdir())


def agent_name(text: str) -> str:
    """Return an agent's name as paths and tables have it: small letters, digits, ``_ . -``."""
    return re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-._") or "agent"
