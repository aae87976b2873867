"""The report's pictures, each as SVG and PNG: readable in grey, safe for the colour-blind."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from patchbench.failures.causes import BLAMES, CAUSES
from patchbench.files import write_bytes
from patchbench.records import HUMAN

Context = dict[str, Any]

# Okabe and Ito's palette; markers and hatches say the same in grey.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
BLAME_STYLE = {
    "agent": ("#D55E00", ""),
    "task": ("#56B4E9", "//"),
    "infra": ("#999999", "xx"),
    "harness": ("#CC79A7", ".."),
    "unknown": ("#F0E442", "++"),
}


def draw_all(context: Context, folder: Path) -> None:
    """Draw every figure into a folder. The same numbers give the same files."""
    drawings: dict[str, Callable[[Context], Figure]] = {
        "speedups": speedups,
        "failures": failures,
        "outcomes": outcomes,
    }
    with plt.rc_context({"svg.hashsalt": "patchbench", "font.size": 9, "axes.titlesize": 10}):
        for name, draw in drawings.items():
            figure = draw(context)
            for kind in ("svg", "png"):
                data = io.BytesIO()
                metadata = {"Date": None} if kind == "svg" else {"Software": None}
                figure.savefig(data, format=kind, dpi=150, metadata=metadata, bbox_inches="tight")
                write_bytes(folder / f"{name}.{kind}", data.getvalue())
            plt.close(figure)


def speedups(context: Context) -> Figure:
    """Forest plot: each arm's ratio to the baseline with its interval, one row per commit."""
    rows = [r for r in context["speedups"] if any(c["comparison"] for c in r["cells"].values())]
    arms = [HUMAN, *(a["arm"] for a in context["agents"])]
    titles = {HUMAN: "human", **context["title_of"]}
    figure, axes = plt.subplots(figsize=(7.5, 1.3 + 0.65 * max(1, len(rows))))
    for index, arm in enumerate(arms):
        shift = (index - (len(arms) - 1) / 2) * 0.18
        xs, ys, left, right, filled = [], [], [], [], []
        for place, row in enumerate(rows):
            found = row["cells"][arm]["comparison"]
            if found is None or not math.isfinite(found["high"]):
                continue
            xs.append(found["ratio"])
            ys.append(place + shift)
            left.append(found["ratio"] - found["low"])
            right.append(found["high"] - found["ratio"])
            filled.append(found["verdict"] in ("faster", "slower"))
        colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
        axes.errorbar(xs, ys, xerr=[left, right], fmt="none", ecolor=colour, lw=1.2, capsize=2)
        for x, y, full in zip(xs, ys, filled, strict=True):
            axes.plot(x, y, marker, ms=5, mec=colour, mfc=colour if full else "white", ls="")
        axes.plot([], [], marker, color=colour, label=titles[arm])
    for place, row in enumerate(rows):
        floor = row["floor"] or 0
        axes.fill_betweenx([place - 0.42, place + 0.42], 1 / (1 + floor), 1 + floor, color="0.85")
    axes.axvline(1, color="0.3", lw=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:g}x"))
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    ticks = [t for t in (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12) if _inside(axes, t)]
    axes.set_xticks(ticks)
    labels = [f"{r['task']['commit'][:8]}\n{r['task']['primary_metric']}" for r in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("ratio to the baseline (right is better), grey: noise floor")
    axes.set_title("Speedups with 95 % intervals; filled: faster or slower beyond noise")
    if rows:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _inside(axes: Any, x: float) -> bool:
    low, high = axes.get_xlim()
    return bool(low <= x <= high)


def failures(context: Context) -> Figure:
    """Failures per cause, stacked by agent, coloured by blame."""
    found = [(row["arm"], cause) for row in context["failures"] for cause in row["causes"]]
    names = sorted({c["cause"] for _, c in found}, key=list(CAUSES).index)
    agents = [a["arm"] for a in context["agents"]]
    figure, axes = plt.subplots(figsize=(7.5, 1.2 + 0.28 * max(1, len(names))))
    for place, name in enumerate(names):
        left = 0
        for arm, cause in found:
            if cause["cause"] != name:
                continue
            colour, hatch = BLAME_STYLE[cause["blame"]]
            axes.barh(place, cause["count"], left=left, color=colour, hatch=hatch, ec="white")
            label = context["title_of"][arm]
            axes.text(left + cause["count"] / 2, place, label, ha="center", va="center", fontsize=7)
            left += cause["count"]
    for blame in BLAMES:
        if any(c["blame"] == blame for _, c in found):
            colour, hatch = BLAME_STYLE[blame]
            axes.barh(0, 0, color=colour, hatch=hatch, ec="white", label=f"charged to: {blame}")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axes.set_xlabel(f"patches without a valid measurement, {len(agents)} agents")
    axes.set_title("Failures by cause and blame")
    if found:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


CELLS = {
    "faster": ("#009E73", "+"),
    "same": ("#DDDDDD", "="),
    "inconclusive": ("#EEEEEE", "~"),
    "slower": ("#E69F00", "−"),
    "trade-off": ("#F0E442", "±"),
    "suspicious": ("#F0E442", "!"),
    "wrong output": ("#CC79A7", "x"),
    "failed": ("#E8915A", ""),
    "other": ("#56B4E9", ""),
    "missing": ("#FFFFFF", "·"),
    "pending": ("#FFFFFF", "?"),
}
CELL_WORDS = {"failed": "failed, charged to the agent", "other": "failed, not the agent's"}


def cell_kind(outcome: dict[str, Any]) -> str:
    """What a cell of the outcome matrix shows."""
    if outcome["status"] == "pending":
        return "pending"
    if outcome["cause"] == "patch.missing":
        return "missing"
    if outcome["verdict"] in CELLS:
        return str(outcome["verdict"])
    return "failed" if outcome["blame"] == "agent" else "other"


def outcomes(context: Context) -> Figure:
    """Matrix of commits and agents: what became of each patch."""
    rows, agents = context["speedups"], [a["arm"] for a in context["agents"]]
    figure, axes = plt.subplots(figsize=(2.2 + 1.1 * len(agents), 1.0 + 0.42 * max(1, len(rows))))
    seen = set()
    for y, row in enumerate(rows):
        for x, arm in enumerate(agents):
            kind = cell_kind(row["cells"][arm]["outcome"])
            seen.add(kind)
            colour, mark = CELLS[kind]
            axes.add_patch(mpl.patches.Rectangle((x, y), 0.94, 0.9, fc=colour, ec="0.6", lw=0.5))
            cause = row["cells"][arm]["outcome"]["cause"]
            text = str(cause).partition(".")[2].replace("_", " ") if cause else mark
            size = 7 if cause else 10
            axes.text(x + 0.47, y + 0.45, text, ha="center", va="center", fontsize=size)
    axes.set_xlim(0, max(1, len(agents)))
    axes.set_ylim(max(1, len(rows)), 0)
    axes.set_xticks(
        [i + 0.47 for i in range(len(agents))], [context["title_of"][a] for a in agents]
    )
    axes.set_yticks(
        [i + 0.45 for i in range(len(rows))],
        [r["task"]["commit"][:8] for r in rows],
        family="monospace",
    )
    axes.tick_params(length=0)
    axes.set_title("What became of each patch")
    for kind, (colour, mark) in CELLS.items():
        if kind in seen:
            word = CELL_WORDS.get(kind, kind)
            axes.bar(0, 0, color=colour, ec="0.6", label=f"{mark}  {word}" if mark else word)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure
