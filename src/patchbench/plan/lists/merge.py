"""Merge task lists. The first list that gives a field wins; every other value is recorded with its
place as a contradiction or an agreement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from patchbench.plan.lists.readers import Entry
from patchbench.records import Record


class MergedTask(Record, frozen=True, kw_only=True):
    """One commit with its fields and where each stands."""

    commit: str
    fields: dict[str, Any]
    origins: dict[str, str]
    contradictions: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()


def merge(entries: Iterable[Entry], *, supplements: Iterable[Entry] = ()) -> list[MergedTask]:
    """Return entries merged by commit, in the order in which commits first appear. ``supplements``
    (the parents' files) fill in fields of listed commits, but add no commit."""
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
    """Return the group of the same commit: one hash is the beginning of the other."""
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
    """Return True if two values agree: hashes and titles if one is the beginning of the other."""
    if name in ("parent", "title"):
        a, b = str(one), str(other)
        return a.startswith(b) or b.startswith(a)
    return bool(one == other)
