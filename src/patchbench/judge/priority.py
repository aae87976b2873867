"""Priority of the judge's processes over others of the machine while a window runs."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

REAL_TIME = 10  # priority under SCHED_RR
# struct sched_attr of Linux's sched_setattr(2), 48 bytes: size, policy, flags, nice, priority,
# runtime, deadline, period. Since Linux 6.12 the runtime of an ordinary process is its slice.
ATTRIBUTES = struct.Struct("<IIQiIQQQ")
SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}
SLICE = 100_000  # nanoseconds, the least that the kernel takes


@contextmanager
def first_served(real_time: bool) -> Iterator[None]:
    """Run before other processes of the machine meanwhile, if this is wanted: in real time if
    that is allowed, else by short slices, which need no rights and make a wake-up wait for less of
    the others' slices. Streams are then stamped with less delay on cores that others use too."""
    if not real_time:
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME))
        except PermissionError:
            set_slice(SLICE)
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, *before)
        set_slice(0)


def set_slice(nanoseconds: int) -> bool:
    """Ask the kernel for slices of this length, 0 for its own. Returns False if this machine can't
    be asked; an older kernel passes over the length."""
    call = SET_ATTRIBUTES.get(os.uname().machine)
    if call is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = ATTRIBUTES.pack(ATTRIBUTES.size, 0, 0, nice, 0, nanoseconds, 0, 0)
    return bool(ctypes.CDLL(None).syscall(call, 0, attributes, 0) == 0)
