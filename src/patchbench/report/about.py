"""The subject of a report: agents, rules, and the limits of the results' origin.

It is written beside the tables (``about.json``), so that a results folder can be rendered, or
compared with another, without the configuration that it came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from patchbench.config import Protocol, VerdictRules
from patchbench.errors import BadInput
from patchbench.plan.campaign import Campaign
from patchbench.records import BASELINE, HUMAN, SCHEMA_VERSION, Record
from patchbench.system.files import read_json, write_json

FILE = "about.json"

# campaign: measured here, in paired blocks. single-shot: one launch each of another harness, read
# again from its raw output. counts: a table of outcomes without any raw output.
Kind = Literal["campaign", "single-shot", "counts"]


class Rules(Record, frozen=True, kw_only=True):
    """Rules of measurement and verdicts, as far as the report tells them. Time limits are seconds;
    ``margin`` and ``guard_margin`` are relative changes."""

    blocks: int
    max_blocks: int
    aa_blocks: int
    arm_failures: int
    start_limit: float
    benchmark_limit: float
    build_limit: float
    confidence: float
    margin: float
    guard_margin: float
    min_blocks: int
    implausible: float
    review_ratio: float
    review_human_gain: float


class About(Record, frozen=True, kw_only=True):
    """The facts about a campaign that its report needs. ``agents`` are titles by arm, in the
    report's order; ``origins`` are the places of each agent's imported results; ``notes`` stand in
    the report's methods."""

    schema_version: int = SCHEMA_VERSION
    name: str
    kind: Kind = "campaign"
    agents: dict[str, str]
    subjects: tuple[str, ...] = ()
    results: str
    runtime: str = ""
    date: str = ""
    rules: Rules | None = None
    origins: dict[str, str] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def compared(self) -> bool:
        """Return True if there are speedups: only paired, repeated launches have them."""
        return self.kind == "campaign"

    def title(self, arm: str) -> str:
        """Return an arm's name in the report."""
        return self.agents.get(arm) or arm


def of(campaign: Campaign) -> About:
    """Return the facts about a measured campaign that its report needs."""
    return About(
        name=campaign.name,
        agents={name: agent.title or name for name, agent in campaign.agents.items()},
        subjects=tuple(sorted({task.subject.title for task in campaign.tasks.values()})),
        results=campaign.results,
        runtime=campaign.runtime,
        rules=rules_of(campaign.protocol, campaign.statistics),
    )


def rules_of(protocol: Protocol, statistics: VerdictRules) -> Rules:
    """Return the rules as a reader of the report needs them."""
    limits = protocol.limits
    return Rules(
        blocks=protocol.blocks,
        max_blocks=protocol.max_blocks,
        aa_blocks=protocol.aa_blocks,
        arm_failures=protocol.arm_failures,
        start_limit=limits.start,
        benchmark_limit=limits.benchmark,
        build_limit=limits.build,
        confidence=statistics.confidence,
        margin=statistics.margin,
        guard_margin=statistics.guard_margin,
        min_blocks=statistics.min_blocks,
        implausible=statistics.implausible,
        review_ratio=statistics.review_ratio,
        review_human_gain=statistics.review_human_gain,
    )


def write(about: About, results: Path) -> None:
    """Write ``about.json`` beside the tables."""
    write_json(results / FILE, about)


def read(results: Path) -> About:
    """Return the facts about a results folder. If no report was ever rendered there, only the name
    and the arms are known. Raises BadInput if it has no tables."""
    path = results / FILE
    if path.is_file():
        return read_json(path, About)
    table = results / "tables" / "outcomes.parquet"
    if not table.is_file():
        raise BadInput(
            f"{results}: neither {FILE} nor tables/outcomes.parquet, so this is no results folder "
            "with tables | next: render its report once (patchbench report --config CONFIG)"
        )
    import pyarrow.parquet as pq

    arms = dict.fromkeys(map(str, pq.read_table(table, columns=["arm"])["arm"].to_pylist()))
    agents = {arm: arm for arm in arms if arm not in (BASELINE, HUMAN)}
    return About(name=results.name, agents=agents, results=str(results))
