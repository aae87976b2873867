"""The comment on a pull request: at most 20 lines of markdown, from the results alone.

Words of logs, commands and refs stand in code spans, so that none of them can end a table, load a
picture or call a person.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from patchbench.pull_request.ending import ENDINGS, Kind, kind, whole
from patchbench.pull_request.judged import Judged
from patchbench.pull_request.refs import SHORT, Refs
from patchbench.report.markdown import CONTROL
from patchbench.report.tables.columns import ComparisonRow, OutcomeRow
from patchbench.verdicts.rule import MARKS

MOST_LINES = 20
# More workloads than this are counted in one row.
MOST_ROWS = 8
# Characters of a line of a log, and of a workload in the table.
LONGEST = 160
NAMED = 3  # files
ORDER = tuple(ENDINGS)


def comment(results: Sequence[Judged], refs: Refs, repeat: str) -> str:
    """Return the whole comment; ``repeat`` is the command that measures again."""
    ordered = sorted(results, key=lambda result: ORDER.index(kind(result)))
    lines = [
        f"### patchbench: {headline(results)}",
        "",
        _between(results, refs),
        "",
        *_table(ordered),
        "",
        *(f"- {line}" for line in _notes(ordered, repeat)),
    ]
    assert len(lines) <= MOST_LINES, lines
    return "\n".join(lines) + "\n"


def headline(results: Sequence[Judged]) -> str:
    """Return the ending in a few words."""
    ending = whole(results)
    if len(results) == 1:
        row = results[0].primary
        number = f", {_ratio(row)}" if row is not None and ending in OF_NUMBERS else ""
        return f"{_words(results[0], ending)}{number}"
    kinds = Counter(kind(result) for result in results)
    parts = [f"{_plain(name)} on {kinds[name]}" for name in ORDER if kinds[name]]
    return f"{', '.join(parts)} of {len(results)} workloads"


OF_NUMBERS: tuple[Kind, ...] = ("slower", "faster", "same", "inconclusive", "to review")


def _plain(ending: Kind) -> str:
    names: dict[Kind, str] = {"broken": "head broken", "machine": "machine failed"}
    return names.get(ending, ending)


def _words(result: Judged, ending: Kind) -> str:
    return result.head.verdict if ending == "to review" else _plain(ending)


def _ratio(row: ComparisonRow) -> str:
    return f"{row.ratio:.2f}x [{row.low:.2f}, {row.high:.2f}]"


def _between(results: Sequence[Judged], refs: Refs) -> str:
    change = max((r.change for r in results), key=lambda c: len(c.files))
    pairs = max((r.primary.pairs for r in results if r.primary), default=0)
    moved = f" (where {code(refs.base_name)} and head part)" if refs.has_moved else ""
    blocks = f", {pairs} paired blocks" if pairs else ""
    lines = f" (+{change.lines_added} −{change.lines_removed})" if change.files else ""
    return (
        f"{code(refs.head_name)} {refs.head[:SHORT]}{lines} against {code(refs.base_name)} "
        f"{refs.fork[:SHORT]}{moved}, {results[0].task.subject}{blocks}"
    )


def _table(results: Sequence[Judged]) -> Iterator[str]:
    """Yield the table: a row per workload, the worst first."""
    yield "| workload | verdict | head / base | base → head | guards |"
    yield "|---|---|---|---|---|"
    shown = results if len(results) <= MOST_ROWS else results[: MOST_ROWS - 1]
    for result in shown:
        row, ending = result.primary, kind(result)
        mark = MARKS.get(result.head.verdict, "").strip() if row else ""  # type: ignore[call-overload]
        cells = [
            code(result.workload, LONGEST, cell=True),
            f"**{_words(result, ending)}** {mark}".strip(),
            _ratio(row) if row else "",
            f"{_number(row.reference_value)} → {_number(row.value)} {row.unit} (`{row.metric}`)"
            if row
            else "",
            guards(result.guards) if row else "",
        ]
        yield f"| {' | '.join(cells)} |"
    if len(results) > len(shown):
        rest = Counter(_plain(kind(result)) for result in results[len(shown) :])
        counted = ", ".join(f"{number} {name}" for name, number in rest.items())
        yield f"| {len(results) - len(shown)} more | {counted} | | | |"


def guards(rows: Sequence[ComparisonRow]) -> str:
    """Return the guards in words: those that got worse with their figures, else how many were
    shown to be kept."""
    if not rows:
        return "none"
    lost = [row for row in rows if row.verdict == "slower"]
    if lost:
        return "worse: " + ", ".join(f"`{row.metric}` {_ratio(row)}" for row in lost[:NAMED])
    kept = [row for row in rows if row.verdict in ("faster", "same")]
    open_ = [row.metric for row in rows if row not in kept]
    if not open_:
        return f"{len(kept)} kept"
    return f"{len(kept)} of {len(rows)} kept, open: {', '.join(f'`{n}`' for n in open_[:NAMED])}"


def _notes(results: Sequence[Judged], repeat: str) -> Iterator[str]:
    """Yield at most six lines: evidence first."""
    worst = results[0]
    yield from _evidence(worst)
    yield f"**Noise:** {noise(results)}"
    yield f"**Executed:** {executed(worst)}"
    if worst.head.review:
        yield f"**Review:** {worst.head.review}"
    if (blocks := worst.primary and worst.primary.blocks_needed) and kind(worst) == "inconclusive":
        yield f"**Open:** about {blocks} blocks would decide (`--blocks`)"
    yield f"**Repeat:** {code(repeat)}"


def _evidence(result: Judged) -> Iterator[str]:
    if result.task.exclusion:
        text = code(result.task.exclusion_evidence or "", LONGEST)
        yield f"**Not measured:** `{result.task.exclusion}`: {text}"
        return
    for name, row in (("Head", result.head), ("Base", result.base)):
        if row.status == "failed":
            yield f"**{name} failed:** {_failure(row)}"
            return


def _failure(row: OutcomeRow) -> str:
    place = f" ({code(row.evidence_file or '')}:{row.evidence_line})" if row.evidence_line else ""
    blame = {"agent": "the change", "infra": "the machine", "task": "base or workload"}
    text = code(row.evidence or "no line of its log says why", LONGEST)
    whose = blame.get(row.blame or "", row.blame)
    return f"`{row.cause}` in {row.stage}, charged to {whose}: {text}{place}"


def noise(results: Sequence[Judged]) -> str:
    """Return what identical code did in the same blocks, and what counts as a change."""
    rows = [result.same_code for result in results if result.same_code is not None]
    margins = [result.primary.margin for result in results if result.primary]
    counts = f"; less than {_percent(max(margins))} counts as no change" if margins else ""
    seen = [r.primary.visible for r in results if r.primary and r.primary.visible is not None]
    counts += f", and from {_percent(max(seen))} on a change could have shown" if seen else ""
    if not rows:
        return f"no A/A pair was measured{counts}"
    worst = max(rows, key=lambda row: max(row.high, 1 / row.low))
    span = f"[{_percent(worst.low - 1, '+')}, {_percent(worst.high - 1, '+')}]"
    return (
        f"two launches of base differed by {_percent(worst.ratio - 1, '+')} {span} over "
        f"{worst.pairs} A/A pairs{counts}"
    )


def executed(result: Judged) -> str:
    """Return which files of the change the workload may execute, as far as rules on paths tell."""
    change = result.change
    if not change.files:
        return "nothing of the change is part of the measured engine"
    reached = [path for path in change.files if path not in change.unreached]
    known = "by its path" if change.has_rules else "no rule says otherwise"
    out = f"{_names(reached)} ({known}; lines were not traced)" if reached else "none of its files"
    if change.unreached:
        out += f"; never: {_names(list(change.unreached))}"
    if change.stripped:
        out += f"; left out as no part of the engine: {_names(change.stripped)}"
    return out


def _names(files: Sequence[str]) -> str:
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return ", ".join(code(name) for name in files[:NAMED]) + more


def _percent(share: float, sign: str = "") -> str:
    return f"{100 * share:{sign}.1f} %"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def code(text: str, most: int | None = None, *, cell: bool = False) -> str:
    """Return a text as a code span in one line, cut to ``most`` characters; in a cell of a table
    its bars are escaped."""
    plain = " ".join(CONTROL.sub(" ", text).split())
    if most is not None and len(plain) > most:
        plain = plain[: most - 1] + "…"
    if cell:
        plain = plain.replace("|", "\\|")
    runs = [len(run) for run in re.findall("`+", plain)]
    fence = "`" * (max(runs, default=0) + 1)
    return f"{fence} {plain} {fence}" if runs else f"`{plain}`"
