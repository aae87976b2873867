"""The report as numbers and words, for markdown, HTML, figures and ``report.json``.

Every struct is counted from the campaign's tables (``counts``) and closed (``counts.closure``)
before anything is written. Shares are 0 to 1, ratios over 1 are better for every metric.
"""

from __future__ import annotations

import msgspec

from patchbench.records import Record
from patchbench.report.about import About
from patchbench.verdicts.scores import Mean, Pair, Share, Winners

SCHEMA_VERSION = 1


class Counts(Record, frozen=True, kw_only=True):
    """Tasks of the list, and outcomes that are still to come. ``planned`` are not excluded."""

    tasks: int
    planned: int
    excluded: int
    outcomes: int
    pending: int


class AgentRow(Record, frozen=True, kw_only=True):
    """One arm's line. planned = measured + failed + missing + pending; failed = sum of ``blames``;
    delivered = measured + failed; counted = measured + failed through the agent's fault."""

    arm: str
    title: str
    planned: int
    delivered: int
    missing: int
    pending: int
    measured: int
    failed: int
    counted: int
    blames: dict[str, int]
    success: Share
    faster: Share
    human: Share
    human_reproduced: Share
    types: dict[str, int]
    verdicts: dict[str, int]
    measured_only: Mean
    all_planned: Mean
    to_review: int
    winners: Winners | None = None


class TypeRow(Record, frozen=True, kw_only=True):
    """Measured patches of one benchmark type. ``tasks`` is None where no list of tasks is known."""

    type: str
    tasks: int | None
    agents: dict[str, int]
    total: int


class Excluded(Record, frozen=True, kw_only=True):
    """A task that can't be run here."""

    commit: str
    title: str
    reason: str
    evidence: str


class TaskNote(Record, frozen=True, kw_only=True):
    """A contradiction in the task list, or a problem met when a task was resolved."""

    commit: str
    text: str


class Quality(Record, frozen=True, kw_only=True):
    """The task list: where parents came from, exclusions, contradictions."""

    parents: dict[str, int]
    reasons: dict[str, int]
    excluded: tuple[Excluded, ...]
    notes: tuple[TaskNote, ...]
    not_reproduced: tuple[str, ...]


class Failure(Record, frozen=True, kw_only=True):
    """One arm's failure on one commit. ``link`` is the evidence's file, relative to the report."""

    commit: str
    arm: str
    cause: str
    blame: str
    stage: str
    evidence: str
    file: str = ""
    line: int | None = None
    link: str = ""


class CauseRow(Record, frozen=True, kw_only=True):
    """Failures of one agent by one cause and blame; ``share`` is of all its failures."""

    cause: str
    title: str
    blame: str
    stage: str
    count: int
    share: float
    advice: str
    example: Failure


class AgentFailures(Record, frozen=True, kw_only=True):
    """One agent's patches that gave no valid measurement."""

    arm: str
    title: str
    total: int
    blames: dict[str, int]
    causes: tuple[CauseRow, ...]


class Coverage(Record, frozen=True, kw_only=True):
    """The sources of one agent's patches. planned = delivered + missing + unknown; ``unknown``
    were not looked for yet; ``empty`` and ``refused`` are of the delivered."""

    arm: str
    title: str
    planned: int
    delivered: int
    missing: int
    unknown: int
    empty: int
    refused: int
    conflicts: int
    sources: dict[str, int]
    why_missing: dict[str, int]
    missing_commits: tuple[str, ...]


class Mended(Record, frozen=True, kw_only=True):
    """A patch that was changed, cut or flagged before it was measured."""

    commit: str
    arm: str
    title: str
    text: str


class Diff(Record, frozen=True, kw_only=True):
    """The changes of a patch after validation. ``similarity`` to the human's patch is the Jaccard
    index of the tokens of added lines, ``prompt_overlap`` the share of the human's added lines that
    the agent's prompt showed (both 0 to 1; None where there is nothing to compare)."""

    files: int
    lines_added: int
    lines_removed: int
    tests_touched: bool
    similarity: float | None = None
    prompt_overlap: float | None = None


class PatchQuality(Record, frozen=True, kw_only=True):
    """One arm's patches: medians over them, and how many touch tests or name Python files that
    don't compile or import (``broken``)."""

    arm: str
    title: str
    patches: int
    files: float | None
    lines: float | None
    tests_touched: int
    broken: int
    similarity: float | None
    most_similar: float | None
    prompt_overlap: float | None


class BlockRatio(Record, frozen=True, kw_only=True):
    """One arm's ratio to the baseline in one block, on the primary metric; over 1 is better."""

    block: int
    ratio: float


class Cell(Record, frozen=True, kw_only=True):
    """The outcome of one arm of one task; its status is measured, failed, missing (no patch: no
    failure) or pending. ``human`` compares a faster patch with the human's commit: > faster, ≥ not
    worse by more than the margin, < slower, ~ can't be told apart."""

    arm: str
    status: str
    verdict: str
    mark: str
    cause: str = ""
    blame: str = ""
    stage: str = ""
    evidence: str = ""
    link: str = ""
    line: int | None = None
    value: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p_adjusted: float | None = None
    pairs: int = 0
    blocks_needed: int | None = None
    blocks_measured: int = 0
    blocks_failed: int = 0
    human: str = ""
    review: str = ""
    launches: tuple[int, ...] = ()
    patch: str = ""
    patch_sha256: str = ""
    level: float = 0.95
    diff: Diff | None = None
    block_ratios: tuple[BlockRatio, ...] = ()


class SpeedupRow(Record, frozen=True, kw_only=True):
    """One planned task on its primary metric. ``reference`` says if the human's gain was
    seen; ``baseline`` is the median of the baseline's launches."""

    commit: str
    title: str
    type: str
    metric: str
    unit: str
    baseline: float | None
    margin: float | None
    reference: str
    workload_id: str
    cells: tuple[Cell, ...]


class MeasuringRow(Record, frozen=True, kw_only=True):
    """The measuring of one task: its ``perf_command``; ``measured_by`` the judge, or by the
    commit's own benchmark (``own``: self-measured); the judge's ``load`` in words; what output
    tokens were counted by (ids, text, chunks), and windows that don't count because the judge
    itself was late."""

    commit: str
    metric: str
    measured_by: str
    perf_command: str = ""
    load: str = ""
    counted_by: str = ""
    left_out: int = 0


class AnswersRow(Record, frozen=True, kw_only=True):
    """The check of one arm's answers. ``check`` is the one that was used: the baseline's ``scores``
    of answers under load, the weaker ``fixed prompts`` one at a time (``agreement`` is the share of
    equal answers), or ``none``. ``reason`` says why scores could not be used; gaps are nats per
    token, in the mean."""

    commit: str
    arm: str
    check: str
    status: str = ""
    rule: str = ""
    reason: str = ""
    scored: int | None = None
    gap: float | None = None
    baseline_gap: float | None = None
    agreement: float | None = None


class FindingRow(Record, frozen=True, kw_only=True):
    """One thing that the judge's audit of a launch found: the first request that shows it, and how
    many do. ``link`` is the record, relative to the report."""

    commit: str
    arm: str
    block: int
    window: int
    cause: str
    severity: str
    request: int | None = None
    requests: int
    text: str
    link: str = ""


class GuardRow(Record, frozen=True, kw_only=True):
    """One arm's guard metric (role ``guard``) or cost that decides nothing (``cost``) against the
    baseline's; ``ratio`` > 1 is better."""

    commit: str
    arm: str
    role: str
    metric: str
    title: str
    unit: str
    value: float
    baseline: float
    ratio: float
    low: float
    high: float
    verdict: str


class Single(Record, frozen=True, kw_only=True):
    """One value of one launch that was not repeated: shown, and never compared."""

    commit: str
    arm: str
    metric: str
    value: float
    unit: str


class AaPair(Record, frozen=True, kw_only=True):
    """Two launches of the same code in one block; ``ratio`` of the A/A one to the baseline's."""

    commit: str
    block: int
    metric: str
    ratio: float


class Identical(Record, frozen=True, kw_only=True):
    """A task's A/A pairs, compared as an agent's patch would be; ``ratio`` > 1 is better."""

    commit: str
    metric: str
    pairs: int
    ratio: float
    low: float
    high: float
    margin: float
    verdict: str
    mark: str
    blocks_needed: int | None = None

    @property
    def different(self) -> bool:
        """True if the rule calls identical code different."""
        return self.verdict not in ("same", "inconclusive")

    @property
    def is_open(self) -> bool:
        """True if more pairs would decide it."""
        return self.verdict == "inconclusive" and bool(self.blocks_needed)


class ScatterRow(Record, frozen=True, kw_only=True):
    """The scatter of identical code on a metric, in units of what the intervals allow, with a bound
    that it exceeds with confidence, its number of A/A pairs, and the factor on the intervals."""

    metric: str
    pairs: int
    scatter: float
    bound: float
    widened: float
    commits: int


class ShapeRow(Record, frozen=True, kw_only=True):
    """Something that launches of a task show beside noise: a ratio of values, with its 99 %
    interval if it has one, and the launches that it comes from."""

    commit: str
    metric: str
    what: str
    ratio: float
    low: float | None = None
    high: float | None = None
    launches: int


class Noise(Record, frozen=True, kw_only=True):
    """Tasks on which changes of ``margin`` (0.1 is 10 %) could not be seen, by commit; ``limit`` is
    the smallest change that could be seen on the worst of them, on ``metric`` of ``commit``.
    ``tasks`` is the number of tasks compared, ``aa_pairs`` the number of A/A pairs."""

    limit: float
    margin: float
    commit: str
    metric: str
    commits: tuple[str, ...]
    tasks: int
    aa_pairs: int


class Span(Record, frozen=True, kw_only=True):
    """The work of one lane of the machine between two moments, seconds from the campaign's
    start."""

    lane: str
    start: float
    end: float
    commit: str
    kind: str


class DiskSample(Record, frozen=True, kw_only=True):
    """The disks at one event, seconds from the campaign's start; sizes are bytes."""

    at: float
    event: str
    engine_free: int
    engine_total: int
    results_free: int
    images: int
    commits: int
    seconds: float


class GpuSpan(Record, frozen=True, kw_only=True):
    """The work of a GPU in one launch: seconds since the origin, mean clock (MHz) and power (W)
    while a kernel ran, and the reasons for lowered clocks."""

    lane: str
    start: float
    end: float
    sm_mhz: float | None = None
    power_w: float | None = None
    throttle: str = ""


class Machine(Record, frozen=True, kw_only=True):
    """The work of the machine. Times are seconds, sizes bytes. ``busy`` is the share of the active
    time (pauses over ten minutes left out) in which a launch ran on each GPU slot, and
    ``gpu_working`` the share of the launches' time in which a kernel ran; clock (MHz) and power (W)
    are medians over launches of their means, the temperature (degrees Celsius) is the highest;
    ``throttled`` counts launches by the reason for lowered clocks. Spans and samples count from the
    moment ``origin``."""

    launches: int = 0
    not_launched: int = 0
    launch_seconds: float = 0.0
    origin: str = ""
    first: str = ""
    last: str = ""
    active_seconds: float = 0.0
    pauses: int = 0
    busy: dict[str, float] = msgspec.field(default_factory=dict)
    stages: dict[str, float] = msgspec.field(default_factory=dict)
    images: int = 0
    build_seconds: float = 0.0
    disk_peak: float | None = None
    disk_free_least: int | None = None
    images_most: int = 0
    commits_most: int = 0
    reclaims: int = 0
    releases: int = 0
    waits: int = 0
    wait_seconds: float = 0.0
    refusals: int = 0
    faults: dict[str, int] = msgspec.field(default_factory=dict)
    repeated: dict[str, int] = msgspec.field(default_factory=dict)
    cut_short: int = 0
    infra_outcomes: int = 0
    hosts: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    gpu_working: float | None = None
    gpu_sm_mhz: float | None = None
    gpu_power_w: float | None = None
    gpu_temperature_c: float | None = None
    throttled: dict[str, int] = msgspec.field(default_factory=dict)
    gpu_spans: tuple[GpuSpan, ...] = ()
    load: float | None = None
    spans: tuple[Span, ...] = ()
    disk: tuple[DiskSample, ...] = ()


class Change(Record, frozen=True, kw_only=True):
    """One arm of one task that ended differently in two campaigns, and if that is noise."""

    commit: str
    arm: str
    before: str
    now: str
    factor: float | None = None
    low: float | None = None
    high: float | None = None
    p_adjusted: float | None = None
    conclusion: str


class RateChange(Record, frozen=True, kw_only=True):
    """One agent's rate in two campaigns, on the outcomes that count in both: how many it
    won and lost, and the exact p of so uneven a split by chance (Holm over all agents)."""

    arm: str
    title: str
    rate: str
    before: Share
    now: Share
    won: int
    lost: int
    p: float
    conclusion: str


class CampaignChanges(Record, frozen=True, kw_only=True):
    """The differences between this campaign and an earlier one."""

    name: str
    results: str
    tasks_only_here: int
    tasks_only_there: int
    common: int
    agents_only_here: tuple[str, ...]
    agents_only_there: tuple[str, ...]
    settings: tuple[str, ...]
    equal: int
    compared: int
    rates: tuple[RateChange, ...]
    changes: tuple[Change, ...]


class Words(Record, frozen=True, kw_only=True):
    """Sentences made from the numbers by rules; ``headline`` is the verdict in one."""

    headline: str = ""
    findings: tuple[str, ...] = ()
    ranking: str = ""
    for_agents: tuple[str, ...] = ()
    for_owners: tuple[str, ...] = ()
    for_research: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()


class Report(Record, frozen=True, kw_only=True):
    """The content of a report. ``date`` is ISO 8601."""

    schema_version: int = SCHEMA_VERSION
    patchbench: str
    date: str
    about: About
    counts: Counts
    agents: tuple[AgentRow, ...]
    human: AgentRow | None
    types: tuple[TypeRow, ...]
    quality: Quality
    failures: tuple[AgentFailures, ...]
    all_failures: tuple[Failure, ...]
    task_failures: tuple[Failure, ...]
    coverage: tuple[Coverage, ...]
    mended: tuple[Mended, ...]
    patch_quality: tuple[PatchQuality, ...]
    speedups: tuple[SpeedupRow, ...]
    measuring: tuple[MeasuringRow, ...]
    answers: tuple[AnswersRow, ...]
    findings: tuple[FindingRow, ...]
    guards: tuple[GuardRow, ...]
    singles: tuple[Single, ...]
    pairs: tuple[Pair, ...]
    aa: tuple[AaPair, ...]
    identical: tuple[Identical, ...]
    scatters: tuple[ScatterRow, ...]
    shapes: tuple[ShapeRow, ...] = ()
    visible: float | None = None  # smallest change that could be seen on half of the tasks
    noise: Noise | None
    unchecked: tuple[str, ...]
    machine: Machine
    words: Words = Words()
    compared_with: CampaignChanges | None = None

    @property
    def self_measured(self) -> frozenset[str]:
        """The commits whose figures are those of their own benchmarks."""
        return frozenset(row.commit for row in self.measuring if row.measured_by == "own")
