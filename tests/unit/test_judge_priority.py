"""Slices of the judge's processes: asked for without rights, given back."""

from __future__ import annotations

import ctypes
import os

import pytest

from patchbench.judge import priority

GET_ATTRIBUTES = {"x86_64": 315, "aarch64": 275}


def slice_now() -> int:
    buffer = ctypes.create_string_buffer(priority.ATTRIBUTES.size)
    call = GET_ATTRIBUTES[os.uname().machine]
    assert ctypes.CDLL(None).syscall(call, 0, buffer, len(buffer), 0) == 0
    return int(priority.ATTRIBUTES.unpack(buffer.raw)[5])


def test_short_slices_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    before, nice = slice_now(), os.getpriority(os.PRIO_PROCESS, 0)
    if before == 0:
        pytest.skip("this kernel keeps no slice of a process")
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with pytest.raises(ValueError, match="x"), priority.first_served(True):
        assert slice_now() == priority.SLICE
        raise ValueError("x")
    assert (slice_now(), os.getpriority(os.PRIO_PROCESS, 0)) == (before, nice)


def test_nothing_is_asked_for_if_not_wanted() -> None:
    before = slice_now()
    with priority.first_served(False):
        assert slice_now() == before
