"""Tables of speedups: per commit, per agent, and agents in pairs."""

from __future__ import annotations

from patchbench.records import BASELINE, HUMAN
from patchbench.report.layout.grid import (
    SELF_MEASURED,
    Cell,
    Grid,
    columns,
    commit,
    count,
    is_hash,
    url,
)
from patchbench.report.model import AgentRow, Diff, Report, SpeedupRow
from patchbench.report.model import Cell as Result
from patchbench.report.text.phrases import mean, number, percent
from patchbench.verdicts.rule import REVIEW_MARK, VERDICTS
from patchbench.verdicts.scores import NOT_COUNTED, Winners

# With more agents than this the wide table leaves the intervals to the page and the CSV.
WIDE = 6
# Sort key: a row without a ratio stands below all rows with one.
NO_RATIO = -1.0
# Characters of a line of evidence.
EVIDENCE_WIDTH = 160
STATUS = {"missing": "no patch"}


def result(cell: Result, *, interval: bool = True) -> Cell:
    """Return ratio, interval and mark, or the cause why there are none."""
    if cell.status == "pending":
        done = cell.blocks_measured + cell.blocks_failed
        tail = f"({done} {'block' if done == 1 else 'blocks'} done)" if done else ""
        return Cell("pending", tail=tail, sort=NO_RATIO)
    if cell.status == "missing":
        return Cell("no patch", sort=NO_RATIO)
    if cell.ratio is None:
        code = cell.cause or cell.status
        return Cell(code=code, tail=cell.mark, sort=NO_RATIO)
    notes = [REVIEW_MARK if cell.review else "", f"{cell.human} human" if cell.human else ""]
    if cell.blocks_failed:
        total = cell.blocks_measured + cell.blocks_failed
        notes.append(f"({cell.blocks_measured} of {total} blocks)")
    span = f" [{cell.low:.2f}, {cell.high:.2f}]" if interval else ""
    return Cell(
        f"{cell.ratio:.2f}x{span}", cell.mark, " ".join(filter(None, notes)), sort=cell.ratio
    )


def wide(report: Report) -> Grid:
    """Return the table of speedups: a row per task, a column per arm, also for the human's if that
    is measured."""
    human = {HUMAN: "Human"} if report.human else {}
    arms = [*human, *report.about.agents]
    interval = len(report.agents) <= WIDE
    rows = []
    for row in report.speedups:
        cells = {cell.arm: cell for cell in row.cells}
        notes = [
            SELF_MEASURED if row.commit in report.self_measured else "",
            "reference not reproduced" if row.reference == "not reproduced" else "",
        ]
        noted = f"({', '.join(filter(None, notes))})" if any(notes) else ""
        rows.append(
            (
                commit(row.commit, row.title)._replace(tail=noted),
                Cell(code=row.metric),
                Cell(_value(row.baseline, row.unit), sort=row.baseline),
                *(
                    result(cells[arm], interval=interval) if arm in cells else Cell()
                    for arm in arms
                ),
            )
        )
    heads = ("Commit", "Metric", "Baseline", *human.values(), *report.about.agents.values())
    return Grid(
        "speedups",
        "Speedups per commit",
        columns(*heads, right=("Baseline",), choose=("Metric",)),
        rows,
    )


def _value(value: float | None, unit: str) -> str:
    return f"{number(value)} {unit}".strip() if value is not None else "–"


def patches(report: Report) -> Grid:
    """Return every arm of every task: its outcome, its patch and the raw logs of its launches."""
    heads = columns(
        *("Commit", "Arm", "Status", "Verdict", "Ratio", "Low", "High", "Cause", "Blame"),
        *("Evidence", "Patch", "Raw logs of block"),
        right=("Ratio", "Low", "High"),
        choose=("Arm", "Status", "Verdict", "Cause", "Blame"),
    )
    rows = [
        (
            _task(report, row.commit),
            _arm(report, cell),
            Cell(STATUS.get(cell.status, cell.status)),
            Cell(_verdict(row, cell)),
            *(_real(value) for value in (cell.ratio, cell.low, cell.high)),
            Cell(code=cell.cause),
            Cell(cell.blame),
            _evidence(cell),
            Cell(links=patch_links(cell)),
            Cell(links=_logs(row.commit, cell)),
        )
        for row in report.speedups
        for cell in row.cells
    ]
    return Grid("patches", "Every arm of every task", heads, rows, keys=2)


def _verdict(row: SpeedupRow, cell: Result) -> str:
    """Return verdict and mark; "same" with the margin that it is within."""
    if cell.verdict == "not measured":
        return ""
    within = f" within {percent(row.margin)}" if cell.verdict == "same" and row.margin else ""
    return f"{cell.verdict}{within} {cell.mark}".strip()


def details(report: Report) -> Grid:
    """Return what each arm's patch changes, and on which metric it was measured."""
    heads = columns(
        *("Commit", "Arm", "Metric", "Value", "Unit", "Blocks measured", "Files", "Lines"),
        *("Similar to the human's", "Human's lines in the prompt", "Touches tests", "Type"),
        "Measured by",
        right=(
            *("Value", "Blocks measured", "Files", "Lines", "Similar to the human's"),
            "Human's lines in the prompt",
        ),
        choose=("Arm", "Metric", "Touches tests", "Type", "Measured by"),
    )
    rows = [
        (
            _task(report, row.commit),
            _arm(report, cell),
            Cell(code=row.metric),
            Cell(number(_shown(row, cell)), sort=_shown(row, cell)),
            Cell(row.unit),
            Cell(f"{cell.blocks_measured} of {cell.blocks_measured + cell.blocks_failed}"),
            *_diff(cell.diff),
            Cell(row.type),
            Cell(_measured_by(report, row.commit)),
        )
        for row in report.speedups
        for cell in row.cells
    ]
    return Grid("details", "Every arm: its figures and its patch", heads, rows, keys=2)


def _task(report: Report, name: str) -> Cell:
    return commit(name)._replace(tail=SELF_MEASURED if name in report.self_measured else "")


def _arm(report: Report, cell: Result) -> Cell:
    named = {BASELINE: "baseline", HUMAN: "human"}
    return Cell(named.get(cell.arm) or report.about.title(cell.arm))


def _evidence(cell: Result) -> Cell:
    text = cell.evidence
    cut = text if len(text) <= EVIDENCE_WIDTH else f"{text[: EVIDENCE_WIDTH - 1]}…"
    return Cell(code=cut, tail="log" if cell.link else "", href=url(cell.link), line=cell.line)


def _measured_by(report: Report, name: str) -> str:
    known = {row.commit: row.measured_by for row in report.measuring}
    return {"judge": "judge", "own": SELF_MEASURED}.get(known.get(name, ""), "")


def _diff(diff: Diff | None) -> tuple[Cell, ...]:
    if diff is None:
        return (Cell(),) * 5
    lines = diff.lines_added + diff.lines_removed
    return (
        count(diff.files),
        Cell(f"+{diff.lines_added} −{diff.lines_removed}", sort=lines),
        *(
            Cell("" if share is None else percent(share), sort=share)
            for share in (diff.similarity, diff.prompt_overlap)
        ),
        Cell("yes" if diff.tests_touched else "no"),
    )


def _shown(row: SpeedupRow, cell: Result) -> float | None:
    return row.baseline if cell.arm == BASELINE else cell.value


def _real(value: float | None) -> Cell:
    return Cell("" if value is None else f"{value:.3f}", sort=value)


def patch_links(cell: Result) -> tuple[tuple[str, str], ...]:
    """Return links to an arm's patch as measured and as fetched, each with its words."""
    if not cell.patch or cell.status in ("pending", "missing"):
        return ()
    return (
        ("as measured", url(f"{cell.patch}/applied.diff")),
        ("as fetched", url(f"{cell.patch}/patch.diff")),
    )


def _logs(name: str, cell: Result) -> tuple[tuple[str, str], ...]:
    if not is_hash(name):
        return ()
    return tuple(
        (str(block), url(f"runs/{name}/block-{block}/{cell.arm}/")) for block in cell.launches
    )


def means(report: Report) -> Grid:
    """Return geometric means, verdicts and the reading that counts failures as no gain."""
    rows: list[AgentRow] = [*filter(None, [report.human]), *report.agents]
    shown = [
        verdict
        for verdict in VERDICTS
        if verdict not in ("not measured", "wrong output")
        and (verdict in ("faster", "same", "slower", "inconclusive") or _any(rows, verdict))
    ]
    own = ("Self-measured",) if report.self_measured else ()
    won = any(row.winners for row in rows)
    heads = (
        *("Arm", "Compared", *own, "Geometric mean (measured only)"),
        "Geometric mean (all planned; no gain is 1.00x)",
        *(["Mean of those faster, shrunk"] if won else []),
        *(verdict.capitalize() for verdict in shown),
        "To review",
    )
    lines = [
        (
            Cell("Human" if row.arm == HUMAN else row.title, strong=True),
            count(row.measured_only.commits),
            *(count(_own_figures(report, row.arm)) for _ in own),
            Cell(mean(row.measured_only), sort=row.measured_only.ratio),
            Cell(mean(row.all_planned), sort=row.all_planned.ratio),
            *([_winners(row.winners)] if won else []),
            *(count(row.verdicts[verdict]) for verdict in shown),
            count(row.to_review),
        )
        for row in rows
    ]
    right = tuple(head for head in heads if head != "Arm" and "mean" not in head.lower())
    return Grid("means", "Geometric means and verdicts", columns(*heads, right=right), lines)


def _winners(found: Winners | None) -> Cell:
    if found is None:
        return Cell("–")
    text = f"{found.ratio:.2f}x"
    return Cell(f"{text}, {found.shrunk:.2f}x" if found.shrunk else text, sort=found.ratio)


def _own_figures(report: Report, arm: str) -> int:
    """Return on how many of the commits in an arm's means the figures are self-measured."""
    return sum(
        cell.ratio is not None and row.commit in report.self_measured
        for row in report.speedups
        for cell in row.cells
        if cell.arm == arm and cell.verdict not in NOT_COUNTED
    )


def _any(rows: list[AgentRow], verdict: str) -> bool:
    return any(row.verdicts[verdict] for row in rows)


def pairs(report: Report) -> Grid:
    """Return the comparison of every two agents."""
    title = report.about.title
    faster = report.about.compared
    heads = [
        *("First", "Second", "Commits in common"),
        *("Metrics: first only", "Metrics: second only", "p"),
    ]
    heads += ["Faster: first only", "Faster: second only", "Faster: p"] if faster else []
    heads += ["First over second", "Size: p"] if faster else []
    rows = []
    for row in report.pairs:
        cells = [Cell(title(row.first)), Cell(title(row.second)), count(row.commits)]
        cells += [count(row.only_first), count(row.only_second), _p(row.p)]
        if faster:
            cells += [count(row.faster_first), count(row.faster_second), _p(row.faster_p)]
            cells += [Cell(mean(row.size), sort=row.size.ratio), _p(row.size_p)]
        rows.append(tuple(cells))
    right = tuple(head for head in heads if head not in ("First", "Second", "First over second"))
    return Grid(
        "pairs",
        "Agents in pairs",
        columns(*heads, right=right, choose=("First", "Second")),
        rows,
    )


def _p(value: float) -> Cell:
    return Cell("<0.001" if value < 0.001 else f"{value:.3f}", sort=value)


def singles(report: Report) -> Grid:
    """Return values of single launches."""
    rows = [
        (
            commit(row.commit),
            Cell(report.about.title(row.arm)),
            Cell(code=row.metric),
            Cell(number(row.value), sort=row.value),
            Cell(row.unit),
        )
        for row in report.singles
    ]
    heads = columns(
        "Commit", "Arm", "Metric", "Value", "Unit", right=("Value",), choose=("Arm", "Metric")
    )
    return Grid("singles", "Values of single launches", heads, rows)
