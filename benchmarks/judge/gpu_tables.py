"""Tables of what gpu.py left in a folder: agreement, the judge's own lag, answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, stdev

from gpu import BASELINES, RECORDS, VARIANTS
from scipy import stats

from patchbench.judge.answers import check_answers, mean_gap, trimmed_mean
from patchbench.judge.metrics import window_metrics
from patchbench.judge.record import Window, read_window
from patchbench.judge.scores import Scores
from patchbench.system.files import read_json

KINDS = ("ids", "plain", "bench")
METRICS = {
    "output tokens/s": "output_throughput",
    "mean TPOT, ms": "mean_tpot_ms",
    "median TPOT, ms": "median_tpot_ms",
    "mean TTFT, ms": "mean_ttft_ms",
    "median TTFT, ms": "median_ttft_ms",
}
SAMPLE = 48  # answers of the smaller samples


def tables(folder: Path) -> None:
    """Print every table whose files are there."""
    for concurrency in (64, 16):
        if (folder / f"ids-{concurrency}-1.judge").exists():
            agreement(folder, concurrency)
    lags(folder)
    for window in (1, 2):
        if (folder / f"{RECORDS[BASELINES[0]]}-{window}.json").exists():
            answer_table(folder, window)


def bench_figures(window: Window) -> dict[str, float]:
    """Return the figures of a record by the formulas of ``vllm bench serve``: every chunk counts,
    latency begins when a request was sent, all tokens ordered came."""
    tokens = [a.output_limit for a in window.answers]
    first = [(a.at[0] - a.sent_ns) / 1e6 for a in window.answers]
    per_token = [
        (a.at[-1] - a.at[0]) / 1e6 / (n - 1) for a, n in zip(window.answers, tokens, strict=True)
    ]
    return {
        "output_throughput": sum(tokens) / (window.duration_ns / 1e9),
        "mean_tpot_ms": fmean(per_token),
        "median_tpot_ms": median(per_token),
        "mean_ttft_ms": fmean(first),
        "median_ttft_ms": median(first),
    }


def agreement(folder: Path, concurrency: int) -> None:
    """Print ratios of the same round's windows with 95 % intervals of their means (t)."""
    rounds = len(list(folder.glob(f"bench-{concurrency}-*.json")))
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    formula = []
    for n in range(1, rounds + 1):
        window = read_window(folder / f"ids-{concurrency}-{n}.judge")
        rows["ids"].append(bench_figures(window))
        formula.append(window_metrics(window)["tpot_mean_ms"] / rows["ids"][-1]["mean_tpot_ms"])
        plain = read_window(folder / f"plain-{concurrency}-{500 + n}.judge")
        rows["plain"].append(bench_figures(plain))
        rows["bench"].append(json.loads((folder / f"bench-{concurrency}-{n}.json").read_text()))
    print(f"\n{concurrency} at once, {rounds} rounds; own TPOT by bench's: {fmean(formula):.5f}")
    print("| metric | bench | judge | judge : bench | without ids : bench | ids : without |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, key in METRICS.items():
        ids, plain_, bench = ([row[key] for row in rows[kind]] for kind in KINDS)
        cells = [scatter(bench), scatter(ids), ratio(ids, bench), ratio(plain_, bench)]
        print("| " + " | ".join([name, *cells, ratio(ids, plain_)]) + " |")
    for kind in KINDS:
        paths = [folder / f"own-{kind}-{concurrency}-{n}.json" for n in range(1, rounds + 1)]
        if all(path.exists() for path in paths):
            own = [own_tpot(json.loads(path.read_text())) for path in paths]
            told = [row["mean_tpot_ms"] for row in rows[kind]]
            print(f"mean TPOT, {kind}: {ratio(told, own)} of the server's own {scatter(own)}")


def own_tpot(figures: dict[str, float]) -> float:
    """Return the server's own mean TPOT in milliseconds."""
    stem = "vllm:request_time_per_output_token_seconds"
    return 1e3 * figures[f"{stem}_sum"] / figures[f"{stem}_count"]


def scatter(values: Sequence[float]) -> str:
    """Return mean and relative standard deviation."""
    return f"{fmean(values):,.2f} (sd {stdev(values) / fmean(values):.1%})"


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Return the mean ratio of pairs with half its 95 % interval."""
    values = [a / b for a, b in zip(above, below, strict=True)]
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{fmean(values):.3f} ± {half:.3f}"


def lags(folder: Path) -> None:
    """Print how late the judge was, by kind of window."""
    print(
        "\n| windows | n | tokens/s | send lag p99 | loop lag p99, worst | max | cpu | saturated |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    stems = {path.name.rpartition("-")[0] for path in folder.glob("*-*-*.judge")}
    for stem in sorted(s for s in stems if not s.startswith("variant")):
        windows = [read_window(path) for path in folder.glob(f"{stem}-*.judge")]
        watches = [watch for window in windows for watch in window.watches]
        rates = [bench_figures(window)["output_throughput"] for window in windows]
        loop = [watch.loop_lag_p99 for watch in watches]
        cells = (
            str(len(windows)),
            f"{fmean(rates):,.0f}",
            f"{fmean(watch.send_lag_p99 for watch in watches):.2f}",
            f"{fmean(loop):.2f}, {max(loop):.2f}",
            f"{max(watch.loop_lag_max for watch in watches):.1f}",
            f"{fmean(watch.cpu for watch in watches):.2f}",
            str(sum(bool(window.saturated) for window in windows)),
        )
        print(f"| {stem} | " + " | ".join(cells) + " |")


def answer_table(folder: Path, number: int) -> None:
    """Print what the check says of every variant's window, and of its quarters of 48 answers."""
    paths = {n: folder / f"{RECORDS[n]}-{number}.json" for n in VARIANTS}
    scores = {n: read_json(path, Scores) for n, path in paths.items() if path.exists()}
    base = [scores[name] for name in BASELINES]
    print(f"\nwindow {number}\n| variant | not the first choice | mean gap, nats | check | of 48 |")
    print("|---|---:|---:|---|---:|")
    for name, got in scores.items():
        check = check_answers(got, base, greedy=True)
        parts = range(0, len(got.scores) - SAMPLE + 1, SAMPLE)
        small = [
            check_answers(part(got, at), [part(b, at) for b in base], greedy=True).status
            for at in parts
        ]
        gaps = [gap for score in got.scores for gap in score.gaps]
        print(
            f"| {name} | {fmean(g > 0 for g in gaps):.1%} | "
            f"{trimmed_mean([mean_gap(s) for s in got.scores]):.4f} | "
            f"{check.status} {check.rule or check.reason} | "
            f"{small.count('wrong_output')} of {len(small)} |"
        )


def part(scores: Scores, start: int) -> Scores:
    """Return some of the scores."""
    some = scores.scores[start : start + SAMPLE]
    return Scores(block=scores.block, window=scores.window, form=scores.form, scores=some)
