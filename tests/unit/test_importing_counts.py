"""A table of counts as a report: the published numbers, with what they do not say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patchbench.cli import main
from patchbench.errors import BadInput
from patchbench.importing import counts
from tests.unit.conftest import Refused
from tests.unit.reports import cells, row

TABLE = Path(__file__).parents[1] / "fixtures" / "imports" / "target-report.csv"
HEAD = "agent,commit,status,cause,type,count\n"
# In the published report these are among the successes and among the commits without a patch.
BOTH = {"8c1e77fb": "latency", "fb0acb6c": "latency", "fc542144": "serving"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the published numbers."""
    out = tmp_path_factory.mktemp("counts") / "results"
    words = ("--name", "january", "--date", "2026-01-15", "--subject", "vLLM", "--out", str(out))
    main.main(["import", str(TABLE), *words])
    assert (out / "report.html").stat().st_size > 10_000
    return (out / "report.md").read_text(encoding="utf-8")


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + text)
    return path


# --- the published numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "patches", "measured", "rate", "types"),
    [
        ("TRAE Sonnet 4.5", 96, 34, "34/96 = 35.4 % [26.6, 45.4]", (27, 6, 1)),
        ("Codex GPT-5", 96, 30, "30/96 = 31.2 % [22.9, 41.1]", (24, 6, 0)),
        ("TRAE GPT-5", 67, 16, "16/67 = 23.9 % [15.3, 35.3]", (10, 5, 1)),
    ],
)
def test_each_agents_rate_is_the_published_one_with_its_interval(
    report: str, agent: str, patches: int, measured: int, rate: str, types: tuple[int, int, int]
) -> None:
    found = row(report, f"| **{agent}**", "| Agent | Tasks | Patches")
    serving, latency, throughput = map(str, types)
    assert found == {
        "Agent": f"**{agent}**", "Tasks": "96", "Patches": str(patches), "Measured": str(measured),
        "Ran to valid metrics": rate,
        "Serving": serving, "Latency": latency, "Throughput": throughput,
    }  # fmt: skip


def failures(report: str, agent: str) -> dict[str, tuple[str, str]]:
    """Count and share by cause, of one agent."""
    part = report[report.index(f"**{agent}: ") :]
    lines = part[: part.index("\n\n", part.index("| ---"))].splitlines()
    rows = [cells(line) for line in lines if line.startswith("| `")]
    return {found[0].strip("`"): (found[4], found[5]) for found in rows}


def test_failures_have_the_published_totals_and_shares(report: str) -> None:
    assert failures(report, "Codex GPT-5") == {
        "server.crash": ("30", "45.5 %"),
        "bench.no_metrics": ("29", "43.9 %"),
        "task.no_parent": ("6", "9.1 %"),
        "bench.timeout": ("1", "1.5 %"),
    }
    assert failures(report, "TRAE Sonnet 4.5") == {
        "bench.no_metrics": ("28", "45.2 %"),
        "server.crash": ("28", "45.2 %"),
        "task.no_parent": ("6", "9.7 %"),
    }
    for agent, total in (("Codex GPT-5", 66), ("TRAE Sonnet 4.5", 62), ("TRAE GPT-5", 51)):
        assert f"**{agent}: {total} failures**" in report


def test_types_and_their_sums_are_the_published_ones(report: str) -> None:
    part = report[report.index("### 4. Benchmark types") :]
    part = part[: part.index("## Speedups")]
    rows = [cells(line) for line in part.splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        ["Serving", "27", "24", "10", "61"],
        ["Latency", "6", "6", "5", "17"],
        ["Throughput", "1", "0", "1", "2"],
        ["**Total**", "**34**", "**30**", "**16**", "**80**"],
    ]


def test_coverage_is_the_published_one(report: str) -> None:
    found = row(report, "| TRAE GPT-5 |", "| Agent | Tasks | Delivered")
    assert (found["Tasks"], found["Delivered"], found["Missing"]) == ("96", "67", "29")
    assert found["Sources"] == "HuggingFace dataset 35, local runs 32"
    assert "8c1e77fb" in found["Commits without a patch"]
    assert "TRAE GPT-5: 67 of 96 tasks have a patch (69.8 %), 29 have none." in report


def test_it_says_what_the_published_report_does_not(report: str) -> None:
    assert "The data do not support a ranking of the 3 agents: the 95 % intervals of all" in report
    assert "The blame for 167 of 179 failures is unknown" in report
    assert "12 failures were the task's or the machine's. Without them" in report
    assert "TRAE Sonnet 4.5 34/90 = 37.8 % and Codex GPT-5 30/90 = 33.3 %" in report
    assert "no speedup is claimed" in report
    assert "No speedups: imported counts without any raw output" in report
    blames = row(report, "| **Codex GPT-5**", "| Agent | Planned")
    assert (blames["Failed: agent"], blames["Failed: unknown"]) == ("0", "60")


def test_the_version_that_counts_three_patches_twice_is_refused(
    tmp_path: Path, refused: Refused
) -> None:
    """The published list of 16 successes names three commits that its list of 29 commits without a
    patch names too."""
    text = TABLE.read_text()
    for kind, less in (("latency", "5,"), ("serving", "10,")):
        named = [commit for commit, its in BOTH.items() if its == kind]
        fewer = int(less.strip(",")) - len(named)
        text, changed = re.subn(
            rf"TRAE GPT-5,,success,,{kind},{less}", f"TRAE GPT-5,,success,,{kind},{fewer},", text
        )
        assert changed == 1
        text += "".join(f"TRAE GPT-5,{commit},success,,{kind},,\n" for commit in named)
    wrong = tmp_path / "published.csv"
    wrong.write_text(text)
    error = refused("import", str(wrong), "--out", str(tmp_path / "out"))
    assert "3 patches have more than one ending: TRAE GPT-5 " in error
    assert all(f"TRAE GPT-5 {commit} (missing, measured)" in error for commit in BOTH)
    assert not (tmp_path / "out").exists()


# --- other tables ---------------------------------------------------------------------------------


def test_rows_may_name_every_commit(tmp_path: Path) -> None:
    a, b = "a" * 40, "b" * 40
    found = counts.read(
        table(
            tmp_path,
            f"Alba,{a},measured,,serving,\nAlba,{b},failed,patch.rejected,,\n"
            f"Brio,{a[:8]},failed,No throughput metrics in agent output,,\n"
            f"Brio,{b},no patch,,,\n",
        )
    )
    assert found.agents == {"alba": "Alba", "brio": "Brio"}
    assert [task.commit for task in found.tasks] == [a, b]
    ends = {(row.commit[0], row.arm): (row.status, row.cause) for row in found.endings}
    assert ends == {
        ("a", "alba"): ("measured", None),
        ("b", "alba"): ("failed", "patch.rejected"),
        ("a", "brio"): ("failed", "bench.no_metrics"),
        ("b", "brio"): ("failed", "patch.missing"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Alba,,gone,,,1\n", r"line 2: status 'gone'; known: measured"),
        ("Alba,xyz,measured,,serving,\n", r"line 2: commit 'xyz' is no hash"),
        ("Alba,,measured,,,1\n", r"line 2: a success without a type"),
        ("Alba,,measured,,dancing,1\n", r"line 2: type 'dancing'; known: serving"),
        ("Alba,,failed,bad luck,,1\n", r"line 2: cause 'bad luck' is neither"),
        ("Alba,,failed,unknown,,-1\n", r"line 2: count '-1'"),
        (f"Alba,{'a' * 8},failed,unknown,,2\n", r"line 2: count '2'"),
        (",,failed,unknown,,2\n", r"line 2: no agent"),
        (
            "gpt-5,,failed,unknown,,2\ngpt_5,,failed,unknown,,2\n",
            r"agent 'gpt_5' differs from another in punctuation only",
        ),
        ("Alba,,total,,,2\n", r"no row says how a patch ended"),
        (
            "Alba,,measured,,serving,2\nBrio,,measured,,serving,3\n",
            r"agents have different numbers of tasks: Alba 2, Brio 3",
        ),
        (
            "Alba,,measured,,serving,2\nAlba,,total measured,,,3\n",
            r"line 3: Alba: total measured is given as 3, but the rows sum to 2",
        ),
        (
            "Alba,,measured,,serving,2\nAlba,,total measured,,latency,1\n",
            r"total measured of type latency is given as 1, but the rows sum to 0",
        ),
        (
            "Alba,aaaaaaaa,measured,,serving,\nAlba,aaaaaaaa,measured,,serving,\n",
            r"1 patches have more than one ending: Alba aaaaaaaa \(measured, measured\)",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_the_line_or_the_numbers(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        counts.read(table(tmp_path, text))


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("agent,commit,status,cause\n")
    with pytest.raises(BadInput, match="no column 'type'; a table of counts has agent, commit"):
        counts.read(path)
    path.write_text(HEAD.strip() + ",mood\n")
    with pytest.raises(BadInput, match="column 'mood'"):
        counts.read(path)


def test_sources_must_be_as_many_as_patches(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    head = HEAD.strip() + ",source\n"
    path.write_text(head + "Alba,,measured,,serving,3,\nAlba,,patches,,,2,hub\n")
    with pytest.raises(BadInput, match="sources are given for 2 patches, but the rows have 3"):
        counts.read(path)
