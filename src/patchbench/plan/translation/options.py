"""Read the options of a benchmark command by its table: given, by default, or refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from patchbench.plan.perf_command import Flag
from patchbench.plan.translation.benchmarks import Benchmark
from patchbench.subject import Words

WHOLE = re.compile(r"\d{1,9}", re.ASCII)


class NotExpressible(Exception):
    """A command that no load can express; the message names the option and says why."""


class MissingData(Exception):
    """A data set that a command means and that the configuration does not name."""


class Split(NamedTuple):
    """The options of a command: those that make the load, and the words for the server."""

    load: Mapping[str, Flag]
    server: Words


def split(
    flags: Sequence[Flag], table: Benchmark, server_flags: Sequence[str], *, others: bool = False
) -> Split:
    """Return a command's options by whom they address. Of an option given twice the last counts.
    ``others``: options that are nobody's go to the server, whose parser will be asked.

    Raises NotExpressible for one that is refused, or that neither client nor server has.
    """
    load: dict[str, Flag] = {}
    server: list[str] = []
    for flag in flags:
        name = _full_name(flag.name, table, server_flags)
        if name in table.options:
            load[name] = flag
        elif name in table.only:
            _check(flag, table.only[name].values, table.only[name].why)
        elif name in table.refused:
            raise NotExpressible(f"{' '.join(flag.words)}: {table.refused[name]}")
        elif name in table.ignored:
            continue
        elif others or name in table.engine or name in server_flags:
            server += (name, *flag.values)
        else:
            raise NotExpressible(
                f"{' '.join(flag.words)}: neither the benchmark's options nor the server's hold it"
            )
    return Split(load, tuple(server))


def _full_name(name: str, table: Benchmark, server_flags: Sequence[str]) -> str:
    """Return the option that a word means: itself, or the only one that it begins, as argparse
    reads it."""
    known = {*table.names, *server_flags}
    if name in known or not name.startswith("--"):
        return name
    longer = [full for full in known if full.startswith(name)]
    return longer[0] if len(longer) == 1 else name


def _check(flag: Flag, values: Sequence[str], why: str) -> None:
    if flag.values and flag.values[0] not in values:
        raise NotExpressible(f"{' '.join(flag.words)}: {why}")


class Options:
    """The values of the options that make a load.

    ``defaults`` come before the table's: values that the parser or the subject gives; None means
    that the parser has no such option.
    """

    def __init__(
        self, given: Mapping[str, Flag], table: Benchmark, defaults: Mapping[str, str | None]
    ) -> None:
        self._given, self._table, self._defaults = given, table, defaults

    def given(self, *names: str) -> bool:
        """Return True if the command has one of the options."""
        return any(name in self._given for name in names)

    def default(self, name: str) -> str | None:
        """Return an option's value if the command leaves it out."""
        table = self._table
        if name not in self._defaults:
            return table.options.get(name)
        if (value := self._defaults[name]) is not None:
            return value
        return table.absent.get(name, table.options.get(name))

    def text(self, name: str) -> str | None:
        """Return an option's first value, or None if it has none."""
        flag = self._given.get(name)
        if flag is None:
            return self.default(name)
        return flag.values[0] if flag.values else ""

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values of an option that the command gives."""
        return self._given[name].values if name in self._given else ()

    def count(self, name: str, least: int = 1) -> int:
        """Return an option's whole number. Raises NotExpressible for less than ``least``, for
        several values and for anything else."""
        value = self.optional_count(name, least)
        if value is None:
            raise NotExpressible(f"{name}: the command gives none")
        return value

    def optional_count(self, name: str, least: int = 1) -> int | None:
        """Return the same, or None if neither command nor parser gives a value."""
        text = self.text(name)
        if text is None:
            return None
        if len(self.values(name)) > 1:
            raise self._refusal(name, "several values are several loads")
        if not WHOLE.fullmatch(text) or int(text) < least:
            raise self._refusal(name, f"no whole number from {least} on")
        return int(text)

    def number(self, name: str) -> float | None:
        """Return an option's number, which may be infinite. Raises NotExpressible."""
        text = self.text(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            raise self._refusal(name, "no number")
        return value

    def fields(self, name: str) -> dict[str, Any]:
        """Return an option's JSON object, empty if it has none. Raises NotExpressible."""
        text = self.text(name)
        if text is None:
            return {}
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._refusal(name, "no JSON object")
        return value

    def _refusal(self, name: str, why: str) -> NotExpressible:
        shown = (
            " ".join((name, *self.values(name)))
            if name in self._given
            else (f"{name} {self.default(name)} (by default)")
        )
        return NotExpressible(f"{shown}: {why}")

    def refuse(self, name: str, why: str) -> NotExpressible:
        """Return the refusal of an option's value, to be raised."""
        return self._refusal(name, why)
