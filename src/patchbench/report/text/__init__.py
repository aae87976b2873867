"""The report's sentences (words.j2): findings, their meaning, and the next steps."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import msgspec

from patchbench.failures.causes import CAUSES
from patchbench.plan.exclusions import ADVICE
from patchbench.report.model import Report, Words
from patchbench.report.text.facts import facts
from patchbench.report.text.first_screen import headline
from patchbench.report.text.phrases import listed, percent, plural, was
from patchbench.report.text.ranking import paragraph

NOTHING_OPEN = "Nothing is open: every planned patch has its outcome."
EVIDENCE = "see the evidence in the table of excluded tasks"


def with_words(report: Report) -> Report:
    """Return the report with its sentences, made anew from its numbers."""
    report = msgspec.structs.replace(report, words=Words(ranking=paragraph(report)))
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        lstrip_blocks=True,
    ).get_template("words.j2")
    module = template.make_module(
        {
            "r": report,
            "f": facts(report),
            "advice": lambda cause: CAUSES.get(cause, CAUSES["unknown"]).advice,
            "exclusion_advice": lambda reason: ADVICE.get(reason, EVIDENCE),
            "listed": listed,
            "percent": percent,
            "plural": plural,
            "was": was,
        }
    )

    def sentences(name: str) -> tuple[str, ...]:
        parts = re.split(r"^- ", getattr(module, name)(), flags=re.MULTILINE)
        return tuple(" ".join(part.split()) for part in parts[1:])

    words = Words(
        headline=headline(report),
        ranking=report.words.ranking,
        findings=sentences("findings"),
        for_agents=sentences("for_agents"),
        for_owners=sentences("for_owners"),
        for_research=sentences("for_research"),
        recommendations=sentences("recommendations") or (NOTHING_OPEN,),
    )
    return msgspec.structs.replace(report, words=words)
