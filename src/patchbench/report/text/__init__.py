"""Sentences made from the numbers by rules: findings, what they mean, what to do next."""

from __future__ import annotations

import msgspec

from patchbench.report.model import Report, Words
from patchbench.report.text import meaning
from patchbench.report.text.findings import findings
from patchbench.report.text.ranking import paragraph
from patchbench.report.text.recommendations import recommendations


def said(report: Report) -> Report:
    """The report with its words."""
    ranked = Words(ranking=paragraph(report))
    return again(msgspec.structs.replace(report, words=ranked))


def again(report: Report) -> Report:
    """The words anew, after something was added to the numbers."""
    words = msgspec.structs.replace(
        report.words,
        findings=findings(report),
        for_agents=tuple(meaning.for_agents(report)),
        for_owners=tuple(meaning.for_owners(report)),
        for_research=tuple(meaning.for_research(report)),
        recommendations=recommendations(report),
    )
    return msgspec.structs.replace(report, words=words)
