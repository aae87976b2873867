"""Records that stages hand to each other as JSON files, with one schema version.

Times are UTC in ISO 8601, durations seconds, sizes bytes, unless a name says otherwise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from patchbench.config import Containers, DiskRules, Protocol
from patchbench.load import DataSetFile, Load
from patchbench.subject import BenchType, Recipe, Subject

SCHEMA_VERSION = 1

BASELINE, HUMAN, AA = "baseline", "human", "baseline-aa"
Answers = Literal["checked", "ignored"]
# The launches of a block that no arm needs.
AA_PAIR = (BASELINE, AA)
# The cause of an outcome that the same command asks again.
IMAGE_MISSING = "image.missing"


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all records: immutable, keyword-only, unknown fields refused."""


# --- what is planned -------------------------------------------------------------------------


class Exclusion(Record, frozen=True, kw_only=True):
    """The reason why a task can't be run, by name, and the fact behind it."""

    reason: str
    evidence: str


class Workload(Record, frozen=True, kw_only=True):
    """One rendered benchmark, the same for every arm.

    ``server_args`` and ``client_args`` are added to the subject's commands; ``requests`` is the
    number of requests that a valid serving result must have completed. ``load`` is what the judge
    sends; None: the commit's own benchmark measures (``measure: own``).
    """

    type: BenchType
    model: str
    server_args: tuple[str, ...]
    client_args: tuple[str, ...]
    env: dict[str, str]
    gpus: int
    requests: int | None = None
    load: Load | None = None


class ParentFacts(Record, frozen=True, kw_only=True):
    """What a parent's tree says of its engine, empty if it says nothing. ``python`` are PEP 440
    specifiers, ``enabled`` are options of the server that are on by default, ``data`` is the data
    set that the task's command means and that has to be there.
    ``places`` are files and lines by field."""

    engine: str = ""
    ready: str = ""
    python: str = ""
    data: str = ""
    enabled: tuple[str, ...] = ()
    places: dict[str, str] = {}


class Task(Record, frozen=True, kw_only=True):
    """One performance commit with all that stages need. As planned, its parent is that of the task
    lists; the stage resolve_task checks it against git. ``contradictions`` and ``agreements``
    compare what several lists give for one field. ``substitute`` is the model that the
    configuration names for engines that don't know the task's own; ``facts`` come from the
    parent's tree; ``data_sets`` are those that the configuration names; ``answers`` that are
    ignored are not checked."""

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
    substitute: str | None = None
    facts: ParentFacts | None = None
    data_sets: dict[str, DataSetFile] = {}
    answers: Answers = "checked"


# --- what happened ---------------------------------------------------------------------------


class Evidence(Record, frozen=True, kw_only=True):
    """The line that shows what happened, with its file."""

    text: str
    file: str = ""
    line: int | None = None


class Outcome(Record, frozen=True, kw_only=True):
    """The end of a stage for one commit and arm. ``cause`` is a key of failures.causes, ``advice``
    the next step for a person, ``command`` the command that repeats the stage by hand."""

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
    """One place that was searched for a patch."""

    source: str
    path: str
    found: bool
    sha256: str | None = None
    size: int | None = None
    time: str | None = None
    note: str = ""


WhyMissing = Literal["never_ran", "empty", "lost"]


class Fetched(Outcome, frozen=True, kw_only=True):
    """Result of fetch_patch: all places searched, the one taken first. ``conflicts`` are places
    with another patch. If there is no patch, ``why_missing`` says why: no trace of a run, a run
    that delivered nothing, or a patch that is gone."""

    candidates: tuple[Candidate, ...] = ()
    source: str | None = None
    sha256: str | None = None
    size: int = 0
    conflict: bool = False
    conflicts: tuple[str, ...] = ()
    why_missing: WhyMissing | None = None
    prompt: str | None = None


class Validated(Outcome, frozen=True, kw_only=True):
    """Result of validate_patch. ``applied_sha256`` is the digest of applied.diff beside it, the
    diff that will be measured."""

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
    ``control`` is the result of the parent's image in the same smoke test."""

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
    """One step of a launch: server_start, output_check, benchmark, stop. ``flags`` are limits that
    the sandbox enforced during it: oom, pids. ``cpu_s`` are the server's processor seconds
    meanwhile, where they were measured."""

    name: str
    status: Literal["ok", "failed", "timeout"]
    seconds: float
    exit_code: int | None = None
    detail: str = ""
    flags: tuple[str, ...] = ()
    cpu_s: float | None = None


class Run(Record, frozen=True, kw_only=True):
    """Facts of one launch of one arm, before grading. ``tree`` is the folder of the arm's files as
    its processes saw it, with a slash at the end; ``seen`` are faults of the machine that were seen
    from outside of the launch, by cause."""

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
    seen: dict[str, str] = {}
    provenance: dict[str, str] = {}


class Block(Record, frozen=True, kw_only=True):
    """One pass over arms of a task: their order, and the folder of each launch."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    block: int
    digest: str
    order: tuple[str, ...]
    runs: tuple[str, ...]
    status: Literal["done", "excluded", "not_needed"]


# --- what it means ---------------------------------------------------------------------------


class Finding(Record, frozen=True, kw_only=True):
    """One thing that the judge's audit found: the first request that shows it, how many do. A
    ``fault`` makes the launch not count, and ``cause`` is its cause; a ``note`` is made worthless
    by the metrics, or is honest. ``window`` is the window of the launch, 0 if it is not known."""

    cause: str
    severity: Literal["fault", "note"]
    request: int | None
    requests: int
    text: str
    window: int = 0


class AnswerCheck(Record, frozen=True, kw_only=True):
    """The conclusion from the scores of an arm's answers. ``rule`` is the first rule that flags it;
    ``worst`` is the request with the largest mean gap; ``mean_gap`` and ``baseline_gap`` are
    trimmed means in nats."""

    status: Literal["like_baseline", "wrong_output", "not_usable"]
    reason: str = ""
    rule: str = ""
    worst: int | None = None
    worst_gap: float = 0.0
    mean_gap: float = 0.0
    baseline_gap: float = 0.0
    answers: int = 0
    launches: int = 0


CountedBy = Literal["", "ids", "text", "chunks"]


class GradedRun(Record, frozen=True, kw_only=True):
    """One launch, graded from its raw files: metrics, or the cause why there are none. ``windows``
    are the metrics of each window if a launch has several; together they make one value.

    ``traceback`` are the files of the decisive traceback, relative to the arm's tree; ``frames``
    tells if the patch changed any of them (empty: its files aren't known). ``suspected`` are faults
    of the machine that only the arm's own log shows.

    If the judge measured, ``counted_by`` says what output tokens were counted by (empty: the
    figures are the commit's own benchmark's), ``findings`` are what its audit found, and
    ``left_out`` are windows that don't count because the judge itself was late.
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
    suspected: tuple[str, ...] = ()
    traceback: tuple[str, ...] = ()
    frames: Literal["", "in patch", "not in patch", "none"] = ""
    phase_seconds: dict[str, float] = {}
    agreement: float | None = None
    counted_by: CountedBy = ""
    findings: tuple[Finding, ...] = ()
    left_out: tuple[int, ...] = ()
    launched: bool = True
    started: str = ""
    ended: str = ""
    folder: str = ""
    image: str = ""
    patch_sha256: str | None = None
    provenance: dict[str, str] = {}


class ArmResult(Record, frozen=True, kw_only=True):
    """The result of one arm of a task over all its blocks. ``answers`` is the check of the answers
    that it gave under load, over all blocks; None if the judge did not measure it."""

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
    answers: AnswerCheck | None = None


class Metrics(Record, frozen=True, kw_only=True):
    """Result of parse_metrics for one commit; it can be made again without a GPU."""

    schema_version: int = SCHEMA_VERSION
    commit: str
    digests: tuple[str, ...]
    runs: tuple[GradedRun, ...]
    arms: tuple[ArmResult, ...]
