"""Every cause that an outcome may name: its stage, who is charged, what a person can do.

A cause is a fact about what happened. Whether an agent is charged is decided by
``failures.attribution``, which compares with the baseline of the same block; the blame named
here is the one that holds when that comparison allows it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Blame = Literal["agent", "task", "infra", "harness", "unknown"]
BLAMES: tuple[Blame, ...] = ("agent", "task", "infra", "harness", "unknown")


class Cause(NamedTuple):
    """One row of the table. ``missing`` marks lack of coverage rather than a bad patch."""

    stage: str
    blame: Blame
    title: str
    advice: str
    missing: bool = False


CAUSES: dict[str, Cause] = {
    "patch.missing": Cause(
        "fetch_patch", "agent", "no patch delivered", "run the agent on this commit", True
    ),
    "patch.empty": Cause(
        "fetch_patch", "agent", "empty patch", "the agent delivered nothing to measure"
    ),
    "patch.malformed": Cause(
        "validate_patch", "agent", "not a readable diff", "write the patch with git diff"
    ),
    "patch.outside_tree": Cause(
        "validate_patch", "agent", "writes outside the tree", "keep paths inside the repository"
    ),
    "patch.forbidden_path": Cause(
        "validate_patch", "agent", "edits only the benchmark client", "leave the judge alone"
    ),
    "patch.out_of_scope": Cause(
        "validate_patch", "agent", "touches no code of the engine", "change the engine's code"
    ),
    "patch.other_base": Cause(
        "validate_patch", "agent", "made for another base", "make the patch on the parent commit"
    ),
    "patch.rejected": Cause(
        "validate_patch", "agent", "does not apply", "make the patch on the parent commit"
    ),
    "patch.too_large": Cause(
        "validate_patch", "agent", "patch is too large", "leave build results out of the patch"
    ),
    "patch.binary": Cause(
        "validate_patch", "agent", "binary content", "leave binary files out of the patch"
    ),
    "patch.not_exercised": Cause(
        "validate_patch",
        "agent",
        "changes code that this workload never runs",
        "change code that the workload's backend and engine version run",
    ),
    "image.needs_rebuild": Cause(
        "validate_patch",
        "harness",
        "changes compiled sources, which this runtime can't rebuild",
        "use a runtime that builds images",
    ),
    "patch.syntax": Cause(
        "validate_patch", "agent", "syntax error", "compile the changed files before delivering"
    ),
    "patch.import": Cause(
        "build_image", "agent", "import fails", "import the package before delivering"
    ),
    "image.build_failed": Cause(
        "build_image", "task", "the parent's image can't be built", "see the build log"
    ),
    "image.smoke_failed": Cause(
        "build_image", "task", "the parent's image does not import", "mend the image's recipe"
    ),
    "task.no_parent": Cause(
        "resolve_task", "task", "parent commit unknown", "give the parent in the task list"
    ),
    "server.crash": Cause(
        "server_start", "agent", "server died before it was ready", "see the server's log"
    ),
    "server.timeout": Cause(
        "server_start", "agent", "server never became ready", "see the server's log"
    ),
    "server.crash_under_load": Cause(
        "benchmark", "agent", "server died during the benchmark", "see the server's log"
    ),
    "bench.crash": Cause(
        "benchmark", "agent", "the benchmark process crashed", "see the benchmark's log"
    ),
    "bench.timeout": Cause(
        "benchmark", "agent", "the benchmark never ended", "look for a deadlock in the change"
    ),
    "bench.client_failed": Cause(
        "benchmark", "harness", "the benchmark client failed", "see the client's log"
    ),
    "bench.no_metrics": Cause(
        "benchmark", "agent", "ended without a result", "see the benchmark's log"
    ),
    "bench.requests_failed": Cause(
        "benchmark", "agent", "requests failed", "see the errors in the result file"
    ),
    "bench.partial": Cause(
        "parse_metrics", "harness", "result lacks the primary metric", "see the result file"
    ),
    "bench.wrong_output": Cause(
        "output_check", "agent", "answers differ from the baseline's", "compare the answers"
    ),
    "check.failed": Cause(
        "output_check", "agent", "no answer to the fixed prompts", "see the server's log"
    ),
    "harness.no_format": Cause(
        "parse_metrics", "harness", "output in no known format", "report the raw file"
    ),
    "infra.disk_full": Cause(
        "any", "infra", "disk full", "free space and run the same command again"
    ),
    "infra.port_taken": Cause("any", "infra", "the server's port was taken", "run again"),
    "infra.oom": Cause("any", "infra", "out of memory", "free memory and run again"),
    "infra.gpu": Cause("any", "infra", "GPU fault", "check the GPU and run again"),
    "infra.network": Cause("any", "infra", "network or registry failed", "run again"),
    "image.patched_failed": Cause(
        "build_image", "harness", "a validated patch could not be built", "report the build's log"
    ),
    "killed": Cause(
        "any", "unknown", "ended by SIGKILL that was not ours", "look for the kernel's OOM killer"
    ),
    "unknown": Cause("any", "unknown", "no signature matched", "read the log"),
}
