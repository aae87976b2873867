"""Answers to what rules ask, without Snakemake."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import yaml

from patchbench.plan import campaign, cohorts
from patchbench.records import Task
from patchbench.workflow import resources
from patchbench.workflow.record_paths import OF_PATCH
from patchbench.workflow.rules import Rules

COMMITS = ["1" * 40, "2" * 40, "3" * 40]
FEW, MANY = COMMITS[0], COMMITS[2]
SUBJECT = {
    "title": "Small engine",
    "source": {"repo": "{work}/small.git"},
    "server": {"command": ["small"], "flags": ["-tp"]},
    "clients": {"serving": {"command": ["client"], "detect": ["bench serve"]}},
    "gpu_flags": ["-tp"],
}


def job(commit: str = FEW, arm: str = "alba", block: int = 1, cohort: int = 0) -> Any:
    """Wildcards of a job, texts as Snakemake gives them."""
    return SimpleNamespace(commit=commit, arm=arm, block=str(block), cohort=str(cohort))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A campaign of three commits and two agents, of which brio came later."""
    monkeypatch.chdir(tmp_path)
    for name in ("alba", "brio"):
        Path("patches", name).mkdir(parents=True)
    Path("patches/alba", f"{FEW}.diff").write_text("diff\n")
    Path("rules-subjects").mkdir()
    Path("rules-subjects/small.yaml").write_text(yaml.safe_dump(SUBJECT))
    tasks = [
        {"commit": commit, "subject": "small", "perf_command": f"bench serve --model m -tp {gpus}"}
        for commit, gpus in zip(COMMITS, (1, 2, 16), strict=True)
    ]
    Path("tasks.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    Path("results").mkdir()
    early = {"alba": cohorts.Member(cohort=0, fingerprints={})}
    cohorts.remember(Path("results"), early)
    return {
        "campaign": "test",
        "tasks": ["tasks.yaml"],
        "subjects": "rules-subjects",
        "trust_patches": True,
        "tasks_without_patches": "measure",
        "protocol": {"blocks": {"min": 2, "max": 3}, "aa_blocks": 1, "exclusive": True},
        "agents": {"alba": {"patches": "patches/alba"}, "brio": {"patches": "patches/brio"}},
        "max_gpus_per_task": 8,
    }


@pytest.fixture
def rules(config: dict[str, Any]) -> Rules:
    return Rules(campaign.load(config), config)


def test_lists_of_the_campaign(rules: Rules) -> None:
    assert rules.commits == COMMITS
    assert rules.arms == ["baseline", "human", "alba", "brio"]
    assert rules.blocks == [1, 2, 3, 101, 102, 103]
    assert rules.results == Path("results")
    # Two tasks can be run; two blocks of three arms and an A/A launch in each of two cohorts.
    assert rules.launches == 2 * 2 * (2 * 3 + 1)
    assert rules.most_gpus == 2


def test_the_whole_configuration_is_handed_on(rules: Rules, config: dict[str, Any]) -> None:
    assert json.loads(rules.config_json(job())) == config


def test_a_tasks_specification(rules: Rules) -> None:
    spec = msgspec.json.decode(rules.task_spec(job(MANY)), type=Task)
    assert spec == rules.campaign.tasks[MANY]


def test_sources_and_fingerprints_of_patches(rules: Rules) -> None:
    assert rules.patch_source(job(arm="human")) == []
    assert rules.patch_source(job(arm="alba")) == ["--patches", "patches/alba"]
    assert rules.patch_fingerprint(job(arm="human")) == "git"
    there, none = (rules.patch_fingerprint(job(commit, "alba")) for commit in (FEW, MANY))
    assert there != none


def test_inputs_of_an_image(rules: Rules) -> None:
    assert rules.image_inputs(job(arm="baseline")) == {}
    assert rules.image_options(job(arm="baseline")) == []
    inputs = rules.image_inputs(job(arm="alba"))
    folder = f"results/patches/{FEW}/alba"
    assert inputs == {
        "validation": f"{folder}/validation.json",
        "applied": f"{folder}/applied.diff",
        "base": f"results/images/{FEW}/baseline.json",
    }
    assert rules.image_options(job(arm="alba")) == [f"--{k}={v}" for k, v in inputs.items()]


def test_a_tree_takes_no_place_that_has_to_be_waited_for(rules: Rules) -> None:
    wanted = {"threads": 1, "build": 1, "image_slots": 0, "disk_mb": 50}
    assert resources.of_builds(rules.campaign) == wanted


def test_only_the_first_image_of_a_commit_may_wait_for_room(rules: Rules) -> None:
    docker = msgspec.structs.replace(rules.campaign, runtime="docker")
    asked: Any = resources.of_builds(docker)
    for arm, waits in (("baseline", 1), ("alba", 0)):
        assert asked["image_slots"](job(arm=arm)) == waits
        assert asked["threads"](job(arm=arm)) == asked["build"](job(arm=arm)) == 1 - waits
        assert asked["disk_mb"](job(arm=arm)) == 50


def test_an_image_that_was_missing_is_a_reason_to_ask_again(rules: Rules) -> None:
    asked = dataclasses.replace(rules, asked={f"{FEW}/alba": 2})
    assert asked.image_options(job()) == [*rules.image_options(job()), "--asked=2"]
    assert asked.image_options(job(arm="brio")) == rules.image_options(job(arm="brio"))


def test_images_and_arms_of_a_cohort(rules: Rules) -> None:
    for block, agent in ((1, "alba"), (102, "brio")):
        assert rules.block_options(job(block=block))[2:] == ["--arms", "baseline", "human", agent]
    images = [f"results/images/{FEW}/{arm}.json" for arm in ("baseline", "human", "brio")]
    assert rules.images_of_cohort(job(cohort=1)) == images
    assert rules.ready_images(job(block=2)) == f"results/images/{FEW}/cohort-0.ready"
    assert rules.ready_images(job(block=102)) == f"results/images/{FEW}/cohort-1.ready"


def test_a_block_beyond_the_first_ones_waits_for_them(rules: Rules) -> None:
    assert rules.first_blocks(job(block=2)) == []
    folder = f"results/runs/{FEW}"
    first = [f"{folder}/block-{block}/block.json" for block in (101, 102)]
    assert rules.first_blocks(job(block=103)) == first
    option = rules.block_options(job(block=103))[-1]
    assert json.loads(option.removeprefix("--rules="))["confidence"] == 0.95


def test_the_digest_of_a_block_is_its_cohorts(rules: Rules) -> None:
    options = {block: rules.block_options(job(block=block)) for block in (1, 2, 101)}
    assert {words[0] for words in options.values()} == {"--digest"}
    digests = {block: words[1] for block, words in options.items()}
    assert digests[1] == digests[2] == rules.campaign.block_digest(FEW, 0)
    assert digests[101] == rules.campaign.block_digest(FEW, 1) != digests[1]


def test_gpus_and_threads_of_a_block(rules: Rules) -> None:
    assert [rules.gpus(job(commit)) for commit in COMMITS] == [1, 2, 0]
    assert rules.block_threads(8) == 8
    assert rules.block_threads(None) == 1
    shared = msgspec.structs.replace(rules.campaign.protocol, exclusive=False)
    beside = Rules(msgspec.structs.replace(rules.campaign, protocol=shared), rules.config)
    assert beside.block_threads(8) == 1


def test_commits_are_drained_one_after_another(rules: Rules) -> None:
    commits = [rules.by_commit(job(commit)) for commit in COMMITS]
    assert commits == sorted(commits, reverse=True)
    blocks = [rules.by_block(job(block=block)) for block in (1, 2, 3)]
    assert blocks == sorted(blocks, reverse=True)
    assert min(blocks) > rules.by_block(job(COMMITS[1]))
    assert rules.by_block(job(block=101)) == blocks[0]


def test_records_that_are_gone_are_targets_of_their_own(rules: Rules) -> None:
    metrics = [f"results/metrics/{commit}.json" for commit in COMMITS]
    assert rules.records() == metrics
    made = rules.records_of(FEW)
    patches = {p for p in made if p.startswith(f"results/patches/{FEW}/")}
    assert len(patches) == 3 * len(OF_PATCH)
    assert len(made) == len(set(made)) == 1 + 4 + 6 + len(patches)
    for path in made[1:]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    assert rules.records() == [made[0], *metrics]
