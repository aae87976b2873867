"""What GPUs did beside a run, once a second: clocks, power, temperature, memory, throttling.

It watches and never decides: without a GPU, without NVIDIA's library or with a driver that refuses
an answer there are fewer figures or none, and the run goes on. Units stand in the columns' names;
times are UTC in ISO 8601.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar

T = TypeVar("T")

FILE = "telemetry.csv"
SECONDS = 1.0
# A GPU with more memory in use than this has somebody on it, seen or not.
FREE_MIB = 1024
# A driver answers within milliseconds, or, when a GPU has failed, never.
ANSWER_SECONDS = 10.0
# Where it still owes an answer, the next question waits only so long.
AGAIN_SECONDS = 0.5
_unanswered: list[threading.Thread] = []
MIB = 2**20

# Why a GPU's clocks are lower than they could be, by NVML's bits (nvml.h, nvmlClocksEventReason*).
REASONS = {
    0x1: "idle",
    0x2: "application_clocks",
    0x4: "power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "thermal",
    0x40: "hardware_thermal",
    0x80: "power_brake",
    0x100: "display_clocks",
}
IDLE = "idle"
UTILISATION = "utilisation_pct"


def reasons(bits: int) -> tuple[str, ...]:
    """Names of the reasons in NVML's bit mask; a bit that nobody knows is shown as it is."""
    known = tuple(name for bit, name in REASONS.items() if bits & bit)
    unknown = bits & ~sum(REASONS)
    return (*known, hex(unknown)) if unknown else known


# --- asking the driver -----------------------------------------------------------------------


def _memory(nvml: Any, gpu: Any) -> float:
    """Memory that programs hold, MiB. The first version of the call counts the driver's share."""
    version = getattr(nvml, "nvmlMemory_v2", None)
    asked = (gpu, version) if version else (gpu,)
    return float(nvml.nvmlDeviceGetMemoryInfo(*asked).used / MIB)


def _throttle(nvml: Any, gpu: Any) -> str:
    ask = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    ask = ask or nvml.nvmlDeviceGetCurrentClocksThrottleReasons
    return " ".join(reasons(ask(gpu)))


# How each figure is asked for. Their order is that of the file's columns.
FIGURES: dict[str, Callable[[Any, Any], float]] = {
    "sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(
        gpu, nvml.NVML_TEMPERATURE_GPU
    ),
    "memory_mib": _memory,
    "utilisation_pct": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
}
COLUMNS = ("at", "gpu", *FIGURES, "throttle")


@contextmanager
def _driver() -> Iterator[Any]:
    """NVIDIA's library, ready for questions; None where there is none, or no GPU."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, no driver, a driver of another version: all the same here
        yield None
        return
    try:
        yield pynvml
    finally:
        with suppress(Exception):
            pynvml.nvmlShutdown()


def _handle(nvml: Any, gpu: str) -> Any:
    """A GPU by its index or its UUID, as CUDA_VISIBLE_DEVICES names it."""
    if gpu.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(gpu))
    return nvml.nvmlDeviceGetHandleByUUID(gpu)


def _in_time(ask: Callable[[], T], late: T) -> T:
    """An answer, or ``late``: a broken driver may never give one, and nobody waits for it. Outside
    of a recording (``recorded``), no question goes to the driver in another way."""
    for earlier in _unanswered:
        earlier.join(AGAIN_SECONDS)
    _unanswered[:] = [thread for thread in _unanswered if thread.is_alive()]
    if _unanswered:
        return late  # it still thinks about the last question
    said: list[T] = []
    thread = threading.Thread(target=lambda: said.append(ask()), daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    if thread.is_alive():
        _unanswered.append(thread)
    return said[0] if said else late


def uuid(gpu: str) -> str | None:
    """A GPU's UUID, by which every program of the machine knows it; None if nobody can tell."""
    return about([gpu]).get("gpu_uuid")


def _asked(ask: Callable[[Any, Any], Any], nvml: Any, gpu: Any) -> Any:
    """An answer, or None: not every GPU and driver can tell everything."""
    try:
        return ask(nvml, gpu)
    except Exception:
        return None


def sample(nvml: Any, gpu: str, handle: Any) -> list[str]:
    """One row of the file."""
    figures = [_asked(ask, nvml, handle) for ask in FIGURES.values()]
    numbers = ["" if figure is None else f"{figure:.6g}" for figure in figures]
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return [at, gpu, *numbers, _asked(_throttle, nvml, handle) or ""]


def about(gpus: Sequence[str]) -> dict[str, str]:
    """Model, driver and UUIDs of the GPUs (index or UUID); empty where there is nothing to ask, or
    no answer comes."""
    return _in_time(lambda: _about(gpus), {})


def _about(gpus: Sequence[str]) -> dict[str, str]:
    with _driver() as nvml:
        handles = _handles(nvml, gpus)
        models = [_asked(lambda n, g: n.nvmlDeviceGetName(g), nvml, g) for g in handles.values()]
        uuids = [_asked(lambda n, g: n.nvmlDeviceGetUUID(g), nvml, g) for g in handles.values()]
        driver = _asked(lambda n, _: n.nvmlSystemGetDriverVersion(), nvml, None)
    if not handles:
        return {}
    found = {
        "gpu_model": ", ".join(dict.fromkeys(_text(model) for model in models if model)),
        "gpu_driver": _text(driver) if driver else "",
        "gpu_uuid": ", ".join(_text(uuid) for uuid in uuids if uuid),
    }
    return {name: text for name, text in found.items() if text}


def minors() -> dict[str, str]:
    """Minor numbers (N of /dev/nvidiaN) of all GPUs that the driver shows, by index and by UUID;
    empty where there is nothing to ask, or not every GPU tells its own."""
    return _in_time(_minors, {})


def _minors() -> dict[str, str]:
    found: dict[str, str] = {}
    with _driver() as nvml:
        count = _asked(lambda n, _: n.nvmlDeviceGetCount(), nvml, None) or 0
        for index in range(count):
            handle = _asked(lambda n, i: n.nvmlDeviceGetHandleByIndex(i), nvml, index)
            minor = _asked(lambda n, g: n.nvmlDeviceGetMinorNumber(g), nvml, handle)
            if minor is None:
                return {}
            uuid = _asked(lambda n, g: n.nvmlDeviceGetUUID(g), nvml, handle)
            found |= {str(index): str(minor)} | ({_text(uuid): str(minor)} if uuid else {})
    return found


def _text(answer: str | bytes) -> str:
    """Older versions of the library answer in bytes."""
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


# --- beside a run ----------------------------------------------------------------------------


@contextmanager
def recorded(gpus: Sequence[str], folder: Path, seconds: float = SECONDS) -> Iterator[None]:
    """Write ``folder / telemetry.csv`` while the body runs: a row for each GPU (index or UUID) now,
    every ``seconds`` and at the end. Does nothing where there is nothing to ask."""
    over = threading.Event()
    # Only this thread ever asks the driver: a broken one may never answer, and the run goes on.
    thread = threading.Thread(
        target=_record, args=(gpus, folder / FILE, seconds, over), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(ANSWER_SECONDS)


def _handles(nvml: Any, gpus: Sequence[str]) -> dict[str, Any]:
    found = {}
    for gpu in gpus if nvml else ():
        with suppress(Exception):
            found[gpu] = _handle(nvml, gpu)
    return found


def _record(gpus: Sequence[str], path: Path, seconds: float, over: threading.Event) -> None:
    with _driver() as nvml:
        handles = _handles(nvml, gpus)
        if not handles:
            return
        try:
            with path.open("w", newline="", encoding="utf-8") as out:
                writer = _writer(out)
                last = False
                while not last:
                    last = over.is_set()
                    for gpu, handle in handles.items():
                        writer.writerow(sample(nvml, gpu, handle))
                    out.flush()
                    over.wait(0 if last else seconds)
        except OSError:
            return  # a full disk: whoever writes results says so


def _writer(out: TextIO) -> Any:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    return writer


# --- afterwards ------------------------------------------------------------------------------


class Summary(NamedTuple):
    """A run's telemetry, over all of its GPUs: figures by column, and what held the clocks back at
    any time (idleness apart). ``working`` is the share of samples in which a kernel ran, None if
    the driver didn't say. Means are over those samples alone: a GPU that waits for a server's
    imports tells nothing of the measurement."""

    samples: int
    working: float | None
    mean: dict[str, float]
    highest: dict[str, float]
    lowest: dict[str, float]
    throttle: tuple[str, ...]


def summary(path: Path) -> Summary | None:
    """What a telemetry file says; None if there is none, or no sample in it. Rows that were cut off
    are passed over."""
    rows = [*samples(path)]
    if not rows:
        return None
    used = [*_numbers(row.get(UTILISATION, "") for row in rows)]
    at_work = [row for row in rows if any(_numbers([row.get(UTILISATION, "")]))]
    known = _columns(rows)
    seen = {reason for row in rows for reason in (row.get("throttle") or "").split()}
    return Summary(
        samples=len(rows),
        working=len(at_work) / len(used) if used else None,
        mean={
            name: sum(values) / len(values) for name, values in _columns(at_work or rows).items()
        },
        highest={name: max(values) for name, values in known.items()},
        lowest={name: min(values) for name, values in known.items()},
        throttle=tuple(sorted(seen - {IDLE})),
    )


def _columns(rows: Sequence[Mapping[str, str]]) -> dict[str, list[float]]:
    columns = {name: [*_numbers(row.get(name, "") for row in rows)] for name in FIGURES}
    return {name: values for name, values in columns.items() if values}


def samples(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a telemetry file, cut off ones passed over; none if there is no such file."""
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as lines:
            yield from (row for row in csv.DictReader(lines) if None not in row.values())
    except (OSError, csv.Error):
        return


def _numbers(texts: Iterable[str]) -> Iterator[float]:
    for text in texts:
        with suppress(ValueError):
            yield float(text)


# --- before a run ----------------------------------------------------------------------------


def clean(gpu: str, own: Collection[int] = ()) -> str | None:
    """Why a GPU (index or UUID) is not free for a measurement: compute processes other than ``own``
    (process ids), over 1 GiB in use by nobody who can be seen, or a driver that does not answer.
    None if it is free, or if nobody can tell."""
    late: str | None = f"GPU {gpu}: the driver has not answered for {ANSWER_SECONDS:.0f} s"
    return _in_time(lambda: _why_not(gpu, own), late)


def _why_not(gpu: str, own: Collection[int]) -> str | None:
    with _driver() as nvml:
        handle = _handles(nvml, [gpu]).get(gpu)
        if handle is None:
            return None
        processes = _asked(lambda n, g: n.nvmlDeviceGetComputeRunningProcesses(g), nvml, handle)
        others = [process for process in processes or () if process.pid not in own]
        if others:
            return f"GPU {gpu}: {', '.join(_holder(process) for process in others)}"
        used = _asked(_memory, nvml, handle)
    if used is not None and used > FREE_MIB and not processes:
        return f"GPU {gpu}: {used:.0f} MiB in use, and no process that holds it can be seen"
    return None


def _holder(process: Any) -> str:
    held = getattr(process, "usedGpuMemory", None)
    return f"process {process.pid} holds " + (f"{held / MIB:.0f} MiB" if held else "memory")
