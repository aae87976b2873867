"""Patches of known effect: each of the engine's steps takes a share longer than it took.

The baseline's engine waits for 0 % of each step, the human's commit takes that code out, and an
agent `wait-N` waits for N %. With one step after another (`--no-async-scheduling`) nothing hides
the wait, so tokens come N % later.
"""

import ast
import re

import source
from source import EditError, function, klass
from task import Edit, Task

CORE = "vllm/v1/engine/core.py"
LOOP = "EngineCoreProc", "_process_engine_step"
SHARES = (0, 1, 2, 5, 10)  # per cent


def wait_for_nothing(text: str) -> str:
    """Measure each step of the engine's loop, and wait for a share of that time: of 0 so far."""
    owner, name = LOOP
    body = function(text, name, owner).body
    steps = [node for node in body if "step_fn(" in (ast.get_source_segment(text, node) or "")]
    if len(steps) != 1 or steps[0] is body[-1]:
        raise EditError(f"{owner}.{name} does not call step_fn once")
    text = source.insert_before(
        text,
        body[body.index(steps[0]) + 1],
        """
        now = time.perf_counter()
        until = now + WAIT * (now - began)
        while time.perf_counter() < until:
            time.sleep(0)
        """,
    )
    (step,) = [
        node
        for node in function(text, name, owner).body
        if "step_fn(" in (ast.get_source_segment(text, node) or "")
    ]
    text = source.insert_before(text, step, "began = time.perf_counter()")
    return source.insert_before(
        text,
        klass(text, owner),
        """
        # Share of each step that is waited for in addition.
        WAIT = 0.0
        """,
    )


def wait_for(per_cent: int) -> Edit:
    """An edit of the baseline that makes it wait for so many per cent of each step."""

    def edit(text: str) -> str:
        text, places = re.subn(r"^WAIT = 0\.0$", f"WAIT = {per_cent / 100:.2f}", text, flags=re.M)
        if places != 1:
            raise EditError("no WAIT in the baseline's engine")
        return text

    return edit


def task(perf_command: str) -> Task:
    """The task of the list waits.yaml. Its command needs `--no-async-scheduling`."""
    return Task(
        branch="no-wait",
        title="Do not wait between the engine's steps",
        before="Wait for 0 % of each of the engine's steps",
        removal={CORE: wait_for_nothing},
        agents={f"wait-{share}": {CORE: wait_for(share)} for share in SHARES},
        perf_command=perf_command,
        primary_metric="tpot_median_ms",
        guard_metrics=("output_tps",),
        listed="waits",
        answers="ignored",
    )
