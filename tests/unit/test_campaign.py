"""What a person plans is read, completed with defaults and checked before anything runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from snakemake.cli import parse_config

from patchbench.config import Limits, Protocol
from patchbench.errors import BadInput
from patchbench.patches.sources import forget
from patchbench.plan import cohorts
from patchbench.plan.campaign import Campaign, load

COMMITS = [f"{index}" * 40 for index in range(1, 4)]
SUBJECT: dict[str, Any] = {
    "title": "Small engine",
    "source": {"repo": "{work}/small.git"},
    "server": {"command": ["{python}", "-m", "small"]},
    "clients": {"serving": {"command": ["client"], "detect": ["bench serve"]}},
}
Plan = Callable[..., dict[str, Any]]


def entry(commit: str, **more: Any) -> dict[str, Any]:
    """One task of a list."""
    return {"commit": commit, "subject": "small", "perf_command": "bench serve --model m", **more}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A campaign on disk; returns its configuration with the given keys replaced."""
    monkeypatch.chdir(tmp_path)
    for name in ("alba", "brio"):
        (tmp_path / "patches" / name).mkdir(parents=True)
    folders = (tmp_path / f"subjects-{number}" for number in itertools.count())

    def write(
        tasks: Any = None, subject: dict[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        listed = {"tasks": [entry(c) for c in COMMITS]} if tasks is None else {"tasks": tasks}
        Path("tasks.yaml").write_text(yaml.safe_dump(listed))
        # A folder of its own each time: what was read once may be remembered.
        folder = next(folders)
        folder.mkdir()
        (folder / "small.yaml").write_text(yaml.safe_dump(subject or SUBJECT))
        return {
            "campaign": "test",
            "tasks": ["tasks.yaml"],
            "subjects": str(folder),
            "trust_patches": True,
            "tasks_without_patches": "measure",
            "agents": {
                "alba": {"patches": "patches/alba", "title": "Alba"},
                "brio": {"patches": "patches/brio"},
            },
            **more,
        }

    return write


# --- what is read ---------------------------------------------------------------------------------


def test_what_is_not_said_has_its_default(plan: Plan) -> None:
    found = load(plan())
    assert (found.results, found.work, found.runtime) == ("results", ".patchbench", "process")
    assert found.protocol == Protocol()
    assert found.statistics.margin == 0.01
    assert found.statistics.min_blocks == 3
    assert found.warnings == ()


def test_a_default_stays_beside_what_is_said(plan: Plan) -> None:
    found = load(plan(protocol={"blocks": 7, "limits": {"start": 5}}, statistics={"margin": 0.1}))
    assert found.protocol == Protocol(blocks=7, limits=Limits(start=5))
    assert (found.statistics.margin, found.statistics.confidence) == (0.1, 0.95)


def test_tasks_keep_the_order_of_their_lists(plan: Plan) -> None:
    config = plan(tasks=[entry(COMMITS[2]), entry(COMMITS[0])])
    Path("more.yaml").write_text(yaml.safe_dump({"tasks": [entry(COMMITS[1])]}))
    found = load({**config, "tasks": ["tasks.yaml", "more.yaml"]})
    assert found.commits == [COMMITS[2], COMMITS[0], COMMITS[1]]


def test_arms_are_the_baseline_the_human_and_each_agent(plan: Plan) -> None:
    found = load(plan())
    assert found.arms == ["baseline", "human", "alba", "brio"]
    assert found.patched_arms == ["human", "alba", "brio"]


def test_the_work_folder_is_filled_into_a_subject_and_nothing_else(plan: Plan) -> None:
    found = load(plan(work="elsewhere")).tasks[COMMITS[0]].subject
    assert found.source.repo == "elsewhere/small.git"
    assert found.server.command[0] == "{python}"
    assert found.name == "small"


def test_launches_count_every_arm_in_every_block_of_what_can_run(plan: Plan) -> None:
    tasks = [entry(COMMITS[0]), entry(COMMITS[1], perf_command=None)]
    assert load(plan(tasks=tasks, protocol={"blocks": 5, "aa_blocks": 2})).launches == 5 * 4 + 2
    # The second pair has a block of its own.
    assert load(plan(tasks=tasks, protocol={"blocks": 1, "aa_blocks": 2})).launches == 4 + 1 + 2


def test_the_primary_metric_is_the_tasks_or_the_types(plan: Plan) -> None:
    found = load(plan(tasks=[entry(COMMITS[0]), entry(COMMITS[1], primary_metric="output_tps")]))
    assert found.tasks[COMMITS[0]].primary_metric == "ttft_median_ms"
    assert found.tasks[COMMITS[1]].primary_metric == "output_tps"


# --- what is refused, in one line that says where -------------------------------------------------


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as caught:
        load(config, "config.yaml")
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_keys_on_the_command_line_are_read_as_what_they_are(plan: Plan) -> None:
    given = parse_config(
        ["protocol={blocks: {min: 3, max: 7}, exclusive: true, limits: {start: 2.5}}"]
    )
    found = load(plan(**given)).protocol
    assert (found.blocks, found.max_blocks, found.exclusive) == (3, 7, True)
    assert found.limits.start == 2.5
    assert load(plan(**parse_config(["protocol={blocks: 4}"]))).protocol.blocks == 4
    assert load(plan(**parse_config(["disk={wait: 3}"]))).disk.wait == 3
    text = refusal(plan(**parse_config(["protocol={windows: few}"])))
    assert "protocol.windows: 'few'; wanted: a whole number" in text


def test_an_unknown_key_names_the_file(plan: Plan) -> None:
    text = refusal(plan(protocoll={"blocks": 3}))
    assert "config.yaml: top level: unknown key 'protocoll'; did you mean 'protocol'?" in text


def test_a_margin_of_an_unknown_metric_is_refused(plan: Plan) -> None:
    text = refusal(plan(statistics={"margins": {"ttft_median": 0.1}}))
    assert text == (
        "config.yaml: statistics.margins: unknown metric 'ttft_median'; did you mean "
        "'ttft_median_ms'?"
    )
    assert load(plan(statistics={"margins": {"startup_s": 0.1}})).statistics.margins


def test_an_unknown_key_of_a_task_names_the_list(plan: Plan) -> None:
    text = refusal(plan(tasks=[entry(COMMITS[0], primary_metrics="x")]))
    assert text.startswith("tasks.yaml: tasks.0 (commit 11111111): ")
    assert "did you mean 'primary_metric'?" in text


def test_an_unknown_key_of_a_subject_names_its_file(plan: Plan) -> None:
    text = refusal(plan(subject={**SUBJECT, "clients": {"severing": {}}}))
    assert "small.yaml: clients: unknown key 'severing'; did you mean 'serving'?" in text


def test_a_missing_task_list_is_refused(plan: Plan) -> None:
    text = refusal({**plan(), "tasks": ["tasks.yaml", "gone.yaml"]})
    assert text == "config.yaml: tasks.1: no such file: gone.yaml"


def test_a_task_list_that_is_no_yaml_is_refused_with_its_line(plan: Plan) -> None:
    config = plan()
    Path("tasks.yaml").write_text("tasks:\n  - commit: [\n")
    assert "tasks.yaml: line 3: not valid YAML" in refusal(config)


def test_a_short_hash_is_refused(plan: Plan) -> None:
    assert "tasks.0.commit" in refusal(plan(tasks=[entry("c0ffee")]))


def test_an_unknown_subject_is_refused_with_those_known(plan: Plan) -> None:
    text = refusal(plan(tasks=[entry(COMMITS[0], subject="large")]))
    assert "unknown subject 'large'" in text
    assert "known: small" in text


def test_a_commit_that_stands_in_the_lists_twice_is_one_task_with_its_contradictions(
    plan: Plan,
) -> None:
    other = entry(COMMITS[0], perf_command="bench serve --model other", title="One")
    found = load(plan(tasks=[entry(COMMITS[0]), entry(COMMITS[1]), other, entry(COMMITS[1])]))
    assert found.commits == COMMITS[:2]
    first, second = found.tasks.values()
    assert (first.perf_command, first.title) == ("bench serve --model m", "One")
    assert len(first.contradictions) == 1
    assert "--model other" in first.contradictions[0]
    assert second.contradictions == ()


def test_a_command_with_an_open_quote_is_refused_by_its_commit(plan: Plan) -> None:
    text = refusal(plan(tasks=[entry(COMMITS[1], perf_command="bench serve --model 'm")]))
    assert "commit 22222222: perf_command: No closing quotation" in text


def test_a_placeholder_that_nobody_fills_is_refused_by_its_subject(plan: Plan) -> None:
    text = refusal(plan(subject={**SUBJECT, "server": {"command": ["{pyhton}"]}}))
    assert "small.yaml: server.command: unknown placeholder {pyhton}" in text


def test_the_process_runtime_is_for_trusted_patches_only(plan: Plan) -> None:
    assert "trust_patches" in refusal({**plan(), "trust_patches": False})
    config = plan()
    del config["trust_patches"]
    assert "trust_patches: true" in refusal(config)


def test_a_missing_folder_of_patches_is_a_warning(plan: Plan) -> None:
    agents = {"alba": {"patches": "patches/alba"}, "gone": {"patches": "nowhere"}}
    found = load({**plan(), "agents": agents}, "config.yaml")
    assert found.warnings == (
        "config.yaml: agents.gone.patches: no folder nowhere, so its coverage is 0",
    )
    assert found.patch_fingerprint(COMMITS[0], "gone") == "missing"


# --- when a block is measured again ---------------------------------------------------------------


def block_digest(config: dict[str, Any], commit: str = COMMITS[0]) -> str:
    return load(config).block_digest(commit)


def test_the_digest_is_the_same_for_the_same_plan(plan: Plan) -> None:
    assert block_digest(plan()) == block_digest(plan())
    assert block_digest(plan()) != block_digest(plan(), COMMITS[1])


# Everything that a subject's file, a task and a recipe can say, as digests of 2026-11 have it.
FULL_SUBJECT: dict[str, Any] = {
    **SUBJECT,
    "source": {"repo": "{work}/small.git", "prepare": ["{python}", "make.py", "{repo}"]},
    "python": "/opt/python",
    "overlay": {"folder": "/opt/site", "patterns": ["*.so"]},
    "judge_paths": ["bench/"],
    "out_of_scope": ["docs/*"],
    "smoke": ["{python}", "-c", "import small"],
    "env": {"B": "2", "A": "1"},
    "model": {"m": "/models/m"},
    "gpu_flags": ["--tensor-parallel-size"],
    "versions": ["small"],
    "backend": "cuda",
    "reach": [{"paths": ["rocm/"], "needs": {"backend": ["rocm"]}}],
    "plumbing": ["envs.py"],
    "facts": {"server": ["server.py"]},
    "native_patterns": ["*.cu"],
    "known": {
        "not_perf_commits": {"abcdef12": "docs only"},
        "dead_models": {"gone": "404"},
        "model_gpus": [{"match": "70B", "gpus": 2, "why": "size"}],
        "bugs": [{"id": "1", "commits": ["abcdef12"], "types": ["serving"], "why": "port"}],
    },
    "server": {"command": ["{python}", "-m", "small"], "ready_path": "/ready", "flags": ["--x"]},
    "clients": {
        "serving": {"command": ["client"], "detect": ["bench serve"]},
        "latency": {"command": ["slow"], "detect": ["bench latency"], "checks_output": True},
    },
    "output_check": {
        "prompts": ["one", "two"],
        "max_tokens": 8,
        "path": "/p",
        "min_agreement": 0.5,
    },
}


def full_plan(plan: Plan) -> dict[str, Any]:
    recipe = Path("recipes/small")
    recipe.mkdir(parents=True)
    (recipe / "Dockerfile.j2").write_text("FROM {{ base }}\n")
    text = {"root": "/src", "python": "/usr/bin/python3", "base": {"image": "base:1"}}
    (recipe / "recipe.yaml").write_text(yaml.safe_dump({**text, "sandbox": {"cpus": 3}}))
    task = entry(
        COMMITS[0],
        perf_command="A=1 bench serve --model m --x 1 --num-prompts 7",
        parent="f" * 40,
        title="One",
        primary_metric="output_tps",
        guard_metrics=["total_tps"],
    )
    Path(f"patches/alba/{COMMITS[0][:8]}.diff").write_text("one")
    return plan(
        tasks=[task],
        subject=FULL_SUBJECT,
        runtime="docker",
        recipes="recipes",
        images={"small": {"baseline": "x:{parent}", "pull": True}},
        containers={
            "gpu": "devices",
            "mounts": [{"from": "/usr", "to": "/usr"}],
            "env": {"L": "1"},
            "sandbox": {"memory_mb": 512, "cpus": 2},
        },
        protocol={
            "measure": "own",
            "windows": 2,
            "exclusive": True,
            "blocks": {"min": 3, "max": 5},
        },
    )


def test_digests_are_those_of_results_that_people_have(plan: Plan) -> None:
    """A change here makes every finished block of every campaign be measured again."""
    assert block_digest(plan(protocol={"measure": "own"})) == "53d58389c7ebcc66"
    full = full_plan(plan)
    assert block_digest(full) == "54aab7ca82100365"
    del full["runtime"], full["images"]
    assert block_digest(full) == "8e6ef063aa560d67"


def test_a_patchs_content_changes_its_own_commits_digest_only(plan: Plan) -> None:
    config = plan()
    before = [block_digest(config, commit) for commit in COMMITS]
    patch = Path(f"patches/brio/{COMMITS[1][:8]}.diff")
    patch.write_text("one")
    one = [block_digest(config, commit) for commit in COMMITS]
    patch.write_text("two")
    two = [block_digest(config, commit) for commit in COMMITS]
    assert (before[0], before[2]) == (one[0], one[2]) == (two[0], two[2])
    assert len({before[1], one[1], two[1]}) == 3


def test_a_patch_under_a_longer_name_is_the_same_patch(plan: Plan) -> None:
    config = plan()
    short = Path(f"patches/brio/{COMMITS[0][:8]}.diff")
    short.write_text("one")
    before = block_digest(config)
    short.rename(f"patches/brio/{COMMITS[0]}.patch")
    assert block_digest(config) == before


@pytest.mark.parametrize(
    "more",
    [
        {"tasks": [entry(COMMITS[0], title="Another title")]},
        {"tasks": [entry(COMMITS[0], primary_metric="output_tps", guard_metrics=["total_tps"])]},
        {"protocol": {"blocks": 9, "aa_blocks": 3, "arm_failures": 5, "limits": {"start": 1}}},
        {"statistics": {"margin": 0.5}},
        {"max_gpus_per_task": 8},
        {"work": "elsewhere", "subject": {**SUBJECT, "source": {"repo": "same.git"}}},
        {"results": "other-results"},
        {"campaign": "renamed"},
    ],
    ids=lambda more: ", ".join(more),
)
def test_what_changes_no_run_measures_nothing_again(plan: Plan, more: dict[str, Any]) -> None:
    same = {"subject": more["subject"]} if "subject" in more else {}
    before = block_digest(plan(tasks=[entry(COMMITS[0])], **same))
    assert block_digest(plan(**{"tasks": [entry(COMMITS[0])], **more})) == before


@pytest.mark.parametrize(
    "more",
    [
        {"tasks": [entry(COMMITS[0], perf_command="bench serve --model other")]},
        {"tasks": [entry(COMMITS[0], parent="f" * 40)]},
        {"subject": {**SUBJECT, "env": {"A": "1"}}},
        {"subject": {**SUBJECT, "server": {"command": ["other"]}}},
        {"protocol": {"exclusive": True}},
        {"agents": {"alba": {"patches": "patches/alba"}}},
    ],
    ids=lambda more: ", ".join(more),
)
def test_what_changes_a_run_measures_again(plan: Plan, more: dict[str, Any]) -> None:
    before = block_digest(plan(tasks=[entry(COMMITS[0])]))
    assert block_digest(plan(**{"tasks": [entry(COMMITS[0])], **more})) != before


def test_a_tasks_spec_survives_its_way_through_json(plan: Plan) -> None:
    """Snakemake hands each job its spec as JSON."""
    spec = load(plan(tasks=[entry(COMMITS[0], guard_metrics=["output_tps"])])).tasks[COMMITS[0]]
    again = msgspec.json.decode(msgspec.json.encode(spec), type=type(spec))
    assert msgspec.json.encode(again) == msgspec.json.encode(spec)
    assert again.guard_metrics == ("output_tps",)
    assert again.subject == spec.subject


# --- what was measured stays measured -------------------------------------------------------------


def ran(config: dict[str, Any]) -> Campaign:
    """A campaign that was run: its members are remembered."""
    forget()
    found = load(config)
    cohorts.remember(Path(found.results), found.members)
    return found


def patch(agent: str, commit: str = COMMITS[0]) -> Path:
    path = Path("patches", agent, f"{commit[:8]}.diff")
    path.write_text(f"--- a/{agent}\n")
    return path


def test_a_patch_folder_that_is_away_for_a_run_measures_nothing_again(plan: Plan) -> None:
    patch("alba")
    first = ran(plan())
    Path("patches/alba").rename("patches/elsewhere")
    away = ran(plan())
    assert away.digests == first.digests
    assert [w for w in away.warnings if "what was read last counts until that is mended" in w]
    Path("patches/elsewhere").rename("patches/alba")
    back = ran(plan())
    assert (back.digests, back.warnings) == (first.digests, ())
    assert back.members == first.members


def test_a_patch_folder_that_never_was_there_is_coverage_0(plan: Plan) -> None:
    Path("patches/alba").rmdir()
    found = ran(plan())
    assert found.warnings[0].endswith("no folder patches/alba, so its coverage is 0")
    assert set(found.members["alba"].fingerprints.values()) == {"missing"}


def test_an_agent_with_a_new_name_measures_nothing_again(plan: Plan) -> None:
    patch("alba")
    first = ran(plan())
    agents = {"alba-2": {"patches": "patches/alba"}, "brio": {"patches": "patches/brio"}}
    for _ in range(2):
        found = ran(plan(agents=agents))
        assert (found.digests, found.arms) == (first.digests, first.arms)
        assert found.agents["alba"].title == "alba-2"
        assert "agents.alba-2: has the patches of alba" in found.warnings[0]
    patch("alba", COMMITS[1])  # one that changes later is still that agent's
    later = ran(plan(agents=agents))
    assert later.arms == first.arms
    assert later.digests[COMMITS[0]] == first.digests[COMMITS[0]]


def test_an_agent_that_was_taken_out_keeps_its_digests(plan: Plan) -> None:
    patch("brio")
    one = ran(plan(agents={"alba": {"patches": "patches/alba"}}))
    ran(plan())
    now = ran(plan(agents={"alba": {"patches": "patches/alba"}}))
    assert now.digests == one.digests
    assert len(now.remembered_digests(COMMITS[0])) == 2


def test_no_task_is_a_mistake_not_an_empty_report(plan: Plan) -> None:
    with pytest.raises(BadInput, match=r"tasks: the lists name no task"):
        load(plan(tasks=[]))
