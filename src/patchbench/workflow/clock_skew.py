"""Results whose times lie in the future: a clock was ahead while they were made, and is right now.

Snakemake refuses what it makes from such a file ("clock skew") until the clock has caught up, which
may take hours. So before it looks, their times are set back, in the same order.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Everything that a rule makes or reads; raw files of runs are none of Snakemake's business.
DECLARED = (
    *("tasks/*.json", "patches/*/*/*", "images/*/*.json", "runs/*/block-*/block.json"),
    *("metrics/*.json", "tables/*", "figures/*", "*.md", "*.html", "*.json"),
)
# Clocks of a file server and of ours differ by less.
SLACK_SECONDS = 60.0


def set_back(results: Path, now: float) -> int:
    """Move future times (seconds since the epoch) to at most ``now``; how many files that were.
    None gets older than what was made before the clock went ahead."""
    times = {path: path.stat().st_mtime for pattern in DECLARED for path in results.glob(pattern)}
    future = {path: made for path, made in times.items() if made > now + SLACK_SECONDS}
    if not future:
        return 0
    oldest = max((made for path, made in times.items() if path not in future), default=0.0)
    ahead = max(future.values()) - now
    with suppress(OSError):  # a disk that can't be written to; the jobs say so
        for path, made in future.items():
            os.utime(path, (max(oldest, made - ahead),) * 2)
    return len(future)
