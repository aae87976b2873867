"""Progress: counts from the journals, and what a person sees of them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from patchbench.config import Protocol
from patchbench.ledger import journal, progress
from patchbench.ledger.display import Display
from patchbench.ledger.journal import Event
from patchbench.ledger.progress import State, count, launch_line
from patchbench.ledger.standing_lines import View
from tests.unit.make import event


def test_a_run_measured_again_counts_once(tmp_path: Path) -> None:
    for digest, seconds in (("d0", 4.0), ("d1", 6.0)):
        journal.write(
            journal.path(tmp_path, "c" * 40, 1), event("alba", digest=digest, seconds=seconds)
        )
    journal.write(journal.path(tmp_path, "c" * 40, 2), event("alba", block=2, seconds=1.0))
    assert count(tmp_path, Protocol(blocks=5)) == (2, 7.0, 0)


TWO = Protocol(blocks=2, max_blocks=4)


def test_blocks_begun_beyond_the_first_ones_come_on_top(tmp_path: Path) -> None:
    """Seen on an H100: 74 of 54 launches, block 4 of 3."""
    arms = ("baseline", "human", "alba")
    for block in (1, 2, 101):
        for arm in (*arms, "baseline-aa"):
            journal.write(journal.path(tmp_path, "c" * 40, block), event(arm, block=block))
    assert count(tmp_path, TWO) == (12, 0.0, 0)
    journal.write(journal.path(tmp_path, "c" * 40, 3), event("alba", "run_started", block=3))
    assert count(tmp_path, TWO) == (12, 0.0, 3)
    journal.write(journal.path(tmp_path, "c" * 40, 3), event("alba", block=3))
    assert count(tmp_path, TWO) == (13, 0.0, 3)
    journal.write(journal.path(tmp_path, "c" * 40, 103), event("alba", block=103, digest="d2"))
    assert count(tmp_path, TWO) == (14, 0.0, 6)


def test_a_block_beyond_the_first_ones_counts_what_it_launches(tmp_path: Path) -> None:
    for arm in ("baseline", "human", "alba", "brio"):
        journal.write(journal.path(tmp_path, "c" * 40, 1), event(arm))
    begun = journal.path(tmp_path, "c" * 40, 2)
    journal.write(begun, event("", "block_begun", block=2, detail="human alba baseline"))
    journal.write(begun, event("human", "run_started", block=2))
    assert count(tmp_path, Protocol(blocks=1, max_blocks=4)).more == 3
    pair = journal.path(tmp_path, "c" * 40, 3)
    journal.write(pair, event("", "block_begun", block=3, detail="baseline baseline-aa"))
    # Two of each were planned from the start, and the first block's pair that it never got.
    plan = Protocol(blocks=1, max_blocks=4, aa_blocks=3)
    assert count(tmp_path, plan).more == 1
    first = journal.path(tmp_path, "c" * 40, 1)
    journal.write(first, event("", "block_begun", detail="baseline human alba brio"))
    assert count(tmp_path, plan).more == 0


def test_the_line_counts_a_block_beyond_the_first_ones(tmp_path: Path) -> None:
    protocol = Protocol(blocks=1, max_blocks=4)
    for arm in ("baseline", "alba"):
        journal.write(journal.path(tmp_path, "c" * 40, 1), event(arm, seconds=30.0))
    last = event("alba", block=2, seconds=30.0, result="measured")
    journal.write(journal.path(tmp_path, "c" * 40, 2), last)
    progress.report(tmp_path, 2, last, protocol, "A task")
    (line,) = (tmp_path / progress.LOG).read_text().splitlines()
    assert " 3/4 cccccccc block 2/4 alba measured 30.0 s, about 30 s left" in line
    assert line.endswith(" | A task")


# --- what a person sees ---------------------------------------------------------------------------


def finished(arm: str = "alba", result: str = "measured", **more: object) -> Event:
    return event(arm, result=result, seconds=30.0, **more)


@pytest.mark.parametrize(
    ("done", "whole", "left", "words"),
    [
        (0, 4, 0.0, "not begun"),
        (3, 4, 30.0, "about 30 s left"),
        (3, 4, 11100.0, "about 3 h 05 min left"),
        (4, 4, 0.0, "all done"),
    ],
)
def test_the_rest_in_words(done: int, whole: int, left: float, words: str) -> None:
    assert State(done, whole, left).words == words


def test_a_launchs_line_fits_a_terminal_of_80_columns() -> None:
    now = State(1234, 7500, 360_000.0)
    line = launch_line(finished("trae_sonnet45"), now, Protocol())
    assert len(line) <= 80
    assert "trae_sonnet45 measured 30.0 s" in line
    crash = finished("alba", "failed", cause="server.crash_under_load")
    assert launch_line(crash, now, Protocol()).endswith("server.crash_under_load 30.0 s")


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns in place of stderr."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", screen)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_lines_elsewhere_than_on_a_terminal_are_plain(capsys: pytest.CaptureFixture) -> None:
    shown = Display("demo", lambda: pytest.fail("no bar, no figures"))
    shown.line("10:00 3/4 measured [not markup]")
    shown.close()
    assert capsys.readouterr().err == "10:00 3/4 measured [not markup]\n"


def test_a_terminal_has_colours_and_a_bar_below_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    states = iter([View(2, 4, "a minute left", ("Alba [1]",)), View(3, 4, "about 30 s left", ())])
    shown = Display("demo [x]", lambda: next(states))
    shown.line("10:00 3/4 cccccccc block 1/1 alba measured 30.0 s")
    shown.close()
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", screen.getvalue())
    assert text != screen.getvalue()
    assert "10:00 3/4 cccccccc block 1/1 alba measured 30.0 s\n" in text
    assert "Alba [1]" in text
    last = text.splitlines()[-1]
    assert last.startswith("demo [x] ")
    assert last.rstrip().endswith("3/4 launches, about 30 s left")
    assert len(last) <= 80


def test_a_plan_that_cannot_be_read_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b'\x00\xff{"half": [1, \n')
    assert progress.count(tmp_path, Protocol()).runs == 0


def test_an_arm_that_an_earlier_stage_refused_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = event("alba", result="passed_on", cause="patch.missing")
    progress.report(tmp_path, 4, refused, Protocol(), "A title")
    assert not (tmp_path / progress.LOG).exists()
    progress.report(tmp_path, 4, event("alba", result="measured"), Protocol(), "A title")
    (line,) = (tmp_path / progress.LOG).read_text().splitlines()
    assert line.endswith(" | A title")
    assert progress.without_title(line) == capsys.readouterr().err.strip()
    said = "10:00 not measured: cccccccc alba | fetch_patch | patch.missing"
    assert progress.without_title(said) == said
