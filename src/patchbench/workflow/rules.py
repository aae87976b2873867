"""Answers to everything that the rules ask of a campaign.

Each method that takes ``wildcards`` is bound in a rule as an input function, a param or a resource
of Snakemake's, which passes the rule's wildcards as strings. Nothing here writes to a disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import msgspec

from patchbench.ledger.blocks import cohort_of, decided_by, place_in_cohort
from patchbench.patches.sources import as_text
from patchbench.plan.campaign import Campaign
from patchbench.records import BASELINE, HUMAN
from patchbench.workflow import record_paths


class Wildcards(Protocol):
    """Snakemake's wildcards of one job; a rule has only those of its own output."""

    commit: str
    arm: str
    block: str
    cohort: str


@dataclass(frozen=True)
class Rules:
    """A view of one campaign, as the rules need it.

    ``config`` is the configuration that the campaign was loaded from; it is handed to the stages
    that read the whole campaign. ``asked`` counts requests for images that were missing, by
    ``COMMIT/ARM``."""

    campaign: Campaign
    config: Mapping[str, Any]
    asked: Mapping[str, int] = field(default_factory=dict)

    # --- lists of the whole campaign -------------------------------------------------------

    @cached_property
    def commits(self) -> list[str]:
        """Commits in the order in which they are worked off."""
        return self.campaign.commits

    @cached_property
    def arms(self) -> list[str]:
        """All arms, the baseline first."""
        return self.campaign.arms

    @cached_property
    def blocks(self) -> list[int]:
        """Numbers of all blocks of a task, over all cohorts."""
        return self.campaign.blocks

    @cached_property
    def results(self) -> Path:
        """The results folder, as a path: in a param's text Snakemake would look for wildcards."""
        return Path(self.campaign.results)

    @cached_property
    def under(self) -> str:
        """The results folder as the campaign writes it, for paths of inputs and outputs."""
        return self.campaign.results

    @cached_property
    def launches(self) -> int:
        """Launches that are sure to come, for the progress display."""
        return self.campaign.launches

    @cached_property
    def most_gpus(self) -> int:
        """GPUs of the largest task; at least 1."""
        return max(self._gpus.values(), default=0) or 1

    def config_json(self, wildcards: Wildcards) -> str:
        """Return the effective configuration as JSON."""
        return self._config

    # --- tasks and patches -----------------------------------------------------------------

    def task_spec(self, wildcards: Wildcards) -> str:
        """Return a task as JSON, the only thing that resolve_task depends on."""
        return msgspec.json.encode(self.campaign.tasks[wildcards.commit]).decode()

    def patch_source(self, wildcards: Wildcards) -> list[str]:
        """Return options that tell fetch_patch where an arm's patches lie."""
        if wildcards.arm == HUMAN:
            return []
        return ["--patches", as_text(self.campaign.patch_sources(wildcards.arm))]

    def patch_fingerprint(self, wildcards: Wildcards) -> str:
        """Return a text that changes with the patch at its source: the reason to fetch it again."""
        if wildcards.arm == HUMAN:
            return self.campaign.patch_fingerprint(wildcards.commit, HUMAN)
        # Loading the campaign has looked at every patch already.
        return self.campaign.members[wildcards.arm].fingerprints[wildcards.commit]

    # --- images ----------------------------------------------------------------------------

    def image_inputs(self, wildcards: Wildcards) -> dict[str, str]:
        """Return the records that an arm's image is made from; a baseline needs the task alone."""
        if wildcards.arm == BASELINE:
            return {}
        place = self.under, wildcards.commit, wildcards.arm
        return {
            "validation": record_paths.patch(*place, "validation.json"),
            "applied": record_paths.patch(*place, "applied.diff"),
            "base": record_paths.image(self.under, wildcards.commit, BASELINE),
        }

    def image_options(self, wildcards: Wildcards) -> list[str]:
        """Return the same records as options of build_image, and how often a missing image has been
        asked for again: a count that grew is a reason to make its record anew. (No option at 0, so
        that results from before there was a count stay as they are.)"""
        options = [f"--{name}={path}" for name, path in self.image_inputs(wildcards).items()]
        asked = self.asked.get(f"{wildcards.commit}/{wildcards.arm}", 0)
        return [*options, f"--asked={asked}"] if asked else options

    def images_of_cohort(self, wildcards: Wildcards) -> list[str]:
        """Return the image records of a cohort's arms."""
        return [
            record_paths.image(self.under, wildcards.commit, arm)
            for arm in self._arms_of(int(wildcards.cohort))
        ]

    # --- blocks ----------------------------------------------------------------------------

    def ready_images(self, wildcards: Wildcards) -> str:
        """Return the file that says that the image records of a block's arms are there."""
        return record_paths.ready(self.under, wildcards.commit, cohort_of(int(wildcards.block)))

    def first_blocks(self, wildcards: Wildcards) -> list[str]:
        """Return the blocks that a block beyond the first ones waits for, as they decide whether it
        is wanted: the first ones, or the block before it, which waited for the others. Empty for a
        block that always runs."""
        first = self.campaign.protocol.blocks
        before = decided_by(int(wildcards.block), first)
        waits = before if len(before) == first else before[-1:]
        return [record_paths.block(self.under, wildcards.commit, block) for block in waits]

    def block_options(self, wildcards: Wildcards) -> list[str]:
        """Return options of run_benchmark: the digest that is the only reason to measure a block
        again, the arms of the block's cohort, and for a block beyond the first ones the statistics,
        by which it may turn out to be unneeded. (One param, not three: Snakemake inspects each
        function of each job.)"""
        block = int(wildcards.block)
        cohort = cohort_of(block)
        digest = self._digest(wildcards.commit, cohort)
        options = ["--digest", digest, "--arms", *self._arms_of(cohort)]
        extra = decided_by(block, self.campaign.protocol.blocks)
        return [*options, self._statistics] if extra else options

    def gpus(self, wildcards: Wildcards) -> int:
        """Return the GPUs that a block's job asks for."""
        return self._gpus[wildcards.commit]

    def block_threads(self, cores: int | None) -> int:
        """Return the threads of a block: all cores where the CPU is what is measured, so that
        nothing runs beside it. Without ``cores``, on a cluster, a profile says what a job gets."""
        return cores if cores and self.campaign.protocol.exclusive else 1

    # --- order and completeness ------------------------------------------------------------

    def by_commit(self, wildcards: Wildcards) -> int:
        """Return a priority that drains commits one after another, in the task list's order."""
        return 100 * (len(self.commits) - self._places[wildcards.commit])

    def by_block(self, wildcards: Wildcards) -> int:
        """Return the same priority, and within a commit block after block: A/A pairs come first."""
        return self.by_commit(wildcards) - place_in_cohort(int(wildcards.block))

    def records(self, wildcards: Wildcards | None = None) -> list[str]:
        """Return what the whole campaign is to leave of its commits: their metrics, and those of
        their other records that are gone. Snakemake does not miss a file that lies between others:
        a block whose folder was deleted would not be measured again otherwise, and a damaged record
        that was deleted, as its message says, would not be made again. (Named always, they were a
        third of a plan's edges.)"""
        wanted: list[str] = []
        for commit in self.commits:
            records = self.records_of(commit)
            gone = [path for path in records if not os.path.exists(path)]  # noqa: PTH110
            # Without any, its metrics ask for all.
            wanted += gone if len(gone) < len(records) else []
            wanted.append(record_paths.metrics(self.under, commit))
        return wanted

    def records_of(self, commit: str) -> list[str]:
        """Return the records of a commit from its task to its last block."""
        patched = self.campaign.patched_arms
        return record_paths.between(self.under, commit, self.arms, patched, self.blocks)

    # --- worked out once -------------------------------------------------------------------

    @cached_property
    def _config(self) -> str:
        return msgspec.json.encode(dict(self.config)).decode()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {commit: place for place, commit in enumerate(self.commits)}

    @cached_property
    def _gpus(self) -> dict[str, int]:
        return {commit: self.campaign.gpus(commit) for commit in self.commits}

    @cached_property
    def _statistics(self) -> str:
        return f"--rules={msgspec.json.encode(self.campaign.statistics).decode()}"

    @cached_property
    def _arms_of(self) -> Callable[[int], list[str]]:
        return cache(self.campaign.arms_of)

    @cached_property
    def _digest(self) -> Callable[[str, int], str]:
        return cache(self.campaign.block_digest)
