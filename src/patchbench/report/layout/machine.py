"""Tables of the infrastructure, the noise, and where files lie."""

from __future__ import annotations

from collections.abc import Iterator

from patchbench.report.layout.grid import SELF_MEASURED, Cell, Grid, columns, commit, count
from patchbench.report.model import Machine, Report
from patchbench.report.text.phrases import amount, duration, listed, percent, plural

# Figures of a GPU with their formats: means of the time in which kernels ran.
GPU_FIGURES = {
    "gpu_sm_mhz": ("GPU clock while working (median)", "{:,.0f} MHz"),
    "gpu_power_w": ("GPU power while working (median)", "{:,.0f} W"),
    "gpu_temperature_c": ("GPU temperature (highest mean of a launch)", "{:.0f} °C"),
}

STAGES = {
    "server_start": "server start",
    "output_check": "output check",
    "benchmark": "benchmark",
    "stop": "stop",
}


def infrastructure(report: Report) -> Grid:
    """Return the machine's facts, as name and value."""
    rows = [(Cell(name), Cell(value)) for name, value in facts(report.machine)]
    return Grid("infrastructure", "Infrastructure", columns("What", "Value"), rows, facts=True)


def gpu_facts(machine: Machine) -> Iterator[tuple[str, str]]:
    """Return the facts that the GPU's driver gave; nothing without a driver."""
    if machine.gpus:
        yield "GPU", "; ".join(machine.gpus)
    for name, (what, form) in GPU_FIGURES.items():
        value = getattr(machine, name)
        if value is not None:
            yield what, form.format(value)
    if machine.gpus:
        reasons = [f"{reason} in {plural(n, 'launch', 'launches')}" for reason, n in
                machine.throttled.items()]  # fmt: skip
        yield "Clocks held back", listed(reasons) or "never"


def facts(machine: Machine) -> Iterator[tuple[str, str]]:
    """Return all facts about the machine; a fact that was not recorded says so."""
    passed = f" (and {machine.not_launched:,} arms decided without a launch)"
    yield "Launches", f"{machine.launches:,}{passed if machine.not_launched else ''}"
    yield "Time in launches", duration(machine.launch_seconds)
    if machine.stages:
        shown = {STAGES.get(name, name): took for name, took in machine.stages.items()}
        took = [f"{name} {duration(seconds)}" for name, seconds in shown.items() if seconds >= 0.5]
        yield "Time per stage", ", ".join(took)
    pauses = f", {plural(machine.pauses, 'pause')} left out" if machine.pauses else ""
    yield "Time in which anything ran", f"{duration(machine.active_seconds)}{pauses}"
    if machine.busy:
        shares = [f"{lane} {percent(share)}" for lane, share in machine.busy.items()]
        yield "GPU busy share (launches of that time)", listed(shares, 16)
    if machine.gpu_working is not None:
        yield "A kernel ran on the GPU (of the time in launches)", percent(machine.gpu_working)
    yield from gpu_facts(machine)
    yield (
        "Images made",
        f"{machine.images:,} patched ones in {duration(machine.build_seconds)} of builds",
    )
    if machine.disk_peak is not None:
        least = machine.disk_free_least or 0
        yield (
            "Disk peak",
            f"{percent(machine.disk_peak)} of the engine's disk ({amount(least)} left)",
        )
        yield (
            "Images on disk at most",
            f"{machine.images_most:,} of {plural(machine.commits_most, 'commit')}",
        )
        yield (
            "Clean-ups",
            f"{plural(machine.releases, 'release')} of finished commits, "
            f"{plural(machine.reclaims, 'reclaim')} under pressure",
        )
        yield (
            "Waits for disk",
            f"{machine.waits:,}, {duration(machine.wait_seconds)} in all; given up "
            f"{plural(machine.refusals, 'time')}",
        )
    else:
        yield "Disk", "not recorded (this runtime keeps no images)"
    again = ", ".join(f"{name} {n}" for name, n in machine.repeated.items())
    repeats = f"{sum(machine.repeated.values()):,} spoilt by the machine"
    named = f" ({again})" if again else ""
    yield "Launches repeated", f"{repeats}{named}, {machine.cut_short:,} cut short"
    faults = ", ".join(f"{name} {n}" for name, n in machine.faults.items())
    yield "Jobs that ended with a fault of the machine", faults or "none"
    yield "Launches with such a fault as their outcome", f"{machine.infra_outcomes:,}"
    yield "Hosts", listed(machine.hosts) or "–"
    yield "Runtime", ", ".join(machine.runtimes) or "–"
    yield "Versions", "; ".join(machine.versions) or "–"
    if machine.load is not None:
        yield "Load average beside the launches (median)", f"{machine.load:.2f}"


def _task(report: Report, name: str) -> Cell:
    mark = SELF_MEASURED if name in report.self_measured else ""
    return commit(name)._replace(tail=mark)


def aa(report: Report) -> Grid:
    """Return the A/A pairs."""
    rows = [
        (
            _task(report, row.commit),
            count(row.block),
            Cell(code=row.metric),
            Cell(f"{100 * (row.ratio - 1):+.1f} %", sort=row.ratio),
        )
        for row in report.aa
    ]
    heads = columns(
        *("Commit", "Block", "Metric", "A/A to baseline"),
        right=("Block", "A/A to baseline"),
        choose=("Metric",),
    )
    return Grid("aa", "A/A pairs", heads, rows)


def identical(report: Report) -> Grid:
    """Return the verdicts on identical code."""
    rows = [
        (
            _task(report, row.commit),
            Cell(code=row.metric),
            count(row.pairs),
            Cell(f"{row.ratio:.2f}x [{row.low:.2f}, {row.high:.2f}]", row.mark, sort=row.ratio),
            Cell(row.verdict),
            Cell(percent(row.margin), sort=row.margin),
            count(row.blocks_needed),
        )
        for row in report.identical
    ]
    heads = columns(
        *("Commit", "Metric", "Pairs", "A/A to baseline", "Verdict", "Margin"),
        "Pairs that would decide",
        right=("Pairs", "Margin", "Pairs that would decide"),
        choose=("Metric", "Verdict"),
    )
    return Grid("identical", "Identical code, compared as a patch would be", heads, rows)


def scatters(report: Report) -> Grid:
    """Return the scatter of identical code against what the intervals allow."""
    rows = [
        (
            Cell(code=row.metric),
            count(row.pairs),
            Cell(f"{row.scatter:.2f} times", sort=row.scatter),
            Cell(f"{row.bound:.2f} times", sort=row.bound),
            Cell(f"{row.widened:.2f}" if row.widened > 1 else "no", sort=row.widened),
            count(row.commits),
        )
        for row in report.scatters
    ]
    heads = columns(
        *("Metric", "A/A pairs", "Scatter", "At least (99 %)", "Intervals widened by", "Commits"),
        right=("A/A pairs", "Scatter", "At least (99 %)", "Intervals widened by", "Commits"),
    )
    title = "Scatter of identical code, times what the intervals allow"
    return Grid("scatters", title, heads, rows)


def shapes(report: Report) -> Grid:
    """Return what launches show beside noise."""
    rows = [
        (
            _task(report, row.commit),
            Cell(code=row.metric),
            Cell(row.what),
            Cell(
                f"{row.ratio:.2f}x"
                + ("" if row.low is None else f" [{row.low:.2f}, {row.high:.2f}]"),
                sort=row.ratio,
            ),
            count(row.launches),
        )
        for row in report.shapes
    ]
    heads = columns(
        *("Commit", "Metric", "Finding", "Ratio, with its 99 % interval", "Launches"),
        right=("Launches",),
        choose=("Metric",),
    )
    return Grid("shapes", "What launches show beside noise", heads, rows)


def files(report: Report) -> Grid:
    """Return the places of all files."""
    at = report.about.results.rstrip("/")
    rows = [
        ("This report", f"{at}/report.md"),
        ("The same with sorting, filters and links", f"{at}/report.html"),
        ("All its numbers (JSON)", f"{at}/report.json"),
    ]
    rows += [(f"Results of {report.about.title(a)}", d) for a, d in report.about.origins.items()]
    if report.about.compared:
        rows += [
            ("Raw logs and result files, a folder per launch", f"{at}/runs/COMMIT/block-N/ARM/"),
            ("Patches as fetched and as measured", f"{at}/patches/COMMIT/ARM/"),
            ("Journals of launches", f"{at}/journal/"),
            ("Events of the disks, faults of the machine", f"{at}/disk.jsonl, {at}/faults.jsonl"),
        ]
    rows += [("Tables (Parquet)", f"{at}/tables/"), ("Figures (SVG, PNG)", f"{at}/figures/")]
    cells = [(Cell(what), Cell(code=where)) for what, where in rows]
    return Grid("files", "File locations", columns("What", "Where"), cells, facts=True)
