"""The records that stages hand to each other, as JSON files with one schema version.

Times are UTC in ISO 8601, durations seconds, sizes bytes, unless a name says otherwise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

BASELINE, HUMAN, AA = "baseline", "human", "baseline-aa"
# What a block launches that no arm needs.
AA_PAIR = (BASELINE, AA)

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
    """One benchmark client: its command (placeholders in braces) and the words that name it.
    ``preload`` are modules that a serving client imports while the server starts."""

    command: tuple[str, ...]
    detect: tuple[str, ...]
    checks_output: bool = False
    preload: tuple[str, ...] = ()


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


class Sandbox(Record, frozen=True, kw_only=True):
    """What a container may use. Sizes are MiB; ``cpus`` None means all; ``user`` is UID:GID."""

    memory_mb: int = 16384
    cpus: float | None = None
    pids: int = 2048
    shm_mb: int = 1024
    tmp_mb: int = 4096
    user: str = "65534:65534"


class Mount(Record, frozen=True, kw_only=True, rename={"source": "from", "target": "to"}):
    """A folder of the host that containers see, read-only."""

    source: str
    target: str


class Fix(Record, frozen=True, kw_only=True):
    """A named mend of an image (a pin, a missing package): what is run, and why."""

    name: str
    why: str
    run: tuple[str, ...]


class Base(Record, frozen=True, kw_only=True):
    """Where an image's dependencies come from: a script that writes a root file system as a tar
    archive, or an image that the engine has (or may pull). ``secrets`` are names of environment
    variables that the script gets; their values are masked in its log."""

    script: str = ""
    image: str = ""
    pull: bool = False
    secrets: tuple[str, ...] = ()


class Prebuilt(Record, frozen=True, kw_only=True):
    """Names of images that others made, with {parent}, {commit} and a length ({parent:.12})."""

    baseline: str
    human: str = ""
    pull: bool = False


class Recipe(Record, frozen=True, kw_only=True):
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


class Containers(Record, frozen=True, kw_only=True):
    """What of containers depends on the machine: where the engine listens, how they get a GPU."""

    engine: str = ""
    gpu: Literal["none", "nvidia", "devices"] = "none"
    devices: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    env: dict[str, str] = {}


class DiskRules(Record, frozen=True, kw_only=True):
    """How much disk a campaign may take. ``wait`` and ``patience`` are seconds; ``reserve_mb`` and
    ``reserve_inodes`` stay free on the engine's and the results' file systems; ``outcomes_mb`` is
    set aside in the results folder and given up last, so that outcomes can still be written."""

    image_slots: int = 3
    reserve_mb: int = 2048
    reserve_inodes: int = 10000
    outcomes_mb: int = 32
    keep_finished: int = 0
    patience: float = 20.0
    wait: float = 86400.0


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
    """How arms are measured. Of these only ``exclusive`` and ``windows`` make measured blocks
    invalid. ``blocks`` always run; up to ``max_blocks``, if that is more, for arms that are open.
    The baseline runs twice in the first ``aa_blocks``; those that no arm needs hold nothing else.
    ``windows`` are measured one after another on one server launch."""

    blocks: int = 5
    max_blocks: int = 0
    windows: int = 1
    aa_blocks: int = 1
    arm_failures: int = 2
    exclusive: bool = False
    limits: Limits = Limits()

    @property
    def last_block(self) -> int:
        """The last block that an arm may get."""
        return max(self.blocks, self.max_blocks)

    @property
    def most_blocks(self) -> int:
        """Blocks that a task may get, those that hold an A/A pair alone too."""
        return max(self.last_block, self.aa_blocks)


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
    recipe: Recipe | None = None
    containers: Containers = Containers()
    disk: DiskRules = DiskRules()
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
    """Result of validate_patch. The diff that will be measured lies beside it, applied.diff;
    ``applied_sha256`` is its digest."""

    patch_sha256: str | None = None
    applied_sha256: str = ""
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
    """Result of build_image. ``image`` is content-addressed: equal inputs give an equal name.
    ``size`` and ``own_size`` (beyond its parent) are bytes, ``layers`` digests from the base up;
    ``control`` says how the parent's image did in the same smoke test."""

    runtime: str = ""
    image: str = ""
    image_id: str = ""
    made_from: str = ""
    layers: tuple[str, ...] = ()
    size: int = 0
    own_size: int = 0
    rebuilt: bool = False
    control: str = ""
    patch: str = ""
    patch_sha256: str | None = None
    seconds: float = 0.0
    versions: dict[str, str] = {}


class Phase(Record, frozen=True, kw_only=True):
    """One step of a run: server_start, output_check, benchmark, stop. ``flags`` are limits that a
    sandbox enforced meanwhile: oom, pids."""

    name: str
    status: Literal["ok", "failed", "timeout"]
    seconds: float
    exit_code: int | None = None
    detail: str = ""
    flags: tuple[str, ...] = ()


class Run(Record, frozen=True, kw_only=True):
    """Facts of one launch of one arm, without any judgement: grading reads it later. ``tree`` is
    where the arm's files lay for its processes, with a slash at the end."""

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
    tree: str = ""
    patch_sha256: str | None = None
    phases: tuple[Phase, ...] = ()
    upstream: Outcome | None = None
    provenance: dict[str, str] = {}


class Block(Record, frozen=True, kw_only=True):
    """One pass over arms of a task: the order they ran in and where each run's facts lie."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    block: int
    digest: str
    order: tuple[str, ...]
    runs: tuple[str, ...]
    status: Literal["done", "excluded", "not_needed"]


# --- what it means ---------------------------------------------------------------------------


class GradedRun(Record, frozen=True, kw_only=True):
    """One run, judged from its raw files: metrics, or the cause why there are none. ``windows`` are
    the metrics of each measured window where a launch has several; they make one value of it.

    ``traceback`` are the files that the decisive traceback went through, relative to the arm's
    tree; ``frames`` says whether the patch changed any of them (empty: its files aren't known).
    """

    arm: str
    block: int
    position: int
    status: Literal["measured", "failed"]
    metrics: dict[str, float] = {}
    windows: tuple[dict[str, float], ...] = ()
    format: str = ""
    cause: str | None = None
    blame: str | None = None
    stage: str | None = None
    evidence: Evidence | None = None
    other_causes: tuple[str, ...] = ()
    traceback: tuple[str, ...] = ()
    frames: Literal["", "in patch", "not in patch", "none"] = ""
    phase_seconds: dict[str, float] = {}
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
    frames: Literal["", "in patch", "not in patch", "none"] = ""
    blocks_measured: int = 0
    blocks_failed: int = 0


class Metrics(Record, frozen=True, kw_only=True):
    """Result of parse_metrics for one commit: re-gradable without a GPU."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    digests: tuple[str, ...]
    runs: tuple[GradedRun, ...]
    arms: tuple[ArmResult, ...]
