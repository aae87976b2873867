"""The benchmark command of a performance commit: environment, type, options."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from patchbench.subject import BenchType, Subject

ENV_PREFIX = re.compile(r"[A-Z_][A-Z0-9_]*=.*", re.DOTALL)


class Flag(NamedTuple):
    """One option of a command line with its values."""

    name: str
    values: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Name and values as words of a command line."""
        return (self.name, *self.values)


class Command(NamedTuple):
    """A benchmark command taken apart."""

    env: dict[str, str]
    type: BenchType | None
    flags: tuple[Flag, ...]
    program: str = ""


def parse_command(text: str, subject: Subject) -> Command:
    """Split a command into environment prefix, benchmark type and options.

    The type is found by the words that the subject's data gives for each client.
    """
    words = shlex.split(text)
    env: dict[str, str] = {}
    while words and ENV_PREFIX.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    for type_, client in subject.clients.items():
        for end in range(1, len(words) + 1):
            program = " ".join(words[:end])
            if any(program.endswith(name) for name in client.detect):
                return Command(env, type_, split_flags(words[end:]), program)
    return Command(env, None, split_flags(words), " ".join(words))


def split_flags(words: Sequence[str]) -> tuple[Flag, ...]:
    """Return words grouped into options with their values; ``--a_b=1`` reads as ``--a-b 1``."""
    flags: list[Flag] = []
    for word in words:
        if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
            name, equals, value = word.partition("=")
            if name.startswith("--"):
                name = name.replace("_", "-")
            flags.append(Flag(name, (value,) if equals else ()))
        elif flags:
            flags[-1] = Flag(flags[-1].name, (*flags[-1].values, word))
    return tuple(flags)


def first_value(flags: Sequence[Flag], *names: str) -> str | None:
    """Return the value of the last option with one of these names, as argparse does."""
    values = [flag.values[0] for flag in flags if flag.name in names and flag.values]
    return values[-1] if values else None


def gpus_needed(flags: Sequence[Flag], subject: Subject) -> int:
    """Return the product of tensor, pipeline and data parallel sizes among the options."""
    sizes = [flag.values[0] for flag in flags if flag.name in subject.gpu_flags and flag.values]
    return math.prod(int(size) for size in sizes if size.isdecimal())
