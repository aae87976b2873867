"""The table of causes."""

from __future__ import annotations

import re

import pytest

from patchbench.failures.attribution import CLEAR_OF_LIMIT
from patchbench.failures.causes import BLAMES, CAUSES, LONGEST_WAIT, Retry, retry
from patchbench.failures.gpu_memory import FOREIGN_SHARE
from patchbench.failures.signatures import table
from tests.unit.conftest import ROOT

STAGES = {
    "resolve_task", "fetch_patch", "validate_patch", "build_image", "server_start",
    "output_check", "benchmark", "parse_metrics", "any",
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_has_a_stage_a_blame_and_words_for_a_person(name: str) -> None:
    cause = CAUSES[name]
    assert cause.stage in STAGES
    assert cause.blame in BLAMES
    assert cause.title and cause.advice
    assert not cause.title.endswith(".")


def test_causes_of_the_machine_are_never_an_agents() -> None:
    for name, cause in CAUSES.items():
        if name.startswith("infra."):
            assert cause.blame == "infra", name
        if name.startswith("harness."):
            assert cause.blame == "harness", name
        if name.startswith(("image.", "task.")):
            assert cause.blame != "agent", name


def test_only_a_patch_that_never_came_is_missing() -> None:
    assert [name for name, cause in CAUSES.items() if cause.missing] == ["patch.missing"]


def test_every_cause_that_a_signature_names_is_in_the_table() -> None:
    assert {row.cause for row in table()} <= CAUSES.keys()


def test_every_cause_that_the_code_names_is_in_the_table() -> None:
    named = re.compile(r'"((?:patch|image|bench|check|harness|sandbox|server|task)\.[a-z_]+)"')
    used = {
        (path.name, name)
        for path in (ROOT / "src" / "patchbench").rglob("*.py")
        for name in named.findall(path.read_text(encoding="utf-8"))
        if not name.endswith((".diff", ".py", ".txt", ".command"))
    }
    assert sorted(f"{file}: {name}" for file, name in used if name not in CAUSES) == []
    assert {"patch.empty", "bench.partial", "check.failed"} <= {name for _, name in used}


# --- launching again ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_says_how_often_to_launch(name: str) -> None:
    assert retry(name).attempts >= 1
    assert retry(name).wait_seconds >= 0


def test_what_the_patch_or_the_task_did_is_not_tried_again() -> None:
    """Blocks repeat launches anyway; the machine's faults, and what nothing explains, are."""
    again = {name.partition(".")[0] for name in CAUSES if retry(name).attempts > 1}
    assert again == {"infra", "killed", "unknown", "bench", "image", "harness"}
    assert {name for name in CAUSES if retry(name).attempts > 1 and name.startswith("bench")} == {
        "bench.client_failed"
    }


def test_pauses_grow_and_have_an_end() -> None:
    policy = Retry(5, 60.0)
    assert [policy.wait(made) for made in (1, 2, 3, 4)] == [60.0, 120.0, 240.0, 480.0]
    assert [policy.again(made) for made in (0, 1, 4, 5, 6)] == [True, True, True, False, False]
    assert policy.wait(10_000) == LONGEST_WAIT
    assert Retry(1).wait(3) == 0.0 and not Retry(1).again(1)
    with pytest.raises(KeyError):
        retry("infra.none_such")


# --- the page for people --------------------------------------------------------------------------


def again(name: str) -> str:
    """A retry policy in the words of docs/blame.md."""
    policy = retry(name)
    if policy.attempts == 1:
        return "no"
    pause = f", {policy.wait_seconds:.0f} s apart" if policy.wait_seconds else ""
    return f"{policy.attempts}{pause}"


def test_the_page_on_blame_has_the_table() -> None:
    rows = [
        f"| `{name}` | {cause.title} | {cause.stage} | {cause.blame}{'*' if cause.shared else ''} "
        f"| {again(name)} | {cause.advice} |"
        for name, cause in CAUSES.items()
    ]
    page = (ROOT / "docs" / "blame.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith("| `")] == rows, "\n".join(rows)


def test_the_page_on_blame_names_the_numbers_of_the_code() -> None:
    page = " ".join((ROOT / "docs" / "blame.md").read_text(encoding="utf-8").split())
    assert f"hold more than {FOREIGN_SHARE * 100:.0f} % of the card" in page
    assert CLEAR_OF_LIMIT == 0.5 and "the baseline needed more than half" in page
