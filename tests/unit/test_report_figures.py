"""Figures: titled, with units, told apart in grey, drawn for small, large and empty campaigns."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from patchbench.report import figures
from patchbench.report.figures import DRAWINGS, outcomes, speedups, style, timeline
from patchbench.report.figures.running import running
from patchbench.report.model import AaPair, DiskSample, GpuSpan, Report, Span
from tests.unit import reports
from tests.unit.reports import comparison, outcome, small_rows, task

replace = msgspec.structs.replace
SMALL = reports.small()


def full() -> Report:
    """The small report with a machine and noise."""
    report = reports.small()
    a = reports.COMMITS[0]
    spans = (
        Span(lane="slot 0", start=0, end=60, commit=a, kind="measured"),
        Span(lane="slot 0", start=61, end=70, commit=a, kind="failed"),
        Span(lane="builds", start=0, end=5, commit=a, kind="build"),
        Span(lane="faults", start=30, end=30, commit=a, kind="infra.gpu"),
    )
    disk = tuple(
        DiskSample(
            at=10.0 * i,
            event=event,
            engine_free=(100 - i) << 30,
            engine_total=200 << 30,
            results_free=50 << 30,
            images=i,
            commits=1,
            seconds=0,
        )
        for i, event in enumerate(("build", "built", "waited", "reclaimed", "released", "refused"))
    )
    machine = replace(report.machine, spans=spans, disk=disk, origin="2026-01-01T10:00:00+00:00")
    aa = tuple(AaPair(commit=a, block=i, metric="ttft_median_ms", ratio=1.01) for i in (1, 2))
    return replace(report, machine=machine, aa=aa)


def large(commits: int, agents: int) -> Report:
    """Many commits and agents, every patch measured or failed."""
    names = [f"agent-{i}" for i in range(agents)]
    rows: reports.Rows = {"tasks": [], "outcomes": [], "patches": [], "comparisons": []}
    for place in range(commits):
        commit = f"{place:040x}"
        rows["tasks"].append(task(commit))
        rows["outcomes"] += [outcome(commit, "baseline"), outcome(commit, "human")]
        for number, arm in enumerate(names):
            if (place + number) % 3:
                rows["outcomes"].append(outcome(commit, arm, verdict="faster"))
                rows["comparisons"].append(comparison(commit, arm, 1 + place / commits))
            else:
                rows["outcomes"].append(outcome(commit, arm, "server.crash"))
            rows["patches"].append({"commit": commit, "arm": arm, "status": "ok"})
    return reports.built(rows, agents={name: name.title() for name in names})


@pytest.fixture(scope="module")
def report() -> Report:
    return full()


def words(figure: Figure) -> str:
    """All texts of a figure."""
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_every_figure_is_shown_where_it_has_data(report: Report) -> None:
    assert figures.shown(report) == tuple(DRAWINGS)
    assert set(figures.shown(reports.small())) == {"speedups", "outcomes"}


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_figure_has_a_title_and_units(report: Report, name: str) -> None:
    figure = DRAWINGS[name].draw(report)
    said = words(figure)
    assert DRAWINGS[name].title in said
    units = {
        "speedups": "ratio to the baseline",
        "outcomes": "faster",
        "timeline": "minutes since the first event (2026-01-01 10:00 UTC)",
        "disk": "free (GiB)",
        "noise": "(%)",
    }
    assert units[name] in said


def test_all_figures_are_written_in_both_formats_even_without_data(tmp_path: Path) -> None:
    empty = reports.built({})
    figures.draw_all(empty, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{kind}" for name in DRAWINGS for kind in ("svg", "png")
    }
    assert (tmp_path / "disk.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "disk.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_numbers_give_the_same_files(report: Report, tmp_path: Path) -> None:
    for name in ("one", "two"):
        figures.draw_all(report, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_forest_has_a_row_per_commit_while_they_are_few() -> None:
    few, many = large(10, 3), large(200, 3)
    assert len(speedups.draw(few).axes) == 1
    panels = speedups.draw(many).axes
    assert len([axes for axes in panels if axes.get_visible()]) == 4
    assert "Agent-0: 133 faster of 133" in words(speedups.draw(many))
    assert len(speedups.draw(large(10, 12)).axes) >= 13


def test_large_figures_stay_small_files(tmp_path: Path) -> None:
    figures.draw_all(large(300, 12), tmp_path)
    for path in tmp_path.iterdir():
        assert path.stat().st_size < 1_500_000, path.name


def test_the_matrix_speaks_while_its_cells_are_large_enough() -> None:
    assert "crash" in words(outcomes.draw(large(10, 3)))
    coloured = words(outcomes.draw(large(100, 3)))
    assert "crash" not in coloured
    assert "100 commits" in coloured


def test_a_timeline_of_hours_counts_hours(report: Report) -> None:
    spans = tuple(replace(span, end=span.end * 1000) for span in report.machine.spans)
    long = replace(report, machine=replace(report.machine, spans=spans))
    assert "hours since" in words(timeline.draw(long))


def test_a_gpu_that_says_0_all_the_time_is_drawn(report: Report) -> None:
    idle = GpuSpan(lane="slot 0", start=0, end=60, sm_mhz=0.0, power_w=0.0)
    silent = replace(report, machine=replace(report.machine, gpu_spans=(idle,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "MHz" in words(timeline.draw(silent))


def test_intervals_without_bounds_are_left_out() -> None:
    rows = small_rows()
    rows["comparisons"][1] |= {"low": 0.0, "high": math.inf}
    found = reports.built(rows)
    assert "ratio to the baseline" in words(speedups.draw(found))


# --- told apart in grey, and by the colour-blind --------------------------------------------------


def grey(colour: str) -> float:
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_blames_differ_by_hatch_as_well_as_colour() -> None:
    hatches = [hatch for _, hatch in style.BLAME_STYLE.values()]
    assert len(set(hatches)) == len(style.BLAME_STYLE)


def test_arms_differ_by_marker_as_well_as_colour() -> None:
    assert len(set(style.MARKERS)) == len(style.MARKERS) == len(style.PALETTE)


def test_good_and_bad_cells_differ_in_grey() -> None:
    shades = {name: grey(colour) for name, colour in outcomes.COLOURS.items()}
    order = ["faster", "failed", "slower", "other", "same", "inconclusive"]
    found = [shades[name] for name in order]
    assert found == sorted(found)
    gaps = [after - before for before, after in pairwise(found)]
    assert min(gaps) > 0.06, dict(zip(order, found, strict=True))


def test_ticks_of_a_ratio_never_run_into_each_other() -> None:
    for low, high in ((0.97, 1.04), (0.5, 2.0), (0.05, 40.0)):
        axes = Figure().subplots()
        style.ratio_axis(axes, [low], [high])
        ticks = axes.get_xticks()
        assert 1 in ticks
        left, right = axes.get_xlim()
        steps = [math.log(b / a) for a, b in pairwise(ticks)]
        assert not steps or min(steps) >= math.log(right / left) / 9 - 1e-9


def with_spans(report: Report, *times: tuple[float, float]) -> Report:
    spans = tuple(
        Span(lane="slot 0", start=start, end=end, commit="a" * 40, kind="measured")
        for start, end in times
    )
    return replace(report, machine=replace(report.machine, spans=spans))


def test_a_pause_of_a_day_takes_no_room_on_the_axis_of_time(report: Report) -> None:
    day = 86_400.0
    time = running(with_spans(report, (0, 600), (day, day + 300), (day + 310, day + 600)))
    assert time.pauses == ((600, day),)
    assert (time.length, time.unit) == (1200, 60)
    assert [time.at(moment) for moment in (0, 600, 5000, day, day + 600)] == [0, 10, 10, 10, 20]
    assert time.label.endswith("; 1 pause left out")
    found = words(timeline.draw(with_spans(report, (0, 600), (day, day + 300))))
    assert "23 h 50 min later" in found


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 5000)), min_size=1, max_size=20))
def test_the_axis_of_time_never_goes_back(spans: list[tuple[float, float]]) -> None:
    found = [(start, start + length) for start, length in spans]
    time = running(with_spans(SMALL, *found))
    moments = sorted(moment for span in found for moment in span)
    places = [time.at(moment) for moment in moments]
    assert all(later >= sooner - 1e-9 for sooner, later in pairwise(places))
    assert places[-1] <= (time.length / time.unit) * (1 + 1e-9) + 1e-9
