"""Shapes of the predecessor's result files, each a row of one table: by which keys it is told, what
it may hold, and how its runs are read. What is in none of them is refused with the key that was not
understood. Facts: ../shared/reference/isobench.md 1.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from patchbench.errors import BadInput
from patchbench.importing import recorded
from patchbench.importing.result_file import AGENT, ARMS, NAME
from patchbench.records import BASELINE, HUMAN
from patchbench.subject import BENCH_TYPES, BenchType

Values = Mapping[str, Any]
VARIANTS = {"baseline": BASELINE, "human": HUMAN, "agent": AGENT}
HASH = re.compile(r"[0-9a-f]{7,40}")


class Result(NamedTuple):
    """One run as it was recorded. ``arm`` is baseline, human or agent; ``log`` is its raw output,
    and ``values`` are metrics in canonical names."""

    place: str
    commit: str
    arm: str
    ok: bool
    error: str
    log: str
    values: dict[str, float]
    type: BenchType | None
    title: str = ""
    parent: str | None = None
    perf_command: str = ""


class Shape(NamedTuple):
    """One kind of record. ``marks`` give it away; ``keys`` are all that it may hold beside
    recorded metrics, where ``flat`` says that those stand at its top."""

    name: str
    marks: tuple[str, ...]
    keys: tuple[str, ...]
    read: Callable[[Values, str], Iterator[Result]]
    flat: bool = False


def runner(record: Values, place: str) -> Iterator[Result]:
    """The runner's file: one arm, which only the file's name says."""
    named = NAME.search(Path(place.partition("#")[0]).name)
    if named is None:
        raise BadInput(
            f"{place}: its name does not say whose run it is | next: name it "
            "COMMIT_agent_result.json (or human, baseline)"
        )
    arm = ARMS[named["arm"]]
    commit = _commit(record, place, "human_commit_full", "commit_full", "human_commit", "commit")
    yield _result(record, place, commit, arm, {**record, **_inner(record, "metrics")})


def three(record: Values, place: str) -> Iterator[Result]:
    """A file with all three arms under ``results``."""
    commit = _commit(record, place, "commit")
    for name, found in _inner(record, "results").items():
        if name not in VARIANTS or not isinstance(found, Mapping):
            raise BadInput(f"{place}: results.{name} not understood")
        yield _result(found, f"{place}#{name}", commit, VARIANTS[name], _inner(found, "metrics"))


def modal(record: Values, place: str) -> Iterator[Result]:
    """SGLang's and Modal's file: one status for all arms, and metrics per arm. What stopped the
    baseline stopped them all."""
    if "instance" in record:
        outer = {**_inner(record, "instance")}
        record = {**outer, **_inner(record, "result")}
    commit = _commit(record, place, "full_commit", "commit_hash", "commit")
    for name, arm in VARIANTS.items():
        values = _inner(record, f"{name}_metrics")
        if values or record.get("status") != "success":
            ok = bool(values) and record.get("status") == "success"
            yield _result(record, f"{place}#{name}", commit, arm, values, ok=ok)


def isolated(record: Values, place: str) -> Iterator[Result]:
    """A file with ``variants``: baseline, human and one agent under its own name."""
    commit = _commit(record, place, "full_commit", "commit_hash", "commit")
    for name, found in _inner(record, "variants").items():
        arm = VARIANTS.get(name, AGENT)
        values = _inner(found if isinstance(found, Mapping) else {}, "metrics")
        said = found if isinstance(found, Mapping) else {}
        ok = bool(values) and said.get("status", "success") == "success"
        yield _result({**record, **said}, f"{place}#{name}", commit, arm, values, ok=ok)


def flat_row(record: Values, place: str) -> Iterator[Result]:
    """A row of the flat tables: columns of three variants side by side. Its ``has_agent_patch`` is
    false wherever the benchmark failed, so it says nothing of patches."""
    commit = _commit(record, place, "commit_hash")
    for name, arm in VARIANTS.items():
        before = f"{name}_"
        values = {
            key.removeprefix(before): _number(value)
            for key, value in record.items()
            if key.startswith(before) and recorded.known(key.removeprefix(before))
        }
        values = {key: value for key, value in values.items() if value is not None}
        log = str(record.get(f"{name}_raw") or "")
        status = record.get("status")
        if values or log or (status not in (None, "success")):
            ok = bool(values) and status in (None, "success")
            yield _result({**record, "raw_output": log}, f"{place}#{name}", commit, arm, values, ok)


IDENTITY = (
    *("commit_hash", "commit_short", "commit_subject", "repo", "perf_command", "files_changed"),
    *("pr_url", "models", "parent_commit", "gpu_config", "benchmark_mode", "agent_name"),
    *("agent_model", "benchmark_date", "model", "has_agent_patch", "patch_path", "patch_type"),
    *("data_source", "test_script", "status", "error", "duration_s"),
    *(f"{name}_{what}" for name in VARIANTS for what in ("raw", "install_method")),
)
COMMON = ("parent_commit", "model", "status", "error", "duration_s", "timestamp", "raw_output")
NATIVE = ("perf_command", "runner", "iso_bench_override_applied", "benchmark_type")

# In this order; the first whose marks are all there.
SHAPES: tuple[Shape, ...] = (
    Shape(
        "file of the runner",
        ("human_commit", "status"),
        ("human_commit", "human_commit_full", "metrics", *COMMON, *NATIVE),
        runner,
        flat=True,
    ),
    Shape(
        "file of a separate agent",
        ("commit", "benchmark_source", "metrics"),
        (
            *("commit", "commit_full", "benchmark_source", "metrics", "agent_patch"),
            *("docker_image", *COMMON, *NATIVE),
        ),
        runner,
    ),
    Shape("file of three arms", ("commit", "results"), ("commit", "results", *COMMON), three),
    Shape(
        "file of variants",
        ("variants",),
        (
            *("variants", "commit", "full_commit", "commit_hash", "subject", "gpu_config"),
            *("perf_command", "benchmark_mode", *COMMON),
        ),
        isolated,
    ),
    Shape("file of Modal", ("instance", "result"), ("instance", "result"), modal),
    Shape(
        "file of SGLang",
        ("status", "baseline_metrics", "human_metrics"),
        (
            *("gpu_config", "benchmark_mode", "subject", "perf_command", "has_agent_patch"),
            *("commit", "full_commit", *COMMON),
            *(f"{name}_metrics" for name in VARIANTS),
        ),
        modal,
    ),
    Shape("flat row", ("commit_hash", "gpu_config"), IDENTITY, flat_row),
)


def read(record: object, place: str) -> list[Result]:
    """The runs of one record. Raises BadInput that names the key which was not understood."""
    if not isinstance(record, Mapping):
        raise BadInput(f"{place}: not a record but {type(record).__name__}")
    shape = next((s for s in SHAPES if all(mark in record for mark in s.marks)), None)
    if shape is None:
        keys = ", ".join(map(str, record))
        raise BadInput(f"{place}: no known kind of result; its keys: {keys[:200]}")
    for key in record:
        if key not in shape.keys and not _is_metric(shape, str(key)):
            raise BadInput(f"{place}: {shape.name}: key {key!r} not understood")
    return list(shape.read(record, place))


def _is_metric(shape: Shape, key: str) -> bool:
    """Whether a key at a record's top is a recorded metric or a comparison of two."""
    if shape.read is not flat_row:
        return shape.flat and recorded.known(key)
    name = key.partition("_improvement_")[2] or key.partition("_vs_human_")[2]
    variant, _, rest = key.partition("_")
    return recorded.known(name) or (variant in VARIANTS and recorded.known(rest))


def _result(
    record: Values, place: str, commit: str, arm: str, values: Values, ok: bool | None = None
) -> Result:
    mode = record.get("benchmark_type") or record.get("benchmark_mode")
    type_ = mode if mode in BENCH_TYPES else None
    found = recorded.metrics(values, arm, type_)
    return Result(
        place=place,
        commit=commit,
        arm=arm,
        ok=record.get("status") == "success" if ok is None else ok,
        error=str(record.get("error") or ""),
        log=str(record.get("raw_output") or ""),
        values=recorded.metrics(values, arm, type_ or recorded.type_of(found)),
        type=type_ or recorded.type_of(found),
        title=str(record.get("commit_subject") or record.get("subject") or ""),
        parent=_hash(record.get("parent_commit")),
        perf_command=str(record.get("perf_command") or ""),
    )


def _inner(record: Values, key: str) -> dict[str, Any]:
    found = record.get(key)
    return dict(found) if isinstance(found, Mapping) else {}


def _commit(record: Values, place: str, *keys: str) -> str:
    """The longest name of the commit."""
    found = [str(record.get(key) or "").lower() for key in keys]
    hashes = [name for name in found if HASH.fullmatch(name)]
    if not hashes:
        raise BadInput(f"{place}: no commit in {', '.join(keys)}")
    return max(hashes, key=len)


def _hash(value: object) -> str | None:
    return value if isinstance(value, str) and HASH.fullmatch(value) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        return float(str(value))
    except ValueError:
        return None
