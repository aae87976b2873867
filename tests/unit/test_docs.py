"""Pages: their links lead somewhere, the index has all of them, causes and messages exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patchbench.failures.causes import CAUSES
from tests.unit.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "config/README.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_index_links_every_page() -> None:
    linked = set(LINK.findall((DOCS / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= linked


def test_troubleshooting_names_causes_that_exist() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:infra|patch|server|task|image|harness|bench)\.\w+)`", text))
    assert named and named <= {*CAUSES, "infra.breaker"}


def test_messages_of_troubleshooting_are_in_the_code() -> None:
    """Fixed parts of each message, between what differs from case to case."""
    code = " ".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src/patchbench").rglob("*.py")
    )
    code = re.sub(r'"\s*\n?\s*f?"', "", code)
    for part in (
        "no such file | next: name a configuration",
        "belongs to campaign",
        "files match",
        "no commit of the lists",
        "planned, but no verdict is given on ",
        "nothing can be measured: all tasks are excluded",
        "works on this results folder",
        "a task needs more GPUs than that",
        "has no Snakemake",
    ):
        assert part in code, part
