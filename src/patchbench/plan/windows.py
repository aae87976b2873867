"""Windows per launch where the configuration says `auto`: many short ones, few long ones.

The number follows from the task's load alone, so it is the same for all arms and blocks, today and
after any measurement: blocks that were measured stay valid. (What was measured on the machine says
better; `patchbench plan` prints it, for a person to write down.)
"""

from __future__ import annotations

import msgspec

from patchbench.grading.default_noise import default_costs, default_noise
from patchbench.grading.launch_noise import best_windows
from patchbench.records import Task

AUTO = 0  # in a protocol: not chosen yet
LONGEST = 300.0  # seconds that a launch may take for the sake of more windows


def with_windows(task: Task) -> Task:
    """Return a task with a number of windows. A commit's own benchmark starts anew for each window,
    so it gets one."""
    if task.protocol.windows != AUTO:
        return task
    windows, load = 1, task.workload.load if task.workload else None
    if load is not None:
        noise = default_noise(task.primary_metric)
        windows = best_windows(noise, default_costs(load), LONGEST)
    return msgspec.structs.replace(
        task, protocol=msgspec.structs.replace(task.protocol, windows=windows)
    )
