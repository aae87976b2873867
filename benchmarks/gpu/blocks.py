#!/usr/bin/env python3
"""Say from a campaign's journals which blocks are in the middle, and what was launched twice.

python benchmarks/gpu/blocks.py torn RESULTS    # ends with 0 if blocks of two commits are
python benchmarks/gpu/blocks.py check RESULTS   # ends with 1 if a launch finished twice
"""

from __future__ import annotations

import sys
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


def main() -> int:
    """The command line."""
    word, results = sys.argv[1], Path(sys.argv[2])
    found = blocks(results)
    if word == "torn":
        return 0 if len({commit for (commit, _), e in found.items() if is_torn(e)}) > 1 else 1
    twice = 0
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


if __name__ == "__main__":
    sys.exit(main())
