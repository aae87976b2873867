"""Sentences made from the numbers by rules: findings, what they mean, what to do next."""

from __future__ import annotations

from collections import Counter
from typing import Any

from patchbench.failures.causes import CAUSES
from patchbench.progress import duration

Context = dict[str, Any]


def percent(value: float | None) -> str:
    """A share with one decimal; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"


def plural(count: int, word: str, many: str | None = None) -> str:
    """'1 patch', '2 patches'."""
    return f"{count} {word if count == 1 else many or word + 's'}"


def was(count: int) -> str:
    """'was' for one, 'were' for none and many."""
    return "was" if count == 1 else "were"


def findings(context: Context) -> list[str]:
    """Key findings, most important first."""
    agents, out = context["agents"], []
    delivered = sum(a["delivered"] for a in agents)
    faster = sum(a["faster"]["part"] for a in agents)
    matched = sum(a["human"]["part"] for a in agents)
    out.append(
        f"Of {plural(delivered, 'patch', 'patches')} delivered, {faster} made the engine faster "
        f"beyond noise, and {matched} of these {was(matched)} at least as fast as the human's "
        "commit."
    )
    charged, failed = sum(a["charged"] for a in agents), sum(a["failed"] for a in agents)
    if failed:
        out.append(
            f"{plural(failed, 'patch', 'patches')} gave no valid measurement; {charged} of these "
            f"{was(charged)} charged to the agent, each with the line that shows it, "
            f"{failed - charged} to others."
        )
    if len(agents) > 1:
        out.append(ranking(agents))
    speedups = context["speedups"]
    gone = [row for row in speedups if row["cells"]["human"]["comparison"]]
    repeated = sum(row["human_reproduced"] for row in gone)
    if gone:
        out.append(
            f"The human's gain was reproduced in {repeated} of {plural(len(gone), 'task')} "
            "compared."
        )
    return out


def ranking(agents: list[dict[str, Any]]) -> str:
    """Whether the table supports an order of the agents: only if the intervals of the best and the
    next do not overlap."""
    order = sorted(agents, key=lambda a: -(a["faster"]["share"] or 0))
    best, second = order[0], order[1]
    if best["faster"]["low"] > second["faster"]["high"]:
        return (
            f"{best['title']} made more commits faster than {second['title']} "
            f"({percent(best['faster']['share'])} against {percent(second['faster']['share'])}; "
            "their intervals do not overlap)."
        )
    return (
        "The data do not support a ranking of the agents: the intervals of their rates overlap "
        f"({best['title']} {interval(best['faster'])}, "
        f"{second['title']} {interval(second['faster'])})."
    )


def interval(share: dict[str, Any]) -> str:
    """'3/6 = 50.0 % [18.8, 81.2]'."""
    if not share["whole"]:
        return "0/0"
    return (
        f"{share['part']}/{share['whole']} = {percent(share['share'])} "
        f"[{100 * share['low']:.1f}, {100 * share['high']:.1f}]"
    )


def meaning(context: Context) -> dict[str, list[str]]:
    """What the results mean, for the three kinds of reader of the predecessor's report."""
    causes: Counter[str] = Counter()
    stages: Counter[str] = Counter()
    for row in context["failures"]:
        for cause in row["causes"]:
            if cause["blame"] == "agent":
                causes[cause["cause"]] += cause["count"]
                stages[CAUSES[cause["cause"]].stage] += cause["count"]
    early = sum(stages[s] for s in ("fetch_patch", "validate_patch", "build_image"))
    total = sum(stages.values())
    for_agents = []
    if total:
        for_agents.append(
            f"{early} of {plural(total, 'failure')} charged to agents could have been found "
            "without a GPU, by applying, compiling and importing the patch."
        )
        for_agents += [
            f"{CAUSES[cause].title} ({plural(count, 'patch', 'patches')}): {CAUSES[cause].advice}."
            for cause, count in causes.most_common(3)
        ]
    same = sum(a["verdicts"]["same"] + a["verdicts"]["inconclusive"] for a in context["agents"])
    if same:
        for_agents.append(
            f"{plural(same, 'measured patch', 'measured patches')} showed no gain beyond noise: "
            "measure before delivering."
        )
    counts = context["counts"]
    for_owners = [
        f"{plural(counts['excluded'], 'task')} of {counts['tasks']} can't be run here and "
        f"{'stands' if counts['excluded'] == 1 else 'stand'} outside every rate."
    ]
    missing = sum(len(row["missing"]) for row in context["coverage"])
    if missing:
        for_owners.append(f"{plural(missing, 'patch', 'patches')} never came: coverage, not skill.")
    measured = sum(a["measured"] for a in context["agents"])
    for_research = [
        f"{plural(measured, 'measured patch', 'measured patches')} in all; every rate stands with "
        "its denominator and a 95 % interval.",
    ]
    not_reproduced = [
        row["task"]["commit"][:8]
        for row in context["speedups"]
        if row["cells"]["human"]["comparison"] and not row["human_reproduced"]
    ]
    if not_reproduced:
        for_research.append(
            "The human's gain was not seen here for "
            f"{', '.join(not_reproduced)}: read those rows apart."
        )
    return {"agents": for_agents, "owners": for_owners, "research": for_research}


def recommendations(context: Context) -> list[str]:
    """What to do next, by rules from this data."""
    out = []
    open_ = [
        (row["task"]["commit"][:8], arm, cell["comparison"]["blocks_needed"])
        for row in context["speedups"]
        for arm, cell in row["cells"].items()
        if cell["comparison"] and cell["comparison"]["verdict"] == "inconclusive"
    ]
    for commit, arm, blocks in open_[:5]:
        out.append(
            f"{commit} {arm} is inconclusive: about {blocks} blocks would narrow its interval to "
            "the noise floor (`protocol.blocks`)."
            if blocks
            else f"{commit} {arm} is inconclusive: its gain lies near the noise floor."
        )
    if context["counts"]["pending"]:
        out.append(
            f"{plural(context['counts']['pending'], 'outcome')} pending: run the same command "
            "again; what is measured is kept."
        )
    for row in context["coverage"]:
        if row["missing"]:
            short = ", ".join(c[:8] for c in row["missing"])
            out.append(f"Have {context['title_of'][row['arm']]} run on {short}.")
    for row in context["commit_failures"]:
        out.append(
            f"{row['commit'][:8]}: the {row['arm']} arm failed ({row['cause']}); mend the task."
        )
    return out or ["Nothing is open: every planned patch has its outcome."]


def span(context: Context) -> str:
    """How long the launches took, in words."""
    infrastructure = context["infrastructure"]
    return duration(infrastructure["measure_seconds"])
