"""Lines on stderr: plain, or on a terminal in colours and above a live bar of launches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

# rich is imported only if there is a terminal: every job imports this module.
SHARE = 20.0  # looking at the records takes at most 1 in so many seconds
STYLES = {r"\bmeasured\b": "green", r"\b(failed|not measured:) \S+": "red", r"\d+/\d+": "cyan"}


class Figures(Protocol):
    """Figures of the live view: launches done, launches in all, the rest in words, and the lines
    that stand below the bar."""

    @property
    def done(self) -> int: ...
    @property
    def whole(self) -> int: ...
    @property
    def words(self) -> str: ...
    @property
    def lines(self) -> Sequence[str]: ...


def styled(line: str) -> Text:
    """Return a line with its results in colour."""
    from rich.text import Text

    text = Text(line)
    for pattern, style in STYLES.items():
        text.highlight_regex(pattern, style)
    return text


def print_line(line: str) -> None:
    """Print one line on stderr."""
    if not sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)
        return
    from rich.console import Console

    Console(stderr=True).print(styled(line), soft_wrap=True)


class Display:
    """Prints lines on stderr. On a terminal a live view stands below them: a bar, and what
    ``state`` returns; it is called again as time goes by, at most for a twentieth of it."""

    def __init__(self, name: str, state: Callable[[], Figures]) -> None:
        self.state = state
        self.live: Live | None = None
        self.next_look = 0.0
        if sys.stderr.isatty():
            self._start(name)

    def _start(self, name: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f} launches, {task.fields[rest]}"),
        )
        self.task = self.bar.add_task(name, total=1, rest="")
        self.live = Live(self.bar, console=Console(stderr=True), refresh_per_second=1)
        self.look()
        self.live.start(refresh=True)

    def line(self, text: str) -> None:
        """Print a line, above the view if there is one."""
        if self.live is None:
            print_line(text)
        else:
            self.live.console.print(styled(text), soft_wrap=True)

    def look(self) -> None:
        """Bring the view up to date, if it is time to."""
        began = time.monotonic()
        if self.live is None or began < self.next_look:
            return
        from rich.console import Group

        now = self.state()
        self.bar.update(self.task, completed=now.done, total=now.whole, rest=now.words)
        shown = Group(self.bar, *map(styled, now.lines))
        self.live.update(shown, refresh=self.live.is_started)
        self.next_look = time.monotonic() + SHARE * (time.monotonic() - began)

    def close(self) -> None:
        """End the view and leave its bar on the terminal."""
        if self.live is not None:
            self.next_look = 0.0
            with suppress(OSError):  # the terminal may be gone
                self.look()
                self.live.update(self.bar)
                self.live.stop()
