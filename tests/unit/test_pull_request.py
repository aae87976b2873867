"""Pull requests: refs, the campaign that is made of them, endings, and the comment."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from patchbench.cli import pr
from patchbench.cli.main import main
from patchbench.errors import EXIT_BAD_INPUT, EXIT_INFRA, BadInput
from patchbench.plan import campaign, results_folder
from patchbench.pull_request import comment, configuration, ending, refs
from patchbench.pull_request.judged import Change, Judged, judged
from patchbench.report.layout import grids
from patchbench.report.tables.columns import ComparisonRow, OutcomeRow, TaskRow
from patchbench.report.text import first_screen
from tests.unit import reports
from tests.unit.conftest import ROOT
from tests.unit.history import run_git

WORKLOAD = "python -m tinybench throughput --model tiny --num-prompts 4"
REFS = refs.Refs("main", "topic", "b" * 40, "d" * 40, "b" * 40)
COMMIT = "a" * 40


def row(ratio: float, verdict: str, arm: str = "head", **more: Any) -> ComparisonRow:
    given = reports.comparison(COMMIT, arm, ratio, **{"verdict": verdict, "visible": 0.08, **more})
    known = {k: v for k, v in given.items() if k in ComparisonRow.__struct_fields__}
    return msgspec.convert(known, ComparisonRow)


def result(
    verdict: str = "faster", ratio: float = 1.3, *guards: ComparisonRow, **more: Any
) -> Judged:
    """A workload that was measured; ``more`` are fields of the head's outcome."""
    measured = {"commit": COMMIT, "arm": "head", "status": "measured", "verdict": verdict}
    return judged(
        WORKLOAD,
        TaskRow(commit=COMMIT, status="planned", subject="tinyserve"),
        [
            OutcomeRow(**{**measured, **more}),
            OutcomeRow(commit=COMMIT, arm="baseline", status="measured"),
        ],
        [row(ratio, verdict), *guards, row(1.01, "same", "baseline-aa", role="aa")],
        Change(files=("engine.py",), lines_added=3, lines_removed=1),
    )


def failed(cause: str, blame: str, *, base: bool = False, **more: Any) -> Judged:
    """A workload on which head, and with ``base`` base too, gave no metrics."""
    bad = {"status": "failed", "cause": cause, "blame": blame, "stage": "benchmark", **more}
    arms = {"head": bad, "baseline": bad if base else {"status": "measured"}}
    outcomes = [OutcomeRow(commit=COMMIT, arm=arm, **of) for arm, of in arms.items()]
    task = TaskRow(commit=COMMIT, status="planned", subject="tinyserve")
    return judged(WORKLOAD, task, outcomes, [], Change(files=("engine.py",)))


ENDED = {
    "faster": (result(), 0, "faster, 1.30x [1.24, 1.37]"),
    "same": (result("same", 1.01), 0, "same, 1.01x"),
    "slower": (result("slower", 0.7), 1, "slower, 0.70x"),
    "inconclusive": (result("inconclusive", 1.02), 4, "inconclusive, 1.02x"),
    "trade-off": (result("trade-off", 1.5), 5, "trade-off, 1.50x"),
    "suspicious": (result("suspicious", 40.0), 5, "suspicious, 40.00x"),
    "crash": (failed("server.crash", "agent"), 3, "head broken"),
    "wrong output": (failed("bench.wrong_output_under_load", "agent"), 3, "head broken"),
    "docs only": (failed("patch.out_of_scope", "agent"), 0, "not executed"),
    "disk full": (failed("infra.disk_full", "infra"), 75, "machine failed"),
    "base too": (failed("task.bad_flag", "task", base=True), 6, "not measured"),
    "rebuild": (failed("image.needs_rebuild", "harness"), 6, "not measured"),
    "pending": (result("not measured", status="pending"), 6, "not measured"),
}


@pytest.mark.parametrize("case", ENDED)
def test_each_ending_has_its_code_and_words(case: str) -> None:
    one, code, words = ENDED[case]
    assert ending.ENDINGS[ending.whole([one])].code == code
    text = comment.comment([one], REFS, "patchbench pr --base main")
    assert text.startswith(f"### patchbench: {words}")
    assert "`patchbench pr --base main`" in text
    assert "`topic` dddddddd" in text
    if one.primary is not None:
        assert "from 8.0 % on a change could have shown" in text


def test_codes_differ_from_those_of_errors_unless_they_mean_the_same() -> None:
    codes = {kind: end.code for kind, end in ending.ENDINGS.items()}
    assert EXIT_BAD_INPUT not in codes.values()
    assert {kind for kind, code in codes.items() if code == EXIT_INFRA} == {"machine"}


def test_documentation_has_every_ending_in_its_order() -> None:
    text = (ROOT / "docs/pull-requests.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (\d+) \| ([\w ]+) \| (.+) \|\n", text)
    assert {(int(code), kind, words) for code, kind, words in rows if kind.strip()} == {
        (end.code, kind, end.meaning) for kind, end in ending.ENDINGS.items()
    }
    order = ", ".join(map(str, dict.fromkeys(end.code for end in ending.ENDINGS.values())))
    assert f"in this order decides: {order}." in text


def test_worst_workload_decides_and_comes_first() -> None:
    several = [result(), result("slower", 0.8), failed("server.crash", "agent", evidence="boom")]
    text = comment.comment(several, REFS, "again")
    assert ending.whole(several) == "broken"
    assert text.startswith(
        "### patchbench: head broken on 1, slower on 1, faster on 1 of 3 workloads"
    )
    table = [line for line in text.splitlines() if line.startswith("| `")]
    assert ["head broken" in table[0], "slower" in table[1], "faster" in table[2]] == [True] * 3
    assert "**Head failed:** `server.crash` in benchmark, charged to the change: `boom`" in text


@pytest.mark.parametrize("number", [1, 8, 9, 60])
def test_comment_is_at_most_twenty_lines(number: int) -> None:
    crash = failed("server.crash", "agent", evidence="x\n" * 90, review="big")
    text = comment.comment([crash] * number, REFS, "again")
    assert len(text.splitlines()) <= comment.MOST_LINES


def test_guards_that_got_worse_are_named() -> None:
    lost = row(0.8, "slower", role="guard", metric="tpot_median_ms")
    open_ = row(1.0, "inconclusive", role="guard", metric="startup_s")
    assert "worse: `tpot_median_ms` 0.80x" in comment.guards([lost, open_])
    assert comment.guards([open_]) == "0 of 1 kept, open: `startup_s`"
    assert comment.guards([row(1.0, "same", role="guard")]) == "1 kept"


@pytest.mark.parametrize("words", reports.HOSTILE)
def test_words_of_others_stay_in_code_spans(words: str) -> None:
    crash = failed("server.crash", "agent", evidence=words)
    text = comment.comment([crash], REFS._replace(head_name=words), words)
    assert len(text.splitlines()) <= comment.MOST_LINES
    bare = re.sub(r"(`+)[^`].*?\1(?!`)", "", text)
    assert not set("<[!") & set(bare)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Main has moved on since the topic began."""
    folder = tmp_path / "engine"
    folder.mkdir()
    run_git(folder, "init", "--quiet", "--initial-branch", "main")
    for branch, start, text in (
        ("main", None, "a = 1\n"), ("topic", "main", "a = 2\n"), ("main", "main", "a = 1\nb = 1\n"),
    ):  # fmt: skip
        if start:
            run_git(folder, "checkout", "--quiet", "-B", branch, start)
        (folder / "engine.py").write_text(text)
        run_git(folder, "add", "--all")
        run_git(folder, "commit", "--quiet", "--message", f"{branch}: {text!r}")
    return folder


def test_change_counts_from_where_head_and_base_part(repo: Path, tmp_path: Path) -> None:
    ends = refs.resolve(repo, "main", "topic")
    assert ends.has_moved
    results = tmp_path / "results"
    request = configuration.Request(
        refs=ends,
        workloads=(WORKLOAD, f"{WORKLOAD} --max-num-seqs 2"),
        subject=ROOT / "config/subjects/tinyserve.yaml",
        results=results,
        protocol={"blocks": {"min": 3, "max": 6}, "aa_blocks": 3},
        given={"campaign": "other", "agents": {}, "breaker": 7},
    )
    bare = request.folder / configuration.REPO
    for _ in range(2):
        refs.bring(repo, ends, bare)
        commits = refs.task_commits(bare, ends, request.workloads)
        configuration.write(request, commits)
    planned = campaign.load_file(request.config)
    assert planned.commits == commits and len(set(commits)) == 2
    assert planned.arms == planned.arms_of(0) == ["baseline", "head"]
    assert planned.launches == 2 * (2 * 3 + 3)
    assert planned.breaker == 7
    patch = (request.folder / "patches" / f"{commits[0]}.diff").read_text()
    assert "-a = 1\n+a = 2\n" in patch and "b = 1" not in patch


def test_bad_refs_are_refused_in_one_line(repo: Path) -> None:
    for base, head, words in (
        ("main", "nowhere", "no such commit"),
        ("--all", "topic", "no such commit"),
        ("main", "main", "changes nothing"),
    ):
        with pytest.raises(BadInput, match=words):
            refs.resolve(repo, base, head)
    run_git(repo, "checkout", "--quiet", "--orphan", "alone")
    run_git(repo, "commit", "--quiet", "--message", "alone")
    with pytest.raises(BadInput, match="no common commit"):
        refs.resolve(repo, "main", "alone")


def test_subject_is_the_one_that_knows_the_benchmark() -> None:
    folder = ROOT / "config/subjects"
    assert configuration.find_subject(None, folder, [WORKLOAD]).stem == "tinyserve"
    assert configuration.find_subject("vllm", folder, [WORKLOAD]).stem == "vllm"
    assert configuration.find_subject(None, folder, ["vllm bench serve --model m"]).stem == "vllm"
    for named, workload, words in (
        ("nothing", WORKLOAD, "none of .*tinyserve"),
        (None, "python benchmark_serving.py --model m", "--subject NAME"),
        (None, "make bench", "knows the benchmark"),
        (None, "vllm 'bench", "No closing quotation"),
    ):
        with pytest.raises(BadInput, match=words):
            configuration.find_subject(named, folder, [workload])


def test_repeat_has_every_option_that_was_given() -> None:
    parser = argparse.ArgumentParser()
    pr.add_options(parser)
    words = [
        "--repo",
        ".",
        "--base",
        "main",
        "--head",
        "topic",
        "--workload",
        "x  y",
        "--margin",
        "0.1",
    ]
    assert pr.repeat(parser.parse_args(words)) == (
        "patchbench pr --repo . --base main --head topic --workload 'x y' --margin 0.1"
    )


def test_example_of_a_workflow_gives_options_that_exist() -> None:
    text = (ROOT / "examples/github-actions/pull-request.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["judge"]["steps"]
    script = next(step["run"] for step in steps if step.get("id") == "judge")
    parser = argparse.ArgumentParser()
    pr.add_options(parser)
    used = set(
        re.findall(r"--[a-z]+(?= )", script.replace("--model", "").replace("--num-prompts", ""))
    )
    assert used <= set(parser._option_string_actions)
    verdict = steps[-1]["run"]
    passing = set(re.search(r"in ([0-9|]+)\)", verdict)[1].split("|"))  # type: ignore[index]
    assert {str(end.code) for end in ending.ENDINGS.values()} - passing == {"1", "3", "75"}


def test_report_without_the_humans_commit_does_not_speak_of_it() -> None:
    rows = reports.small_rows()
    rows = {name: [r for r in of if r.get("arm") != "human"] for name, of in rows.items()}
    rows["tasks"] = [row | {"reference": "not measured"} for row in rows["tasks"]]
    report = reports.built(rows)
    assert report.human is None
    shown = grids(report)
    heads = [column.title for name in ("agents", "speedups") for column in shown[name].columns]
    assert not [head for head in heads if "human" in head.lower()]
    assert "human" not in f"{report.words.findings} {report.words.ranking}".lower()
    assert len(first_screen.tiles(report)) == 3


def test_results_of_another_request_are_not_touched(repo: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results_folder.claim(results, "other")
    words = ["pr", "--repo", str(repo), "--base", "main", "--head", "topic"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--workload", WORKLOAD, "--results", str(results)])
    assert ended.value.code == EXIT_BAD_INPUT
    assert [path.name for path in results.iterdir()] == [results_folder.FILE]


@pytest.mark.parametrize("text", ["5:2", "five", "5:"])
def test_blocks_are_one_number_or_two_that_grow(text: str) -> None:
    if text == "5:":
        assert pr._blocks(text) == (5, 5)
    else:
        with pytest.raises(argparse.ArgumentTypeError):
            pr._blocks(text)
