"""How often a launch that failed is made again, and how long to wait before that.

The policy is a property of the cause (see ``causes``): it answers whether another launch could
tell something new, not who is to blame.
"""

from __future__ import annotations

from typing import NamedTuple

# No pause is longer than this, seconds: by then a person has looked.
LONGEST_WAIT = 3600.0


class Retry(NamedTuple):
    """``attempts`` launches of one arm in one block, in all, until the failure is its outcome.
    ``wait_seconds`` pass before the second; each further pause is twice as long."""

    attempts: int
    wait_seconds: float = 0.0

    def again(self, made: int) -> bool:
        """Whether to launch once more after so many launches."""
        return made < self.attempts

    def wait(self, made: int) -> float:
        """Seconds to wait after so many launches: wait_seconds * 2**(made - 1), an hour at most."""
        return min(self.wait_seconds * 2.0 ** min(max(made - 1, 0), 20), LONGEST_WAIT)


# The same launch would end in the same way, or the blocks to come repeat it anyway.
NEVER = Retry(1)
# Chance may have had a hand in it: at once, one more time.
ONCE_MORE = Retry(2)
# A race for something (a port) that the next launch doesn't run into.
AT_ONCE = Retry(3)
# A person has to mend it; the next run of the same command tries again.
BY_HAND = Retry(3)
# The machine may get over it by itself.
SOON = Retry(3, 30.0)
# What others do to us (an occupied GPU, a slow network) passes in minutes.
LATER = Retry(5, 60.0)
# A limit per hour on somebody else's server.
MUCH_LATER = Retry(5, 300.0)
