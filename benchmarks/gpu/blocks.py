#!/usr/bin/env python3
"""Say from a campaign's journals which blocks are in the middle, and what was launched twice.

python benchmarks/gpu/blocks.py torn RESULTS SECONDS  # waits until blocks of two commits are
python benchmarks/gpu/blocks.py check RESULTS         # ends with 1 if a launch finished twice
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

from patchbench.ledger import journal
from patchbench.ledger.journal import Event

Blocks = dict[tuple[str, int], list[Event]]


def blocks(results: Path) -> Blocks:
    """Return the events of each block by commit and number."""
    files = sorted((results / "journal").glob("*/block-*.jsonl"))
    events = [event for file in files for event in journal.read(file)]
    return {
        key: [event for event in events if (event.commit, event.block) == key]
        for key in dict.fromkeys((event.commit, event.block) for event in events)
    }


def arms(events: list[Event], kind: str) -> list[str]:
    """Return the arms of a block's events of a kind, in their order."""
    return [event.arm for event in events if event.event == kind]


def is_torn(events: list[Event]) -> bool:
    """Return True if some of a block's launches have finished, and not all."""
    order = journal.begun(events, events[-1].digest) or []
    finished = arms(events, "run_finished")
    return bool(finished) and len(finished) < len(order) and events[-1].event == "run_started"


def torn(results: Path, seconds: float) -> int:
    """Wait until blocks of two commits are in the middle. Returns 1 if they never were."""
    deadline = time.monotonic() + seconds
    while len({commit for (commit, _), e in blocks(results).items() if is_torn(e)}) < 2:
        if time.monotonic() > deadline:
            print(f"blocks: no two commits in the middle after {seconds:g} s")
            return 1
        time.sleep(0.2)
    return 0


def check(results: Path) -> int:
    """Print each block's slots and launches. Returns 1 if a launch finished twice."""
    twice, found = 0, blocks(results)
    for (commit, number), events in found.items():
        finished = Counter(arms(events, "run_finished"))
        slots = [event.detail for event in events if event.event == "slot_taken"]
        again = [arm for arm, times in finished.items() if times > 1]
        again += [event.detail for event in events if event.event == "launches_superseded"]
        twice += len(again)
        started = len(arms(events, "run_started"))
        print(
            f"{commit[:8]} block {number}: slots {' '.join(slots)}, {started} starts, "
            f"{len(finished)} finished: {' '.join(finished)}"
            + (f"; AGAIN {'; '.join(again)}" if again else "")
        )
    print(f"{sum(len(arms(e, 'run_finished')) for e in found.values())} ends, {twice} twice")
    return 1 if twice else 0


def main() -> int:
    """The command line."""
    word, results, *seconds = sys.argv[1:]
    return torn(Path(results), float(*seconds)) if word == "torn" else check(Path(results))


if __name__ == "__main__":
    sys.exit(main())
