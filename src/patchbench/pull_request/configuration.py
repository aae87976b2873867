"""The files of a pull request's campaign: configuration, task list, subject, patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from patchbench.errors import BadInput
from patchbench.patches import git
from patchbench.plan import config_file
from patchbench.plan.perf_command import parse_command
from patchbench.pull_request.refs import SHORT, Refs
from patchbench.subject import Subject, SubjectFile
from patchbench.system.files import write_bytes

AGENT = "head"
# Below the results folder: what this command writes for the workflow to read.
FOLDER, CONFIG, REPO = "pull-request", "config.yaml", "repo.git"
# Keys of a configuration that the refs decide.
OURS = ("campaign", "results", "work", "tasks", "parents", "subjects", "agents", "joint", "human")


class Request(NamedTuple):
    """What is asked: the refs, the workloads, and the rules that differ from those of ``given``, a
    configuration whose other keys apply. ``subject`` is the file of the engine."""

    refs: Refs
    workloads: tuple[str, ...]
    subject: Path
    results: Path
    runtime: str = "process"
    metric: str | None = None
    guards: tuple[str, ...] | None = None
    protocol: Mapping[str, Any] = {}
    statistics: Mapping[str, Any] = {}
    given: Mapping[str, Any] = {}

    @property
    def folder(self) -> Path:
        """The folder of the campaign's files."""
        return self.results / FOLDER

    @property
    def config(self) -> Path:
        """The campaign's configuration."""
        return self.folder / CONFIG


def name(refs: Refs) -> str:
    """Return the name of a pull request's campaign."""
    return f"pr-{refs.fork[:SHORT]}-{refs.head[:SHORT]}"


def configuration(request: Request) -> dict[str, Any]:
    """Return the campaign's configuration."""
    given = {key: value for key, value in request.given.items() if key not in OURS}
    protocol = {"exclusive": True} | dict(given.get("protocol", {})) | dict(request.protocol)
    return {
        **given,
        "campaign": name(request.refs),
        "results": str(request.results),
        "work": str(request.results / "work"),
        "runtime": request.runtime,
        "trust_patches": request.runtime == "process",
        "human": False,
        "tasks": [str(request.folder / "tasks.yaml")],
        "subjects": str(request.folder / "subjects"),
        "agents": {
            AGENT: {
                "title": f"head {request.refs.head[:SHORT]}",
                "patches": str(request.folder / "patches"),
            }
        },
        "protocol": protocol,
        "statistics": dict(given.get("statistics", {})) | dict(request.statistics),
    }


def tasks(request: Request, commits: Sequence[str]) -> dict[str, Any]:
    """Return the task list: a task per workload."""
    more: dict[str, Any] = {}
    if request.metric:
        more["primary_metric"] = request.metric
    if request.guards is not None:
        more["guard_metrics"] = list(request.guards)
    return {
        "tasks": [
            {
                "commit": commit,
                "parent": request.refs.fork,
                "subject": request.subject.stem,
                "title": workload,
                "perf_command": workload,
                **more,
            }
            for commit, workload in zip(commits, request.workloads, strict=True)
        ]
    }


def subject(request: Request) -> dict[str, Any]:
    """Return the engine's data with our repository as its source; {work} in other places still
    means the folder that ``given`` names. Raises BadInput."""
    data = config_file.read_yaml(request.subject)
    config_file.read(data, SubjectFile, str(request.subject))
    work = Path(str(request.given.get("work", ".patchbench"))).absolute()
    filled: dict[str, Any] = _filled(data, str(work))
    return filled | {"source": {"repo": str(request.folder / REPO)}}


def _filled(value: Any, work: str) -> Any:
    if isinstance(value, str):
        return value.replace("{work}", work)
    if isinstance(value, dict):
        return {key: _filled(item, work) for key, item in value.items()}
    return [_filled(item, work) for item in value] if isinstance(value, list) else value


def write(request: Request, commits: Sequence[str]) -> None:
    """Write all files of the campaign; a file that would be the same stays as it is."""
    change = git.own_diff(request.folder / REPO, request.refs.fork, request.refs.head)
    texts = {
        request.config: _yaml(configuration(request)),
        request.folder / "tasks.yaml": _yaml(tasks(request, commits)),
        request.folder / "subjects" / f"{request.subject.stem}.yaml": _yaml(subject(request)),
        **{request.folder / "patches" / f"{commit}.diff": change for commit in commits},
    }
    for path, data in texts.items():
        if not path.is_file() or path.read_bytes() != data:
            write_bytes(path, data)


def _yaml(data: Mapping[str, Any]) -> bytes:
    import yaml

    return yaml.safe_dump(dict(data), sort_keys=False, width=100).encode()


def find_subject(named: str | None, folder: Path, workloads: Sequence[str]) -> Path:
    """Return the file of the engine: the one that is named, by its name in the folder of subjects
    or by its path, else the only one that knows the workloads' benchmarks. Raises BadInput."""
    if named is not None:
        for path in (Path(named), folder / f"{named}.yaml"):
            if path.is_file():
                return path
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"
        raise BadInput(f"--subject {named}: no such file, and none of {known} in {folder}")
    lengths = {path: _known(path, workloads) for path in sorted(folder.glob("*.yaml"))}
    best = max(lengths.values(), default=0)
    fitting = [path for path, length in lengths.items() if length == best > 0]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(path.stem for path in fitting)
        raise BadInput(f"{names} know this benchmark | next: say --subject NAME")
    raise BadInput(
        f"no subject of {folder} knows the benchmark of: {workloads[0]} | next: say --subject "
        "NAME, or give the command as the engine's documentation does (vllm bench serve ...)"
    )


def _known(path: Path, workloads: Sequence[str]) -> int:
    """Return how many characters of the benchmarks' names an engine's data knows, 0 if it does not
    know one of the benchmarks: "tinybench throughput" is another's than "bench throughput"."""
    file = config_file.read(config_file.read_yaml(path), SubjectFile, str(path))
    engine = Subject(name=path.stem, **{key: getattr(file, key) for key in file.__struct_fields__})
    lengths = []
    for text in workloads:
        try:
            command = parse_command(text, engine)
        except ValueError as error:
            raise BadInput(f"--workload: {error}: {text}") from error
        names = engine.clients[command.type].detect if command.type else ()
        lengths.append(max((len(n) for n in names if command.program.endswith(n)), default=0))
    return sum(lengths) if all(lengths) else 0
