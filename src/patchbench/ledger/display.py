"""Lines on stderr: plain, or on a terminal in colours and above a live bar of launches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.text import Text

# rich is imported only if there is a terminal: every job imports this module.
STYLES = {r"\bmeasured\b": "green", r"\b(failed|not measured:) \S+": "red", r"\d+/\d+": "cyan"}


class Figures(Protocol):
    """Figures of the bar: launches done, launches in all, and the rest in words."""

    @property
    def done(self) -> int: ...
    @property
    def whole(self) -> int: ...
    @property
    def words(self) -> str: ...


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
    """Prints lines on stderr. On a terminal a live bar stands below them; ``state`` is called for
    its figures after each line."""

    def __init__(self, name: str, state: Callable[[], Figures]) -> None:
        self.state = state
        self.bar: Progress | None = None
        if sys.stderr.isatty():
            self._start(name)

    def _start(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f} launches, {task.fields[rest]}"),
            console=Console(stderr=True),
            refresh_per_second=1,
        )
        self.task = self.bar.add_task(name, total=1, rest="")
        self._update()
        self.bar.start()

    def line(self, text: str) -> None:
        """Print a line, above the bar if there is one, and bring the bar up to date."""
        if self.bar is None:
            print_line(text)
        else:
            self.bar.console.print(styled(text), soft_wrap=True)
            self._update()

    def _update(self) -> None:
        assert self.bar is not None
        now = self.state()
        self.bar.update(self.task, completed=now.done, total=now.whole, rest=now.words)

    def close(self) -> None:
        """End the bar and leave its last state on the terminal."""
        if self.bar is not None:
            with suppress(OSError):  # the terminal may be gone
                self.bar.stop()
