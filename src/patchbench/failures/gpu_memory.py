"""The share of GPU memory that other processes hold, from the message of an out-of-memory error.

PyTorch and vLLM print the figures. Inside a container PyTorch can't tell its own process from
others (the driver reports the host's PIDs), so PyTorch's own allocations are compared with all
memory in use.
"""

from __future__ import annotations

import re

# A context, captured graphs and communication buffers take less than this share of a GPU beside
# PyTorch's own memory; more belongs to other processes.
FOREIGN_SHARE = 0.15

UNITS = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
SIZE = r"(?P<{0}>[\d.]+)\s*(?P<{0}_unit>B|[KMG]iB)"


def _size(name: str) -> str:
    return SIZE.format(name)


# PyTorch from 2.1 on, misspelt there: `GPU 0 has a total capacty of 44.40 GiB of which ...`
CAPACITY = re.compile(rf"total capaci?ty of {_size('total')} of which {_size('free')} is free")
OWN = re.compile(rf"this process has {_size('own')} memory in use")
ALLOCATED = re.compile(rf"Of the allocated memory {_size('allocated')} is allocated by PyTorch")
RESERVED = re.compile(rf"and {_size('reserved')} is reserved by PyTorch but unallocated")
# Before: `(GPU 0; 44.56 GiB total capacity; 27.91 GiB already allocated; 565.31 MiB free; ...`
OLD = re.compile(
    rf"{_size('total')} total capacity; {_size('allocated')} already allocated; "
    rf"{_size('free')} free; {_size('own')} reserved in total by PyTorch"
)
# vLLM, before it has taken anything: `Free memory on device (59.32/79.15 GiB) on startup is ...`
AT_START = re.compile(r"Free memory on device (?:\S+ )?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\)")


def foreign_share(text: str) -> float | None:
    """Return the share of the GPU (0 to 1) that other processes hold; None if the text gives no
    figures."""
    if at_start := AT_START.search(text):
        total = float(at_start["total"])
        return _share(total - float(at_start["free"]), total)
    if old := OLD.search(text):
        total = _bytes(old, "total")
        return _share(total - _bytes(old, "free") - _bytes(old, "own"), total)
    capacity = CAPACITY.search(text)
    if capacity is None:
        return None
    own, allocated, reserved = OWN.search(text), ALLOCATED.search(text), RESERVED.search(text)
    if own:
        torch_bytes = _bytes(own, "own")
    elif allocated:
        torch_bytes = _bytes(allocated, "allocated")
        torch_bytes += _bytes(reserved, "reserved") if reserved else 0.0
    else:
        return None
    total = _bytes(capacity, "total")
    return _share(total - _bytes(capacity, "free") - torch_bytes, total)


def is_crowded(text: str) -> bool:
    """Return True if other processes hold more than FOREIGN_SHARE of the GPU."""
    share = foreign_share(text)
    return share is not None and share > FOREIGN_SHARE


def _bytes(match: re.Match[str], name: str) -> float:
    return float(match[name]) * UNITS[match[f"{name}_unit"]]


def _share(part: float, total: float) -> float | None:
    return max(part, 0.0) / total if total > 0 else None
