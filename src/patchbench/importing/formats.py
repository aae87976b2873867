"""Read the runs in a record of ISO-Bench's harness, in any of the formats that it left behind.

Each format is a row of ``FORMATS``. A record with a key that no format knows is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from patchbench.errors import BadInput
from patchbench.importing import metric_names
from patchbench.records import BASELINE, HUMAN, Record
from patchbench.subject import BENCH_TYPES, BenchType
from patchbench.system import raw_logs

AGENT = "agent"
ARMS = {"baseline": BASELINE, "human": HUMAN, "agent": AGENT}
# COMMIT_ARM_result.json; copies may have more words before and behind.
FILE_NAME = re.compile(r"(?:^|_)[0-9a-f]{8}_(?P<arm>baseline|human|agent)_result")
HASH = re.compile(r"[0-9a-f]{7,40}")
MAX_BYTES = 64 << 20  # no record of one commit is larger

Values = Mapping[str, Any]


class Run(Record, frozen=True, kw_only=True):
    """One run as it was recorded: ``arm`` is baseline, human or agent, ``log`` the raw output,
    ``values`` the metrics under canonical names, ``place`` the file and the record in it."""

    place: str
    commit: str
    arm: str
    ok: bool
    error: str = ""
    log: str = ""
    values: dict[str, float] = msgspec.field(default_factory=dict)
    type: BenchType | None = None
    title: str = ""
    parent: str | None = None
    perf_command: str = ""

    @property
    def lines(self) -> list[str]:
        """Lines of the raw output."""
        return self.log.split("\n")


class Format(NamedTuple):
    """One format, and the keys that mark it."""

    name: str
    marks: tuple[str, ...]
    read: Callable[[Values, str], Iterator[Run]]


def runs_in(path: Path) -> list[Run]:
    """Return the runs of a JSON file; none if it is a file of another kind. Raises BadInput for a
    key that is not understood, or a file name that hides the arm."""
    first = next(iter(raw_logs.blocks(path)), (1, b""))[1]
    data = raw_logs.read_bytes(path, MAX_BYTES) if first.lstrip()[:1] == b"{" else None
    try:
        record = msgspec.json.decode(data or b"null")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    return read(record, str(path)) if _format(record) else []


def read(record: object, place: str) -> list[Run]:
    """Return the runs of one record. Raises BadInput that names a key which is not understood."""
    if not isinstance(record, Mapping):
        raise BadInput(f"{place}: not a record but {type(record).__name__}")
    format_ = _format(record)
    if format_ is None:
        keys = ", ".join(map(str, record))
        raise BadInput(f"{place}: no known kind of result; its keys: {keys[:200]}")
    for key in record:
        if key not in KEYS and not _is_metric(str(key)):
            raise BadInput(f"{place}: {format_.name}: key {key!r} not understood")
    return list(format_.read(record, place))


def _format(record: object) -> Format | None:
    if not isinstance(record, Mapping):
        return None
    return next((f for f in FORMATS if all(mark in record for mark in f.marks)), None)


def _is_metric(key: str) -> bool:
    """Return True for a recorded metric, also of one arm, or a comparison of two arms."""
    names = {key, key.partition("_improvement_")[2], key.partition("_vs_human_")[2]}
    names |= {key.removeprefix(f"{arm}_") for arm in ARMS}
    return any(metric_names.is_known(each) for each in names)


def _one_arm(record: Values, place: str) -> Iterator[Run]:
    """The runner's file of one arm; the arm stands in the name of the file alone."""
    name = FILE_NAME.search(Path(place.partition("#")[0]).name)
    if name is None:
        raise BadInput(
            f"{place}: the name of the file does not say the arm | next: name it "
            "COMMIT_agent_result.json (or human, baseline)"
        )
    yield _run(record, place, ARMS[name["arm"]], {**record, **_inner(record, "metrics")})


def _three_arms(record: Values, place: str) -> Iterator[Run]:
    for name, result in _inner(record, "results").items():
        if name not in ARMS or not isinstance(result, Mapping):
            raise BadInput(f"{place}: results.{name} not understood")
        merged = {"commit": record["commit"], **result}
        yield _run(merged, f"{place}#{name}", ARMS[name], _inner(result, "metrics"))


def _one_status(record: Values, place: str) -> Iterator[Run]:
    """SGLang's and Modal's file: one status for all arms, and metrics per arm. A failure of the
    baseline stopped them all."""
    record = {**record, **_inner(record, "instance"), **_inner(record, "result")}
    for name, arm in ARMS.items():
        values = _inner(record, f"{name}_metrics")
        if values or record.get("status") != "success":
            ok = bool(values) and record.get("status") == "success"
            yield _run(record, f"{place}#{name}", arm, values, ok)


def _variants(record: Values, place: str) -> Iterator[Run]:
    """Baseline, human, and one agent under its own name."""
    for name in _inner(record, "variants"):
        variant = _inner(record["variants"], name)
        values = _inner(variant, "metrics")
        ok = bool(values) and variant.get("status", "success") == "success"
        arm = ARMS.get(name, AGENT)
        yield _run({**record, **variant}, f"{place}#{name}", arm, values, ok)


def _flat_row(record: Values, place: str) -> Iterator[Run]:
    """A row of the flat tables: three arms side by side. ``has_agent_patch`` is false in every row
    with a failed benchmark, so it says nothing about patches."""
    ok = record.get("status") in (None, "success")
    for name, arm in ARMS.items():
        columns = {
            key.removeprefix(f"{name}_"): _number(value)
            for key, value in record.items()
            if key.startswith(f"{name}_") and metric_names.is_known(key.removeprefix(f"{name}_"))
        }
        values = {key: value for key, value in columns.items() if value is not None}
        log = str(record.get(f"{name}_raw") or "")
        if values or log or not ok:
            merged = {**record, "raw_output": log}
            yield _run(merged, f"{place}#{name}", arm, values, bool(values) and ok)


def _run(record: Values, place: str, arm: str, values: Values, ok: bool | None = None) -> Run:
    mode = record.get("benchmark_type") or record.get("benchmark_mode")
    given: BenchType | None = mode if mode in BENCH_TYPES else None
    type_ = given or metric_names.type_of(metric_names.canonical_values(values, arm, None))
    parent = record.get("parent_commit")
    return Run(
        place=place,
        commit=_commit(record, place),
        arm=arm,
        ok=record.get("status") == "success" if ok is None else ok,
        error=str(record.get("error") or ""),
        log=str(record.get("raw_output") or ""),
        values=metric_names.canonical_values(values, arm, type_),
        type=type_,
        title=str(record.get("commit_subject") or record.get("subject") or ""),
        parent=parent if isinstance(parent, str) and HASH.fullmatch(parent) else None,
        perf_command=str(record.get("perf_command") or ""),
    )


COMMIT_KEYS = (
    *("human_commit_full", "human_commit", "full_commit", "commit_full"),
    *("commit_hash", "commit"),
)


def _commit(record: Values, place: str) -> str:
    """Return the longest hash of the commit that the record holds. Raises BadInput."""
    names = [str(record.get(key) or "").lower() for key in COMMIT_KEYS]
    hashes = [name for name in names if HASH.fullmatch(name)]
    if not hashes:
        raise BadInput(f"{place}: no commit in {', '.join(COMMIT_KEYS)}")
    return max(hashes, key=len)


def _inner(record: Values, key: str) -> dict[str, Any]:
    value = record.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        return float(str(value))
    except ValueError:
        return None


# All keys of all formats, apart from metrics.
KEYS = {
    *re.findall(
        r"\w+",
        "agent_model agent_name agent_patch benchmark_date benchmark_mode benchmark_source "
        "benchmark_type commit commit_full commit_hash commit_short commit_subject data_source "
        "docker_image duration_s error files_changed full_commit gpu_config has_agent_patch "
        "human_commit human_commit_full instance iso_bench_override_applied metrics model models "
        "parent_commit patch_path patch_type perf_command pr_url raw_output repo result results "
        "runner status subject test_script timestamp variants",
    ),
    *(f"{arm}_{key}" for arm in ARMS for key in ("install_method", "metrics", "raw")),
}

# The first format with all its marks in the record is taken.
FORMATS = (
    Format("file of the runner", ("human_commit", "status"), _one_arm),
    Format("file of a separate agent", ("commit", "benchmark_source", "metrics"), _one_arm),
    Format("file of three arms", ("commit", "results"), _three_arms),
    Format("file of variants", ("variants",), _variants),
    Format("file of Modal", ("instance", "result"), _one_status),
    Format("file of SGLang", ("status", "baseline_metrics", "human_metrics"), _one_status),
    Format("flat row", ("commit_hash", "gpu_config"), _flat_row),
)
