"""Merging task lists: the first list that says something wins, and what others say against it is
kept in view, field by field, with the place where each value stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from patchbench.plan.lists.readers import Entry
from patchbench.records import Record


class MergedTask(Record, frozen=True, kw_only=True):
    """One commit with all that the lists say of it."""

    commit: str
    fields: dict[str, Any]
    origins: dict[str, str]
    contradictions: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()


def merge(entries: Iterable[Entry], *, supplements: Iterable[Entry] = ()) -> list[MergedTask]:
    """Merge entries by commit, in the order in which commits first appear. ``supplements`` (the
    parents' files) fill in fields of commits that are listed, but add no commit of their own."""
    groups: list[list[Entry]] = []
    for item in entries:
        group = _group_of(groups, item)
        if group is None:
            groups.append([item])
        else:
            group.append(item)
    for item in supplements:
        group = _group_of(groups, item)
        if group is not None:
            group.append(item)
    return [_merged(group) for group in groups]


def _group_of(groups: list[list[Entry]], item: Entry) -> list[Entry] | None:
    """The group of the same commit: one hash is the beginning of the other. Two full hashes that
    only begin alike are two commits."""
    for group in groups:
        longest = max((other.commit for other in group), key=len)
        if longest.startswith(item.commit) or item.commit.startswith(longest):
            return group
    return None


def _merged(group: list[Entry]) -> MergedTask:
    # A list may know a commit by 8 characters only; the longest hash names the task.
    commit = max((item.commit for item in group), key=len)
    fields: dict[str, Any] = {}
    origins: dict[str, str] = {}
    against: list[str] = []
    agreed: list[str] = []
    for item in group:
        for name, value in item.fields.items():
            if name not in fields:
                fields[name], origins[name] = value, item.origin
            elif not _same(name, fields[name], value):
                against.append(
                    f"{name}: {fields[name]} ({origins[name]}) against {value} ({item.origin})"
                )
            else:
                agreed.append(f"{name}: {item.origin}")
    return MergedTask(
        commit=commit,
        fields=fields,
        origins=origins,
        contradictions=tuple(against),
        agreements=tuple(agreed),
    )


def _same(name: str, one: Any, other: Any) -> bool:
    """Whether two lists agree: hashes by their common length, titles by their common beginning."""
    if name in ("parent", "title"):
        a, b = str(one), str(other)
        return a.startswith(b) or b.startswith(a)
    return bool(one == other)
