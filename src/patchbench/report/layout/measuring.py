"""Tables of how tasks were measured: what was asked, the check of answers, findings, guards."""

from __future__ import annotations

from patchbench.report.layout.grid import SELF_MEASURED, Cell, Grid, columns, commit, count, url
from patchbench.report.model import AnswersRow, Report
from patchbench.report.text.phrases import number, percent
from patchbench.verdicts.rule import MARKS

COUNTED = {
    "ids": "token ids in the stream",
    "text": "the text, by the model's tokenizer",
    "chunks": "chunks with text",
    "": "–",
}
CONCLUSIONS = {
    "like_baseline": "like the baseline's",
    "wrong_output": "wrong",
    "not_usable": "not usable",
}


def measuring(report: Report) -> Grid:
    """Return a row per task: who measured, what was asked, what tokens were counted by."""
    rows = [
        (
            commit(row.commit),
            Cell(code=row.metric),
            Cell("the judge" if row.measured_by == "judge" else SELF_MEASURED),
            Cell(code=row.perf_command),
            Cell(row.load or "the commit's own benchmark, which times itself"),
            Cell(COUNTED[row.counted_by] if row.measured_by == "judge" else "its own count"),
            count(row.left_out),
        )
        for row in report.measuring
    ]
    heads = columns(
        *("Commit", "Metric", "Measured by", "Command", "What was asked", "Tokens counted by"),
        "Windows left out",
        right=("Windows left out",),
        choose=("Metric", "Measured by", "Tokens counted by"),
    )
    return Grid("measuring", "How each task was measured", heads, rows)


def answers(report: Report) -> Grid:
    """Return the check of each arm's answers."""
    rows = [
        (
            commit(row.commit),
            Cell(report.about.title(row.arm)),
            Cell("fixed prompts (weaker)" if row.check == "fixed prompts" else row.check),
            Cell(_conclusion(row)),
            count(row.scored),
            Cell(_gap(row.gap), sort=row.gap),
            Cell(_gap(row.baseline_gap), sort=row.baseline_gap),
            Cell(percent(row.agreement), sort=row.agreement),
            Cell(row.reason),
        )
        for row in report.answers
    ]
    heads = columns(
        *("Commit", "Arm", "Check", "Answers", "Scored", "Mean gap", "Baseline's mean gap"),
        *("Fixed prompts equal", "Why scores were not used"),
        right=("Scored", "Mean gap", "Baseline's mean gap", "Fixed prompts equal"),
        choose=("Arm", "Check", "Answers"),
    )
    return Grid("answers", "Answers beside the baseline's", heads, rows, keys=2)


def _conclusion(row: AnswersRow) -> str:
    if row.check == "scores":
        rule = f" (rule {row.rule})" if row.rule else ""
        return f"{CONCLUSIONS[row.status]}{rule}"
    return "not checked" if row.check == "none" else "compared as texts"


def _gap(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def findings(report: Report) -> Grid:
    """Return what the judge's audit found, with the first request that shows it."""
    rows = [
        (
            commit(row.commit),
            Cell(report.about.title(row.arm)),
            count(row.block),
            count(row.window or None),
            count(row.request),
            count(row.requests),
            Cell(row.severity),
            Cell(code=row.cause, tail="record" if row.link else "", href=url(row.link)),
            Cell(row.text),
        )
        for row in report.findings
    ]
    heads = columns(
        *("Commit", "Arm", "Block", "Window", "First request", "Requests", "Kind", "Finding"),
        "What it shows",
        right=("Block", "Window", "First request", "Requests"),
        choose=("Arm", "Kind", "Finding"),
    )
    return Grid("findings", "Findings of the audit", heads, rows, keys=2)


def guards(report: Report) -> Grid:
    """Return guard metrics and costs against the baseline's."""
    rows = [
        (
            commit(row.commit)._replace(
                tail=SELF_MEASURED if row.commit in report.self_measured else ""
            ),
            Cell(report.about.title(row.arm)),
            Cell(code=row.metric),
            Cell(f"{number(row.baseline)} {row.unit}", sort=row.baseline),
            Cell(f"{number(row.value)} {row.unit}", sort=row.value),
            Cell(f"{row.ratio:.2f}x [{row.low:.2f}, {row.high:.2f}]", sort=row.ratio),
            Cell("shown only" if row.role == "cost" else row.verdict, tail=_mark(row.verdict)),
        )
        for row in report.guards
    ]
    heads = columns(
        *("Commit", "Arm", "Guard", "Baseline", "Arm's", "Ratio (over 1 is better)", "Verdict"),
        right=("Baseline", "Arm's"),
        choose=("Arm", "Guard", "Verdict"),
    )
    return Grid("guards", "Guards and costs", heads, rows, keys=2)


def _mark(verdict: str) -> str:
    return next((mark.strip() for name, mark in MARKS.items() if name == verdict), "")
