"""The records that stages hand to each other, as JSON files with one schema version.

Times are UTC in ISO 8601, durations seconds, sizes bytes, unless a name says otherwise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from patchbench.config import Containers, DiskRules, Protocol
from patchbench.subject import BenchType, Recipe, Subject

SCHEMA_VERSION = 1

BASELINE, HUMAN, AA = "baseline", "human", "baseline-aa"
# What a block launches that no arm needs.
AA_PAIR = (BASELINE, AA)
# The cause of an outcome that the same command asks again.
IMAGE_MISSING = "image.missing"


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all records: immutable, keyword-only, unknown fields refused."""


# --- what is planned -------------------------------------------------------------------------


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
    """One performance commit: all that stages need to know about it. As planned, its parent is what
    the task lists say; the stage resolve_task checks it against git. ``contradictions`` and
    ``agreements`` are what several lists say of one field."""

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
    agreements: tuple[str, ...] = ()


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
