"""The table of causes: stage, blame, how often to launch again, and advice to a person.

A cause is a fact about what happened. ``failures.attribution`` decides whether an agent is charged,
by comparison with the baseline of the same block; the blame here holds if that comparison allows
it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# Longest pause between two launches, seconds.
LONGEST_WAIT = 3600.0


class Retry(NamedTuple):
    """How often a failed launch is made again: ``attempts`` launches of one arm in one block in
    all; ``wait_seconds`` pass before the second, and each further pause is twice as long."""

    attempts: int
    wait_seconds: float = 0.0

    def again(self, made: int) -> bool:
        """Return True if one more launch follows after ``made`` launches."""
        return made < self.attempts

    def wait(self, made: int) -> float:
        """Return the seconds to wait after ``made`` launches: wait_seconds * 2**(made - 1), at most
        LONGEST_WAIT."""
        return min(self.wait_seconds * 2.0 ** min(max(made - 1, 0), 20), LONGEST_WAIT)


NEVER = Retry(1)  # the same launch would end in the same way, or later blocks repeat it anyway
ONCE_MORE = Retry(2)  # may be chance
AT_ONCE = Retry(3)  # a race for something (a port) that the next launch doesn't run into
BY_HAND = Retry(3)  # a person has to mend it; the next run of the same command tries again
SOON = Retry(3, 30.0)  # the machine may recover by itself
LATER = Retry(5, 60.0)  # other users of the machine (a busy GPU, a slow network): minutes
MUCH_LATER = Retry(5, 300.0)  # an hourly limit of a remote server

Blame = Literal["agent", "task", "infra", "harness", "unknown"]
BLAMES: tuple[Blame, ...] = ("agent", "task", "infra", "harness", "unknown")


class Cause(NamedTuple):
    """One row of the table. ``missing`` marks lack of coverage rather than a bad patch.

    ``shared`` marks a fault of something that all arms of a task use (image, model, flags, driver,
    client): if the baseline worked, the failure can't be what it looks like.
    """

    stage: str
    blame: Blame
    retry: Retry
    title: str
    advice: str
    missing: bool = False
    shared: bool = False


def _cause(stage: str, blame: Blame, retry: Retry, title: str, advice: str) -> Cause:
    return Cause(stage, blame, retry, title, advice)


def _shared(stage: str, blame: Blame, retry: Retry, title: str, advice: str) -> Cause:
    return Cause(stage, blame, retry, title, advice, shared=True)


# fmt: off
CAUSES: dict[str, Cause] = {
    # The task itself, before anything of an agent is looked at.
    "task.no_parent": _cause(
        "resolve_task", "task", NEVER, "parent commit unknown", "give the parent in the task list"),
    # The patch. Validated without a launch, so no baseline has a say.
    "patch.missing": Cause(
        "fetch_patch", "agent", NEVER, "no patch delivered", "run the agent on this commit",
        missing=True),
    "patch.empty": _cause(
        "fetch_patch", "agent", NEVER, "empty patch", "the agent delivered nothing to measure"),
    "patch.malformed": _cause(
        "validate_patch", "agent", NEVER, "not a readable diff", "write the patch with git diff"),
    "patch.outside_tree": _cause(
        "validate_patch", "agent", NEVER, "writes outside the tree",
        "keep paths inside the repository"),
    "patch.forbidden_path": _cause(
        "validate_patch", "agent", NEVER, "edits only the benchmark client",
        "leave the judge alone"),
    "patch.out_of_scope": _cause(
        "validate_patch", "agent", NEVER, "touches no code of the engine",
        "change the engine's code"),
    "patch.other_base": _cause(
        "validate_patch", "agent", NEVER, "made for another base",
        "make the patch on the parent commit"),
    "patch.rejected": _cause(
        "validate_patch", "agent", NEVER, "does not apply", "make the patch on the parent commit"),
    "patch.too_large": _cause(
        "validate_patch", "agent", NEVER, "patch is too large",
        "leave build results out of the patch"),
    "patch.binary": _cause(
        "validate_patch", "agent", NEVER, "binary content", "leave binary files out of the patch"),
    "patch.not_exercised": _cause(
        "validate_patch", "agent", NEVER, "changes code that this workload never runs",
        "change code that the workload's backend and engine version run"),
    "patch.syntax": _cause(
        "validate_patch", "agent", NEVER, "syntax error",
        "compile the changed files before delivering"),
    "patch.import": _cause(
        "build_image", "agent", NEVER, "import fails", "import the package before delivering"),
    # Images.
    "image.needs_rebuild": _cause(
        "validate_patch", "harness", NEVER,
        "changes compiled sources, which this runtime can't rebuild",
        "use a runtime that builds images"),
    "image.missing": _cause(
        "build_image", "infra", NEVER, "a prebuilt image is missing",
        "build or push the image, or correct the pattern of prebuilt images, and run again"),
    "image.build_failed": _cause(
        "build_image", "task", NEVER, "the parent's image can't be built", "see the build log"),
    "image.smoke_failed": _cause(
        "build_image", "task", NEVER, "the parent's image does not import",
        "mend the image's recipe"),
    "image.patched_failed": _cause(
        "build_image", "harness", ONCE_MORE, "a validated patch could not be built",
        "report the build's log"),
    "image.cuda_abi": _shared(
        "any", "task", NEVER, "compiled code does not fit its libraries (ABI)",
        "rebuild the image's compiled code against its torch, CUDA and driver"),
    "image.gpu_arch": _shared(
        "any", "task", NEVER, "no kernels for this GPU in the image",
        "build the image for this GPU's compute capability"),
    "image.dependency": _shared(
        "any", "task", NEVER, "a package of the image is broken or of the wrong version",
        "pin the package in the image's recipe, as of the commit's date"),
    "image.missing_package": _shared(
        "any", "task", NEVER, "a package is missing from the image",
        "add the package to the image's recipe"),
    # The workload: model and flags, the same for every arm.
    "task.bad_model": _shared(
        "any", "task", NEVER, "the model does not exist or can't be read",
        "name a model that exists in the task list, or exclude the task"),
    "task.gated_model": _shared(
        "any", "task", NEVER, "the model is gated",
        "ask for access and download the model before the campaign"),
    "task.tokenizer": _shared(
        "any", "task", NEVER, "the model's tokenizer can't be loaded",
        "complete the model's folder, or the tokenizer packages of the image"),
    "task.unsupported_model": _shared(
        "any", "task", NEVER, "this version of the engine does not know the model",
        "take a model of the commit's time, or exclude the task"),
    "task.bad_flag": _shared(
        "any", "task", NEVER, "a flag is unknown to this version of the engine",
        "correct the task's command or the subject's flags"),
    "task.context_too_long": _shared(
        "any", "task", NEVER, "the workload is longer than the model's context",
        "lower --max-model-len or the input length in the task list"),
    "task.bad_request": _shared(
        "benchmark", "task", NEVER, "the server refuses the client's requests",
        "compare the client's lengths and fields with what this version accepts"),
    "task.known_bug": _shared(
        "any", "task", NEVER, "a known bug of this version of the engine",
        "exclude the task: put the commit under known.bugs of the subject"),
    # The launch.
    "server.crash": _cause(
        "server_start", "agent", NEVER, "server died before it was ready", "see the server's log"),
    "server.timeout": _cause(
        "server_start", "agent", NEVER, "server never became ready", "see the server's log"),
    "server.crash_under_load": _cause(
        "benchmark", "agent", NEVER, "server died during the benchmark", "see the server's log"),
    "server.gpu_memory": _cause(
        "any", "agent", NEVER, "ran out of GPU memory by itself",
        "look for what the change keeps on the GPU; if the baseline fails too, take a larger GPU"),
    "server.kv_cache": _cause(
        "any", "agent", NEVER, "no room for the KV cache",
        "look for memory that the change takes; if the baseline fails too, lower --max-model-len"),
    "server.memory": _cause(
        "any", "agent", NEVER, "asked for more memory than it can get",
        "look for the allocation in the traceback"),
    "check.failed": _cause(
        "output_check", "agent", NEVER, "no answer to the fixed prompts", "see the server's log"),
    "bench.crash": _cause(
        "benchmark", "agent", NEVER, "the benchmark process crashed", "see the benchmark's log"),
    "bench.timeout": _cause(
        "benchmark", "agent", NEVER, "the benchmark never ended",
        "look for a deadlock in the change"),
    "bench.client_failed": _shared(
        "benchmark", "harness", ONCE_MORE, "the benchmark client failed", "see the client's log"),
    "bench.deprecated_client": _cause(
        "benchmark", "harness", NEVER, "the client is a deprecated stub",
        "name the engine's own client"),
    "bench.dead_server": _cause(
        "benchmark", "agent", NEVER, "zeros measured on a dead server", "see the server's log"),
    "bench.no_metrics": _cause(
        "benchmark", "agent", NEVER, "ended without a result", "see the benchmark's log"),
    "bench.requests_failed": _cause(
        "benchmark", "agent", NEVER, "requests failed", "see the errors in the result file"),
    "bench.partial": _shared(
        "parse_metrics", "harness", NEVER, "result lacks the primary metric",
        "see the result file"),
    "bench.ambiguous": _shared(
        "parse_metrics", "harness", NEVER, "two results that differ", "see the raw files"),
    "bench.wrong_output": _cause(
        "output_check", "agent", NEVER, "answers differ from the baseline's",
        "compare the answers"),
    # Limits that a sandbox enforced on one arm alone.
    "sandbox.network": _cause(
        "any", "agent", NEVER, "tried to reach the network",
        "leave the network alone: there is none"),
    "sandbox.memory": _cause(
        "any", "agent", NEVER, "used more memory than its sandbox has",
        "look for the growth in the change"),
    "sandbox.pids": _cause(
        "any", "agent", NEVER, "started more processes than its sandbox allows",
        "start fewer processes"),
    "sandbox.disk": _cause(
        "any", "agent", NEVER, "filled its sandbox's temporary disk",
        "write less to temporary files"),
    "sandbox.read_only": _cause(
        "any", "agent", NEVER, "tried to change its own image", "write to temporary files only"),
    # Our own mistakes.
    "harness.no_format": _shared(
        "parse_metrics", "harness", NEVER, "output in no known format", "report the raw file"),
    "harness.misread": _cause(
        "parse_metrics", "harness", NEVER, "a result was there and was not read",
        "read the raw output again with patchbench parse"),
    "harness.shared_memory": _cause(
        "any", "harness", NEVER, "the container's /dev/shm is too small",
        "raise sandbox.shm_mb of the subject's recipe"),
    # The machine. Never an arm's result as long as it may pass.
    "infra.disk_full": _cause(
        "any", "infra", SOON, "disk full",
        "free space (df -h) or inodes (df -i) and run the same command again"),
    "infra.quota": _cause(
        "any", "infra", BY_HAND, "disk quota used up",
        "free space within the quota and run the same command again"),
    "infra.read_only": _cause(
        "any", "infra", BY_HAND, "file system is read-only",
        "look for disk errors in the kernel's log and mount it again"),
    "infra.oom": _cause("any", "infra", LATER, "out of memory", "free memory and run again"),
    "infra.gpu": _cause("any", "infra", SOON, "GPU fault", "check the GPU and run again"),
    "infra.gpu_dirty": _cause(
        "any", "infra", LATER, "others hold the GPU's memory",
        "end the processes that nvidia-smi shows and run again"),
    "infra.gpu_driver": _shared(
        "any", "infra", NEVER, "GPU driver too old for the image",
        "update the driver, or take an image for this one"),
    "infra.gpu_access": _shared(
        "any", "infra", NEVER, "containers get no GPU",
        "set containers.gpu (nvidia or devices) to what this machine has"),
    "infra.nccl": _cause(
        "any", "infra", SOON, "communication between GPUs failed",
        "run again with NCCL_DEBUG=INFO and check /dev/shm and the links"),
    "infra.port_taken": _cause(
        "any", "infra", AT_ONCE, "the server's port was taken", "run again"),
    "infra.network": _cause("any", "infra", LATER, "network or registry failed", "run again"),
    "infra.rate_limit": _cause(
        "any", "infra", MUCH_LATER, "too many requests to a registry or hub",
        "wait, log in, or download before the campaign"),
    "infra.auth": _cause(
        "any", "infra", BY_HAND, "credentials refused or expired", "log in again and run again"),
    "infra.model_missing": _shared(
        "any", "infra", NEVER, "the model is not on this machine, and downloads are off",
        "download the model into the cache that the subject names, then run again"),
    "infra.engine": _cause(
        "any", "infra", SOON, "the container engine failed", "start the engine and run again"),
    "infra.image_missing": _cause(
        "any", "infra", BY_HAND, "a prebuilt image is missing",
        "build or pull the image and run again"),
    # Unexplained failures are shown, and never counted under another cause.
    "killed": _cause(
        "any", "unknown", ONCE_MORE, "ended by SIGKILL that was not ours",
        "look for the kernel's OOM killer"),
    "unknown": _cause("any", "unknown", ONCE_MORE, "no signature matched", "read the log"),
}
# fmt: on


def retry(cause: str) -> Retry:
    """Return how often a launch with this cause is made again. Raises KeyError for an unknown
    cause."""
    return CAUSES[cause].retry
