"""A clock that a file moves: the time of Python and the journal, and the times of files put in
place, are off by the number of seconds in PATCHBENCH_FAKE_CLOCK's file. The monotonic clock goes
on. (`datetime` itself can't be replaced: compiled modules build on it.)
"""

import datetime
import os
import time
from pathlib import Path

_time, _time_ns = time.time, time.time_ns
_replace, _rename = os.replace, os.rename


def _off() -> float:
    return float(Path(os.environ["PATCHBENCH_FAKE_CLOCK"]).read_text() or 0)


def _placed(move):
    def moved(source, target, **more):
        move(source, target, **more)
        if off := _off():
            os.utime(target, (_time() + off,) * 2)

    return moved


time.time = lambda: _time() + _off()
time.time_ns = lambda: _time_ns() + int(_off() * 1e9)
os.replace, os.rename = _placed(_replace), _placed(_rename)


try:
    from patchbench.ledger import journal
except ImportError:  # not a process of ours
    pass
else:
    journal.now = lambda: datetime.datetime.fromtimestamp(time.time(), datetime.UTC).isoformat(
        timespec="milliseconds"
    )
