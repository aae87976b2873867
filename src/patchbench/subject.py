"""Subjects and their image recipes as their files say it."""

from __future__ import annotations

from typing import Literal

from patchbench.config import Sandbox, Section

BenchType = Literal["serving", "latency", "throughput", "prefix_caching"]
BENCH_TYPES: tuple[BenchType, ...] = ("serving", "latency", "throughput", "prefix_caching")


class Source(Section, frozen=True, kw_only=True):
    """Where a subject's code comes from: a bare git repository, made by ``prepare`` if absent."""

    repo: str
    prepare: tuple[str, ...] = ()


class Overlay(Section, frozen=True, kw_only=True):
    """Untracked files (compiled extensions) that an arm's tree borrows from an installation."""

    folder: str
    patterns: tuple[str, ...]


class Server(Section, frozen=True, kw_only=True):
    """How a subject's server is started, and which flags are its own on a client's line."""

    command: tuple[str, ...]
    ready_path: str = "/health"
    flags: tuple[str, ...] = ()


class Client(Section, frozen=True, kw_only=True):
    """One benchmark client: its command (placeholders in braces) and the words that name it.
    ``preload`` are modules that a serving client imports while the server starts."""

    command: tuple[str, ...]
    detect: tuple[str, ...]
    checks_output: bool = False
    preload: tuple[str, ...] = ()


class OutputCheck(Section, frozen=True, kw_only=True):
    """Fixed prompts at temperature 0 whose answers are compared with the baseline's."""

    prompts: tuple[str, ...]
    max_tokens: int = 16
    path: str = "/v1/completions"
    min_agreement: float = 1.0


class ModelSize(Section, frozen=True, kw_only=True):
    """Models (a regular expression) that need several GPUs by their size alone."""

    match: str
    gpus: int
    why: str


class KnownBug(Section, frozen=True, kw_only=True):
    """An upstream bug that keeps some commits' benchmarks from running."""

    id: str
    commits: tuple[str, ...]
    why: str
    types: tuple[BenchType, ...] = ()


class Known(Section, frozen=True, kw_only=True):
    """What only people know of a subject's commits and models. It excludes tasks; it never
    changes how one is measured."""

    not_perf_commits: dict[str, str] = {}
    dead_models: dict[str, str] = {}
    model_gpus: tuple[ModelSize, ...] = ()
    bugs: tuple[KnownBug, ...] = ()


class Reach(Section, frozen=True, kw_only=True):
    """Paths (folders end in a slash) of code that only one backend runs. With ``env`` they are
    dead code where the workload's environment has these values, whatever the backend."""

    paths: tuple[str, ...]
    backend: str
    env: dict[str, str] = {}


class Subject(Section, frozen=True, kw_only=True):
    """An engine under test, all of it data. File: ``config/subjects/NAME.yaml``."""

    name: str
    title: str
    source: Source
    clients: dict[BenchType, Client]
    server: Server
    model: dict[str, str] = {}
    python: str | None = None
    overlay: Overlay | None = None
    judge_paths: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()
    smoke: tuple[str, ...] = ()
    env: dict[str, str] = {}
    gpu_flags: tuple[str, ...] = ()
    output_check: OutputCheck | None = None
    versions: tuple[str, ...] = ()
    known: Known = Known()
    backend: str = ""
    reach: tuple[Reach, ...] = ()
    native_patterns: tuple[str, ...] = ()


class Fix(Section, frozen=True, kw_only=True):
    """A named mend of an image (a pin, a missing package): what is run, and why."""

    name: str
    why: str
    run: tuple[str, ...]


class Base(Section, frozen=True, kw_only=True):
    """Where an image's dependencies come from: a script that writes a root file system as a tar
    archive, or an image that the engine has (or may pull). ``secrets`` are names of environment
    variables that the script gets; their values are masked in its log."""

    script: str = ""
    image: str = ""
    pull: bool = False
    secrets: tuple[str, ...] = ()


class Prebuilt(Section, frozen=True, kw_only=True):
    """Names of images that others made, with {parent}, {commit} and a length ({parent:.12})."""

    baseline: str
    human: str = ""
    pull: bool = False


class Recipe(Section, frozen=True, kw_only=True):
    """How a subject's images are made. Folder: ``envs/images/NAME/``. ``digest`` covers all of its
    files; ``disk_mb`` is what one commit's images take, as long as none was measured."""

    folder: str
    digest: str
    root: str
    python: str
    base: Base = Base()
    dockerfile: str = "Dockerfile.j2"
    fixes: tuple[Fix, ...] = ()
    env: dict[str, str] = {}
    rebuild: tuple[str, ...] = ()
    server_smoke: tuple[str, ...] | None = None
    sandbox: Sandbox = Sandbox()
    disk_mb: int = 500
    prebuilt: Prebuilt | None = None
