"""Out-of-memory kills in a container: at its own limit, or because the machine had no memory.

The engine's OOMKilled says only that there was a kill: it is also set if a control group above the
container, or the whole machine (control groups v2), had no memory left. The kernel's log names both
groups since Linux 5.0 (mm/oom_kill.c, dump_oom_summary):

    oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/docker/ID,task_memcg=/docker/ID,task=...
    oom-kill:constraint=CONSTRAINT_NONE,...,global_oom,task_memcg=/docker/ID,task=...
"""

from __future__ import annotations

import re
from collections.abc import Iterable

KILL = re.compile(r"oom-kill:constraint=\w+.*?task_memcg=(?P<task>[^,\s]*)")
LIMIT = re.compile(r"oom_memcg=(?P<limit>[^,\s]*)")


def of_machine(container: str, lines: Iterable[str]) -> bool:
    """Return True if kernel messages show that a container (its id) lost a process although its own
    limit was not reached; False also if they show nothing."""
    killed = False
    for line in lines:
        kill = KILL.search(line)
        if kill is None or container not in kill["task"]:
            continue
        limit = LIMIT.search(line)
        if limit is not None and container in limit["limit"]:
            return False
        killed = True
    return killed
