"""The records that stages hand to each other, as JSON files with one schema version.

Times are UTC in ISO 8601, durations seconds, sizes bytes, unless a name says otherwise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

BASELINE, HUMAN, AA = "baseline", "human", "baseline-aa"

BenchType = Literal["serving", "latency", "throughput", "prefix_caching"]
BENCH_TYPES: tuple[BenchType, ...] = ("serving", "latency", "throughput", "prefix_caching")


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all records: immutable, keyword-only, unknown fields refused."""


# --- what is planned -------------------------------------------------------------------------


class Source(Record, frozen=True, kw_only=True):
    """Where a subject's code comes from: a bare git repository, made by ``prepare`` if absent."""

    repo: str
    prepare: tuple[str, ...] = ()


class Overlay(Record, frozen=True, kw_only=True):
    """Untracked files (compiled extensions) that an arm's tree borrows from an installation."""

    folder: str
    patterns: tuple[str, ...]


class Server(Record, frozen=True, kw_only=True):
    """How a subject's server is started, and which flags are its own on a client's line."""

    command: tuple[str, ...]
    ready_path: str = "/health"
    flags: tuple[str, ...] = ()


class Client(Record, frozen=True, kw_only=True):
    """One benchmark client: its command (placeholders in braces) and the words that name it."""

    command: tuple[str, ...]
    detect: tuple[str, ...]
    checks_output: bool = False


class OutputCheck(Record, frozen=True, kw_only=True):
    """Fixed prompts at temperature 0 whose answers are compared with the baseline's."""

    prompts: tuple[str, ...]
    max_tokens: int = 16
    path: str = "/v1/completions"
    min_agreement: float = 1.0


class ModelSize(Record, frozen=True, kw_only=True):
    """Models (a regular expression) that need several GPUs by their size alone."""

    match: str
    gpus: int
    why: str


class KnownBug(Record, frozen=True, kw_only=True):
    """An upstream bug that keeps some commits' benchmarks from running."""

    id: str
    commits: tuple[str, ...]
    why: str
    types: tuple[BenchType, ...] = ()


class Known(Record, frozen=True, kw_only=True):
    """What only people know of a subject's commits and models. It excludes tasks; it never
    changes how one is measured."""

    not_perf_commits: dict[str, str] = {}
    dead_models: dict[str, str] = {}
    model_gpus: tuple[ModelSize, ...] = ()
    bugs: tuple[KnownBug, ...] = ()


class Reach(Record, frozen=True, kw_only=True):
    """Paths (folders end in a slash) of code that only one backend runs. With ``env`` they are
    dead code where the workload's environment has these values, whatever the backend."""

    paths: tuple[str, ...]
    backend: str
    env: dict[str, str] = {}


class Subject(Record, frozen=True, kw_only=True):
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


class Limits(Record, frozen=True, kw_only=True):
    """Time limits of each phase, seconds. Every wait has one, and it ends the process tree."""

    build: float = 1800.0
    smoke: float = 300.0
    start: float = 600.0
    check: float = 120.0
    benchmark: float = 1800.0
    stop: float = 20.0
    gpu_wait: float = 86400.0


class Protocol(Record, frozen=True, kw_only=True):
    """How arms are measured. Of these only ``exclusive`` makes measured blocks invalid."""

    blocks: int = 5
    aa_blocks: int = 1
    arm_failures: int = 2
    exclusive: bool = False
    limits: Limits = Limits()


class Exclusion(Record, frozen=True, kw_only=True):
    """Why a task can't be run: a named reason and the fact that it rests on."""

    reason: str
    evidence: str


class Workload(Record, frozen=True, kw_only=True):
    """One rendered benchmark, the same for every arm.

    ``server_args`` and ``client_args`` are what this task adds to the subject's commands;
    ``requests`` is how many requests a valid serving result must have completed.
    """

    type: BenchType
    model: str
    server_args: tuple[str, ...]
    client_args: tuple[str, ...]
    env: dict[str, str]
    gpus: int
    requests: int | None = None


class Task(Record, frozen=True, kw_only=True):
    """One performance commit, resolved: all that later stages need to know about it."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    title: str
    subject: Subject
    perf_command: str
    primary_metric: str
    guard_metrics: tuple[str, ...]
    parent: str | None
    parent_origin: str
    workload: Workload | None
    workload_id: str | None
    exclusion: Exclusion | None
    protocol: Protocol
    runtime: str
    work: str
    warnings: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()


# --- what happened ---------------------------------------------------------------------------


class Evidence(Record, frozen=True, kw_only=True):
    """The line that shows what happened, and where it stands."""

    text: str
    file: str = ""
    line: int | None = None


class Outcome(Record, frozen=True, kw_only=True):
    """What a stage found for one commit and arm. ``cause`` is a key of failures.causes, ``advice``
    what the person can do about it, ``command`` what finds the same again when run by hand."""

    schema_version: int = SCHEMA_VERSION
    stage: str
    commit: str
    arm: str
    status: Literal["ok", "failed", "excluded"]
    cause: str | None = None
    evidence: Evidence | None = None
    log: str | None = None
    advice: str = ""
    command: str = ""


class Candidate(Record, frozen=True, kw_only=True):
    """One place where a patch was looked for."""

    source: str
    path: str
    found: bool
    sha256: str | None = None
    size: int | None = None
    time: str | None = None
    note: str = ""


WhyMissing = Literal["never_ran", "empty", "lost"]


class Fetched(Outcome, frozen=True, kw_only=True):
    """Result of fetch_patch: all sources seen, the one taken first. ``conflicts`` are places with
    another patch than the one taken; ``why_missing`` is the coverage reason where there is none:
    no trace of a run, a run that delivered nothing, or a run whose patch is gone."""

    candidates: tuple[Candidate, ...] = ()
    source: str | None = None
    sha256: str | None = None
    size: int = 0
    conflict: bool = False
    conflicts: tuple[str, ...] = ()
    why_missing: WhyMissing | None = None
    prompt: str | None = None


class Validated(Outcome, frozen=True, kw_only=True):
    """Result of validate_patch. The diff that will be measured lies beside it, applied.diff."""

    patch_sha256: str | None = None
    normalised: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    stripped: tuple[str, ...] = ()
    lines_added: int = 0
    lines_removed: int = 0
    flags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hunks: int = 0
    python_only: bool | None = None
    tests_touched: bool | None = None
    similarity: float | None = None
    prompt_overlap: float | None = None


class Built(Outcome, frozen=True, kw_only=True):
    """Result of build_image. ``image`` is content-addressed: equal inputs give an equal name."""

    runtime: str = ""
    image: str = ""
    patch: str = ""
    patch_sha256: str | None = None
    seconds: float = 0.0
    versions: dict[str, str] = {}


class Phase(Record, frozen=True, kw_only=True):
    """One step of a run: server_start, output_check, benchmark, stop."""

    name: str
    status: Literal["ok", "failed", "timeout"]
    seconds: float
    exit_code: int | None = None
    detail: str = ""


class Run(Record, frozen=True, kw_only=True):
    """Facts of one launch of one arm, without any judgement: grading reads it later."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    block: int
    arm: str
    position: int
    status: Literal["launched", "passed_on", "not_repeated"]
    block_digest: str
    workload_id: str | None
    started: str
    ended: str
    folder: str
    image: str = ""
    patch_sha256: str | None = None
    phases: tuple[Phase, ...] = ()
    upstream: Outcome | None = None
    provenance: dict[str, str] = {}


class Block(Record, frozen=True, kw_only=True):
    """One pass over all arms of a task: the order they ran in and where each run's facts lie."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    block: int
    digest: str
    order: tuple[str, ...]
    runs: tuple[str, ...]
    status: Literal["done", "excluded"]


# --- what it means ---------------------------------------------------------------------------


class GradedRun(Record, frozen=True, kw_only=True):
    """One run, judged from its raw files: metrics, or the cause why there are none."""

    arm: str
    block: int
    position: int
    status: Literal["measured", "failed"]
    metrics: dict[str, float] = {}
    format: str = ""
    cause: str | None = None
    blame: str | None = None
    stage: str | None = None
    evidence: Evidence | None = None
    other_causes: tuple[str, ...] = ()
    agreement: float | None = None
    launched: bool = True
    started: str = ""
    ended: str = ""
    folder: str = ""
    image: str = ""
    patch_sha256: str | None = None
    provenance: dict[str, str] = {}


class ArmResult(Record, frozen=True, kw_only=True):
    """What became of one arm of a task over all its blocks."""

    arm: str
    status: Literal["measured", "failed", "excluded"]
    cause: str | None = None
    blame: str | None = None
    stage: str | None = None
    evidence: Evidence | None = None
    log: str | None = None
    blocks_measured: int = 0
    blocks_failed: int = 0


class Metrics(Record, frozen=True, kw_only=True):
    """Result of parse_metrics for one commit: re-gradable without a GPU."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    digests: tuple[str, ...]
    runs: tuple[GradedRun, ...]
    arms: tuple[ArmResult, ...]
