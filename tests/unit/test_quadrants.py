"""Quadrants, and the published table that our functions give to the printed digit.

Counts and printed figures: the predecessor's paper (arXiv 2602.19594), table of 39 vLLM and 15
SGLang tasks. The rows that they were counted from lie in ../shared/data/isobench, where present.
"""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import pytest

from patchbench.errors import BadInput
from patchbench.plan import campaign
from patchbench.report.tables import collect
from patchbench.verdicts.statistics import mcnemar, wilson
from patchbench.verdicts.targets import Quadrants, count, quadrant, read_targets, target_of
from tests.unit import synthetic

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "../shared/data/isobench/per_commit_hard_soft_master.csv"

# project, agent: counts in four quadrants, hard %, true %, Wilson interval of true % (or None).
TABLE = {
    ("vllm", "claude_code"): ((18, 15, 4, 2), 56.4, 46.2, (31.6, 61.4)),
    ("vllm", "codex"): ((8, 20, 5, 6), 33.3, 20.5, (10.8, 35.5)),
    ("vllm", "trae_sonnet"): ((11, 20, 2, 6), 33.3, 28.2, (16.5, 43.8)),
    ("vllm", "trae_gpt5"): ((7, 27, 1, 4), 20.5, 17.9, (9.0, 32.7)),
    ("vllm", "openhands_sonnet45"): ((17, 15, 4, 3), 53.8, 43.6, None),
    ("vllm", "openhands_gpt5"): ((11, 16, 6, 6), 43.6, 28.2, None),
    ("sglang", "claude_code"): ((4, 8, 3, 0), 46.7, 26.7, (10.9, 52.0)),
    ("sglang", "codex"): ((12, 3, 0, 0), 80.0, 80.0, (54.8, 93.0)),
    ("sglang", "trae_sonnet"): ((12, 3, 0, 0), 80.0, 80.0, (54.8, 93.0)),
    ("sglang", "trae_gpt5"): ((13, 2, 0, 0), 86.7, 86.7, (62.1, 96.3)),
    ("sglang", "openhands_sonnet45"): ((2, 12, 0, 1), 13.3, 13.3, None),
    ("sglang", "openhands_gpt5"): ((5, 8, 1, 1), 40.0, 33.3, None),
}
GAPS = {
    ("vllm", "claude_code"): 10.3,
    ("vllm", "codex"): 12.8,
    ("vllm", "trae_sonnet"): 5.1,
    ("vllm", "trae_gpt5"): 2.6,
    ("sglang", "claude_code"): 20.0,
    ("sglang", "codex"): 0.0,
    ("sglang", "trae_sonnet"): 0.0,
    ("sglang", "trae_gpt5"): 0.0,
}
# project, two agents: commits with a true success of only the first, of only the second, p.
DUELS = [
    ("vllm", "claude_code", "codex", 13, 3, 0.021),
    ("vllm", "claude_code", "trae_gpt5", 13, 2, 0.007),
    ("sglang", "claude_code", "codex", 0, 8, 0.008),
]
# The paper prints what was known then; the saved rows have this agent's later results.
CHANGED = {("vllm", "openhands_sonnet45"): (22, 10, 4, 3)}


def percent(share: float | None) -> float:
    assert share is not None
    return round(100 * share, 1)


@pytest.mark.parametrize("key", TABLE, ids=" ".join)
def test_the_published_percentages_to_the_printed_digit(key: tuple[str, str]) -> None:
    counts, hard, true, interval = TABLE[key]
    found = Quadrants(*counts)
    assert found.total == {"vllm": 39, "sglang": 15}[key[0]]
    assert (percent(found.hard), percent(found.true)) == (hard, true)
    if interval:
        low, high = wilson(found.true_success, found.total)
        assert (percent(low), percent(high)) == interval
    if key in GAPS:
        assert percent(found.gap) == GAPS[key]


def test_the_published_share_of_right_targets() -> None:
    found = Quadrants(*TABLE["vllm", "trae_gpt5"][0])
    assert percent(found.target) == 87.2
    # Printed as the difference of two rounded figures, 87.2 - 17.9; the share itself is 69.2 %.
    assert round(percent(found.target) - percent(found.true), 1) == 69.3


@pytest.mark.parametrize(("project", "first", "second", "only", "other", "p"), DUELS)
def test_the_published_p_values_to_the_printed_digit(
    project: str, first: str, second: str, only: int, other: int, p: float
) -> None:
    assert round(mcnemar(only, other), 3) == p


# --- the same from the saved rows -----------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    if not PUBLISHED.is_file():
        pytest.skip(f"{PUBLISHED.name} is not here")
    with PUBLISHED.open(newline="") as file:
        return list(csv.DictReader(file))


def cells(rows: list[dict[str, str]], project: str, agent: str) -> dict[str, str]:
    """The quadrant of each commit, from the judged target and the hard result."""
    targets = read_targets(PUBLISHED)
    return {
        row["commit"]: quadrant(targets[row["commit"], agent], row["hard"] in ("beats", "similar"))
        for row in rows
        if (row["project"], row["agent"]) == (project, agent)
    }


@pytest.mark.parametrize("key", TABLE, ids=" ".join)
def test_the_saved_rows_give_the_published_counts(
    rows: list[dict[str, str]], key: tuple[str, str]
) -> None:
    assert count(cells(rows, *key).values()) == CHANGED.get(key, TABLE[key][0])


@pytest.mark.parametrize(("project", "first", "second", "only", "other", "p"), DUELS)
def test_the_saved_rows_give_the_published_duels(
    rows: list[dict[str, str]],
    project: str,
    first: str,
    second: str,
    only: int,
    other: int,
    p: float,
) -> None:
    one, two = ({c for c, q in cells(rows, project, a).items() if q == "true success"}
                for a in (first, second))  # fmt: skip
    assert (len(one - two), len(two - one)) == (only, other)


def test_only_the_same_target_is_a_stricter_reading(rows: list[dict[str, str]]) -> None:
    targets = read_targets(PUBLISHED)
    found = count(
        quadrant(
            targets[row["commit"], "claude_code"], row["hard"] in ("beats", "similar"), {"same"}
        )
        for row in rows
        if (row["project"], row["agent"]) == ("vllm", "claude_code")
    )
    assert percent(found.true) == 20.5


# --- judged targets -------------------------------------------------------------------------------


def test_each_quadrant_has_its_name() -> None:
    assert quadrant("same", True) == quadrant("related", True) == "true success"
    assert quadrant("same", False) == "good intent"
    assert quadrant("different", True) == quadrant("none", True) == "lucky win"
    assert quadrant("none", False) == "failure"


def test_shares_of_nothing_are_unknown() -> None:
    found = count([None, None])
    assert found == (0, 0, 0, 0)
    assert (found.true, found.hard, found.gap, found.target) == (None,) * 4


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("commit,agent,target,why", *lines)) + "\n")
    return path


def test_targets_are_found_by_the_first_characters_of_a_commit(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "aaaaaaaa,alba,Same,", "bbbbbbbb,alba,no_optimization,x")
    found = read_targets(path)
    assert target_of(found, "a" * 40, "alba") == "same"
    assert target_of(found, "b" * 40, "alba") == "none"
    assert target_of(found, "a" * 40, "brio") is None
    assert target_of(found, "c" * 40, "alba") is None


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (("aaaaaaaa,alba,elsewhere,",), "line 2: target 'elsewhere'"),
        (("aaaaaaaa,alba,,",), "line 2: no target"),
        (("aaaa,alba,same,",), "line 2: commit 'aaaa' has under 8 characters"),
        (("aaaaaaaa,alba,same,", "aaaaaaaa,alba,none,"), "line 3: .* judged same before"),
    ],
)
def test_a_judgement_that_can_not_be_used_is_named(
    tmp_path: Path, lines: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint):
        read_targets(write(tmp_path / "t.csv", *lines))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.csv"):
        read_targets(tmp_path / "none.csv")


def test_quadrants_stand_beside_our_verdicts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    planned = synthetic.plan(tmp_path)
    synthetic.fill(planned)
    write(
        tmp_path / "judged.csv",
        f"{synthetic.A[:8]},alba,related,",
        f"{synthetic.A[:8]},brio,same,",
        f"{synthetic.B},alba,different,",
        f"{synthetic.C},alba,same,",
    )
    planned = msgspec.structs.replace(planned, judged_targets="judged.csv")
    rows = collect.tables(planned)["outcomes"].to_pylist()
    assert {(r["commit"][0], r["arm"]): r["quadrant"] for r in rows if r["target"]} == {
        ("a", "alba"): "true success",
        ("a", "brio"): "good intent",
        ("b", "alba"): "failure",
        ("c", "alba"): None,  # still pending
    }


def test_judged_targets_that_are_not_there_end_the_run_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    synthetic.plan(tmp_path)
    config = {
        "campaign": "c",
        "tasks": ["tasks.yaml"],
        "subjects": "subjects",
        "trust_patches": True,
        "agents": {"alba": {"patches": "patches/alba"}},
        "judged_targets": "judged.csv",
    }
    with pytest.raises(BadInput, match=r"judged_targets: judged\.csv: no such file"):
        campaign.load(config)
    write(tmp_path / "judged.csv", "aaaaaaaa,alba,same,")
    assert campaign.load(config).judged_targets == "judged.csv"
