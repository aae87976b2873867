"""The tables of the executive summary, of data quality, coverage and types."""

from __future__ import annotations

from patchbench.failures.causes import BLAMES
from patchbench.report.layout.grid import Cell, Grid, columns, commit, count
from patchbench.report.model import AgentRow, Coverage, Report
from patchbench.report.text.phrases import interval, listed, number, percent
from patchbench.verdicts.scores import Share

TYPE_TITLES = {"prefix_caching": "Prefix caching"}
# At most so many commits without a patch are named in a cell; of more, only the number stands
# there.
NAMED = 40


def rate(share: Share) -> Cell:
    """Return a rate with its interval, sorted by the rate."""
    return Cell(interval(share), sort=-1.0 if share.share is None else share.share)


def type_title(kind: str) -> str:
    """Return a benchmark type as a heading."""
    return TYPE_TITLES.get(kind, kind.capitalize())


def agents(report: Report) -> Grid:
    """Return a row per agent: patches, rates with intervals, types."""
    kinds = [row.type for row in report.types]
    compared = report.about.compared
    heads = ["Agent", "Tasks", "Patches", "Measured", "Ran to valid metrics"]
    beside = compared and report.human is not None
    heads += ["Faster"] if compared else []
    heads += ["At least as fast as the human"] if beside else []
    heads += [type_title(kind) for kind in kinds]

    def cells(row: AgentRow) -> tuple[Cell, ...]:
        fixed = [
            Cell(row.title, strong=True),
            count(row.planned),
            count(row.delivered),
            count(row.measured),
            rate(row.success),
        ]
        fixed += [rate(row.faster)] if compared else []
        fixed += [rate(row.human)] if beside else []
        return (*fixed, *(count(row.types[kind]) for kind in kinds))

    right = ("Tasks", "Patches", "Measured", *map(type_title, kinds))
    return Grid(
        "agents",
        "Agents",
        columns(*heads, right=right),
        [cells(row) for row in report.agents],
    )


def closure(report: Report) -> Grid:
    """Return the endings of all planned patches: each row sums to its first number."""
    rows = [
        (
            Cell(row.title, strong=True),
            count(row.planned),
            count(row.measured),
            *(count(row.blames[blame]) for blame in BLAMES),
            count(row.missing),
            count(row.pending),
        )
        for row in report.agents
    ]
    heads = ("Agent", "Planned", "Measured", *(f"Failed: {blame}" for blame in BLAMES))
    heads = (*heads, "No patch", "Pending")
    return Grid("closure", "How every planned patch ended", columns(*heads, right=heads[1:]), rows)


def excluded(report: Report) -> Grid:
    """Return tasks that can't be run here."""
    rows = [
        (commit(row.commit, row.title), Cell(code=row.reason), Cell(row.evidence))
        for row in report.quality.excluded
    ]
    heads = columns("Excluded commit", "Reason", "Evidence", choose=("Reason",))
    return Grid("excluded", "Tasks that can't be run here", heads, rows)


def notes(report: Report) -> Grid:
    """Return contradictions of the task list."""
    rows = [(commit(row.commit), Cell(row.text)) for row in report.quality.notes]
    return Grid("notes", "Contradictions in the task list", columns("Commit", "What it says"), rows)


def coverage(report: Report) -> Grid:
    """Return the sources of patches, without empty columns."""
    rows = report.coverage
    heads: dict[str, list[Cell]] = {
        "Agent": [Cell(row.title) for row in rows],
        "Tasks": [count(row.planned) for row in rows],
        "Delivered": [count(row.delivered) for row in rows],
        "of these empty": [count(row.empty) for row in rows],
        "refused": [count(row.refused) for row in rows],
        "in conflict": [count(row.conflicts) for row in rows],
        "Missing": [count(row.missing) for row in rows],
        "Commits without a patch": [Cell(_without(row)) for row in rows],
        "Not known yet": [count(row.unknown) for row in rows],
        "Sources": [Cell(", ".join(f"{n} {k}" for n, k in row.sources.items())) for row in rows],
    }
    always = ("Agent", "Tasks", "Delivered", "Missing")
    shown = {
        head: column
        for head, column in heads.items()
        if head in always or any(cell.plain not in ("", "0") for cell in column)
    }
    words = ("Agent", "Commits without a patch", "Sources")
    right = tuple(head for head in shown if head not in words)
    cells = list(zip(*shown.values(), strict=True))
    return Grid("coverage", "Coverage", columns(*shown, right=right), cells)


def _without(row: Coverage) -> str:
    """Return commits without a patch, with the reasons."""
    named = listed([name[:8] for name in row.missing_commits], NAMED)
    reasons = row.why_missing.items()
    why = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in reasons)
    return f"{named} ({why})" if why else named


def mended(report: Report) -> Grid:
    """Return patches that were changed, cut or flagged."""
    rows = [(commit(row.commit), Cell(row.title), Cell(row.text)) for row in report.mended]
    heads = columns("Commit", "Agent", "What was done or noticed", choose=("Agent",))
    return Grid("mended", "Patches that were changed, cut or flagged", heads, rows)


def patch_quality(report: Report) -> Grid:
    """Return the changes of patches, per arm."""
    rows = [
        (
            Cell(row.title, strong=True),
            count(row.patches),
            Cell(number(row.files), sort=row.files),
            Cell(number(row.lines), sort=row.lines),
            count(row.tests_touched),
            count(row.broken),
            _share(row.similarity),
            _share(row.most_similar),
            _share(row.prompt_overlap),
        )
        for row in report.patch_quality
    ]
    heads = (
        *("Arm", "Patches", "Files (median)", "Lines (median)", "Touch tests"),
        *(
            "Don't compile or import",
            "Similar to the human's (median)",
            "Most similar to the human's",
        ),
        "Human's lines in the prompt (median)",
    )
    return Grid("patch-quality", "Patch quality", columns(*heads, right=heads[1:]), rows)


def _share(value: float | None) -> Cell:
    return Cell(percent(value), sort=value)


def types(report: Report) -> Grid:
    """Return measured patches by benchmark type."""
    known = any(row.tasks is not None for row in report.types)
    names = [row.arm for row in report.agents]
    rows = [
        (
            Cell(type_title(row.type)),
            *((count(row.tasks),) if known else ()),
            *(count(row.agents[name]) for name in names),
            count(row.total),
        )
        for row in report.types
    ]
    sums = [
        *((sum(row.tasks or 0 for row in report.types),) if known else ()),
        *(row.measured for row in report.agents),
        sum(row.total for row in report.types),
    ]
    foot = (Cell("Total", strong=True), *(count(n)._replace(strong=True) for n in sums))
    heads = ("Type", *(("Tasks",) if known else ()), *(row.title for row in report.agents), "Total")
    return Grid("types", "Measured patches by type", columns(*heads, right=heads[1:]), rows, foot)
