"""Kinds of logs, told by their contents: the program that wrote them and the stage that it belongs
to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from patchbench.system.raw_logs import blocks, find


class Kind(NamedTuple):
    """A kind of log: its ``title``, the ``stage`` of a launch that fails in it, and the texts that
    only such a log has."""

    name: str
    title: str
    stage: str
    sign: re.Pattern[bytes]


def _kind(name: str, title: str, stage: str, *signs: str) -> Kind:
    return Kind(name, title, stage, re.compile("|".join(signs).encode(), re.MULTILINE))


UNDER_LOAD = re.compile(
    rb"Application startup complete|Uvicorn running on|server is fired up and ready to roll"
    rb'|"POST /(?:v1/|generate)[^"]*" 200|Avg (?:prompt|generation) throughput: [1-9]'
)
# The first kind that a log has is the one that it is taken for.
KINDS = (
    _kind(
        "server", "an engine's server", "server_start",
        r"Started server process", r"Uvicorn running on", r"entrypoints/openai/", r"api_server\.py",
        r"EngineCore", r"Initializing (?:a|an) (?:V\d )?LLM engine", r"server_args=ServerArgs",
        r"sglang[/.]srt", r"sglang\.launch_server", r"vLLM API server version", r"LLMEngine",
        r"\bllm_engine\.py", r"multiproc_executor\.py", r"Avg prompt throughput",
    ),
    _kind(
        "benchmark", "a benchmark", "benchmark",
        r"Serving Benchmark Result", r"Traffic request rate: ", r"Starting initial single prompt",
        r"bench(?:mark)?_serving", r"benchmark_(?:latency|throughput)", r"Namespace\(backend=",
        r"Profiling iterations:", r"Warmup iterations:", r"Processed prompts:", r"bench_one_batch",
        r"Initial test run (?:failed|completed)",
        r"backend_request_func", r"^aiohttp\.client_exc",
    ),
    _kind(
        "build", "a build (pip, CMake, a compiler, docker build)", "build_image",
        r"^#\d+ \[", r"^#\d+ \d+\.\d+ ", r"^Step \d+/\d+ :", r"^ *Collecting \S+",
        r"^ *(?:×|╰|├|error:).*(?:Failed to (?:download|build|fetch)|No solution)",
        r"Building wheels? for", r"^-- (?:The C|Detecting|Configuring|Build files)", r"^ninja: ",
        r"^CMake Error", r"failed to solve: ", r"^\[\d+/\d+\] (?:Building|Linking|.*nvcc)",
        r"^nvcc (?:fatal|error|warning)", r"^ptxas ", r"^(?:ERROR: )?(?:Failed building wheel|No"
        r" matching distribution|Could not find a version|ResolutionImpossible|Cannot install)",
        r"^make(?:\[\d+\])?: \*\*\*", r"^E: (?:Unable|Failed|You don't)", r"\bld: cannot find",
        r"^error: (?:subprocess-exited|metadata-generation|command ')", r"resolving dependencies:",
        r"^\S+\.(?:cu|cuh|cpp|cc|c|h)(?:\(\d+\)|:\d+:\d+): (?:fatal )?error",
    ),
    _kind(
        "container", "a container engine (Docker, containerd, Podman, Apptainer)", "build_image",
        r"Error response from daemon", r"Docker daemon", r"^docker: ", r"docker\.errors\.",
        r"containerd", r"^runc ", r"\bOCI runtime", r"^FATAL: +", r"Cannot connect to Podman",
        r"^Error: .*(?:podman|crun|CDI devices|short-name|initializing source)", r"pyxis: ",
        r"enroot-", r"^FATA\[", r"^unknown flag: --", r"nvidia-container-cli",
        r"manifest unknown", r"toomanyrequests",
    ),
    _kind(
        "scheduler", "a scheduler (Slurm, Kubernetes, PBS, LSF)", "server_start",
        r"\bslurmstepd: ", r"^srun: ", r"^sbatch: ", r"^slurm_\w+ error", r"=>> PBS:",
        r"^TERM_(?:RUN|MEM)LIMIT", r"\bOOMKilled\b", r"nodes are available:", r"ErrImagePull",
        r"^The node was low on resource",
    ),
    _kind(
        "kernel", "the kernel or an OOM killer", "server_start",
        r"NVRM: ", r"oom-kill:constraint=", r"Out of memory: Killed process", r"EXT4-fs|XFS \(",
        r"^(?:\[ *\d+\.\d{6}\] |<\d>)", r"blk_update_request:", r"systemd-oomd\[", r"earlyoom\[",
    ),
    _kind(
        "python", "a Python program", "server_start",
        r"Traceback \(most recent call last\)", r"^(?:\w+\.)*\w+(?:Error|Exception)\b",
    ),
)  # fmt: skip
# Blocks (of 64 KiB) at the begin and at the end that are searched.
BLOCKS = 16
UNKNOWN = "a program that is not known"


class Taken(NamedTuple):
    """What logs are taken for: the kinds that they have, the likeliest first, the stage, and True
    if a server in them had begun to serve."""

    kinds: tuple[str, ...]
    title: str
    stage: str


def _begin_and_end(path: Path) -> Iterator[bytes]:
    """Yield the first and the last blocks of a log: a program names itself where it begins."""
    all_blocks = (data for _, data in blocks(path))
    yield from islice(all_blocks, BLOCKS)
    yield from deque(all_blocks, maxlen=BLOCKS)


def take(files: Iterable[Path]) -> Taken:
    """Return what the logs of one launch are taken for."""
    found: set[str] = set()
    served = False
    for path in files:
        for data in _begin_and_end(path) if find(path) else ():
            served = served or UNDER_LOAD.search(data) is not None
            found |= {
                kind.name for kind in KINDS if kind.name not in found and kind.sign.search(data)
            }
    kinds = [kind for kind in KINDS if kind.name in found]
    titles = [kind.title for kind in kinds if kind.name != "python"] or [
        kind.title for kind in kinds
    ]
    stage = kinds[0].stage if kinds else "server_start"
    if served and stage == "server_start":
        stage = "benchmark"
    names = tuple(kind.name for kind in kinds)
    return Taken(names, ", with lines of ".join(titles[:2]) or UNKNOWN, stage)
